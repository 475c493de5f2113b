//! Coupons, price windows, purchase limits and other currencies, as orders meet them.

use crate::faults::each_call_fails;
use futures_util::future::join_all;
use holdfast_tests::clock::TestClock;
use holdfast_tests::engine::Engine;
use holdfast_tests::requests::{Answer, Request, Who, order_of};
use holdfast_tests::shop::Shop;
use jiff::SignedDuration;
use serde_json::{Value, json};

async fn shop() -> Shop {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    shop.sell("mug", 100).await;
    shop
}

async fn coupon(shop: &Shop, code: &str, body: Value) {
    let answer = Request::put(&format!("/coupons/{code}"), &body).send(&shop.catalog, Some(&Who::staff())).await;
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
}

async fn remaining(shop: &Shop, code: &str) -> Value {
    let path = format!("/coupons/{code}");
    Request::get(&path).send(&shop.catalog, Some(&Who::staff())).await.body["remaining"].clone()
}

async fn order_with(shop: &Shop, who: &Who, key: &str, quantity: i64, code: &str) -> Answer {
    let mut body = order_of("mug", quantity);
    body["coupon"] = json!(code);
    Request::post("/orders", &body).key(key).send(&shop.orders, Some(who)).await
}

async fn cancel(shop: &Shop, who: &Who, order: &Answer) -> Answer {
    let path = format!("/orders/{}/cancel", order.body["order_id"].as_str().unwrap());
    Request::post(&path, &json!({})).send(&shop.orders, Some(who)).await
}

#[tokio::test]
async fn ord_14_a_coupon_is_redeemed_with_the_order_and_given_back_with_it() {
    let shop = shop().await;
    coupon(&shop, "SPRING", json!({"percent": "12.5", "total_uses": 2, "uses_per_customer": 1})).await;
    let (ann, bob, eve) = (Who::customer("ann"), Who::customer("bob"), Who::customer("eve"));
    let order = order_with(&shop, &ann, "k-1", 3, "SPRING").await;
    // 12.5 % of 5,997 is 749.625.
    assert_eq!((order.status, &order.body["total"]["amount"]), (201, &json!(5997 - 750)), "{order:?}");
    assert_eq!(order.body["discount"], json!({"coupon": "SPRING", "amount": 750}));
    assert_eq!(order.body["lines"][0]["discount"], 750);
    let twice = order_with(&shop, &ann, "k-2", 1, "SPRING").await;
    assert_eq!(
        (twice.status, twice.slug(), &twice.body["reason"]),
        (409, "coupon-not-applicable", &json!("used-by-customer"))
    );
    assert_eq!(order_with(&shop, &bob, "k-1", 1, "SPRING").await.status, 201);
    let over = order_with(&shop, &eve, "k-1", 1, "SPRING").await;
    assert_eq!((over.status, &over.body["reason"]), (409, &json!("used-up")), "{over:?}");
    shop.laws_hold().await;
    assert_eq!(cancel(&shop, &ann, &order).await.status, 200);
    assert_eq!(remaining(&shop, "SPRING").await, 1);
    shop.clock.advance(SignedDuration::from_secs(2));
    assert_eq!(order_with(&shop, &ann, "k-3", 1, "SPRING").await.status, 201);
    shop.laws_hold().await;
}

#[tokio::test]
async fn ord_14_total_uses_hold_under_concurrency() {
    let shop = shop().await;
    coupon(&shop, "RUSH", json!({"amount": {"amount": 500, "currency": "EUR"}, "total_uses": 7, "stripes": 3})).await;
    let buyers: Vec<_> = (0..20).map(|n| Who::customer(&format!("c-{n}"))).collect();
    let answers = join_all(buyers.iter().map(|who| order_with(&shop, who, "k", 1, "RUSH"))).await;
    let placed = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(placed, 7, "{:?}", answers.iter().map(|answer| (answer.status, answer.slug())).collect::<Vec<_>>());
    assert!(answers.iter().all(|answer| answer.status == 201 || answer.body["reason"] == "used-up"), "{answers:?}");
    assert_eq!(remaining(&shop, "RUSH").await, 0);
    shop.laws_hold().await;
}

