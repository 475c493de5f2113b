//! Writing and reading products.

use holdfast_tests::requests::{Answer, Request, Who};
use holdfast_tests::shop::Shop;
use serde_json::{Value, json};

/// A change to a good product, and the field that the answer has to name.
type Case = (fn(&mut Value), &'static str);

fn mug() -> Value {
    json!({"name": "Mug", "description": "Blue.\n\nHolds tea.", "category": "kitchen", "price": {"amount": 1999, "currency": "EUR"}})
}

async fn put(shop: &Shop, body: &Value) -> Answer {
    Request::put("/products/mug%20blue", body).send(&shop.catalog, Some(&Who::staff())).await
}

#[tokio::test]
async fn a_product_is_created_replaced_and_read() {
    let shop = Shop::open().await;
    let created = put(&shop, &mug()).await;
    assert_eq!((created.status, created.header("etag")), (201, "\"1\""));
    let mut dearer = mug();
    dearer["price"]["amount"] = json!(2499);
    let replaced = put(&shop, &dearer).await;
    assert_eq!((replaced.status, &replaced.body["price_version"]), (200, &json!(2)));
    // The same price again is no new price.
    assert_eq!(put(&shop, &dearer).await.body["price_version"], 2);
    let read = Request::get("/products/mug%20blue").send(&shop.catalog, Some(&Who::customer("c-1"))).await;
    assert_eq!((read.status, &read.body["product_id"], &read.body["version"]), (200, &json!("mug blue"), &json!(3)));
    assert_eq!(read.body["description"], "Blue.\n\nHolds tea.");
    assert_eq!(Request::get("/products/cup").send(&shop.catalog, Some(&Who::staff())).await.status, 404);
}

#[tokio::test]
async fn writers_at_the_same_time_lose_no_version() {
    let shop = Shop::open().await;
    let bodies: Vec<_> = (1..=4)
        .map(|price| {
            let mut body = mug();
            body["price"]["amount"] = json!(price);
            body
        })
        .collect();
    let answers = futures_util::future::join_all(bodies.iter().map(|body| put(&shop, body))).await;
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 201)), "{answers:?}");
    let mut versions: Vec<_> = answers.iter().map(|answer| answer.body["version"].as_u64().unwrap()).collect();
    versions.sort_unstable();
    assert_eq!(versions, [1, 2, 3, 4]);
}

#[tokio::test]
async fn bad_products_are_named_and_not_written() {
    let shop = Shop::open().await;
    let cases: [Case; 8] = [
        (|b| b["name"] = json!(""), "name"),
        (|b| b["name"] = json!("x".repeat(201)), "name"),
        (|b| b["description"] = json!("\u{0}"), "description"),
        (|b| b["category"] = json!(null), "category"),
        (|b| b["price"]["amount"] = json!(-1), "price.amount"),
        (|b| b["price"]["currency"] = json!("EURO"), "price.currency"),
        (|b| drop(b.as_object_mut().unwrap().remove("price")), "price"),
        (|b| b["size"] = json!(1), "size"),
    ];
    for (change, field) in cases {
        let mut body = mug();
        change(&mut body);
        let answer = put(&shop, &body).await;
        assert_eq!((answer.status, answer.fields()), (400, vec![field]), "{body}");
    }
    assert!(shop.engine.items().await.is_empty());
}
