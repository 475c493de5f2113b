//! Orders whose money is not paid out although it was authorised (PAY-1).

use super::{Life, amounts};
use holdfast_tests::provider;
use holdfast_tests::requests::order_of;
use serde_json::json;

/// Three warehouses, and an authorisation that expired: nothing leaves after the shipment that finds out.
#[tokio::test]
async fn pay_1_nothing_more_leaves_when_the_provider_does_not_pay_out() {
    let life = Life::open().await;
    life.shop.price("mug", 1999).await;
    for warehouse in ["east", "north", "west"] {
        life.shop.receive_at("mug", warehouse, 1).await;
    }
    let id = life.paid(&order_of("mug", 3), "k").await;
    provider::expire(&id, false).await;
    let order = life.ship(&id, "s", json!({})).await;
    let shipments = order["shipments"].as_array().unwrap();
    let states: Vec<_> = shipments.iter().map(|shipment| shipment["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["shipped", "refused", "refused"], "{order}");
    assert_eq!(shipments[1]["reason"], "payment-failed");
    assert_eq!((&order["state"], &order["payment"]["status"]), (&json!("partially_shipped"), &json!("capture_failed")));
    assert_eq!((amounts(&order, "captured").len(), life.back.bookings(&id).await), (0, 1));
    let more = life.post(&format!("/orders/{id}/shipments"), "s-2", json!({})).await;
    assert_eq!((more.status, more.slug()), (409, "payment-failed"), "{more:?}");
    life.shop.laws_hold().await;
}
