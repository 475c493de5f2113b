//! Orders that one transaction does not take: all or nothing, whatever fails on the way (ORD-4).

use crate::faults::each_call_fails;
use holdfast_tests::back_office::BackOffice;
use holdfast_tests::clock::TestClock;
use holdfast_tests::engine::Engine;
use holdfast_tests::faults::{Counted, Way};
use holdfast_tests::requests::{Answer, Request, Who, order_of};
use holdfast_tests::shop::Shop;
use jiff::SignedDuration;
use serde_json::{Value, json};

/// More products than a transaction takes claims.
const PRODUCTS: usize = 110;

async fn shop(products: usize) -> Shop {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    for product in 0..products {
        shop.sell(&format!("p{product}"), 10).await;
    }
    shop
}

fn body(products: usize) -> Value {
    let mut body = order_of("p0", 1);
    body["lines"] = (0..products).map(|n| json!({"product_id": format!("p{n}"), "quantity": 1 + n % 3})).collect();
    body
}

async fn place(shop: &Shop, key: &str, body: &Value) -> Answer {
    Request::post("/orders", body).key(key).send(&shop.orders, Some(&Who::customer("c-1"))).await
}

async fn available(shop: &Shop) -> i64 {
    shop.engine.evidence().await.stock.values().map(|stock| stock.available).sum()
}

#[tokio::test]
async fn ord_4_a_large_order_is_read_listed_and_cancelled_like_any_other() {
    let shop = shop(PRODUCTS).await;
    let before = available(&shop).await;
    let body = body(PRODUCTS);
    let placed = place(&shop, "k", &body).await;
    assert_eq!((placed.status, &placed.body["state"]), (201, &json!("placed")), "{placed:?}");
    let lines = placed.body["lines"].as_array().unwrap();
    assert_eq!(lines.len(), PRODUCTS);
    for (line, wanted) in lines.iter().zip(body["lines"].as_array().unwrap()) {
        assert_eq!((&line["product_id"], &line["quantity"]), (&wanted["product_id"], &wanted["quantity"]));
    }
    shop.laws_hold().await;
    let retry = place(&shop, "k", &body).await;
    assert_eq!((retry.status, &retry.body["lines"]), (200, &placed.body["lines"]));
    let mut other = body.clone();
    other["lines"][0]["quantity"] = json!(9);
    assert_eq!(place(&shop, "k", &other).await.slug(), "idempotency-key-reused");
    let who = Who::customer("c-1");
    let path = format!("/orders/{}", placed.body["order_id"].as_str().unwrap());
    let read = Request::get(&path).send(&shop.orders, Some(&who)).await;
    assert_eq!(read.body["lines"], placed.body["lines"]);
    for lister in [&who, &Who::staff()] {
        let listed = Request::get("/orders").send(&shop.orders, Some(lister)).await;
        assert_eq!(listed.body["orders"][0]["lines"], placed.body["lines"]);
    }
    let short = Request::get("/orders?fields=order_id,state").send(&shop.orders, Some(&who)).await;
    assert_eq!(short.body["orders"][0]["state"], "placed");
    let cancelled = Request::post(&format!("{path}/cancel"), &json!({})).send(&shop.orders, Some(&who)).await;
    assert_eq!((cancelled.status, &cancelled.body["state"]), (200, &json!("cancelled")));
    assert_eq!(cancelled.body["lines"], placed.body["lines"]);
    assert_eq!(available(&shop).await, before);
    shop.laws_hold().await;
}

#[tokio::test]
async fn ord_4_a_product_on_many_lines_is_claimed_once_and_short_stock_refuses_all() {
    let shop = shop(2).await;
    shop.receive("p0", 2_000, "more").await;
    let mut many = body(1);
    many["lines"] = (0..900).map(|_| json!({"product_id": "p0", "quantity": 1})).collect();
    let placed = place(&shop, "k-1", &many).await;
    assert_eq!((placed.status, placed.body["lines"].as_array().map(Vec::len)), (201, Some(900)), "{:?}", placed.slug());
    shop.laws_hold().await;
    let before = available(&shop).await;
    many["lines"] = (0..700).map(|n| json!({"product_id": format!("p{}", n % 2), "quantity": 1})).collect();
    let refused = place(&shop, "k-2", &many).await;
    assert_eq!((refused.status, refused.slug()), (409, "out-of-stock"), "{refused:?}");
    assert_eq!(available(&shop).await, before);
    shop.laws_hold().await;
    // Nothing of it is an order, and the key is free for another try.
    assert_eq!(place(&shop, "k-2", &many).await.slug(), "out-of-stock");
    shop.receive("p1", 1_000, "more").await;
    shop.clock.advance(SignedDuration::from_secs(2));
    let placed = place(&shop, "k-2", &many).await;
    assert_eq!((placed.status, placed.body["history"].as_array().map(Vec::len)), (201, Some(4)), "{}", placed.body);
    shop.laws_hold().await;
}

