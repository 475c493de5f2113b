//! What a rejected buyer costs, and how soon stock that comes back sells (DESIGN section 3).

use holdfast_tests::clock::TestClock;
use holdfast_tests::engine::Engine;
use holdfast_tests::requests::{Request, Who};
use holdfast_tests::shop::Shop;
use jiff::SignedDuration;
use serde_json::json;

async fn shop(quantity: i64, stripes: u16) -> Shop {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    shop.sell("mug", quantity).await;
    shop.reshape("mug", stripes).await;
    shop
}

#[tokio::test]
async fn ord_2_a_smaller_quantity_than_the_refused_one_still_sells_to_the_last_unit() {
    let shop = shop(20, 8).await;
    let who = Who::customer("c-1");
    let refused = shop.order(&who, "k-0", "mug", 21).await;
    assert_eq!((refused.status, &refused.body["available"]), (409, &json!(20)), "{refused:?}");
    // No stripe has seven by itself.
    for key in ["k-1", "k-2"] {
        assert_eq!(shop.order(&who, key, "mug", 7).await.status, 201);
    }
    let refused = shop.order(&who, "k-3", "mug", 7).await;
    assert_eq!((refused.status, refused.slug()), (409, "out-of-stock"), "{refused:?}");
    for n in 0..6 {
        assert_eq!(shop.order(&who, &format!("l-{n}"), "mug", 1).await.status, 201);
    }
    assert_eq!(shop.available("mug").await, 0);
    shop.laws_hold().await;
}

#[tokio::test]
async fn stk_5_a_rejected_buyer_costs_a_read_unit_and_no_write() {
    const ATTEMPTS: u32 = 1_000;
    let shop = shop(64, 64).await;
    let who = Who::customer("c-1");
    assert_eq!(shop.order(&who, "all", "mug", 64).await.status, 201);
    // Two environments, a thousand attempts in half a second.
    let environments = [shop.another_environment(), shop.another_environment()];
    let body = holdfast_tests::requests::order_of("mug", 1);
    let mut calls = 0;
    for attempt in 0..ATTEMPTS {
        let request = Request::post("/orders", &body).key(&format!("k-{attempt}"));
        shop.engine.wire.count(None);
        let answer = request.send(&environments[attempt as usize % 2], Some(&who)).await;
        calls += shop.engine.wire.counted().calls.len();
        assert_eq!(answer.slug(), "out-of-stock", "{answer:?}");
        if attempt % 2 == 1 {
            shop.clock.advance(SignedDuration::from_millis(1));
        }
    }
    // A consistent read of the order's id each, and a look by one of them; the other is told by the header.
    assert!(calls <= ATTEMPTS as usize + 20, "{calls} calls for {ATTEMPTS} attempts");
}

#[tokio::test]
async fn stk_5_stock_that_comes_back_sells_within_two_seconds() {
    let shop = shop(8, 8).await;
    let who = Who::customer("c-1");
    let all = shop.order(&who, "all", "mug", 8).await;
    let other = shop.another_environment();
    let order = async |key: &str| {
        let body = holdfast_tests::requests::order_of("mug", 1);
        Request::post("/orders", &body).key(key).send(&other, Some(&who)).await
    };
    assert_eq!(order("k-1").await.slug(), "out-of-stock");
    let path = format!("/orders/{}/cancel", all.body["order_id"].as_str().unwrap());
    assert_eq!(Request::post(&path, &json!({})).send(&shop.orders, Some(&who)).await.status, 200);
    shop.clock.advance(SignedDuration::from_millis(2_000));
    assert_eq!(order("k-2").await.status, 201);
    // A receipt is told to the header, so an environment that asks it knows at once.
    assert_eq!(shop.order(&who, "rest", "mug", 7).await.status, 201);
    assert_eq!(shop.order(&who, "none", "mug", 1).await.slug(), "out-of-stock");
    shop.receive("mug", 3, "more").await;
    let fresh = shop.another_environment();
    let body = holdfast_tests::requests::order_of("mug", 1);
    let at_once = Request::post("/orders", &body).key("k-3").send(&fresh, Some(&who)).await;
    assert_eq!(at_once.status, 201, "{at_once:?}");
    shop.laws_hold().await;
}
