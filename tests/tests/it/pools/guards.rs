//! Negative controls of reshaping: what comes between its reading and its writing does no harm, and each guard is what
//! prevents it.

use super::{levels, reshape, reshaped, shop_with};
use holdfast_tests::requests::Who;
use holdfast_tests::shop::Shop;
use serde_json::{Value, json};

/// Takes a condition away from a transaction's actions, with the value that only it used. A check that has no other
/// purpose goes as a whole.
fn without(condition: &'static str, value: &'static str) -> impl Fn(&str, &mut Value) {
    move |_, request| {
        let Some(items) = request["TransactItems"].as_array_mut() else { return };
        items.retain(|item| item["ConditionCheck"]["ConditionExpression"] != condition);
        for action in items.iter_mut().filter_map(Value::as_object_mut).flat_map(|item| item.values_mut()) {
            if action["ConditionExpression"] != condition {
                continue;
            }
            let action = action.as_object_mut().expect("an action is an object");
            action.remove("ConditionExpression");
            let values = action.get_mut("ExpressionAttributeValues").and_then(Value::as_object_mut);
            if values.is_some_and(|values| values.remove(value).is_some() && values.is_empty()) {
                action.remove("ExpressionAttributeValues");
            }
        }
    }
}

/// Reshapes, and does something else after it has read and before it writes; the status of the answer.
async fn reshape_around(shop: &Shop, stripes: i64, meanwhile: impl Future<Output = ()>) -> u16 {
    let halt = shop.engine.wire.halt("TransactWriteItems");
    let between = async {
        halt.reached().await;
        meanwhile.await;
        halt.go();
    };
    tokio::join!(reshape(shop, stripes), between).0.status
}

fn sum(levels: &[i64]) -> i64 {
    levels.iter().sum()
}

/// The least price that any stripe takes: the product's own, or a change that was acknowledged is passed over.
async fn lowest_floor(shop: &Shop) -> i64 {
    let items = shop.engine.items().await;
    let stripes = items.iter().filter(|item| item["sk"]["S"] == "stripe");
    stripes.map(|item| item["price_version"]["N"].as_str().unwrap().parse().unwrap()).min().unwrap()
}

async fn split_around_a_price_change(guarded: bool) -> i64 {
    let shop = shop_with(10).await;
    if !guarded {
        shop.engine.wire.rewrite(without("price_version = :price_version", ":price_version"));
    }
    assert_eq!(reshape_around(&shop, 4, shop.price("mug", 2_999)).await, 200);
    assert_eq!(levels(&shop).await.len(), 4);
    lowest_floor(&shop).await
}

#[tokio::test]
async fn ord_7_a_price_change_is_not_passed_over_by_a_split() {
    assert_eq!(split_around_a_price_change(true).await, 2);
}

#[tokio::test]
async fn ord_7_without_the_products_check_new_stripes_sell_at_the_old_price() {
    assert_eq!(split_around_a_price_change(false).await, 1);
}

/// A merge that another run overtook; its status, and the units that can still be found.
async fn overtaken_merge(guarded: bool) -> (u16, u64) {
    let shop = shop_with(40).await;
    reshaped(&shop, 4).await;
    if !guarded {
        shop.engine.wire.rewrite(without("shape = :shape", ":shape"));
    }
    let status = reshape_around(&shop, 2, async {
        assert_eq!(reshaped(&shop, 8).await["stripes"], 8);
    });
    (status.await, shop.available("mug").await)
}

#[tokio::test]
async fn stk_1_a_run_that_was_overtaken_is_refused() {
    assert_eq!(overtaken_merge(true).await, (409, 40));
}

#[tokio::test]
async fn stk_1_without_the_shape_a_run_that_was_overtaken_puts_units_out_of_reach() {
    assert_eq!(overtaken_merge(false).await, (200, 20));
}

