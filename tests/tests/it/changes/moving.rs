//! Splitting and merging orders that are not paid.

use super::{ada, cancel, id, later, lines, merge, patch, path, place, read, shop, split};
use holdfast_tests::requests::{Answer, Request, Who};
use holdfast_tests::shop::Shop;
use jiff::SignedDuration;
use serde_json::{Value, json};

fn total(order: &Answer) -> i64 {
    order.body["total"]["amount"].as_i64().unwrap_or_else(|| panic!("{order:?}"))
}

async fn stripes(shop: &Shop) -> Vec<Value> {
    let items = shop.engine.items().await;
    items.into_iter().filter(|item| item["pk"]["S"].as_str().is_some_and(|pk| pk.contains("#pool#"))).collect()
}

#[tokio::test]
async fn ord_10_an_order_is_split_once_and_nothing_is_lost() {
    let shop = shop().await;
    shop.offer("cup", json!({"purchase_limit": {"quantity": 5}})).await;
    shop.receive("cup", 9, "cups").await;
    tax(&shop, "7.77").await;
    let placed = place(&shop, "k", &later(&[("mug", 3), ("cup", 5), ("pen", 2)])).await;
    let before = stripes(&shop).await;
    shop.engine.wire.count(None);
    let off = split(&shop, &placed, "s", &[(0, 1), (2, 2), (1, 2)]).await;
    assert_eq!((off.status, shop.engine.wire.counted().calls.len()), (201, 2), "a read and a write: {off:?}");
    assert_eq!(off.header("location"), path(&off));
    let rest = read(&shop, &placed).await;
    assert_eq!(total(&off) + total(&rest), total(&placed));
    assert_eq!(before, stripes(&shop).await, "a pool was touched");
    assert_eq!((&off.body["expires_at"], &off.body["version"]), (&placed.body["expires_at"], &json!(1)));
    let quantities = |order: &Answer| -> Vec<_> {
        let lines = order.body["lines"].as_array().unwrap().clone();
        lines.into_iter().map(|line| (line["product_id"].clone(), line["quantity"].clone())).collect()
    };
    assert_eq!(quantities(&off), [(json!("mug"), json!(1)), (json!("cup"), json!(2)), (json!("pen"), json!(2))]);
    assert_eq!(quantities(&rest), [(json!("mug"), json!(2)), (json!("cup"), json!(3))]);
    assert_eq!(off.body["history"][0]["why"], format!("split from {}", id(&placed)));
    assert_eq!(rest.body["history"][1]["why"], id(&off));
    shop.laws_hold().await;
    let again = split(&shop, &placed, "s", &[(0, 1), (2, 2), (1, 2)]).await;
    assert_eq!((again.status, again.header("idempotent-replayed"), &again.body), (200, "true", &off.body));
    assert_eq!(split(&shop, &placed, "s", &[(0, 1)]).await.slug(), "idempotency-key-reused");
    // Also a retry that would be refused by now, and one that meets an order that ended.
    assert_eq!(cancel(&shop, &placed).await.status, 200);
    assert_eq!(split(&shop, &placed, "s", &[(0, 1), (2, 2), (1, 2)]).await.status, 200);
    assert_eq!(cancel(&shop, &off).await.status, 200);
    shop.laws_hold().await;
    assert_eq!((shop.available("mug").await, shop.available("cup").await, shop.available("pen").await), (10, 9, 10));
}

#[tokio::test]
async fn ord_10_units_that_are_not_there_are_not_split_off() {
    let shop = shop().await;
    let placed = place(&shop, "k", &later(&[("mug", 3), ("pen", 2)])).await;
    for units in [&[(0, 3), (1, 2)][..], &[(0, 4)], &[(0, 2), (0, 2)], &[(2, 1)], &[(usize::MAX, 1)]] {
        let refused = split(&shop, &placed, "s", units).await;
        assert_eq!((refused.status, refused.slug(), refused.fields()), (422, "not-splittable", vec!["lines"]));
    }
    assert_eq!(read(&shop, &placed).await.body, placed.body);
}

