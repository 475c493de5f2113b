//! Changing orders before they are paid: lines, address, means of payment.

mod failing;
mod inputs;
mod moving;
mod races;

use holdfast_tests::back_office::BackOffice;
use holdfast_tests::clock::TestClock;
use holdfast_tests::engine::Engine;
use holdfast_tests::requests::{Answer, Request, Who, order_of};
use holdfast_tests::shop::Shop;
use jiff::SignedDuration;
use serde_json::{Value, json};

/// A shop with mugs and pens at 19.99 EUR.
async fn shop() -> Shop {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    shop.sell("mug", 10).await;
    shop.sell("pen", 10).await;
    shop
}

fn ada() -> Who {
    Who::customer("ada")
}

fn lines(lines: &[(&str, i64)]) -> Value {
    lines.iter().map(|(product, quantity)| json!({"product_id": product, "quantity": quantity})).collect()
}

/// An order to be paid later.
fn later(wanted: &[(&str, i64)]) -> Value {
    let mut body = order_of("mug", 1);
    body["lines"] = lines(wanted);
    body.as_object_mut().unwrap().remove("payment_method");
    body
}

async fn place(shop: &Shop, key: &str, body: &Value) -> Answer {
    let placed = Request::post("/orders", body).key(key).send(&shop.orders, Some(&ada())).await;
    assert!(matches!(placed.status, 200 | 201), "{placed:?}");
    placed
}

fn id(order: &Answer) -> &str {
    order.body["order_id"].as_str().unwrap_or_else(|| panic!("{order:?}"))
}

fn path(order: &Answer) -> String {
    format!("/orders/{}", id(order))
}

async fn read(shop: &Shop, order: &Answer) -> Answer {
    Request::get(&path(order)).send(&shop.orders, Some(&ada())).await
}

async fn patch(shop: &Shop, order: &Answer, body: &Value) -> Answer {
    Request::patch_of(&path(order), body, order).send(&shop.orders, Some(&ada())).await
}

async fn split(shop: &Shop, order: &Answer, key: &str, units: &[(usize, i64)]) -> Answer {
    let units: Vec<_> = units.iter().map(|(line, quantity)| json!({"line": line, "quantity": quantity})).collect();
    let request = Request::post(&format!("{}/split", path(order)), &json!({"lines": units})).key(key);
    request.send(&shop.orders, Some(&ada())).await
}

async fn merge(shop: &Shop, target: &Answer, other: &Answer) -> Answer {
    let request = Request::post(&format!("{}/merge", path(target)), &json!({"order_id": id(other)})).key("m");
    request.send(&shop.orders, Some(&ada())).await
}

async fn cancel(shop: &Shop, order: &Answer) -> Answer {
    Request::post(&format!("{}/cancel", path(order)), &json!({})).send(&shop.orders, Some(&ada())).await
}

#[tokio::test]
async fn ord_9_lines_are_changed_with_their_stock_and_price() {
    let shop = shop().await;
    let placed = place(&shop, "k", &later(&[("mug", 4)])).await;
    assert_eq!((placed.status, &placed.body["payment"]["method"]), (201, &Value::Null));
    shop.price("mug", 1000).await;
    let body = json!({"lines": [{"product_id": "pen", "quantity": 3, "unit_price": 1999}, {"product_id": "mug", "quantity": 1}]});
    let changed = patch(&shop, &placed, &body).await;
    assert_eq!((changed.status, changed.header("etag"), &changed.body["state"]), (200, "\"2\"", &json!("placed")));
    assert_eq!(changed.body["total"]["amount"], 3 * 1999 + 1000, "it is priced anew as a whole");
    assert_eq!((shop.available("mug").await, shop.available("pen").await), (9, 7));
    assert_eq!(read(&shop, &placed).await.body, changed.body);
    let more = patch(&shop, &changed, &json!({"lines": lines(&[("mug", 10)])})).await;
    assert_eq!((more.status, shop.available("mug").await, shop.available("pen").await), (200, 0, 10), "{more:?}");
    let kinds: Vec<_> = more.body["history"].as_array().unwrap().iter().map(|entry| entry["type"].clone()).collect();
    assert_eq!(kinds, ["placed", "changed", "changed"]);
    shop.laws_hold().await;
}

