//! Carts: stock is held, and a hold ends once.

use crate::faults::each_call_fails;
use holdfast_tests::back_office::BackOffice;
use holdfast_tests::clock::TestClock;
use holdfast_tests::engine::Engine;
use holdfast_tests::requests::{Answer, Request, Who, order_of};
use holdfast_tests::shop::Shop;
use jiff::SignedDuration;
use maintenance::Job;
use serde_json::{Value, json};

fn cart(quantity: i64) -> Value {
    json!({"lines": [{"product_id": "mug", "quantity": quantity}], "ttl_seconds": 600})
}

async fn shop(quantity: i64) -> Shop {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    shop.sell("mug", quantity).await;
    shop
}

async fn reserve(shop: &Shop, who: &Who, key: &str, body: &Value) -> Answer {
    Request::post("/reservations", body).key(key).send(&shop.orders, Some(who)).await
}

fn path(reserved: &Answer) -> String {
    format!("/reservations/{}", reserved.body["reservation_id"].as_str().unwrap_or_else(|| panic!("{reserved:?}")))
}

fn delivery() -> Value {
    let order = order_of("mug", 1);
    json!({"shipping_address": order["shipping_address"], "payment_method": order["payment_method"]})
}

async fn confirm(shop: &Shop, who: &Who, path: &str, body: &Value) -> Answer {
    Request::post(&format!("{path}/confirm"), body).send(&shop.orders, Some(who)).await
}

async fn release(shop: &Shop, who: &Who, path: &str) -> Answer {
    Request::delete(path).send(&shop.orders, Some(who)).await
}

#[tokio::test]
async fn stk_2_a_cart_becomes_an_order_with_its_id_and_price() {
    let shop = shop(5).await;
    let who = Who::customer("c-1");
    let reserved = reserve(&shop, &who, "k", &cart(2)).await;
    assert_eq!((reserved.status, &reserved.body["state"]), (201, &json!("held")), "{reserved:?}");
    assert_eq!(shop.available("mug").await, 3);
    let again = reserve(&shop, &who, "k", &cart(2)).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"));
    assert_eq!(again.body["reservation_id"], reserved.body["reservation_id"]);
    assert_eq!(reserve(&shop, &who, "k", &cart(3)).await.slug(), "idempotency-key-reused");
    // It is no order yet, in no list, and the key is free for an order.
    let id = reserved.body["reservation_id"].as_str().unwrap();
    let order = format!("/orders/{id}");
    assert_eq!(Request::get(&order).send(&shop.orders, Some(&who)).await.status, 404);
    assert_eq!(Request::post(&format!("{order}/cancel"), &json!({})).send(&shop.orders, Some(&who)).await.status, 404);
    for lister in [&who, &Who::staff()] {
        assert_eq!(Request::get("/orders").send(&shop.orders, Some(lister)).await.body["orders"], json!([]));
    }
    assert_eq!(shop.order(&who, "k", "mug", 1).await.status, 201);
    // The price binds at the claim.
    shop.price("mug", 9999).await;
    let path = path(&reserved);
    let confirmed = confirm(&shop, &who, &path, &delivery()).await;
    assert_eq!((confirmed.status, &confirmed.body["order_id"]), (201, &json!(id)), "{confirmed:?}");
    assert_eq!((&confirmed.body["state"], &confirmed.body["total"]["amount"]), (&json!("placed"), &json!(2 * 1999)));
    assert_eq!(confirmed.header("location"), order);
    let replayed = confirm(&shop, &who, &path, &delivery()).await;
    assert_eq!((replayed.status, replayed.header("idempotent-replayed")), (200, "true"));
    let mut elsewhere = delivery();
    elsewhere["shipping_address"]["city"] = json!("Bonn");
    let other = confirm(&shop, &who, &path, &elsewhere).await;
    assert_eq!((other.status, other.slug(), &other.body["ended"]), (409, "hold-ended", &json!("confirmed")));
    let listed = Request::get("/orders").send(&shop.orders, Some(&who)).await;
    assert_eq!(listed.body["orders"].as_array().unwrap().len(), 2);
    assert_eq!(Request::get(&path).send(&shop.orders, Some(&who)).await.body["state"], "confirmed");
    assert_eq!(shop.available("mug").await, 2);
    shop.laws_hold().await;
}

#[tokio::test]
async fn stk_2_exactly_one_of_confirm_release_and_expire_wins() {
    let shop = shop(100).await;
    let who = Who::customer("c-1");
    for round in 0..12 {
        let reserved = reserve(&shop, &who, &format!("k-{round}"), &cart(1)).await;
        let path = path(&reserved);
        let body = delivery();
        // In every third round the time is over, so that whoever comes first finds it expired.
        if round % 3 == 2 {
            shop.clock.advance(SignedDuration::from_secs(601));
        }
        shop.engine.wire.meet("GetItem", 2);
        let (confirmed, released) = tokio::join!(confirm(&shop, &who, &path, &body), release(&shop, &who, &path));
        shop.engine.wire.meet("GetItem", 1);
        let ended = Request::get(&path).send(&shop.orders, Some(&who)).await.body["state"].clone();
        let winners = [confirmed.status == 201, released.status == 200].iter().filter(|won| **won).count();
        assert_eq!(winners, usize::from(ended != "expired"), "{round}: {confirmed:?} {released:?}");
        for loser in [&confirmed, &released].into_iter().filter(|answer| answer.status >= 400) {
            assert_eq!((loser.status, loser.slug(), &loser.body["ended"]), (409, "hold-ended", &ended), "{loser:?}");
        }
        shop.laws_hold().await;
    }
}