#[tokio::test]
async fn ord_10_two_orders_become_one() {
    let shop = shop().await;
    let one = place(&shop, "k-1", &later(&[("mug", 3)])).await;
    shop.clock.advance(SignedDuration::from_mins(2));
    let other = place(&shop, "k-2", &later(&[("pen", 2), ("mug", 1)])).await;
    let before = stripes(&shop).await;
    let merged = merge(&shop, &other, &one).await;
    assert_eq!((merged.status, total(&merged)), (200, total(&one) + total(&other)), "{merged:?}");
    assert_eq!(merged.body["expires_at"], one.body["expires_at"], "the earlier of both");
    assert_eq!(before, stripes(&shop).await, "a pool was touched");
    let gone = read(&shop, &one).await;
    assert_eq!((&gone.body["state"], &gone.body["history"][1]["why"]), (&json!("merged"), &json!(id(&other))));
    shop.laws_hold().await;
    let again = merge(&shop, &other, &one).await;
    assert_eq!((again.status, again.header("idempotent-replayed"), &again.body), (200, "true", &merged.body));
    let refused = merge(&shop, &one, &other).await;
    assert_eq!((refused.slug(), &refused.body["from"]), ("illegal-transition", &json!("merged")), "{refused:?}");
    assert_eq!(cancel(&shop, &one).await.slug(), "illegal-transition");
    // What it consists of now can be changed and given back as any other.
    let fewer = patch(&shop, &merged, &json!({"lines": lines(&[("mug", 1), ("pen", 1)])})).await;
    assert_eq!((fewer.status, shop.available("mug").await, shop.available("pen").await), (200, 9, 9), "{fewer:?}");
    assert_eq!(cancel(&shop, &other).await.status, 200);
    shop.laws_hold().await;
    assert_eq!((shop.available("mug").await, shop.available("pen").await), (10, 10));
}

#[tokio::test]
async fn ord_10_what_was_split_off_goes_back_as_it_was() {
    let shop = shop().await;
    tax(&shop, "19").await;
    let placed = place(&shop, "k", &later(&[("mug", 7)])).await;
    let off = split(&shop, &placed, "s", &[(0, 3)]).await;
    let merged = merge(&shop, &placed, &off).await;
    assert_eq!((merged.status, total(&merged)), (200, total(&placed)));
    assert_eq!(merged.body["tax"], placed.body["tax"]);
    shop.laws_hold().await;
    // The rate has changed since: what was taxed otherwise is not put together.
    tax(&shop, "21").await;
    shop.clock.advance(SignedDuration::from_mins(2));
    let newer = later(&[("mug", 1)]);
    let newer = Request::post("/orders", &newer).key("k-2").send(&shop.another_environment(), Some(&ada())).await;
    let refused = merge(&shop, &placed, &newer).await;
    assert_eq!((refused.slug(), &refused.body["reason"]), ("not-mergeable", &json!("tax-differs")), "{refused:?}");
}

/// Whoever gave the first order up would get the coupon's use back, and keep the discount on the second.
#[tokio::test]
async fn ord_14_an_order_with_a_coupon_is_not_split() {
    let shop = shop().await;
    let coupon = json!({"percent": "10", "total_uses": 1});
    Request::put("/coupons/TEN", &coupon).send(&shop.catalog, Some(&Who::staff())).await;
    let mut body = later(&[("mug", 7)]);
    body["coupon"] = json!("TEN");
    let placed = place(&shop, "k", &body).await;
    let refused = split(&shop, &placed, "s", &[(0, 3)]).await;
    assert_eq!((refused.status, refused.slug(), &refused.body["reason"]), (422, "not-splittable", &json!("coupon")));
    assert_eq!(read(&shop, &placed).await.body, placed.body);
}

/// Prices without tax, and one rate.
async fn tax(shop: &Shop, percent: &str) {
    for (path, body) in [("/tax", json!({"mode": "exclusive"})), ("/tax/DE/standard", json!({"percent": percent}))] {
        let put = Request::put(path, &body).send(&shop.catalog, Some(&Who::staff())).await;
        assert!(matches!(put.status, 200 | 201), "{put:?}");
    }
}