#[tokio::test]
async fn ord_9_units_that_stay_are_not_claimed_again() {
    let shop = shop().await;
    shop.reshape("mug", 4).await;
    let placed = place(&shop, "k", &later(&[("mug", 7), ("pen", 2)])).await;
    let before = shop.engine.items().await;
    let unit =
        |items: &[Value]| -> Vec<_> { items.iter().filter(|item| item["sk"]["S"] == "stripe").cloned().collect() };
    // Neither the address nor the order of lines touches a stripe, and the first takes one write.
    shop.engine.wire.count(None);
    let moved = patch(&shop, &placed, &json!({"shipping_address": bonn()})).await;
    assert_eq!((moved.status, shop.engine.wire.counted().calls.len()), (200, 2), "a read and a write: {moved:?}");
    assert_eq!(moved.body["shipping_address"]["city"], "Bonn");
    let turned = patch(&shop, &moved, &json!({"lines": lines(&[("pen", 2), ("mug", 3), ("mug", 4)])})).await;
    assert_eq!(turned.status, 200, "{turned:?}");
    assert_eq!(unit(&before), unit(&shop.engine.items().await));
    let fewer = patch(&shop, &turned, &json!({"lines": lines(&[("mug", 6), ("pen", 2)])})).await;
    assert_eq!((fewer.status, shop.available("mug").await), (200, 4));
    shop.laws_hold().await;
}

fn bonn() -> Value {
    let mut address = order_of("mug", 1)["shipping_address"].clone();
    address["city"] = json!("Bonn");
    address
}

#[tokio::test]
async fn ord_9_a_refused_change_changes_nothing() {
    let shop = shop().await;
    shop.offer("cup", json!({"purchase_limit": {"quantity": 3}})).await;
    shop.receive("cup", 9, "cups").await;
    let placed = place(&shop, "k", &later(&[("mug", 4), ("cup", 1)])).await;
    let before = shop.engine.evidence().await;
    let sold_out = patch(&shop, &placed, &json!({"lines": lines(&[("mug", 12)]), "shipping_address": bonn()})).await;
    assert_eq!((sold_out.status, sold_out.slug()), (409, "out-of-stock"), "{sold_out:?}");
    assert_eq!((&sold_out.body["requested"], &sold_out.body["available"]), (&json!(12), &json!(10)));
    let dear = json!({"lines": [{"product_id": "mug", "quantity": 4, "unit_price": 1}]});
    assert_eq!(patch(&shop, &placed, &dear).await.slug(), "price-changed");
    assert_eq!(patch(&shop, &placed, &json!({"lines": lines(&[("cup", 4)])})).await.slug(), "limit-reached");
    let unknown = patch(&shop, &placed, &json!({"lines": lines(&[("tea", 4)])})).await;
    assert_eq!(
        (unknown.status, unknown.slug(), unknown.fields()),
        (422, "unknown-product", vec!["lines[0].product_id"])
    );
    assert_eq!(format!("{before:?}"), format!("{:?}", shop.engine.evidence().await));
    shop.laws_hold().await;
}

#[tokio::test]
async fn ord_9_coupon_and_allowances_follow_the_lines() {
    let shop = shop().await;
    shop.offer("cup", json!({"purchase_limit": {"quantity": 5}})).await;
    shop.receive("cup", 9, "cups").await;
    let coupon = json!({"percent": "10", "total_uses": 1, "uses_per_customer": 1, "products": ["cup", "mug"]});
    let put = Request::put("/coupons/TEN", &coupon).send(&shop.catalog, Some(&Who::staff())).await;
    assert_eq!(put.status, 201, "{put:?}");
    let mut body = later(&[("cup", 4)]);
    body["coupon"] = json!("TEN");
    let placed = place(&shop, "k", &body).await;
    let fewer = patch(&shop, &placed, &json!({"lines": lines(&[("cup", 1), ("mug", 1), ("pen", 1)])})).await;
    assert_eq!((fewer.status, &fewer.body["discount"]["amount"]), (200, &json!(400)), "{fewer:?}");
    assert_eq!(fewer.body["total"]["amount"], 3 * 1999 - 400);
    shop.laws_hold().await;
    // What was given back of the allowance may be used again, and no more.
    place(&shop, "k-2", &later(&[("cup", 3)])).await;
    let more = patch(&shop, &fewer, &json!({"lines": lines(&[("cup", 3)])})).await;
    assert_eq!((more.slug(), &more.body["left"]), ("limit-reached", &json!(1)), "{more:?}");
    assert_eq!(patch(&shop, &fewer, &json!({"lines": lines(&[("cup", 2)])})).await.status, 200);
    let gone = patch(&shop, &read(&shop, &placed).await, &json!({"lines": lines(&[("pen", 1)])})).await;
    assert_eq!((gone.slug(), &gone.body["reason"]), ("coupon-not-applicable", &json!("nothing-eligible")));
    shop.laws_hold().await;
}

