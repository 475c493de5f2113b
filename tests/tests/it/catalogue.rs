//! Writing and reading products.

use holdfast_tests::clock::TestClock;
use holdfast_tests::engine::Engine;
use holdfast_tests::requests::{Answer, Request, Who};
use holdfast_tests::shop::Shop;
use jiff::SignedDuration;
use serde_json::{Value, json};

/// A change to a good product, and the field that the answer has to name.
type Case = (fn(&mut Value), &'static str);

fn mug() -> Value {
    json!({"name": "Mug", "description": "Blue.\n\nHolds tea.", "category": "kitchen", "price": {"amount": 1999, "currency": "EUR"}})
}

/// A window between two hours of a day, for a cent less than usual.
fn window(from: u32, to: u32) -> Value {
    let at = |hour: u32| format!("2026-03-29T{hour:02}:00:00Z");
    json!({"starts_at": at(from), "ends_at": at(to), "price": {"amount": 1998, "currency": "EUR"}})
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
async fn a_flash_sale_has_its_own_price_while_it_lasts() {
    let clock = TestClock::at("2026-03-29T09:59:59.999Z");
    let shop = Shop::over(Engine::embedded().await, clock.clone());
    let mut body = mug();
    body["windows"] = json!([window(12, 13), window(10, 11)]);
    body["purchase_limit"] = json!({"quantity": 2});
    assert_eq!(put(&shop, &body).await.body["price_now"]["amount"], 1999);
    let read = async || Request::get("/products/mug%20blue").send(&shop.catalog, Some(&Who::staff())).await.body;
    clock.advance(SignedDuration::from_millis(1));
    let sale = read().await;
    assert_eq!((&sale["price_now"]["amount"], &sale["price"]["amount"]), (&json!(1998), &json!(1999)));
    // By time, whatever order they came in.
    assert_eq!(sale["windows"], json!([window(10, 11), window(12, 13)]));
    assert_eq!(sale["purchase_limit"], json!({"quantity": 2}));
    clock.advance(SignedDuration::from_hours(1));
    assert_eq!(read().await["price_now"]["amount"], 1999);
}

/// A claim priced by earlier windows or another limit must not succeed: the stripes ask for the new version.
#[tokio::test]
async fn windows_and_limits_are_part_of_the_price() {
    let shop = Shop::open().await;
    put(&shop, &mug()).await;
    shop.receive("mug blue", 5, "k").await;
    let stripe_asks_for = async || -> Vec<String> {
        let items = shop.engine.items().await;
        let stripes = items.iter().filter(|item| item["sk"]["S"] == "stripe");
        stripes.map(|stripe| stripe["price_version"]["N"].as_str().unwrap().to_owned()).collect()
    };
    let mut body = mug();
    let changes: [fn(&mut Value); 4] = [
        |b| b["windows"] = json!([window(10, 12)]),
        |b| b["windows"][0]["price"]["amount"] = json!(1),
        |b| b["purchase_limit"] = json!({"quantity": 2, "window_seconds": 60}),
        |b| b["purchase_limit"]["window_seconds"] = json!(61),
    ];
    for (change, version) in changes.into_iter().zip(2..) {
        change(&mut body);
        assert_eq!(put(&shop, &body).await.body["price_version"], version, "{body}");
        assert_eq!(stripe_asks_for().await, [version.to_string()]);
        // The same again is no new price.
        assert_eq!(put(&shop, &body).await.body["price_version"], version);
    }
    body["name"] = json!("Cup");
    assert_eq!(put(&shop, &body).await.body["price_version"], 5);
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
    let cases: [Case; 23] = [
        (|b| b["name"] = json!(""), "name"),
        (|b| b["name"] = json!("x".repeat(201)), "name"),
        (|b| b["description"] = json!("\u{0}"), "description"),
        (|b| b["category"] = json!(null), "category"),
        (|b| b["price"]["amount"] = json!(-1), "price.amount"),
        (|b| b["price"]["currency"] = json!("EURO"), "price.currency"),
        (|b| drop(b.as_object_mut().unwrap().remove("price")), "price"),
        (|b| b["size"] = json!(1), "size"),
        (|b| b["windows"] = json!({}), "windows"),
        (|b| b["windows"] = json!(vec![window(1, 2); 21]), "windows"),
        (|b| b["windows"][0] = json!({}), "windows[0].starts_at"),
        (|b| b["windows"][0]["starts_at"] = json!("tomorrow"), "windows[0].starts_at"),
        (|b| b["windows"][0]["starts_at"] = json!("1969-12-31T23:59:59Z"), "windows[0].starts_at"),
        (|b| b["windows"][0]["ends_at"] = json!("2287-01-01T00:00:00Z"), "windows[0].ends_at"),
        (|b| b["windows"][1]["ends_at"] = json!("2026-03-29T12:00:00.0004Z"), "windows[1].ends_at"),
        (|b| b["windows"][1]["starts_at"] = json!("2026-03-29T11:59:59.999Z"), "windows[1].starts_at"),
        (|b| b["windows"][0]["price"]["amount"] = json!(-1), "windows[0].price.amount"),
        (|b| b["windows"][0]["price"]["currency"] = json!("USD"), "windows[0].price.currency"),
        (|b| b["windows"][0]["note"] = json!("x"), "windows[0].note"),
        (|b| b["purchase_limit"] = json!({}), "purchase_limit.quantity"),
        (|b| b["purchase_limit"]["quantity"] = json!(0), "purchase_limit.quantity"),
        (|b| b["purchase_limit"]["quantity"] = json!(10_001), "purchase_limit.quantity"),
        (|b| b["purchase_limit"]["window_seconds"] = json!(59), "purchase_limit.window_seconds"),
    ];
    for (change, field) in cases {
        let mut body = mug();
        body["windows"] = json!([window(10, 12), window(12, 14)]);
        body["purchase_limit"] = json!({"quantity": 2, "window_seconds": 86_400});
        change(&mut body);
        let answer = put(&shop, &body).await;
        let fields = answer.fields();
        // Windows that are all the same overlap besides being too many.
        assert_eq!((answer.status, fields.first()), (400, Some(&field)), "{body}: {answer:?}");
        assert!(fields.len() == 1 || field == "windows", "{body}: {answer:?}");
    }
    assert!(shop.engine.items().await.is_empty());
}
