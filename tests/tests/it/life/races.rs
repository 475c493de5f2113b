//! Shipping against cancelling: one wins, and the other is told (ORD-9).

use super::Life;
use futures_util::{StreamExt, stream};
use holdfast_domain::event::Trace;
use holdfast_domain::ids::{OrderId, TenantId};
use holdfast_domain::order::Change;
use holdfast_tests::clock::TestClock;
use holdfast_tests::engine::Engine;
use holdfast_tests::requests::{Request, Who, order_of};
use holdfast_tests::shop::Shop;
use serde_json::json;

/// How many orders are shipped and cancelled at the same time.
const RACES: usize = 1_000;
/// How many of these races run together.
const AT_ONCE: usize = 32;

/// Writes what the payment worker would: the race is between people.
async fn pay(shop: &Shop, id: &str) {
    let (tenant, id) = (TenantId::parse(Who::staff().tenant).unwrap(), OrderId::parse(id).unwrap());
    let trace = Trace { correlation_id: "c".to_owned(), traceparent: String::new() };
    let store = shop.engine.store();
    let order = store.order_read(&tenant, id).await.unwrap().unwrap().order;
    let write = async |change: Change| {
        store.order_change(&change, &trace).await.unwrap();
        change.order
    };
    let order = write(order.start_payment(shop.clock.clock().now()).unwrap()).await;
    let reference = holdfast_domain::payment::PaymentReference("pi_1".to_owned());
    let outcome = holdfast_domain::payment::PaymentOutcome::Authorised(reference);
    write(order.settle(1, outcome, shop.clock.clock().now()).unwrap()).await;
}

#[tokio::test]
async fn ord_9_of_shipping_and_cancelling_exactly_one_wins_a_thousand_times() {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    shop.sell("mug", RACES as i64).await;
    shop.reshape("mug", 64).await;
    let race = async |n: usize| {
        let key = format!("k-{n}");
        let placed = shop.order(&Who::customer("c-1"), &key, "mug", 1).await;
        assert_eq!(placed.status, 201, "{placed:?}");
        let id = placed.body["order_id"].as_str().unwrap().to_owned();
        pay(&shop, &id).await;
        let ship = async {
            let request = Request::post(&format!("/orders/{id}/shipments"), &json!({})).key(&key);
            request.send(&shop.orders, Some(&Who::staff())).await
        };
        let cancel = async {
            let request = Request::post(&format!("/orders/{id}/cancel"), &json!({}));
            request.send(&shop.orders, Some(&Who::customer("c-1"))).await
        };
        // Whoever comes first by the order of polling would win each time: every second race begins the other way round.
        let (shipped, cancelled) = match n % 2 {
            0 => tokio::join!(ship, cancel),
            _ => {
                let (cancelled, shipped) = tokio::join!(cancel, ship);
                (shipped, cancelled)
            }
        };
        let read = Request::get(&format!("/orders/{id}")).send(&shop.orders, Some(&Who::staff())).await;
        let state = read.body["state"].as_str().unwrap_or_default().to_owned();
        match (shipped.status, cancelled.status) {
            (202, 409) => assert_eq!((state.as_str(), cancelled.slug()), ("shipping", "illegal-transition")),
            (409, 200) => assert_eq!((state.as_str(), shipped.slug()), ("cancelled", "illegal-transition")),
            other => panic!("{other:?}: {shipped:?}, {cancelled:?}"),
        }
        usize::from(state == "cancelled")
    };
    let races = stream::iter(0..RACES).map(race).buffer_unordered(AT_ONCE);
    let cancelled: usize = races.collect::<Vec<_>>().await.into_iter().sum();
    assert_eq!(shop.available("mug").await, cancelled as u64);
    shop.laws_hold().await;
}

/// Shipping read the order before it was cancelled, and writes after it: without the condition on the version it ships
/// what is sold to somebody else by then.
async fn ship_what_was_cancelled(guarded: bool) -> (u16, String, u64) {
    let life = Life::open().await;
    life.shop.sell("mug", 1).await;
    let placed = life.shop.order(&Who::customer("c-1"), &life.shop.engine.table, "mug", 1).await;
    let id = placed.body["order_id"].as_str().unwrap().to_owned();
    pay(&life.shop, &id).await;
    if !guarded {
        life.shop.engine.wire.rewrite(|operation, body| {
            if operation == "UpdateItem" && body["ConditionExpression"] == "version = :before" {
                body["ConditionExpression"] = json!("attribute_exists(pk) AND :before = :before");
            }
        });
    }
    let halt = life.shop.engine.wire.halt("UpdateItem");
    let path = format!("/orders/{id}/shipments");
    let ship = life.post(&path, "s", json!({}));
    let cancel = async {
        halt.reached().await;
        let cancelled = life.cancel(&id).await;
        assert_eq!(cancelled.status, 200, "{cancelled:?}");
        halt.go();
    };
    let (shipped, ()) = tokio::join!(ship, cancel);
    let state = life.read(&id).await["state"].as_str().unwrap().to_owned();
    (shipped.status, state, life.shop.available("mug").await)
}

#[tokio::test]
async fn ord_9_what_was_cancelled_is_not_shipped() {
    assert_eq!(ship_what_was_cancelled(true).await, (409, "cancelled".to_owned(), 1));
}

#[tokio::test]
async fn control_without_the_version_what_was_cancelled_is_shipped() {
    assert_eq!(ship_what_was_cancelled(false).await, (202, "shipping".to_owned(), 1));
}

/// Two requests to ship everything: the units leave once.
#[tokio::test]
async fn ord_10_two_requests_to_ship_the_same_units_ship_them_once() {
    let life = Life::open().await;
    life.shop.sell("mug", 5).await;
    let id = life.paid(&order_of("mug", 2), "k").await;
    let path = format!("/orders/{id}/shipments");
    life.shop.engine.wire.meet("UpdateItem", 2);
    let (one, other) = tokio::join!(life.post(&path, "s-1", json!({})), life.post(&path, "s-2", json!({})));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 422], "nothing waits any more: {one:?} {other:?}");
    life.back.drain().await;
    let order = life.read(&id).await;
    assert_eq!((order["shipments"].as_array().unwrap().len(), &order["payment"]["captured"]), (1, &json!(3998)));
    life.shop.laws_hold().await;
}
