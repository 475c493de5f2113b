//! From which warehouses an order comes (STK-1).

use holdfast_tests::requests::{Answer, Request, Who, order_of};
use holdfast_tests::shop::Shop;
use serde_json::{Value, json};

async fn policy(shop: &Shop, body: Value) {
    let answer = Request::put("/allocation", &body).send(&shop.catalog, Some(&Who::staff())).await;
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
}

async fn order(shop: &Shop, key: &str, country: &str, lines: Value) -> Answer {
    let mut body = order_of("mug", 1);
    body["lines"] = lines;
    body["shipping_address"]["country"] = json!(country);
    // An environment of its own: policies are remembered for a minute.
    let environment = shop.another_environment();
    Request::post("/orders", &body).key(key).send(&environment, Some(&Who::customer("c-1"))).await
}

fn from(answer: &Answer, line: usize) -> &Value {
    assert_eq!(answer.status, 201, "{answer:?}");
    &answer.body["lines"][line]["from"]
}

fn mugs(quantity: i64) -> Value {
    json!([{"product_id": "mug", "quantity": quantity}])
}

async fn shop() -> Shop {
    let shop = Shop::open().await;
    shop.price("mug", 1999).await;
    shop.price("cup", 999).await;
    shop.receive_at("mug", "berlin", 5).await;
    shop.receive_at("mug", "paris", 50).await;
    shop.receive_at("cup", "paris", 50).await;
    shop.receive_at("cup", "turin", 50).await;
    shop
}

#[tokio::test]
async fn stk_1_orders_come_from_where_the_strategy_says() {
    let shop = shop().await;
    policy(&shop, json!({"strategy": "priority", "warehouses": [{"warehouse": "paris"}, {"warehouse": "berlin"}]}))
        .await;
    assert_eq!(from(&order(&shop, "k-1", "DE", mugs(1)).await, 0), &json!([{"warehouse": "paris", "quantity": 1}]));
    let places = json!([
        {"warehouse": "paris", "country": "FR"},
        {"warehouse": "berlin", "country": "DE", "serves": ["AT"]},
        {"warehouse": "turin", "country": "IT"},
    ]);
    policy(&shop, json!({"strategy": "nearest", "warehouses": places})).await;
    assert_eq!(from(&order(&shop, "k-2", "DE", mugs(1)).await, 0), &json!([{"warehouse": "berlin", "quantity": 1}]));
    assert_eq!(from(&order(&shop, "k-3", "AT", mugs(1)).await, 0), &json!([{"warehouse": "berlin", "quantity": 1}]));
    assert_eq!(from(&order(&shop, "k-4", "FR", mugs(1)).await, 0), &json!([{"warehouse": "paris", "quantity": 1}]));
    // Berlin has three left: what the near one lacks comes from elsewhere.
    let more = order(&shop, "k-5", "DE", mugs(8)).await;
    let units: i64 = from(&more, 0).as_array().unwrap().iter().map(|from| from["quantity"].as_i64().unwrap()).sum();
    assert_eq!(units, 8, "{more:?}");
    policy(&shop, json!({"strategy": "fewest-parcels", "warehouses": [{"warehouse": "berlin"}, {"warehouse": "turin"}, {"warehouse": "paris"}]})).await;
    let both = json!([{"product_id": "mug", "quantity": 1}, {"product_id": "cup", "quantity": 1}]);
    let together = order(&shop, "k-6", "DE", both).await;
    assert_eq!(from(&together, 0), &json!([{"warehouse": "paris", "quantity": 1}]));
    assert_eq!(from(&together, 1), &json!([{"warehouse": "paris", "quantity": 1}]));
    shop.laws_hold().await;
}

#[tokio::test]
async fn stk_1_a_line_is_split_over_warehouses_to_the_last_unit_and_comes_back() {
    let shop = shop().await;
    let all = order(&shop, "k-1", "DE", mugs(55)).await;
    let mut places: Vec<_> = from(&all, 0).as_array().unwrap().iter().map(|from| from["quantity"].as_i64()).collect();
    places.sort_unstable();
    assert_eq!(places, [Some(5), Some(50)]);
    let none = order(&shop, "k-2", "DE", mugs(1)).await;
    assert_eq!((none.status, none.slug(), &none.body["available"]), (409, "out-of-stock", &json!(0)));
    shop.laws_hold().await;
    let cancel = format!("/orders/{}/cancel", all.body["order_id"].as_str().unwrap());
    assert_eq!(Request::post(&cancel, &json!({})).send(&shop.orders, Some(&Who::customer("c-1"))).await.status, 200);
    assert_eq!(shop.available("mug").await, 55);
    shop.laws_hold().await;
}

/// Many products that the preferred warehouse has no more are looked for together.
#[tokio::test]
async fn stk_1_an_order_of_many_products_finds_all_of_them_elsewhere() {
    let shop = Shop::open().await;
    let names: Vec<_> = (0..15).map(|n| format!("p{n}")).collect();
    for name in &names {
        shop.price(name, 100).await;
        shop.receive_at(name, "a", 1).await;
        shop.receive_at(name, "b", 1).await;
    }
    let lines: Value = names.iter().map(|name| json!({"product_id": name, "quantity": 1})).collect();
    let first = order(&shop, "k-1", "DE", lines.clone()).await;
    let second = order(&shop, "k-2", "DE", lines).await;
    for line in 0..names.len() {
        assert_eq!(from(&first, line), &json!([{"warehouse": "a", "quantity": 1}]));
        assert_eq!(from(&second, line), &json!([{"warehouse": "b", "quantity": 1}]));
    }
    shop.laws_hold().await;
}