#[tokio::test]
async fn ord_10_orders_that_do_not_fit_are_not_merged() {
    let shop = shop().await;
    for code in ["ONE", "TWO"] {
        let coupon = json!({"percent": "10", "total_uses": 5});
        Request::put(&format!("/coupons/{code}"), &coupon).send(&shop.catalog, Some(&Who::staff())).await;
    }
    let with = |code: &str| {
        let mut body = later(&[("mug", 1)]);
        body["coupon"] = json!(code);
        body
    };
    let as_of = shop.clock.clock().now().to_string();
    let rate = json!({"rate": "1.0837", "source": "test", "as_of": as_of, "valid_seconds": 3600});
    let put = Request::put("/rates/EUR/USD", &rate).send(&shop.catalog, Some(&Who::staff())).await;
    assert!(matches!(put.status, 200 | 201), "{put:?}");
    let mut dollars = later(&[("mug", 3)]);
    dollars["currency"] = json!("USD");
    let (one, two) = (place(&shop, "k-1", &with("ONE")).await, place(&shop, "k-2", &with("TWO")).await);
    let dollars = place(&shop, "k-3", &dollars).await;
    for (other, reason) in [(&two, "coupon-differs"), (&dollars, "currency-differs")] {
        let refused = merge(&shop, &one, other).await;
        assert_eq!((refused.status, refused.slug()), (409, "not-mergeable"), "{refused:?}");
        assert_eq!(refused.body["reason"], reason);
    }
    assert_eq!(merge(&shop, &one, &one).await.fields(), ["order_id"]);
    // A total that was converted once is cut, not converted again.
    let off = split(&shop, &dollars, "s", &[(0, 1)]).await;
    assert_eq!(total(&off) + total(&read(&shop, &dollars).await), total(&dollars), "{off:?}");
    assert_eq!((off.body["rates"].clone(), total(&off)), (dollars.body["rates"].clone(), total(&dollars) / 3));
    shop.laws_hold().await;
}

#[tokio::test]
async fn sec_1_nobody_changes_orders_of_others() {
    let shop = shop().await;
    let own = place(&shop, "k", &later(&[("mug", 3)])).await;
    let eve = Who::customer("eve");
    let theirs = Request::post("/orders", &later(&[("mug", 2)])).key("k").send(&shop.orders, Some(&eve)).await;
    let abroad = Who::customer("ada").of("other");
    let before = shop.engine.items().await;
    let units = json!({"lines": [{"line": 0, "quantity": 1}]});
    for who in [&eve, &abroad] {
        let change = Request::patch_of(&path(&own), &json!({"payment_method": "pm_card_visa"}), &own);
        let split = Request::post(&format!("{}/split", path(&own)), &units).key("s");
        let into = Request::post(&format!("{}/merge", path(&own)), &json!({"order_id": id(&theirs)})).key("m");
        let from = Request::post(&format!("{}/merge", path(&theirs)), &json!({"order_id": id(&own)})).key("m");
        for request in [change, split, into, from] {
            let refused = request.send(&shop.orders, Some(who)).await;
            assert_eq!((refused.status, refused.slug()), (404, "not-found"), "{refused:?}");
        }
    }
    // Staff see both, but an order has one customer.
    let request = Request::post(&format!("{}/merge", path(&own)), &json!({"order_id": id(&theirs)})).key("m");
    let refused = request.send(&shop.orders, Some(&Who::staff())).await;
    assert_eq!((refused.slug(), &refused.body["reason"]), ("not-mergeable", &json!("customer-differs")));
    let unscoped = Who { scope: "stock".to_owned(), ..ada() };
    assert_eq!(request.send(&shop.orders, Some(&unscoped)).await.status, 403);
    assert_eq!(before, shop.engine.items().await);
    // Staff may split and change for a customer, and the customer's retry of that finds it.
    let by_staff = Request::post(&format!("{}/split", path(&own)), &units).key("s");
    let off = by_staff.send(&shop.orders, Some(&Who::staff())).await;
    assert_eq!((off.status, &off.body["customer"]), (201, &json!("ada")), "{off:?}");
    assert_eq!(split(&shop, &own, "s", &[(0, 1)]).await.body["order_id"], off.body["order_id"]);
    shop.laws_hold().await;
}
