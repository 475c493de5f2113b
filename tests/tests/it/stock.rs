//! Receiving and reading stock.

use holdfast_tests::requests::{Answer, Request, Who};
use holdfast_tests::shop::Shop;
use serde_json::json;

async fn receive(shop: &Shop, key: &str, warehouse: &str, quantity: i64) -> Answer {
    let request = Request::post("/stock/mug/receipts", &json!({"warehouse": warehouse, "quantity": quantity})).key(key);
    request.send(&shop.inventory, Some(&Who::staff())).await
}

#[tokio::test]
async fn stk_1_stock_is_told_by_warehouse() {
    let shop = Shop::open().await;
    shop.sell("mug", 0).await;
    assert_eq!(receive(&shop, "k-1", "main", 10).await.status, 201);
    assert_eq!(receive(&shop, "k-2", "north", 5).await.status, 201);
    assert_eq!(receive(&shop, "k-3", "main", 1).await.status, 201);
    assert_eq!(shop.order(&Who::customer("c-1"), "k", "mug", 2).await.status, 201);
    let stock = Request::get("/stock/mug").send(&shop.inventory, Some(&Who::staff())).await;
    let expected = json!({"product_id": "mug", "available": 14, "warehouses": [
        {"warehouse": "main", "available": 9, "received": 11, "stripes": 1},
        {"warehouse": "north", "available": 5, "received": 5, "stripes": 1},
    ]});
    assert_eq!(stock.body, expected);
    shop.laws_hold().await;
}

#[tokio::test]
async fn an_order_larger_than_one_warehouse_takes_from_several() {
    let shop = Shop::open().await;
    shop.sell("mug", 0).await;
    receive(&shop, "k-1", "main", 3).await;
    receive(&shop, "k-2", "north", 5).await;
    let order = shop.order(&Who::customer("c-1"), "k", "mug", 7).await;
    assert_eq!(order.status, 201, "{order:?}");
    assert_eq!(order.body["lines"][0]["from"].as_array().unwrap().len(), 2);
    // What is left in the other warehouse is found, too.
    assert_eq!(shop.order(&Who::customer("c-2"), "k", "mug", 1).await.status, 201);
    assert_eq!(shop.available("mug").await, 0);
    shop.laws_hold().await;
}

#[tokio::test]
async fn a_receipt_counts_once_a_key() {
    let shop = Shop::open().await;
    shop.sell("mug", 0).await;
    let same = futures_util::future::join_all((0..10).map(|_| receive(&shop, "k-1", "main", 10))).await;
    assert_eq!(same.iter().filter(|answer| answer.status == 201).count(), 1, "{same:?}");
    assert!(same.iter().all(|answer| answer.body["received_at"] == same[0].body["received_at"]));
    assert_eq!(receive(&shop, "k-1", "main", 10).await.header("idempotent-replayed"), "true");
    let other = receive(&shop, "k-1", "main", 11).await;
    assert_eq!((other.status, other.slug()), (422, "idempotency-key-reused"));
    assert_eq!(shop.available("mug").await, 10);
    shop.laws_hold().await;
}

#[tokio::test]
async fn bad_receipts_are_named_and_write_nothing() {
    let shop = Shop::open().await;
    shop.sell("mug", 0).await;
    let before = shop.engine.items().await.len();
    for (warehouse, quantity, field) in [
        ("main", 0, "quantity"),
        ("main", -1, "quantity"),
        ("main", i64::MAX, "quantity"),
        ("a#b", 1, "warehouse"),
        ("", 1, "warehouse"),
    ] {
        let answer = receive(&shop, "k", warehouse, quantity).await;
        assert_eq!((answer.status, answer.fields()), (400, vec![field]), "{warehouse} {quantity}");
    }
    let send = async |request: Request| request.send(&shop.inventory, Some(&Who::staff())).await;
    let body = json!({"warehouse": "main", "quantity": 1});
    let unknown = send(Request::post("/stock/cup/receipts", &body).key("k")).await;
    assert_eq!((unknown.status, unknown.slug()), (404, "not-found"));
    assert_eq!(send(Request::post("/stock/mug/receipts", &body)).await.slug(), "idempotency-key-missing");
    assert_eq!(send(Request::post("/stock/a%23b/receipts", &body).key("k")).await.fields(), ["product_id"]);
    assert_eq!(send(Request::get("/stock/cup")).await.status, 404);
    assert_eq!(send(Request::get("/stock/a%40b")).await.fields(), ["product_id"]);
    assert_eq!(shop.available("mug").await, 0);
    assert_eq!(shop.engine.items().await.len(), before);
}
