//! Calls of reshaping, levelling and receiving that fail, and pools that are too busy.

use super::{ids, levels, reshape, reshaped, sell_out, shop_with};
use crate::faults::each_call_fails;
use holdfast_store::StoreError;
use holdfast_tests::requests::{Request, Who};
use holdfast_tests::shop::Shop;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

#[tokio::test]
async fn stk_1_holds_whatever_call_of_a_split_fails() {
    each_call_fails(async |fault| {
        let shop = shop_with(130).await;
        shop.engine.wire.count(fault);
        let first = reshape(&shop, 120).await;
        let counted = shop.engine.wire.counted();
        assert!(first.status == 200 || first.status >= 500, "{fault:?}: {first:?}");
        assert_eq!(reshaped(&shop, 120).await["stripes"], 120);
        let levels = levels(&shop).await;
        assert_eq!((levels.len(), levels.iter().sum::<i64>(), levels.iter().min()), (120, 130, Some(&1)), "{fault:?}");
        shop.laws_hold().await;
        counted
    })
    .await;
}

#[tokio::test]
async fn stk_1_holds_whatever_call_of_a_merge_fails() {
    each_call_fails(async |fault| {
        let shop = shop_with(130).await;
        reshaped(&shop, 120).await;
        shop.engine.wire.count(fault);
        let first = reshape(&shop, 2).await;
        let counted = shop.engine.wire.counted();
        assert!(first.status == 200 || first.status >= 500, "{fault:?}: {first:?}");
        assert_eq!(reshaped(&shop, 2).await["stripes"], 2);
        assert_eq!(levels(&shop).await.iter().sum::<i64>(), 130, "{fault:?}");
        shop.laws_hold().await;
        counted
    })
    .await;
}

#[tokio::test]
async fn stk_1_holds_whatever_call_of_levelling_fails() {
    each_call_fails(async |fault| {
        let shop = shop_with(100).await;
        reshaped(&shop, 4).await;
        assert_eq!(shop.order(&Who::customer("c-1"), "k", "mug", 25).await.status, 201);
        let (tenant, product, warehouse) = ids();
        let level = async || shop.engine.store().pool_rebalance(&tenant, &product, &warehouse).await;
        shop.engine.wire.count(fault);
        let first = level().await;
        let counted = shop.engine.wire.counted();
        let failed = matches!(first, Err(StoreError::Throttled | StoreError::Unavailable(_)));
        assert!(first.is_ok() || failed, "{fault:?}: {first:?}");
        level().await.unwrap();
        let levels = levels(&shop).await;
        // A quarter of the mean is near enough to be left alone.
        assert!(
            levels.iter().all(|level| level * 4 >= 18) && levels.iter().sum::<i64>() == 75,
            "{fault:?}: {levels:?}"
        );
        shop.laws_hold().await;
        counted
    })
    .await;
}

#[tokio::test]
async fn stk_1_holds_whatever_call_of_a_spread_receipt_fails() {
    each_call_fails(async |fault| {
        let shop = shop_with(8).await;
        reshaped(&shop, 8).await;
        let body = json!({"warehouse": "main", "quantity": 80});
        let receive = Request::post("/stock/mug/receipts", &body).key("k");
        shop.engine.wire.count(fault);
        let mut answer = receive.send(&shop.inventory, Some(&Who::staff())).await;
        let counted = shop.engine.wire.counted();
        if answer.status >= 500 {
            answer = receive.send(&shop.inventory, Some(&Who::staff())).await;
        }
        assert!(matches!(answer.status, 200 | 201), "{fault:?}: {answer:?}");
        assert_eq!(levels(&shop).await.iter().sum::<i64>(), 88, "{fault:?}");
        shop.laws_hold().await;
        counted
    })
    .await;
}

/// Lets reshapings find that others were faster whenever they touch more than `width` stripes at once, as is likely in a
/// pool that is sold from; how many actions each transaction had.
fn crowded(shop: &Shop, width: usize) -> Arc<Mutex<Vec<usize>>> {
    let seen = Arc::<Mutex<Vec<usize>>>::default();
    let noted = Arc::clone(&seen);
    shop.engine.wire.rewrite(move |_, request| {
        let Some(items) = request["TransactItems"].as_array_mut() else { return };
        noted.lock().unwrap().push(items.len());
        // Past the header's and the product's.
        if items.len() > width + 2 {
            let last = items.last_mut().and_then(Value::as_object_mut).unwrap();
            for action in last.values_mut() {
                action["ConditionExpression"] = json!("attribute_exists(pk) AND attribute_not_exists(pk)");
                let used = action["UpdateExpression"].is_string();
                if let Some(action) = action.as_object_mut().filter(|_| !used) {
                    action.remove("ExpressionAttributeValues");
                }
            }
        }
    });
    seen
}

#[tokio::test]
async fn stk_1_a_busy_pool_is_reshaped_by_small_steps() {
    let shop = shop_with(40).await;
    let seen = crowded(&shop, 6);
    assert_eq!(reshaped(&shop, 30).await["stripes"], 30);
    assert_eq!(reshaped(&shop, 2).await["stripes"], 2);
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    assert!(seen.iter().any(|items| *items > 8) && seen.iter().filter(|items| **items <= 8).count() > 10, "{seen:?}");
    assert_eq!(sell_out(&shop).await, 40);
    shop.laws_hold().await;
}

#[tokio::test]
async fn a_pool_that_stays_too_busy_is_told_so_and_left_whole() {
    let shop = shop_with(40).await;
    let seen = crowded(&shop, 0);
    let busy = reshape(&shop, 8).await;
    assert_eq!((busy.status, busy.slug(), busy.header("retry-after")), (503, "busy", "1"));
    assert_eq!(*seen.lock().unwrap(), [10, 10, 10, 10, 8, 5, 4, 4], "each try is half as wide, and there are eight");
    assert_eq!(levels(&shop).await, [40]);
    shop.engine.wire.rewrite(|_, _| {});
    assert_eq!(reshaped(&shop, 8).await["before"], 1);
    shop.laws_hold().await;
}
