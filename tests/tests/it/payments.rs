//! Payments to their end: captures by shipment or at once, refunds, declines, and what the provider does wrong. The
//! provider is localstripe behind the proxy of `infra/local`.

mod faults;

use holdfast_domain::event::Trace;
use holdfast_domain::ids::{CustomerId, OrderId, TenantId};
use holdfast_domain::order::{Actor, Booking, Change, ShippedLine, Wish};
use holdfast_local::demo::evidence::Sums;
use holdfast_store::{Changed, Store};
use holdfast_tests::back_office::BackOffice;
use holdfast_tests::clock::TestClock;
use holdfast_tests::engine::Engine;
use holdfast_tests::provider::{self, fault, moved, payments_of};
use holdfast_tests::requests::{Answer, Request, Who, order_of};
use holdfast_tests::shop::Shop;
use serde_json::{Value, json};

/// A mug costs this many cents.
const MUG: i64 = 1999;

pub(crate) async fn open() -> (Shop, BackOffice) {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    let back = BackOffice::open(&shop.engine, &shop.clock).await;
    shop.sell("mug", 10).await;
    (shop, back)
}

/// An order of three mugs.
pub(crate) async fn place(shop: &Shop, method: &str) -> String {
    let mut body = order_of("mug", 3);
    body["payment_method"] = json!(method);
    // The provider is shared by all tests and knows orders by their ids: keys are the test's own.
    let key = format!("{method}-{}", shop.engine.table);
    let order = Request::post("/orders", &body).key(&key).send(&shop.orders, Some(&Who::customer("c-1"))).await;
    assert_eq!(order.status, 201, "{order:?}");
    order.body["order_id"].as_str().unwrap().to_owned()
}

pub(crate) async fn paid(shop: &Shop, back: &BackOffice) -> String {
    let id = place(shop, "pm_card_visa").await;
    back.drain().await;
    assert_eq!(read(shop, &id).await["state"], "paid");
    id
}

pub(crate) async fn read(shop: &Shop, id: &str) -> Value {
    Request::get(&format!("/orders/{id}")).send(&shop.orders, Some(&Who::customer("c-1"))).await.body
}

async fn at_once(shop: &Shop) {
    let policy = Request::put("/order-policy", &json!({"capture": "at-once", "return_days": 30}));
    assert_eq!(policy.send(&shop.catalog, Some(&Who::staff())).await.status, 201);
}

/// Ships mugs of an order, as the carrier would take them.
pub(crate) async fn ship(shop: &Shop, id: &str, quantity: u32) {
    let tenant = TenantId::parse("acme".to_owned()).unwrap();
    let by = Actor::Staff(CustomerId::parse("staff-1".to_owned()).unwrap());
    let (store, now) = (shop.engine.store(), shop.clock.clock().now());
    let order = store.order_read(&tenant, OrderId::parse(id).unwrap()).await.unwrap().unwrap().order;
    let wish = Wish::Lines(vec![ShippedLine { line: 0, quantity }], None);
    let asked = order.ship(&wish, u64::from(quantity) + order.version, &by, now).unwrap();
    written(&store, &asked).await;
    let number = asked.order.next_booking().unwrap();
    let booking = Booking { reference: format!("b-{number}"), tracking: format!("t-{number}") };
    let shipped = asked.order.shipped(number, booking, now).unwrap();
    written(&store, &shipped).await;
}

async fn written(store: &Store, change: &Change) {
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned();
    let trace = Trace { correlation_id: "c".to_owned(), traceparent };
    assert!(matches!(store.order_change(change, &trace).await.unwrap(), Changed::Done));
}

async fn refund(shop: &Shop, id: &str, amount: i64, key: &str) -> Answer {
    let request = Request::post(&format!("/orders/{id}/refunds"), &json!({"amount": amount})).key(key);
    request.send(&shop.orders, Some(&Who::staff())).await
}