/// The first reshaping of a pool whose header is of an older release.
async fn overtaken_first_split(guarded: bool) -> u16 {
    let shop = shop_with(40).await;
    if !guarded {
        shop.engine.wire.rewrite(without("attribute_exists(pk) AND attribute_not_exists(shape)", ""));
    }
    let status = reshape_around(&shop, 64, async {
        reshaped(&shop, 2).await;
        reshaped(&shop, 1).await;
    });
    let status = status.await;
    assert_eq!(shop.available("mug").await, 40);
    status
}

#[tokio::test]
async fn stk_1_a_first_run_that_was_overtaken_is_refused() {
    assert_eq!(overtaken_first_split(true).await, 409);
}

#[tokio::test]
async fn stk_1_without_the_absence_of_a_shape_a_first_run_is_not_refused() {
    assert_eq!(overtaken_first_split(false).await, 200);
}

/// A merge of stripes that an order takes from meanwhile: the units afterwards, of which the order left 2.
async fn merge_around_an_order(guarded: bool) -> i64 {
    let shop = shop_with(20).await;
    reshaped(&shop, 4).await;
    if !guarded {
        shop.engine.wire.rewrite(without("version = :seen", ":seen"));
    }
    let order = async {
        // It takes from every stripe.
        assert_eq!(shop.order(&Who::customer("c-1"), "k", "mug", 18).await.status, 201);
    };
    assert_eq!(reshape_around(&shop, 1, order).await, 200);
    sum(&levels(&shop).await)
}

#[tokio::test]
async fn stk_1_a_merge_moves_what_an_order_left() {
    assert_eq!(merge_around_an_order(true).await, 2);
}

#[tokio::test]
async fn stk_1_without_the_version_a_merge_brings_sold_units_back() {
    assert!(merge_around_an_order(false).await > 2);
}

/// A split of a stripe that an order takes from meanwhile: what the stripes have afterwards.
async fn split_around_an_order(guarded: bool) -> Vec<i64> {
    let shop = shop_with(10).await;
    if !guarded {
        shop.engine.wire.rewrite(without("available >= :quantity", ""));
    }
    let order = async {
        assert_eq!(shop.order(&Who::customer("c-1"), "k", "mug", 8).await.status, 201);
    };
    assert_eq!(reshape_around(&shop, 2, order).await, 200);
    levels(&shop).await
}

#[tokio::test]
async fn ord_2_a_split_takes_what_an_order_left() {
    assert_eq!(split_around_an_order(true).await, [1, 1]);
}

#[tokio::test]
async fn ord_2_without_the_quantity_a_split_takes_units_that_are_not_there() {
    assert_eq!(split_around_an_order(false).await, [-3, 5]);
}

/// A split of a pool that has a stripe too many, as after a restore by hand; the units in the table afterwards.
async fn split_over_a_stray(guarded: bool) -> (u16, i64) {
    let shop = shop_with(10).await;
    let stray = json!({
        "pk": {"S": "acme#pool#stock#mug@main#1"}, "sk": {"S": "stripe"}, "available": {"N": "7"},
        "price_version": {"N": "1"}, "version": {"N": "1"},
    });
    let put = json!({"TableName": shop.engine.table, "Item": stray});
    shop.engine.dynamodb().call("PutItem", &put).await.unwrap();
    if !guarded {
        shop.engine.wire.rewrite(without("attribute_not_exists(pk)", ""));
    }
    let status = reshape(&shop, 2).await.status;
    let stripes = shop.engine.evidence().await.stock;
    (status, stripes.values().map(|stock| stock.available).sum())
}

#[tokio::test]
async fn stk_1_a_stripe_that_the_header_does_not_know_is_not_written_over() {
    assert_eq!(split_over_a_stray(true).await, (500, 17));
}

#[tokio::test]
async fn stk_1_without_the_absence_of_a_stripe_its_units_are_written_over() {
    assert_eq!(split_over_a_stray(false).await, (200, 10));
}