/// Where the units lie decides whether one transaction takes an order, and how many products its parts have.
#[tokio::test]
async fn ord_4_units_that_lie_in_many_stripes_are_claimed_in_smaller_parts() {
    let shop = shop(40).await;
    for product in 0..40 {
        shop.reshape(&format!("p{product}"), 4).await;
    }
    let mut body = body(40);
    body["lines"] = (0..40).map(|n| json!({"product_id": format!("p{n}"), "quantity": 10})).collect();
    let placed = place(&shop, "k", &body).await;
    assert_eq!((placed.status, placed.body["lines"].as_array().map(Vec::len)), (201, Some(40)), "{placed:?}");
    assert_eq!(available(&shop).await, 0);
    shop.laws_hold().await;
}

#[tokio::test]
async fn too_many_lines_are_refused() {
    let shop = shop(1).await;
    let mut long = body(1);
    long["lines"] = (0..5_001).map(|_| json!({"product_id": "p0", "quantity": 1})).collect();
    let answer = place(&shop, "k", &long).await;
    assert_eq!((answer.status, answer.slug(), answer.fields()), (422, "too-many-lines", vec!["lines"]));
}

/// Every call of a large order fails in turn; then the caller repeats it, or gives up and the timer cleans up.
#[tokio::test]
async fn ord_4_holds_whatever_call_of_a_large_order_fails() {
    let calls = fails(None, true).await.calls;
    assert_eq!(calls.len(), 5, "a header, two parts, the commit, and the lines for the answer: {calls:?}");
    for (position, call) in calls.iter().enumerate() {
        for way in Way::of(call) {
            // Whoever gives up does not care why; a call that was not applied and one that was are enough.
            let gives_up = matches!(way, Way::Before | Way::After);
            for repeats in [true, false].into_iter().filter(|repeats| *repeats || gives_up) {
                assert!(fails(Some((position, *way)), repeats).await.met, "{call}, call {position}, was not made");
            }
        }
    }
}

/// Every call of calling a large order off fails in turn; the caller repeats it, and the worker gives back what is left.
#[tokio::test]
async fn ord_9_holds_whatever_call_of_cancelling_a_large_order_fails() {
    each_call_fails(async |fault| {
        let shop = Shop::over(Engine::embedded().await, TestClock::present());
        let back = BackOffice::open(&shop.engine, &shop.clock).await;
        shop.sell("a", 500).await;
        let mut body = order_of("a", 1);
        body["lines"] = (0..401).map(|_| json!({"product_id": "a", "quantity": 1})).collect();
        let placed = place(&shop, &shop.engine.table, &body).await;
        assert_eq!((placed.status, shop.available("a").await), (201, 99), "{}", placed.slug());
        let path = format!("/orders/{}/cancel", placed.body["order_id"].as_str().unwrap());
        let cancel = Request::post(&path, &json!({}));
        shop.engine.wire.count(fault);
        let mut cancelled = cancel.send(&shop.orders, Some(&Who::customer("c-1"))).await;
        let counted = shop.engine.wire.counted();
        if cancelled.status >= 500 {
            cancelled = cancel.send(&shop.orders, Some(&Who::customer("c-1"))).await;
        }
        assert_eq!(cancelled.body["state"], "cancelled", "{fault:?}: {}", cancelled.slug());
        back.drain().await;
        assert_eq!(shop.available("a").await, 500, "{fault:?}");
        shop.laws_hold().await;
        counted
    })
    .await;
}

async fn fails(fault: Option<(usize, Way)>, repeats: bool) -> Counted {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    let back = BackOffice::open(&shop.engine, &shop.clock).await;
    // A thousand lines of three products are two parts.
    let products = ["a", "b", "c"];
    let mut body = order_of("a", 1);
    for product in products {
        shop.sell(product, 1_000).await;
        // A first order warms the environment, so that what fails are the calls of placing.
        assert_eq!(shop.order(&Who::customer("c-2"), product, product, 1).await.status, 201);
    }
    body["lines"] = (0..1_000).map(|n| json!({"product_id": products[n % 3], "quantity": 1})).collect();
    let key = &shop.engine.table;
    shop.engine.wire.count(fault);
    let mut placed = place(&shop, key, &body).await;
    let counted = shop.engine.wire.counted();
    let case = format!("{fault:?}, repeats: {repeats}");
    if placed.status != 201 && repeats {
        assert!(matches!(placed.status, 409 | 500..), "{case}: {placed:?}");
        shop.clock.advance(SignedDuration::from_secs(31));
        placed = place(&shop, key, &body).await;
        if placed.status >= 409 {
            placed = place(&shop, key, &body).await;
        }
        assert!(matches!(placed.status, 200 | 201), "{case}: {placed:?}");
    }
    // Nobody paid and nobody repeated it: the timers end what is left.
    back.relay().await;
    shop.clock.advance(SignedDuration::from_mins(16));
    back.maintain(maintenance::Job::LateHolds).await;
    shop.clock.advance(SignedDuration::from_mins(30));
    back.maintain(maintenance::Job::LateHolds).await;
    back.drain().await;
    shop.laws_hold().await;
    let evidence = shop.engine.evidence().await;
    let order = evidence.orders.iter().find(|order| order.attempt.is_some());
    let paid = order.is_some_and(|order| order.state == "paid");
    let ended = order.is_none_or(|order| matches!(order.state.as_str(), "paid" | "aborted" | "expired"));
    assert!(ended, "{case}: {:?}", order.map(|order| &order.state));
    assert!(!repeats || paid || placed.status == 201 || placed.status == 200, "{case}");
    counted
}