async fn cancel(shop: &Shop, id: &str) {
    let cancel = Request::post(&format!("/orders/{id}/cancel"), &json!({}));
    assert_eq!(cancel.send(&shop.orders, Some(&Who::customer("c-1"))).await.status, 200);
}

/// Asserts the laws of the table, and that the provider moved what the ledger says.
pub(crate) async fn books_agree(shop: &Shop, id: &str) {
    shop.laws_hold().await;
    let evidence = shop.engine.evidence().await;
    let order = evidence.orders.iter().find(|order| order.id == id).unwrap();
    let sums = Sums::of(&order.ledger);
    assert_eq!((sums.captured, sums.refunded), moved(id).await, "{:?}", order.ledger);
    let payments = payments_of(id).await;
    let open: i64 = payments.iter().filter(|it| it.is_authorised()).map(|it| it.amount_capturable).sum();
    assert!(open == sums.open() || order.payment == "capture_failed", "{open} is set aside: {:?}", order.ledger);
}

fn event(id: &str, kind: &str, version: u64) -> String {
    json!({
        "specversion": "1.0", "id": format!("{id}/{version}"), "source": "/tenants/acme/orders",
        "type": format!("com.holdfast.order.{kind}"), "subject": id, "time": "2026-01-01T00:00:00Z",
        "datacontenttype": "application/json", "correlationid": "c",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "data": {"tenant": "acme", "order_id": id, "version": version, "state": "placed", "due_at": 0},
    })
    .to_string()
}

#[tokio::test]
async fn pay_1_each_shipment_is_captured_and_the_last_one_ends_the_payment() {
    let (shop, back) = open().await;
    let id = paid(&shop, &back).await;
    for (quantity, state, captured, status) in [
        (1, "partially_shipped", MUG, "requires_capture"),
        (1, "partially_shipped", 2 * MUG, "requires_capture"),
        (1, "shipped", 3 * MUG, "succeeded"),
    ] {
        ship(&shop, &id, quantity).await;
        back.drain().await;
        let order = read(&shop, &id).await;
        assert_eq!((&order["state"], &order["payment"]["captured"]), (&json!(state), &json!(captured)), "{order}");
        let payments = payments_of(&id).await;
        assert_eq!((payments.len(), payments[0].status.as_str()), (1, status));
        books_agree(&shop, &id).await;
    }
}

#[tokio::test]
async fn pay_1_what_is_captured_only_once_is_captured_whole_with_the_first_shipment() {
    let (shop, back) = open().await;
    let id = place(&shop, "pm_card_visa").await;
    fault(&id, "/payment_intents", "captured_once", json!({})).await;
    back.drain().await;
    assert_eq!(read(&shop, &id).await["payment"]["capture"], "with-first-shipment");
    for _ in 0..2 {
        ship(&shop, &id, 1).await;
        back.drain().await;
        assert_eq!(read(&shop, &id).await["payment"]["captured"], 3 * MUG);
    }
    books_agree(&shop, &id).await;
    // What is not shipped after all goes back as a refund.
    assert_eq!(refund(&shop, &id, MUG, "r").await.status, 202);
    back.drain().await;
    assert_eq!(moved(&id).await, (3 * MUG, MUG));
    books_agree(&shop, &id).await;
}

#[tokio::test]
async fn pay_1_an_authorisation_that_expired_before_its_capture_ends_in_a_named_state() {
    let (shop, back) = open().await;
    let id = paid(&shop, &back).await;
    provider::expire(&id, false).await;
    ship(&shop, &id, 3).await;
    back.drain().await;
    let order = read(&shop, &id).await;
    let (state, payment) = (&order["state"], &order["payment"]);
    assert_eq!((state, &payment["status"]), (&json!("shipped"), &json!("capture_failed")), "{order}");
    assert_eq!(payment["decline"], "charge_expired_for_capture");
    assert_eq!(moved(&id).await, (0, 0));
    books_agree(&shop, &id).await;
}

