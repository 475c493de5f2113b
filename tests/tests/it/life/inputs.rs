//! What is refused, and changes nothing.

use super::Life;
use holdfast_tests::requests::{Request, Who, order_of};
use jiff::SignedDuration;
use serde_json::json;

#[tokio::test]
async fn ord_8_what_cannot_be_shipped_or_come_back_is_told_and_changes_nothing() {
    let life = Life::open().await;
    life.shop.sell("mug", 9).await;
    let id = life.paid(&order_of("mug", 2), "k").await;
    let before = life.read(&id).await;
    let (ship, back) = (format!("/orders/{id}/shipments"), format!("/orders/{id}/returns"));
    let units = |line: i64, quantity: i64| json!({"line": line, "quantity": quantity});
    for (path, body, status, slug, field) in [
        (&ship, json!({"lines": [units(0, 3)]}), 422, "not-shippable", "lines"),
        (&ship, json!({"lines": [units(0, 1), units(0, 2)]}), 422, "not-shippable", "lines"),
        (&ship, json!({"lines": [units(1, 1)]}), 422, "not-shippable", "lines"),
        (&ship, json!({"lines": []}), 400, "invalid-request", "lines"),
        (&ship, json!({"lines": [units(0, 0)]}), 400, "invalid-request", "lines[0].quantity"),
        (&ship, json!({"lines": [units(0, 10_001)]}), 400, "invalid-request", "lines[0].quantity"),
        (&ship, json!({"warehouse": "ma#in"}), 400, "invalid-request", "warehouse"),
        (&ship, json!({"warehouse": "west"}), 422, "not-shippable", ""),
        (&ship, json!({"parcel": 1}), 400, "invalid-request", ""),
        (&back, json!({"lines": []}), 400, "invalid-request", "lines"),
        (
            &back,
            json!({"lines": [{"line": 0, "quantity": -1, "restock": true}]}),
            400,
            "invalid-request",
            "lines[0].quantity",
        ),
        (&back, json!({"lines": [{"line": 0, "quantity": 1, "restock": true}]}), 409, "illegal-transition", ""),
        (&back, json!({"lines": [{"line": 0, "quantity": 1}]}), 400, "invalid-request", ""),
        (
            &back,
            json!({"lines": [{"line": 0, "quantity": 1, "restock": true}], "reason": "a\u{7}"}),
            400,
            "invalid-request",
            "reason",
        ),
    ] {
        let answer = life.post(path, "key", body.clone()).await;
        assert_eq!((answer.status, answer.slug()), (status, slug), "{body}: {answer:?}");
        if !field.is_empty() {
            assert_eq!(answer.body["errors"][0]["field"], field, "{body}: {answer:?}");
        }
    }
    let keyless = Request::post(&ship, &json!({})).send(&life.shop.orders, Some(&Who::staff())).await;
    assert_eq!((keyless.status, keyless.slug()), (400, "idempotency-key-missing"));
    for path in [&ship, &back, &format!("/orders/{id}/refunds")] {
        let body = match path.rsplit('/').next() {
            Some("refunds") => json!({"amount": 1}),
            Some("returns") => json!({"lines": [{"line": 0, "quantity": 1, "restock": true}]}),
            _ => json!({}),
        };
        let buyer = Request::post(path, &body).key("k").send(&life.shop.orders, Some(&Who::customer("c-1"))).await;
        assert_eq!((buyer.status, buyer.slug()), (403, "forbidden"), "{path}: {buyer:?}");
        let stranger = Who::staff().of("other");
        let foreign = Request::post(path, &body).key("k").send(&life.shop.orders, Some(&stranger)).await;
        assert_eq!(foreign.status, 404, "{path}: {foreign:?}");
    }
    assert_eq!(life.read(&id).await, before);
}

#[tokio::test]
async fn ord_8_an_order_on_its_way_does_not_go_back() {
    let life = Life::open().await;
    life.shop.sell("mug", 9).await;
    let id = life.paid(&order_of("mug", 2), "k").await;
    for (shipment, status, slug) in [
        (format!("{id}-1"), 404, "not-found"),
        (id.clone(), 400, "invalid-request"),
        ("mug".to_owned(), 400, "invalid-request"),
        ("mug-1".to_owned(), 400, "invalid-request"),
    ] {
        let answer = life.post(&format!("/shipments/{shipment}/delivered"), "k", json!({})).await;
        assert_eq!((answer.status, answer.slug()), (status, slug), "{shipment}: {answer:?}");
    }
    let asked = life.post(&format!("/orders/{id}/shipments"), "s", json!({})).await;
    assert_eq!(asked.body["state"], "shipping");
    let early = life.delivered(&asked.body["shipments"][0]).await;
    assert_eq!((early.status, early.slug(), &early.body["state"]), (409, "not-shipped", &json!("requested")));
    life.back.drain().await;
    let twice = life.post(&format!("/orders/{id}/shipments"), "s-2", json!({})).await;
    assert_eq!((twice.status, twice.slug()), (409, "illegal-transition"), "{twice:?}");
    assert_eq!((&twice.body["from"], &twice.body["to"]), (&json!("shipped"), &json!("shipping")));
    let cancelled = life.cancel(&id).await;
    assert_eq!((cancelled.status, cancelled.slug()), (409, "illegal-transition"), "{cancelled:?}");
}

/// The shop says for how long units may come back.
#[tokio::test]
async fn ord_10_units_come_back_within_the_shops_time() {
    let life = Life::open().await;
    let policy = json!({"capture": "when-shipped", "return_days": 14});
    let put = Request::put("/order-policy", &policy).send(&life.shop.catalog, Some(&Who::staff())).await;
    assert_eq!((put.status, &put.body), (201, &policy));
    for (body, field) in [
        (json!({"capture": "later", "return_days": 14}), "capture"),
        (json!({"capture": "at-once", "return_days": -1}), "return_days"),
        (json!({"capture": "at-once", "return_days": 3651}), "return_days"),
    ] {
        let refused = Request::put("/order-policy", &body).send(&life.shop.catalog, Some(&Who::staff())).await;
        assert_eq!((refused.status, &refused.body["errors"][0]["field"]), (400, &json!(field)), "{refused:?}");
    }
    life.shop.sell("mug", 9).await;
    let id = life.paid(&order_of("mug", 2), "k").await;
    let shipped = life.ship(&id, "s", json!({})).await;
    assert_eq!(life.delivered(&shipped["shipments"][0]).await.status, 200);
    let one = || json!([{"line": 0, "quantity": 1, "restock": true}]);
    life.shop.clock.advance(SignedDuration::from_hours(24 * 14));
    assert_eq!(life.take_back(&id, "r-1", one()).await.status, 201);
    life.shop.clock.advance(SignedDuration::from_secs(1));
    let late = life.take_back(&id, "r-2", one()).await;
    assert_eq!((late.status, late.slug()), (409, "return-window-over"), "{late:?}");
    assert_eq!(life.shop.available("mug").await, 8);
}
