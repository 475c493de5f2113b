//! Negative controls: each guard is taken away, and the harm that it prevents is seen.

use holdfast_tests::clock::TestClock;
use holdfast_tests::engine::Engine;
use holdfast_tests::requests::{Request, Who, order_of};
use holdfast_tests::shop::Shop;
use serde_json::{Value, json};

/// Replaces a condition of one of a transaction's actions, with the values that only it used.
pub(crate) fn without(
    action: &'static str,
    condition: &'static str,
    instead: &'static str,
    value: &'static str,
) -> impl Fn(&str, &mut Value) {
    move |operation, request| {
        if operation != "TransactWriteItems" {
            return;
        }
        for item in request["TransactItems"].as_array_mut().into_iter().flatten() {
            let Some(action) = item.get_mut(action).and_then(Value::as_object_mut) else { continue };
            if action.get("ConditionExpression").and_then(Value::as_str) != Some(condition) {
                continue;
            }
            match instead {
                "" => drop(action.remove("ConditionExpression")),
                instead => drop(action.insert("ConditionExpression".to_owned(), json!(instead))),
            }
            if let Some(Value::Object(values)) = action.get_mut("ExpressionAttributeValues") {
                values.remove(value);
            }
        }
    }
}

async fn shop_with(quantity: i64) -> Shop {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    shop.sell("mug", quantity).await;
    shop
}

pub(crate) fn broken(shop_laws: &[holdfast_local::demo::laws::Law]) -> Vec<&'static str> {
    shop_laws.iter().filter(|law| !law.holds).map(|law| law.name).collect()
}

#[tokio::test]
async fn ord_2_without_the_stock_condition_units_are_sold_twice() {
    let shop = shop_with(10).await;
    let claim = "available >= :quantity AND price_version <= :price_version";
    shop.engine.wire.rewrite(without("Update", claim, "price_version <= :price_version", ""));
    let buyers: Vec<_> = (0..15).map(|n| Who::customer(&format!("c-{n}"))).collect();
    let answers = futures_util::future::join_all(buyers.iter().map(|who| shop.order(who, "k", "mug", 1))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 15);
    let laws = holdfast_local::demo::laws::of_table(&shop.engine.evidence().await);
    assert_eq!(broken(&laws), ["nothing_oversold"]);
}

#[tokio::test]
async fn ord_1_without_the_order_condition_a_retry_claims_again() {
    let shop = shop_with(10).await;
    shop.engine.wire.rewrite(without("Put", "attribute_not_exists(pk)", "", ""));
    let who = Who::customer("c-1");
    assert_eq!(shop.order(&who, "k", "mug", 1).await.status, 201);
    assert_eq!(shop.order(&who, "k", "mug", 1).await.status, 201, "the retry was taken for new");
    let laws = holdfast_local::demo::laws::of_table(&shop.engine.evidence().await);
    assert_eq!(broken(&laws), ["stock_conserved"]);
}

#[tokio::test]
async fn ord_7_without_the_price_condition_an_old_price_is_paid() {
    let shop = shop_with(10).await;
    let claim = "available >= :quantity AND price_version <= :price_version";
    shop.engine.wire.rewrite(without("Update", claim, "available >= :quantity", ":price_version"));
    let who = Who::customer("c-1");
    let mut body = order_of("mug", 1);
    body["lines"][0]["unit_price"] = json!(1999);
    let order = async |key: &str| Request::post("/orders", &body).key(key).send(&shop.orders, Some(&who)).await;
    assert_eq!(order("k-1").await.status, 201);
    shop.price("mug", 2999).await;
    assert_eq!(order("k-2").await.body["total"]["amount"], 1999, "the acknowledged price was passed over");
}

