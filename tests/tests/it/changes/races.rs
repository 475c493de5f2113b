//! Whatever else happens to an order while it is changed, split or merged: exactly one of them is written first, and the
//! other is made of what that left, or refused. And what happens without the guards that see to it.

use super::{ada, bonn, cancel, id, later, lines, merge, patch, place, read, shop, split};
use crate::guards::{broken, without};
use holdfast_domain::ids::{OrderId, TenantId};
use holdfast_domain::order::{Change, Order};
use holdfast_local::demo::laws;
use holdfast_store::Changed;
use holdfast_tests::requests::{Answer, Request};
use holdfast_tests::shop::Shop;
use serde_json::{Value, json};

/// Runs two at the same time: the second as a whole while the first has read everything and is about to write.
async fn overtaken<A, B>(
    shop: &Shop,
    operation: &'static str,
    first: impl Future<Output = A>,
    second: impl Future<Output = B>,
) -> (A, B) {
    let halt = shop.engine.wire.halt(operation);
    tokio::join!(first, async {
        halt.reached().await;
        let done = second.await;
        halt.go();
        done
    })
}

const TRANSACTION: &str = "TransactWriteItems";

/// What a worker does with an order; whether it is written.
async fn work(shop: &Shop, order: &Answer, change: impl Fn(&Order) -> Option<Change>) -> bool {
    let (store, tenant) = (shop.engine.store(), TenantId::parse("acme").unwrap());
    let stored = store.order_read(&tenant, OrderId::parse(id(order)).unwrap()).await.unwrap().unwrap();
    let Some(change) = change(&stored.order) else { return false };
    matches!(store.order_change(&change, &stored.trace).await.unwrap(), Changed::Done)
}

async fn start_payment(shop: &Shop, order: &Answer) -> bool {
    let now = shop.clock.clock().now();
    work(shop, order, |order| order.start_payment(now).ok()).await
}

async fn expire(shop: &Shop, order: &Answer) -> bool {
    let now = shop.clock.clock().now();
    work(shop, order, |order| order.expire(now).ok()).await
}

fn five() -> Value {
    json!({"lines": lines(&[("mug", 5)])})
}

#[tokio::test]
async fn ord_9_of_a_change_and_the_begin_of_a_payment_one_comes_first() {
    let shop = shop().await;
    let placed = place(&shop, "k-1", &later(&[("mug", 3)])).await;
    let five = five();
    let (changed, started) =
        overtaken(&shop, TRANSACTION, patch(&shop, &placed, &five), start_payment(&shop, &placed)).await;
    assert!(started);
    assert_eq!((changed.status, changed.header("etag"), shop.available("mug").await), (412, "\"2\"", 7), "{changed:?}");
    let now = read(&shop, &placed).await;
    for body in [&five, &json!({"shipping_address": bonn()})] {
        let refused = patch(&shop, &now, body).await;
        assert_eq!((refused.status, refused.slug()), (409, "payment-started"), "{refused:?}");
    }
    assert_eq!(split(&shop, &placed, "s", &[(0, 1)]).await.slug(), "payment-started");

    let placed = place(&shop, "k-2", &later(&[("mug", 3)])).await;
    let (started, changed) =
        overtaken(&shop, "UpdateItem", start_payment(&shop, &placed), patch(&shop, &placed, &five)).await;
    assert_eq!((started, changed.status), (false, 200), "an old total would have been asked for: {changed:?}");
    shop.laws_hold().await;
}

#[tokio::test]
async fn ord_9_of_a_change_and_an_expiry_one_comes_first() {
    let shop = shop().await;
    let five = five();
    let placed = place(&shop, "k-1", &later(&[("mug", 3)])).await;
    let (changed, expired) = overtaken(&shop, TRANSACTION, patch(&shop, &placed, &five), expire(&shop, &placed)).await;
    assert_eq!((expired, changed.status, shop.available("mug").await), (true, 412, 10), "{changed:?}");
    shop.laws_hold().await;
    let placed = place(&shop, "k-2", &later(&[("mug", 3)])).await;
    let (expired, changed) = overtaken(&shop, TRANSACTION, expire(&shop, &placed), patch(&shop, &placed, &five)).await;
    assert_eq!((expired, changed.status, shop.available("mug").await), (false, 200, 5), "{changed:?}");
    shop.laws_hold().await;
    assert!(expire(&shop, &placed).await && shop.available("mug").await == 10);
}

#[tokio::test]
async fn ord_10_of_a_split_and_a_cancellation_one_comes_first() {
    let shop = shop().await;
    let placed = place(&shop, "k-1", &later(&[("mug", 3)])).await;
    let (off, cancelled) =
        overtaken(&shop, TRANSACTION, split(&shop, &placed, "s", &[(0, 1)]), cancel(&shop, &placed)).await;
    assert_eq!((cancelled.status, off.slug(), &off.body["from"]), (200, "illegal-transition", &json!("cancelled")));
    assert_eq!(shop.engine.evidence().await.orders.len(), 1);
    shop.laws_hold().await;
    let placed = place(&shop, "k-2", &later(&[("mug", 3)])).await;
    let (cancelled, off) =
        overtaken(&shop, TRANSACTION, cancel(&shop, &placed), split(&shop, &placed, "s", &[(0, 1)])).await;
    // What was split off is another order by then.
    assert_eq!((cancelled.status, off.status, shop.available("mug").await), (200, 201, 9), "{cancelled:?} {off:?}");
    shop.laws_hold().await;
}