#[tokio::test]
async fn ord_14_terms_decide_and_a_retry_gets_its_order_whatever_they_say_now() {
    let shop = shop().await;
    let now = shop.clock.clock().now();
    let at = |hours: i64| now.saturating_add(SignedDuration::from_hours(hours)).unwrap().to_string();
    coupon(&shop, "SOON", json!({"percent": "10", "total_uses": 9, "starts_at": at(1)})).await;
    coupon(&shop, "GONE", json!({"percent": "10", "total_uses": 9, "ends_at": at(-1)})).await;
    coupon(
        &shop,
        "BIG",
        json!({"percent": "10", "total_uses": 9, "minimum_total": {"amount": 5000, "currency": "EUR"}}),
    )
    .await;
    coupon(&shop, "CUPS", json!({"percent": "10", "total_uses": 9, "products": ["cup"]})).await;
    coupon(&shop, "USD", json!({"amount": {"amount": 100, "currency": "USD"}, "total_uses": 9})).await;
    let who = Who::customer("c-1");
    for (code, reason) in [
        ("SOON", "not-yet-valid"),
        ("GONE", "expired"),
        ("BIG", "below-minimum"),
        ("CUPS", "nothing-eligible"),
        ("USD", "currency-differs"),
    ] {
        let answer = order_with(&shop, &who, "k", 1, code).await;
        assert_eq!((answer.status, answer.slug()), (409, "coupon-not-applicable"), "{code}: {answer:?}");
        assert_eq!((&answer.body["reason"], answer.fields()), (&json!(reason), vec!["coupon"]), "{code}");
        assert_eq!(remaining(&shop, code).await, 9);
    }
    let unknown = order_with(&shop, &who, "k", 1, "NONE").await;
    assert_eq!((unknown.status, unknown.slug(), unknown.fields()), (422, "unknown-coupon", vec!["coupon"]));
    assert_eq!(shop.available("mug").await, 100);
    let placed = order_with(&shop, &who, "k", 3, "BIG").await;
    assert_eq!(placed.status, 201, "{placed:?}");
    coupon(&shop, "BIG", json!({"percent": "10", "total_uses": 9, "ends_at": at(-1)})).await;
    let retry = order_with(&shop, &who, "k", 3, "BIG").await;
    assert_eq!((retry.status, &retry.body["order_id"]), (200, &placed.body["order_id"]));
    // Changed terms bind as soon as they are acknowledged, although this environment remembers the old ones.
    assert_eq!(order_with(&shop, &who, "k-2", 3, "BIG").await.body["reason"], "expired");
    shop.laws_hold().await;
}

#[tokio::test]
async fn ord_14_a_flash_sale_begins_and_ends_on_time() {
    let shop = shop().await;
    let now = shop.clock.clock().now();
    let at = |minutes: i64| now.saturating_add(SignedDuration::from_mins(minutes)).unwrap().to_string();
    let window = json!({"starts_at": at(10), "ends_at": at(20), "price": {"amount": 999, "currency": "EUR"}});
    shop.offer("mug", json!({"windows": [window]})).await;
    let who = Who::customer("c-1");
    let paid = async |key: &str| shop.order(&who, key, "mug", 1).await.body["total"]["amount"].clone();
    assert_eq!(paid("before").await, 1999);
    shop.clock.advance(SignedDuration::from_mins(10));
    assert_eq!(paid("during").await, 999);
    shop.clock.advance(SignedDuration::from_mins(10));
    assert_eq!(paid("after").await, 1999);
}

#[tokio::test]
async fn ord_15_a_limit_holds_across_orders_under_concurrency_and_comes_back() {
    let shop = shop().await;
    shop.offer("mug", json!({"purchase_limit": {"quantity": 3, "window_seconds": 86_400}})).await;
    let who = Who::customer("c-1");
    let keys: Vec<_> = (0..10).map(|n| format!("k-{n}")).collect();
    let answers = join_all(keys.iter().map(|key| shop.order(&who, key, "mug", 1))).await;
    let placed: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(placed.len(), 3);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!((refused.status, refused.slug()), (409, "limit-reached"), "{refused:?}");
        assert_eq!((&refused.body["limit"], &refused.body["left"]), (&json!(3), &json!(0)));
    }
    let at_once = shop.order(&Who::customer("c-2"), "k", "mug", 4).await;
    assert_eq!((at_once.status, at_once.slug(), &at_once.body["left"]), (409, "limit-reached", &json!(null)));
    shop.laws_hold().await;
    assert_eq!(cancel(&shop, &who, placed[0]).await.status, 200);
    assert_eq!(shop.order(&who, "again", "mug", 1).await.status, 201);
    assert_eq!(shop.order(&who, "more", "mug", 1).await.slug(), "limit-reached");
    shop.clock.advance(SignedDuration::from_hours(24));
    assert_eq!(shop.order(&who, "tomorrow", "mug", 3).await.status, 201);
    shop.laws_hold().await;
}