#[tokio::test]
async fn ord_7_without_the_price_condition_an_old_tax_class_is_counted_by() {
    let shop = crate::tax::shop("exclusive").await;
    let claim = "available >= :quantity AND price_version <= :price_version";
    shop.engine.wire.rewrite(without("Update", claim, "available >= :quantity", ":price_version"));
    let tax = async |key: &str| shop.order(&Who::customer("c-1"), key, "mug", 1).await.body["tax"]["amount"].clone();
    assert_eq!(tax("k-1").await, 380);
    shop.offer("mug", json!({"tax_class": "books"})).await;
    assert_eq!(tax("k-2").await, 380, "the acknowledged class was passed over");
}

#[tokio::test]
async fn ord_8_without_the_version_condition_stock_goes_back_twice() {
    let shop = shop_with(10).await;
    let who = Who::customer("c-1");
    let order = shop.order(&who, "k", "mug", 3).await;
    shop.engine.wire.rewrite(without("Update", "version = :before", "attribute_exists(pk)", ":before"));
    let path = format!("/orders/{}/cancel", order.body["order_id"].as_str().unwrap());
    let cancel = Request::post(&path, &json!({}));
    // All read the order before any of them writes.
    shop.engine.wire.meet("TransactWriteItems", 4);
    let cancels = futures_util::future::join_all((0..4).map(|_| cancel.send(&shop.orders, Some(&who)))).await;
    assert!(cancels.iter().all(|answer| answer.status == 200), "{cancels:?}");
    let laws = holdfast_local::demo::laws::of_table(&shop.engine.evidence().await);
    assert!(broken(&laws).contains(&"stock_conserved"), "{laws:?}");
}

#[tokio::test]
async fn without_the_receipt_condition_stock_is_received_twice() {
    let shop = shop_with(10).await;
    shop.engine.wire.rewrite(without("Put", "attribute_not_exists(pk)", "", ""));
    shop.receive("mug", 5, "k").await;
    shop.receive("mug", 5, "k").await;
    let laws = holdfast_local::demo::laws::of_table(&shop.engine.evidence().await);
    assert_eq!(broken(&laws), ["stock_conserved"]);
}

/// A refusal that does not look for the order first denies a buyer the order they have.
#[tokio::test]
async fn ord_1_without_the_look_before_a_refusal_a_retry_is_turned_away() {
    let shop = shop_with(1).await;
    let who = Who::customer("c-1");
    assert_eq!(shop.order(&who, "k", "mug", 1).await.status, 201);
    shop.price("mug", 2999).await;
    let mut body = order_of("mug", 1);
    body["lines"][0]["unit_price"] = json!(1999);
    let retry = Request::post("/orders", &body).key("k");
    // An environment that knows the new price refuses before it sends a transaction.
    let environment = shop.another_environment();
    // Another body, so the look is what tells a reused key from a changed price.
    assert_eq!(retry.send(&environment, Some(&who)).await.slug(), "idempotency-key-reused");
    shop.engine.wire.rewrite(|operation, request| {
        let order = request["Key"]["sk"]["S"] == "order";
        if operation == "GetItem" && order {
            request["Key"]["sk"]["S"] = json!("not-there");
        }
    });
    assert_eq!(retry.send(&environment, Some(&who)).await.slug(), "price-changed");
}

#[tokio::test]
async fn without_the_product_version_a_price_version_is_given_twice() {
    let shop = shop_with(1).await;
    shop.engine.wire.rewrite(|operation, request| {
        let versioned = request["ConditionExpression"] == "version = :before";
        if let Some(request) = request.as_object_mut().filter(|_| operation == "PutItem" && versioned) {
            request.remove("ConditionExpression");
            request.remove("ExpressionAttributeValues");
        }
    });
    let put = async |amount: i64| {
        let body = json!({"name": "mug", "category": "all", "price": {"amount": amount, "currency": "EUR"}});
        Request::put("/products/mug", &body).send(&shop.catalog, Some(&Who::staff())).await.body["price_version"]
            .clone()
    };
    // Both read the product before either writes it: two prices share a version, so a stripe cannot tell them apart.
    shop.engine.wire.meet("PutItem", 2);
    let (one, other) = tokio::join!(put(2999), put(3999));
    assert_eq!(one, other);
}
