//! Carts, coupons, limits, rates, stripes and large orders on the whole stack over HTTP.

use crate::stack::Shop;
use holdfast_tests::requests::{Request, order_of};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn delivery() -> Value {
    let order = order_of("mug", 1);
    json!({"shipping_address": order["shipping_address"], "payment_method": order["payment_method"]})
}

#[tokio::test]
async fn stk_2_a_cart_is_confirmed_and_paid_and_another_expires_by_itself() {
    let shop = Shop::open("mug", 10).await;
    let lines = json!([{"product_id": "mug", "quantity": 2}]);
    let kept = shop.customer("c-1", Request::post("/reservations", &json!({"lines": lines})).key("kept")).await;
    assert_eq!(kept.status, 201, "{kept:?}");
    let short = json!({"lines": lines, "ttl_seconds": 2});
    let left = shop.customer("c-1", Request::post("/reservations", &short).key("left")).await;
    assert_eq!((left.status, shop.available("mug").await), (201, json!(6)), "{left:?}");
    let id = kept.body["reservation_id"].as_str().unwrap();
    let confirm = Request::post(&format!("/reservations/{id}/confirm"), &delivery());
    let order = shop.customer("c-1", confirm).await;
    assert_eq!((order.status, order.body["order_id"].as_str()), (201, Some(id)), "{order:?}");
    shop.becomes("c-1", id, "paid").await;
    let path = format!("/reservations/{}", left.body["reservation_id"].as_str().unwrap());
    let begun = Instant::now();
    while shop.customer("c-1", Request::get(&path)).await.body["state"] != "expired" {
        assert!(begun.elapsed() < Duration::from_secs(60), "the cart does not expire");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let released = shop.customer("c-1", Request::delete(&path)).await;
    assert_eq!((released.status, released.slug(), &released.body["ended"]), (409, "hold-ended", &json!("expired")));
    assert_eq!(shop.available("mug").await, 8);
}

#[tokio::test]
async fn ord_4_an_order_of_a_thousand_lines_with_a_coupon_is_paid() {
    let shop = Shop::open("mug", 600).await;
    let cup = json!({"name": "cup", "category": "all", "price": {"amount": 1000, "currency": "USD"}});
    assert_eq!(shop.staff(Request::put("/products/cup", &cup)).await.status, 201);
    let receipt = json!({"warehouse": "paris", "quantity": 600});
    assert_eq!(shop.staff(Request::post("/stock/cup/receipts", &receipt).key("k")).await.status, 201);
    let now = jiff::Timestamp::now().to_string();
    let rate = json!({"rate": "0.5", "source": "test", "as_of": now});
    assert_eq!(shop.staff(Request::put("/rates/USD/EUR", &rate)).await.status, 201);
    let coupon = json!({"percent": "10", "total_uses": 1});
    assert_eq!(shop.staff(Request::put("/coupons/TEN", &coupon)).await.status, 201);
    let stripes = json!({"warehouse": "main", "stripes": 16});
    assert_eq!(shop.staff(Request::put("/stock/mug/stripes", &stripes)).await.status, 200);
    let mut body = order_of("mug", 1);
    let product = |n: usize| ["mug", "cup"][n % 2];
    body["lines"] = (0..1_000).map(|n| json!({"product_id": product(n), "quantity": 1})).collect();
    body["coupon"] = json!("TEN");
    let order = shop.customer("c-1", Request::post("/orders", &body).key("k")).await;
    assert_eq!(order.status, 201, "{} {}", order.slug(), order.body["detail"]);
    // 500 at 19.99, 500 at 10 USD for 5.00 each, less a tenth.
    let sum = 500 * 1999 + 500 * 500;
    assert_eq!(order.body["total"]["amount"], sum - sum / 10);
    let paid = shop.becomes("c-1", order.body["order_id"].as_str().unwrap(), "paid").await;
    assert_eq!(paid["lines"].as_array().map(Vec::len), Some(1_000));
    assert_eq!((shop.available("mug").await, shop.available("cup").await), (json!(100), json!(100)));
    assert_eq!(shop.staff(Request::get("/coupons/TEN")).await.body["remaining"], 0);
}

#[tokio::test]
async fn ord_15_a_limit_holds_over_concurrent_requests() {
    let shop = Shop::open("mug", 50).await;
    let limited = json!({
        "name": "mug", "category": "all", "price": {"amount": 1999, "currency": "EUR"},
        "purchase_limit": {"quantity": 2, "window_seconds": 86_400},
    });
    assert_eq!(shop.staff(Request::put("/products/mug", &limited)).await.status, 200);
    let keys: Vec<_> = (0..8).map(|n| format!("k-{n}")).collect();
    let answers = futures_util::future::join_all(keys.iter().map(|key| shop.order("c-1", key, "mug", 1))).await;
    let placed = answers.iter().filter(|answer| answer.status == 201).count();
    let refused = answers.iter().filter(|answer| answer.slug() == "limit-reached").count();
    assert_eq!((placed, refused), (2, 6), "{:?}", answers.iter().map(|it| (it.status, it.slug())).collect::<Vec<_>>());
}
