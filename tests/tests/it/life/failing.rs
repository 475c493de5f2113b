//! Every call of shipping, delivering and taking back fails in turn, in every way; what failed is repeated, and the laws
//! hold.

use super::{Life, amounts};
use crate::faults::each_call_fails;
use holdfast_tests::requests::order_of;
use jiff::SignedDuration;
use maintenance::Job;
use serde_json::json;

#[tokio::test]
async fn ship_1_holds_whatever_call_of_a_shipment_fails() {
    each_call_fails(async |fault| {
        let life = Life::open().await;
        life.shop.sell("mug", 5).await;
        let id = life.paid(&order_of("mug", 2), "k").await;
        let path = format!("/orders/{id}/shipments");
        assert_eq!(life.post(&path, "s", json!({})).await.status, 202);
        life.shop.engine.wire.count(fault);
        life.back.relay().await;
        life.back.work().await;
        life.back.work().await;
        let counted = life.shop.engine.wire.counted();
        life.back.drain().await;
        // What the relay kept is due after half a minute.
        life.shop.clock.advance(SignedDuration::from_mins(1));
        life.back.maintain(Job::OutboxSweep).await;
        life.back.drain().await;
        let order = life.read(&id).await;
        assert_eq!((&order["state"], amounts(&order, "captured")), (&json!("shipped"), vec![3998]), "{fault:?}");
        assert_eq!(life.back.bookings(&id).await, 1, "{fault:?}");
        life.shop.laws_hold().await;
        counted
    })
    .await;
}

#[tokio::test]
async fn ord_10_holds_whatever_call_of_a_return_fails() {
    each_call_fails(async |fault| {
        let life = Life::open().await;
        life.shop.sell("mug", 5).await;
        let id = life.paid(&order_of("mug", 2), "k").await;
        let shipped = life.ship(&id, "s", json!({})).await;
        assert_eq!(life.delivered(&shipped["shipments"][0]).await.status, 200);
        life.shop.engine.wire.count(fault);
        let lines = json!([{"line": 0, "quantity": 1, "restock": true}]);
        let mut returned = life.take_back(&id, "r", lines.clone()).await;
        life.back.relay().await;
        life.back.work().await;
        life.back.work().await;
        let counted = life.shop.engine.wire.counted();
        if returned.status >= 500 {
            returned = life.take_back(&id, "r", lines).await;
        }
        assert!(matches!(returned.status, 200 | 201), "{fault:?}: {returned:?}");
        life.back.drain().await;
        life.shop.clock.advance(SignedDuration::from_mins(1));
        life.back.maintain(Job::OutboxSweep).await;
        life.back.drain().await;
        let order = life.read(&id).await;
        assert_eq!(
            (order["returns"].as_array().unwrap().len(), amounts(&order, "refunded")),
            (1, vec![1999]),
            "{fault:?}"
        );
        assert_eq!(life.shop.available("mug").await, 4, "{fault:?}");
        life.shop.laws_hold().await;
        counted
    })
    .await;
}

#[tokio::test]
async fn ship_1_holds_whatever_call_of_a_delivery_fails() {
    each_call_fails(async |fault| {
        let life = Life::open().await;
        life.shop.sell("mug", 5).await;
        let id = life.paid(&order_of("mug", 2), "k").await;
        let shipped = life.ship(&id, "s", json!({})).await;
        life.shop.engine.wire.count(fault);
        let mut delivered = life.delivered(&shipped["shipments"][0]).await;
        let counted = life.shop.engine.wire.counted();
        if delivered.status >= 500 {
            delivered = life.delivered(&shipped["shipments"][0]).await;
        }
        assert_eq!(
            (delivered.status, &delivered.body["state"]),
            (200, &json!("delivered")),
            "{fault:?}: {delivered:?}"
        );
        let order = life.read(&id).await;
        let arrived = order["history"].as_array().unwrap().iter().filter(|entry| entry["type"] == "delivered").count();
        assert_eq!(arrived, 1, "{fault:?}: {order}");
        life.shop.laws_hold().await;
        counted
    })
    .await;
}

#[tokio::test]
async fn pay_5_holds_whatever_call_of_a_refund_fails() {
    each_call_fails(async |fault| {
        let life = Life::open().await;
        life.shop.sell("mug", 5).await;
        let id = life.paid(&order_of("mug", 2), "k").await;
        life.ship(&id, "s", json!({})).await;
        let (path, body) = (format!("/orders/{id}/refunds"), json!({"amount": 100, "reason": "a scratch"}));
        life.shop.engine.wire.count(fault);
        let mut refunded = life.post(&path, "r", body.clone()).await;
        life.back.relay().await;
        life.back.work().await;
        life.back.work().await;
        let counted = life.shop.engine.wire.counted();
        if refunded.status >= 500 {
            refunded = life.post(&path, "r", body).await;
        }
        assert!(matches!(refunded.status, 200 | 202), "{fault:?}: {refunded:?}");
        life.back.drain().await;
        life.shop.clock.advance(SignedDuration::from_mins(1));
        life.back.maintain(Job::OutboxSweep).await;
        life.back.drain().await;
        assert_eq!(amounts(&life.read(&id).await, "refunded"), [100], "{fault:?}");
        life.shop.laws_hold().await;
        counted
    })
    .await;
}

/// Two returns of the last unit, which both read the order before either writes: it comes back once. Without the condition
/// on the version it is in stock twice.
async fn two_returns(guarded: bool) -> (usize, u64) {
    let life = Life::open().await;
    life.shop.sell("mug", 1).await;
    let id = life.paid(&order_of("mug", 1), "k").await;
    let shipped = life.ship(&id, "s", json!({})).await;
    assert_eq!(life.delivered(&shipped["shipments"][0]).await.status, 200);
    if !guarded {
        life.shop.engine.wire.rewrite(|operation, body| {
            if operation != "TransactWriteItems" {
                return;
            }
            let order = &mut body["TransactItems"][0]["Update"];
            if order["ConditionExpression"] == "version = :before" {
                order["ConditionExpression"] = json!("attribute_exists(pk) AND :before = :before");
            }
        });
    }
    life.shop.engine.wire.meet("TransactWriteItems", 2);
    let lines = || json!([{"line": 0, "quantity": 1, "restock": true}]);
    let (one, other) = tokio::join!(life.take_back(&id, "r-1", lines()), life.take_back(&id, "r-2", lines()));
    let done = [one.status, other.status].iter().filter(|status| **status == 201).count();
    (done, life.shop.available("mug").await)
}

#[tokio::test]
async fn ord_10_the_last_unit_comes_back_once() {
    assert_eq!(two_returns(true).await, (1, 1));
}

#[tokio::test]
async fn control_without_the_version_the_last_unit_comes_back_twice() {
    assert_eq!(two_returns(false).await, (2, 2));
}