/// Two requests at the same instant look alike in the history; only one of them has its address in the order.
#[tokio::test]
async fn stk_2_two_confirmations_at_the_same_instant_are_told_apart() {
    let shop = shop(5).await;
    let who = Who::customer("c-1");
    let path = path(&reserve(&shop, &who, "k", &cart(1)).await);
    let (berlin, mut bonn) = (delivery(), delivery());
    bonn["shipping_address"]["city"] = json!("Bonn");
    shop.engine.wire.meet("UpdateItem", 2);
    let (one, other) = tokio::join!(confirm(&shop, &who, &path, &berlin), confirm(&shop, &who, &path, &bonn));
    let (won, lost) = if one.status == 201 { (one, other) } else { (other, one) };
    assert_eq!((won.status, lost.status, lost.slug()), (201, 409, "hold-ended"), "{won:?} {lost:?}");
    let order = format!("/orders/{}", won.body["order_id"].as_str().unwrap());
    let read = Request::get(&order).send(&shop.orders, Some(&who)).await;
    assert_eq!(read.body["shipping_address"], won.body["shipping_address"]);
    shop.laws_hold().await;
}

#[tokio::test]
async fn ord_13_a_cart_that_nobody_confirms_gives_its_stock_back() {
    let shop = shop(5).await;
    let back = BackOffice::open(&shop.engine, &shop.clock).await;
    let who = Who::customer("c-1");
    let reserved = reserve(&shop, &who, &shop.engine.table, &cart(2)).await;
    back.relay().await;
    shop.clock.advance(SignedDuration::from_mins(30));
    // The search for late holds sends the timer again.
    assert_eq!(back.maintain(Job::LateHolds).await.published, 1);
    back.drain().await;
    let path = path(&reserved);
    let read = Request::get(&path).send(&shop.orders, Some(&who)).await;
    assert_eq!(read.body["state"], "expired", "{read:?}");
    assert_eq!(shop.available("mug").await, 5);
    assert_eq!(confirm(&shop, &who, &path, &delivery()).await.body["ended"], "expired");
    assert_eq!(release(&shop, &who, &path).await.body["ended"], "expired");
    shop.laws_hold().await;
}

#[tokio::test]
async fn stk_2_holds_whatever_call_of_a_cart_fails() {
    for ends_by in ["confirm", "release"] {
        each_call_fails(async |fault| {
            let shop = shop(5).await;
            let who = Who::customer("c-1");
            shop.engine.wire.count(fault);
            let mut reserved = reserve(&shop, &who, "k", &cart(2)).await;
            if reserved.status >= 500 {
                reserved = reserve(&shop, &who, "k", &cart(2)).await;
            }
            let path = path(&reserved);
            let end = async || match ends_by {
                "confirm" => confirm(&shop, &who, &path, &delivery()).await,
                _ => release(&shop, &who, &path).await,
            };
            let mut ended = end().await;
            if ended.status >= 500 {
                ended = end().await;
            }
            let counted = shop.engine.wire.counted();
            assert!(matches!(ended.status, 200 | 201), "{fault:?}: {ended:?}");
            assert_eq!(shop.available("mug").await, if ends_by == "confirm" { 3 } else { 5 }, "{fault:?}");
            shop.laws_hold().await;
            counted
        })
        .await;
    }
}

#[tokio::test]
async fn bad_carts_are_named_and_hold_nothing() {
    let shop = shop(5).await;
    let who = Who::customer("c-1");
    let cases = [
        (json!({"ttl_seconds": 0}), "ttl_seconds"),
        (json!({"ttl_seconds": -1}), "ttl_seconds"),
        (json!({"ttl_seconds": 86_401}), "ttl_seconds"),
        (json!({"ttl_seconds": i64::MAX}), "ttl_seconds"),
        (json!({"lines": []}), "lines"),
        (json!({"lines": [{"product_id": "mug", "quantity": 0}]}), "lines[0].quantity"),
        (json!({"currency": "EURO"}), "currency"),
        (json!({"country": "Germany"}), "country"),
        (json!({"coupon": "X"}), "coupon"),
    ];
    for (change, field) in cases {
        let mut body = cart(1);
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = reserve(&shop, &who, "k", &body).await;
        assert_eq!((answer.status, answer.fields()), (400, vec![field]), "{body}");
    }
    let no_key = Request::post("/reservations", &cart(1)).send(&shop.orders, Some(&who)).await;
    assert_eq!((no_key.status, no_key.slug()), (400, "idempotency-key-missing"));
    assert_eq!(reserve(&shop, &who, "k", &cart(6)).await.slug(), "out-of-stock");
    assert_eq!(shop.available("mug").await, 5);
    // Somebody else's cart is nobody's.
    let reserved = reserve(&shop, &who, "k", &cart(1)).await;
    let path = path(&reserved);
    for stranger in [Who::customer("c-2"), Who::customer("c-1").of("other")] {
        assert_eq!(Request::get(&path).send(&shop.orders, Some(&stranger)).await.status, 404);
        assert_eq!(release(&shop, &stranger, &path).await.status, 404);
        assert_eq!(confirm(&shop, &stranger, &path, &delivery()).await.status, 404);
    }
    assert_eq!(Request::get("/reservations/x").send(&shop.orders, Some(&who)).await.fields(), ["reservation_id"]);
    // An order is no reservation.
    let order = shop.order(&who, "o", "mug", 1).await;
    let as_cart = format!("/reservations/{}", order.body["order_id"].as_str().unwrap());
    assert_eq!(release(&shop, &who, &as_cart).await.status, 404);
    assert_eq!(shop.available("mug").await, 3);
    shop.laws_hold().await;
}