#[tokio::test]
async fn ord_9_a_change_names_the_version_that_it_changes() {
    let shop = shop().await;
    let placed = place(&shop, "k", &later(&[("mug", 4)])).await;
    let body = json!({"shipping_address": bonn()});
    let bare = Request::patch_of(&path(&placed), &body, &Answer { headers: Default::default(), ..placed.clone() });
    let unnamed = bare.clone().header("if-match", "*").send(&shop.orders, Some(&ada())).await;
    assert_eq!((unnamed.status, unnamed.fields()), (400, vec!["If-Match"]), "{unnamed:?}");
    let weak = bare.header("if-match", "W/\"1\"").send(&shop.orders, Some(&ada())).await;
    assert_eq!((weak.status, weak.fields()), (400, vec!["If-Match"]));
    assert_eq!(patch(&shop, &placed, &body).await.status, 200);
    // A retry whose first answer was lost is told which version is there; so is anybody who changes an old one.
    let stale = patch(&shop, &placed, &body).await;
    assert_eq!((stale.status, stale.slug(), stale.header("etag")), (412, "precondition-failed", "\"2\""));
    let lines = patch(&shop, &placed, &json!({"lines": lines(&[("mug", 5)])})).await;
    assert_eq!((lines.status, shop.available("mug").await), (412, 6));
}

#[tokio::test]
async fn ord_9_an_order_whose_time_is_over_is_not_changed() {
    let shop = shop().await;
    let (one, other) =
        (place(&shop, "k-1", &later(&[("mug", 4)])).await, place(&shop, "k-2", &later(&[("mug", 1)])).await);
    shop.clock.advance(SignedDuration::from_mins(15));
    for refused in [
        patch(&shop, &one, &json!({"payment_method": "pm_card_visa"})).await,
        split(&shop, &one, "s", &[(0, 1)]).await,
        merge(&shop, &one, &other).await,
    ] {
        assert_eq!((refused.status, refused.slug(), &refused.body["ended"]), (409, "hold-ended", &json!("expired")));
    }
    assert_eq!(read(&shop, &one).await.body["version"], 1);
}

#[tokio::test]
async fn ord_9_an_order_in_parts_changes_its_address_alone() {
    let shop = shop().await;
    let many: Vec<_> = (0..401).map(|_| ("mug", 1)).collect();
    shop.receive("mug", 1_000, "more").await;
    let placed = place(&shop, "k", &later(&many)).await;
    let small = place(&shop, "k-2", &later(&[("mug", 1)])).await;
    for refused in [
        patch(&shop, &placed, &json!({"lines": lines(&[("mug", 1)])})).await,
        patch(&shop, &small, &json!({"lines": lines(&many)})).await,
        split(&shop, &placed, "s", &[(0, 1)]).await,
    ] {
        assert_eq!((refused.status, refused.slug()), (409, "order-too-large"), "{refused:?}");
    }
    let merged = merge(&shop, &small, &placed).await;
    assert_eq!((merged.slug(), &merged.body["reason"]), ("not-mergeable", &json!("too-large")));
    assert_eq!(patch(&shop, &placed, &json!({"shipping_address": bonn()})).await.status, 200);
    shop.laws_hold().await;
}

/// Nobody is asked for money before there is a means of payment, and then for the total as it is by then.
#[tokio::test]
async fn ord_9_an_order_to_be_paid_later_is_paid_when_it_has_a_means_of_payment() {
    let shop = shop().await;
    let back = BackOffice::open(&shop.engine, &shop.clock).await;
    // The provider is shared by all tests and knows orders by their ids: keys are the test's own.
    let placed = place(&shop, &shop.engine.table, &later(&[("mug", 4)])).await;
    back.drain().await;
    assert_eq!(
        (back.authorisations(id(&placed)).await, &read(&shop, &placed).await.body["state"]),
        (0, &json!("placed"))
    );
    let fewer = patch(&shop, &placed, &json!({"lines": lines(&[("mug", 3)])})).await;
    let off = split(&shop, &fewer, "s", &[(0, 1)]).await;
    assert_eq!((off.status, off.body["payment"]["status"].clone()), (201, json!("pending")), "{off:?}");
    let ready = patch(&shop, &read(&shop, &placed).await, &json!({"payment_method": "pm_card_visa"})).await;
    assert_eq!(ready.status, 200, "{ready:?}");
    back.drain().await;
    let paid = read(&shop, &placed).await;
    assert_eq!((&paid.body["state"], &paid.body["total"]["amount"]), (&json!("paid"), &json!(2 * 1999)));
    assert_eq!((back.authorisations(id(&placed)).await, back.authorisations(id(&off)).await), (1, 0));
    let refused = patch(&shop, &paid, &json!({"lines": lines(&[("mug", 1)])})).await;
    assert_eq!((refused.slug(), &refused.body["from"]), ("illegal-transition", &json!("paid")), "{refused:?}");
    // What nobody pays expires, also what was split off.
    shop.clock.advance(SignedDuration::from_mins(40));
    back.maintain(maintenance::Job::LateHolds).await;
    back.drain().await;
    assert_eq!(read(&shop, &off).await.body["state"], "expired");
    assert_eq!(shop.available("mug").await, 8);
    shop.laws_hold().await;
}