#[tokio::test]
async fn ord_10_of_a_merge_and_a_cancellation_of_either_one_comes_first() {
    let shop = shop().await;
    for (round, ends_target) in [(0, true), (1, false)] {
        let place = async |n: usize| place(&shop, &format!("k-{round}-{n}"), &later(&[("mug", 1)])).await;
        let (target, other) = (place(0).await, place(1).await);
        let ended = if ends_target { &target } else { &other };
        let (merged, cancelled) =
            overtaken(&shop, TRANSACTION, merge(&shop, &target, &other), cancel(&shop, ended)).await;
        assert_eq!((cancelled.status, merged.slug()), (200, "illegal-transition"), "{merged:?}");
        assert_eq!((&merged.body["from"], &merged.body["order_id"]), (&json!("cancelled"), &json!(id(ended))));
        shop.laws_hold().await;
        let (target, other) = (place(2).await, place(3).await);
        let ended = if ends_target { &target } else { &other };
        let (cancelled, merged) =
            overtaken(&shop, TRANSACTION, cancel(&shop, ended), merge(&shop, &target, &other)).await;
        assert_eq!((merged.status, cancelled.status), (200, if ends_target { 200 } else { 409 }), "{cancelled:?}");
        shop.laws_hold().await;
    }
}

#[tokio::test]
async fn ord_10_of_two_merges_in_opposite_directions_one_is_made() {
    let shop = shop().await;
    let (one, other) =
        (place(&shop, "k-1", &later(&[("mug", 1)])).await, place(&shop, "k-2", &later(&[("pen", 1)])).await);
    shop.engine.wire.meet(TRANSACTION, 2);
    let (there, back) = tokio::join!(merge(&shop, &one, &other), merge(&shop, &other, &one));
    shop.engine.wire.meet(TRANSACTION, 1);
    let (won, lost) = if there.status == 200 { (there, back) } else { (back, there) };
    assert_eq!((won.status, lost.slug()), (200, "illegal-transition"), "{lost:?}");
    assert_eq!(won.body["lines"].as_array().unwrap().len(), 2);
    shop.laws_hold().await;
}

#[tokio::test]
async fn ord_10_two_splits_of_the_same_units_are_made_one_after_the_other() {
    let shop = shop().await;
    let placed = place(&shop, "k", &later(&[("mug", 3)])).await;
    let (first, second) =
        overtaken(&shop, TRANSACTION, split(&shop, &placed, "s-1", &[(0, 2)]), split(&shop, &placed, "s-2", &[(0, 2)]))
            .await;
    assert_eq!((second.status, first.status, first.slug()), (201, 422, "not-splittable"), "{first:?}");
    shop.laws_hold().await;
}

fn breaches(evidence: &holdfast_local::demo::evidence::Evidence) -> Vec<&'static str> {
    broken(&laws::of_table(evidence))
}

/// Each of the three, while the order is cancelled: without the version's condition they bring claims back to life that
/// went back.
#[tokio::test]
async fn ord_9_without_the_version_condition_claims_that_went_back_are_kept() {
    for deed in ["change", "split", "merge"] {
        let shop = shop().await;
        let placed = place(&shop, "k-1", &later(&[("mug", 3)])).await;
        let target = place(&shop, "k-2", &later(&[("mug", 1)])).await;
        let five = five();
        let done = async {
            match deed {
                "change" => patch(&shop, &placed, &five).await,
                "split" => split(&shop, &placed, "s", &[(0, 1)]).await,
                _ => merge(&shop, &target, &placed).await,
            }
        };
        let cancelled = async {
            let cancelled = cancel(&shop, &placed).await;
            assert_eq!(cancelled.status, 200);
        };
        // The call that is about to be sent was rewritten when it set out, and so is the cancellation, which reads last.
        shop.engine.wire.rewrite(without("Update", "version = :before", "attribute_exists(pk)", ":before"));
        let (done, ()) = overtaken(&shop, TRANSACTION, done, cancelled).await;
        assert!(matches!(done.status, 200 | 201), "{deed}: {done:?}");
        let breaches = breaches(&shop.engine.evidence().await);
        assert!(breaches.contains(&"stock_conserved"), "{deed}: {breaches:?}");
    }
}

#[tokio::test]
async fn ord_9_without_the_stock_condition_a_change_takes_what_is_not_there() {
    let claim = "available >= :quantity AND price_version <= :price_version";
    for guarded in [true, false] {
        let shop = shop().await;
        let placed = place(&shop, "k-1", &later(&[("mug", 3)])).await;
        // Another environment sells the rest, which the first does not know.
        let elsewhere = shop.another_environment();
        let rest = Request::post("/orders", &later(&[("mug", 7)])).key("k-2").send(&elsewhere, Some(&ada())).await;
        assert_eq!(rest.status, 201);
        if !guarded {
            shop.engine.wire.rewrite(without("Update", claim, "price_version <= :price_version", ""));
        }
        let changed = patch(&shop, &placed, &five()).await;
        let breaches = breaches(&shop.engine.evidence().await);
        match guarded {
            true => assert_eq!((changed.slug(), breaches.len()), ("out-of-stock", 0), "{changed:?}"),
            false => assert_eq!((changed.status, &breaches[..]), (200, &["nothing_oversold"][..]), "{changed:?}"),
        }
    }
}

#[tokio::test]
async fn ord_10_without_the_new_orders_condition_a_retry_splits_again() {
    let shop = shop().await;
    let placed = place(&shop, "k", &later(&[("mug", 3)])).await;
    shop.engine.wire.rewrite(without("Put", "attribute_not_exists(pk)", "", ""));
    for _ in 0..2 {
        assert_eq!(split(&shop, &placed, "s", &[(0, 1)]).await.status, 201);
    }
    assert_eq!(breaches(&shop.engine.evidence().await), ["stock_conserved"]);
}