#[tokio::test]
async fn ord_14_and_15_hold_whatever_call_of_a_promoted_order_fails() {
    each_call_fails(async |fault| {
        let shop = shop().await;
        shop.offer("mug", json!({"purchase_limit": {"quantity": 2}})).await;
        coupon(&shop, "SPRING", json!({"percent": "10", "total_uses": 5, "uses_per_customer": 1})).await;
        let who = Who::customer("c-1");
        shop.engine.wire.count(fault);
        let mut order = order_with(&shop, &who, "k", 2, "SPRING").await;
        if order.status >= 500 {
            order = order_with(&shop, &who, "k", 2, "SPRING").await;
        }
        assert!(matches!(order.status, 200 | 201), "{fault:?}: {order:?}");
        let mut cancelled = cancel(&shop, &who, &order).await;
        if cancelled.status >= 500 {
            cancelled = cancel(&shop, &who, &order).await;
        }
        let counted = shop.engine.wire.counted();
        assert_eq!(cancelled.body["state"], "cancelled", "{fault:?}: {cancelled:?}");
        assert_eq!((remaining(&shop, "SPRING").await, shop.available("mug").await), (json!(5), 100), "{fault:?}");
        shop.laws_hold().await;
        counted
    })
    .await;
}

#[tokio::test]
async fn ord_6_lines_in_other_currencies_are_converted_at_a_current_rate() {
    let shop = shop().await;
    let now = shop.clock.clock().now();
    shop.offer("tee", json!({"price": {"amount": 1050, "currency": "USD"}})).await;
    shop.offer("fan", json!({"price": {"amount": 1999, "currency": "JPY"}})).await;
    shop.receive_at("tee", "main", 10).await;
    shop.receive_at("fan", "main", 10).await;
    let rate = async |pair: &str, value: &str| {
        let body = json!({"rate": value, "source": "ECB", "as_of": now.to_string(), "valid_seconds": 3600});
        let answer = Request::put(&format!("/rates/{pair}"), &body).send(&shop.catalog, Some(&Who::staff())).await;
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    };
    let lines = json!([
        {"product_id": "mug", "quantity": 1}, {"product_id": "tee", "quantity": 3, "unit_price": 1050},
        {"product_id": "fan", "quantity": 2},
    ]);
    let mut body = order_of("mug", 1);
    body["lines"] = lines;
    let who = Who::customer("c-1");
    let order = async |key: &str| Request::post("/orders", &body).key(key).send(&shop.orders, Some(&who)).await;
    rate("USD/EUR", "0.8615").await;
    let missing = order("k-1").await;
    assert_eq!((missing.status, missing.slug()), (409, "rate-unavailable"), "{missing:?}");
    assert_eq!((&missing.body["from"], &missing.body["to"]), (&json!("JPY"), &json!("EUR")));
    rate("JPY/EUR", "0.00555").await;
    let placed = order("k-1").await;
    assert_eq!(placed.status, 201, "{placed:?}");
    // 31.50 USD are 27.13725 EUR; 3,998 JPY are 22.1889 EUR.
    let totals: Vec<_> =
        placed.body["lines"].as_array().unwrap().iter().map(|line| line["total"].as_i64().unwrap()).collect();
    assert_eq!(totals, [1999, 2714, 2219]);
    assert_eq!(placed.body["total"], json!({"amount": 1999 + 2714 + 2219, "currency": "EUR"}));
    let line = &placed.body["lines"][1];
    assert_eq!((&line["unit_price"], &line["currency"]), (&json!(1050), &json!("USD")));
    assert_eq!(
        placed.body["rates"][1],
        json!({"from": "USD", "to": "EUR", "rate": "0.8615", "source": "ECB", "as_of": placed.body["rates"][1]["as_of"]})
    );
    shop.laws_hold().await;
    // An hour later nobody knows the rate, and the order is as it was.
    shop.clock.advance(SignedDuration::from_secs(3601));
    assert_eq!(order("k-2").await.slug(), "rate-unavailable");
    let retry = order("k-1").await;
    assert_eq!((retry.status, &retry.body["total"]), (200, &placed.body["total"]));
}