#[tokio::test]
async fn pay_1_at_once_captures_with_the_authorisation_and_a_cancelled_order_is_refunded() {
    let (shop, back) = open().await;
    at_once(&shop).await;
    let id = place(&shop, "pm_card_visa").await;
    // One message: nothing else is relayed in between.
    back.relay().await;
    back.work().await;
    let order = read(&shop, &id).await;
    assert_eq!((&order["state"], &order["payment"]["captured"]), (&json!("paid"), &json!(3 * MUG)), "{order}");
    cancel(&shop, &id).await;
    assert_eq!(shop.available("mug").await, 10);
    back.drain().await;
    let order = read(&shop, &id).await;
    assert_eq!((&order["state"], &order["payment"]["refunded"]), (&json!("cancelled"), &json!(3 * MUG)), "{order}");
    assert_eq!((&order["refunds"][0]["reason"], &order["refunds"][0]["state"]), (&json!("cancelled"), &json!("done")));
    assert_eq!(moved(&id).await, (3 * MUG, 3 * MUG));
    books_agree(&shop, &id).await;
}

/// The capture has its effect, its answer is lost, and the order is called off before anybody knows.
#[tokio::test]
async fn pay_1_a_capture_that_nobody_heard_of_is_found_when_the_order_is_cancelled() {
    let (shop, back) = open().await;
    at_once(&shop).await;
    let id = place(&shop, "pm_card_visa").await;
    fault(&id, "/capture", "drop_after", json!({"times": 9})).await;
    back.relay().await;
    back.work().await;
    assert_eq!((moved(&id).await, &read(&shop, &id).await["payment"]["captured"]), ((3 * MUG, 0), &Value::Null));
    back.lose_messages().await;
    cancel(&shop, &id).await;
    back.drain().await;
    let order = read(&shop, &id).await;
    assert_eq!((&order["state"], &order["payment"]["refunded"]), (&json!("cancelled"), &json!(3 * MUG)), "{order}");
    books_agree(&shop, &id).await;
}

#[tokio::test]
async fn pay_2_a_confirmation_whose_answer_is_lost_or_late_charges_once() {
    let (shop, back) = open().await;
    for (method, mode) in [("pm_card_visa", "drop_after"), ("pm_card_visa", "refuse"), ("pm_card_visa", "delay")] {
        let mut body = order_of("mug", 1);
        body["payment_method"] = json!(method);
        let key = format!("{mode}-{}", shop.engine.table);
        let order = Request::post("/orders", &body).key(&key).send(&shop.orders, Some(&Who::customer("c-1"))).await;
        let id = order.body["order_id"].as_str().unwrap().to_owned();
        fault(&id, "/payment_intents", mode, json!({"delay_ms": 3_500})).await;
        back.drain().await;
        assert_eq!(read(&shop, &id).await["state"], "paid", "{mode}");
        assert_eq!(payments_of(&id).await.len(), 1, "{mode}");
        books_agree(&shop, &id).await;
    }
}

#[tokio::test]
async fn pay_3_an_event_that_is_delivered_fifty_times_at_once_charges_once() {
    let (shop, back) = open().await;
    let id = place(&shop, "pm_card_visa").await;
    let messages = vec![event(&id, "placed", 1); 50];
    back.deliver(&messages).await;
    // Those that met another one at the provider are delivered again.
    assert!(back.deliver(&messages).await.into_iter().all(|done| done));
    assert_eq!(read(&shop, &id).await["state"], "paid");
    assert_eq!(payments_of(&id).await.len(), 1);
    ship(&shop, &id, 3).await;
    let messages = vec![event(&id, "shipped", 5); 50];
    back.deliver(&messages).await;
    assert!(back.deliver(&messages).await.into_iter().all(|done| done));
    assert_eq!(moved(&id).await, (3 * MUG, 0));
    books_agree(&shop, &id).await;
}

