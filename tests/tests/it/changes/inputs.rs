//! Bad input to what changes orders: a 4xx that names the field, and nothing written.

use super::{ada, id, later, merge, patch, path, place, shop};
use holdfast_tests::requests::{Answer, Request};
use serde_json::{Value, json};

#[tokio::test]
async fn ord_9_a_bad_change_names_its_field_and_writes_nothing() {
    let shop = shop().await;
    let placed = place(&shop, "k", &later(&[("mug", 3)])).await;
    let before = shop.engine.items().await;
    let line = |line: Value| json!({"lines": [line]});
    let cases = [
        (json!({}), "body"),
        (json!([]), "body"),
        (json!({"lines": []}), "lines"),
        (json!({"lines": {}}), "lines"),
        (line(json!({"product_id": "mug"})), "lines[0].quantity"),
        (line(json!({"product_id": "mug", "quantity": 0})), "lines[0].quantity"),
        (line(json!({"product_id": "mug", "quantity": 10_001})), "lines[0].quantity"),
        (line(json!({"product_id": "a#b", "quantity": 1})), "lines[0].product_id"),
        (line(json!({"product_id": "mug", "quantity": 1, "unit_price": -1})), "lines[0].unit_price"),
        (line(json!({"product_id": "mug", "quantity": 1, "colour": 1})), "lines[0].colour"),
        (json!({"payment_method": "4242424242424242"}), "payment_method"),
        (json!({"payment_method": 1}), "payment_method"),
        (json!({"shipping_address": {"name": "A"}}), "shipping_address.line1"),
        (
            json!({"shipping_address": {"name": "", "line1": "B", "city": "C", "country": "DE"}}),
            "shipping_address.name",
        ),
        (json!({"currency": "USD"}), "currency"),
        (json!({"coupon": "TEN"}), "coupon"),
        (json!({"expires_at": "2030-01-01T00:00:00Z"}), "expires_at"),
    ];
    for (body, field) in cases {
        let refused = patch(&shop, &placed, &body).await;
        assert_eq!((refused.status, refused.slug()), (400, "invalid-request"), "{body}: {refused:?}");
        assert!(refused.fields().contains(&field), "{body}: {:?} lacks {field}", refused.fields());
    }
    let missing = Request::post(&path(&placed), &json!({"payment_method": "pm_card_visa"}));
    assert_eq!(missing.send(&shop.orders, Some(&ada())).await.status, 405);
    let bare = Answer { headers: Default::default(), ..placed.clone() };
    let bare = Request::patch_of(&path(&placed), &json!({"payment_method": "pm_card_visa"}), &bare);
    assert_eq!(bare.send(&shop.orders, Some(&ada())).await.status, 400, "an empty tag names no version");
    let unnamed = Request::delete(&path(&placed)).method("PATCH").raw("{\"payment_method\":\"pm_card_visa\"}");
    let unnamed = unnamed.send(&shop.orders, Some(&ada())).await;
    assert_eq!((unnamed.status, unnamed.slug(), unnamed.fields()), (428, "precondition-required", vec!["If-Match"]));
    let too_many =
        patch(&shop, &placed, &json!({"lines": vec![json!({"product_id": "mug", "quantity": 1}); 5_001]})).await;
    assert_eq!((too_many.status, too_many.slug()), (422, "too-many-lines"));
    assert_eq!(before, shop.engine.items().await);
}

#[tokio::test]
async fn ord_10_a_bad_split_or_merge_names_its_field_and_writes_nothing() {
    let shop = shop().await;
    let placed = place(&shop, "k", &later(&[("mug", 3)])).await;
    let before = shop.engine.items().await;
    let line = |line: Value| json!({"lines": [line]});
    let cases = [
        ("split", json!({}), "lines"),
        ("split", json!({"lines": []}), "lines"),
        ("split", json!({"lines": vec![json!({"line": 0, "quantity": 1}); 401]}), "lines"),
        ("split", line(json!({"line": 0})), "lines[0].quantity"),
        ("split", line(json!({"line": 0, "quantity": 0})), "lines[0].quantity"),
        ("split", line(json!({"line": -1, "quantity": 1})), "lines[0].line"),
        ("split", line(json!({"line": 0, "quantity": 1, "product_id": "mug"})), "lines[0].product_id"),
        ("split", json!({"lines": [], "why": 1}), "why"),
        ("merge", json!({}), "order_id"),
        ("merge", json!({"order_id": "x"}), "order_id"),
        ("merge", json!({"order_id": 1}), "order_id"),
        ("merge", json!({"order_id": id(&placed)}), "order_id"),
        ("merge", json!({"order_id": id(&placed), "key": 1}), "key"),
    ];
    for (route, body, field) in cases {
        let request = Request::post(&format!("{}/{route}", path(&placed)), &body);
        let refused = request.clone().key("k").send(&shop.orders, Some(&ada())).await;
        assert_eq!((refused.status, refused.slug()), (400, "invalid-request"), "{body}: {refused:?}");
        assert!(refused.fields().contains(&field), "{body}: {:?} lacks {field}", refused.fields());
    }
    for (route, body) in [
        ("split", line(json!({"line": 0, "quantity": 1}))),
        ("merge", json!({"order_id": "6ba7b810-9dad-41d1-80b4-00c04fd430c8"})),
    ] {
        let request = Request::post(&format!("{}/{route}", path(&placed)), &body);
        assert_eq!(request.send(&shop.orders, Some(&ada())).await.slug(), "idempotency-key-missing");
    }
    let nobody = Answer { body: json!({"order_id": "6ba7b810-9dad-41d1-80b4-00c04fd430c8"}), ..placed.clone() };
    assert_eq!(merge(&shop, &placed, &nobody).await.status, 404);
    assert_eq!(before, shop.engine.items().await);
}