#[tokio::test]
async fn pay_3_an_authorised_amount_that_differs_is_voided_and_the_stock_goes_back() {
    for amount in [3 * MUG - 1, 3 * MUG + 1] {
        let (shop, back) = open().await;
        let id = place(&shop, "pm_card_visa").await;
        fault(&id, "/payment_intents", "tamper", json!({"amount": amount})).await;
        back.drain().await;
        let order = read(&shop, &id).await;
        assert_eq!(
            (&order["state"], &order["payment"]["decline"]),
            (&json!("payment_failed"), &json!("amount_differs"))
        );
        assert_eq!(payments_of(&id).await[0].status, "canceled");
        assert_eq!(shop.available("mug").await, 10);
        books_agree(&shop, &id).await;
    }
}

#[tokio::test]
async fn pay_3_a_decline_is_named_and_the_stock_goes_back() {
    let (shop, back) = open().await;
    for (method, decline) in [
        ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_visa_chargeDeclinedLostCard", "lost_card"),
        ("pm_card_authenticationRequired", "authentication_required"),
        ("pm_card_visa_chargeDeclined", "generic_decline"),
    ] {
        let id = place(&shop, method).await;
        back.drain().await;
        let order = read(&shop, &id).await;
        assert_eq!((&order["state"], &order["payment"]["status"]), (&json!("payment_failed"), &json!("declined")));
        assert_eq!(order["payment"]["decline"], decline, "{method}");
        assert_eq!(order["history"].as_array().unwrap().last().unwrap()["why"], decline);
        assert_eq!(shop.available("mug").await, 10);
        books_agree(&shop, &id).await;
    }
}

#[tokio::test]
async fn pay_5_refunds_go_back_up_to_what_was_captured() {
    let (shop, back) = open().await;
    let id = paid(&shop, &back).await;
    assert_eq!(refund(&shop, &id, 1, "early").await.slug(), "over-refund", "nothing is captured yet");
    ship(&shop, &id, 2).await;
    back.drain().await;
    for key in ["r-1", "r-2", "r-1"] {
        assert_eq!(refund(&shop, &id, 1500, key).await.status, 202);
        back.drain().await;
    }
    let over = refund(&shop, &id, 2 * MUG - 3000 + 1, "r-3").await;
    assert_eq!((over.status, over.slug()), (409, "over-refund"));
    assert_eq!(moved(&id).await, (2 * MUG, 3000));
    assert_eq!(refund(&shop, &id, 2 * MUG - 3000, "r-4").await.status, 202);
    back.drain().await;
    assert_eq!(moved(&id).await, (2 * MUG, 2 * MUG));
    let order = read(&shop, &id).await;
    let states: Vec<_> = order["refunds"].as_array().unwrap().iter().map(|refund| &refund["state"]).collect();
    assert_eq!(states, ["done", "done", "done"]);
    books_agree(&shop, &id).await;
}

#[tokio::test]
async fn pay_5_a_refund_that_the_provider_refuses_is_named() {
    let (shop, back) = open().await;
    let id = paid(&shop, &back).await;
    ship(&shop, &id, 3).await;
    back.drain().await;
    fault(&id, "/refunds", "reject", json!({"code": "charge_disputed"})).await;
    assert_eq!(refund(&shop, &id, MUG, "r-1").await.status, 202);
    back.drain().await;
    let order = read(&shop, &id).await;
    let refused = &order["refunds"][0];
    assert_eq!((&refused["state"], &refused["refused"]), (&json!("refused"), &json!("charge_disputed")), "{order}");
    assert_eq!(moved(&id).await, (3 * MUG, 0));
    // It may be tried again, as a refund of its own.
    assert_eq!(refund(&shop, &id, 3 * MUG, "r-2").await.status, 202);
    back.drain().await;
    assert_eq!(moved(&id).await, (3 * MUG, 3 * MUG));
    books_agree(&shop, &id).await;
}
