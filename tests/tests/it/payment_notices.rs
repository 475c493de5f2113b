//! The provider's notices: they race the worker's own calls, come early, late, twice and in any order, and are believed
//! in nothing but which order to look at.

use crate::payments::{books_agree, open, paid, place, read, ship};
use holdfast_domain::event::{CloudEvent, Trace};
use holdfast_domain::ids::{OrderId, TenantId};
use holdfast_tests::back_office::BackOffice;
use holdfast_tests::provider::{self, fault, moved, notice, notices_of, payments_of, send};
use holdfast_tests::requests::Request;
use holdfast_tests::shop::Shop;
use serde_json::{Value, json};

fn now(shop: &Shop) -> i64 {
    shop.clock.clock().now().as_second()
}

/// What the worker is sent for a notice.
fn message(id: &str, lapsed: bool) -> String {
    let trace = Trace {
        correlation_id: "c".to_owned(),
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
    };
    let (tenant, order) = (TenantId::parse("acme".to_owned()).unwrap(), OrderId::parse(id).unwrap());
    let event = CloudEvent::payment_notice(lapsed, "evt_1", jiff::Timestamp::UNIX_EPOCH, &trace, tenant, order);
    serde_json::to_string(&event).unwrap()
}

async fn kinds(id: &str) -> Vec<String> {
    notices_of(id).await.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn pay_2_a_notice_that_comes_before_the_workers_answer_ends_the_payment() {
    let (shop, back) = open().await;
    let id = place(&shop, "pm_card_visa").await;
    // The provider authorises, no answer arrives, and the message is lost: only the notice is left.
    fault(&id, "/payment_intents", "drop_after", json!({"times": 3})).await;
    back.relay().await;
    back.work().await;
    back.lose_messages().await;
    assert_eq!(read(&shop, &id).await["payment"]["status"], "started");
    let answers = send(&back.webhooks(), &notices_of(&id).await, now(&shop)).await;
    let taken: Vec<_> = answers.iter().map(|answer| (answer.status, &answer.body["taken"])).collect();
    assert_eq!(taken, [(200, &json!(true))]);
    back.drain().await;
    assert_eq!(read(&shop, &id).await["state"], "paid");
    assert_eq!(payments_of(&id).await.len(), 1);
    books_agree(&shop, &id).await;
}

#[tokio::test]
async fn pay_2_notices_that_come_after_the_worker_twice_and_reversed_change_nothing() {
    let (shop, back) = open().await;
    let id = paid(&shop, &back).await;
    for _ in 0..2 {
        ship(&shop, &id, 1).await;
        back.drain().await;
    }
    let before = read(&shop, &id).await;
    let mut notices = notices_of(&id).await;
    assert_eq!(kinds(&id).await, ["payment_intent.amount_capturable_updated", "charge.captured", "charge.captured"]);
    notices.reverse();
    for _ in 0..2 {
        let answers = send(&back.webhooks(), &notices, now(&shop)).await;
        assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    }
    back.drain().await;
    assert_eq!(read(&shop, &id).await, before);
    books_agree(&shop, &id).await;
}

/// Notices and the worker's own events, twice each and all at the same time, at every stage.
#[tokio::test]
async fn pay_2_notices_race_the_workers_own_events() {
    let (shop, back) = open().await;
    let id = place(&shop, "pm_card_visa").await;
    for stage in ["placed", "shipped", "shipped"] {
        if stage == "shipped" {
            ship(&shop, &id, 1).await;
        }
        let own = message(&id, false).replace("com.holdfast.payment.notice", &format!("com.holdfast.order.{stage}"));
        let all = [own.clone(), message(&id, false), own, message(&id, true), message(&id, false), message(&id, true)];
        back.deliver(&all).await;
        assert!(back.deliver(&all).await.into_iter().all(|done| done));
    }
    let order = read(&shop, &id).await;
    assert_eq!((&order["state"], &order["payment"]["captured"]), (&json!("partially_shipped"), &json!(2 * 1999)));
    assert_eq!((payments_of(&id).await.len(), moved(&id).await), (1, (2 * 1999, 0)));
    books_agree(&shop, &id).await;
}

#[tokio::test]
async fn pay_1_an_authorisation_that_lapses_before_anything_is_shipped_gives_the_stock_back() {
    let (shop, back) = open().await;
    let id = paid(&shop, &back).await;
    provider::expire(&id, true).await;
    assert_eq!(kinds(&id).await[1..], ["charge.expired", "payment_intent.canceled"]);
    send(&back.webhooks(), &notices_of(&id).await, now(&shop)).await;
    back.drain().await;
    let order = read(&shop, &id).await;
    let payment = &order["payment"];
    assert_eq!((&order["state"], &payment["status"]), (&json!("payment_failed"), &json!("capture_failed")), "{order}");
    assert_eq!(payment["decline"], "authorisation_expired");
    assert_eq!(shop.available("mug").await, 10);
    books_agree(&shop, &id).await;
}

#[tokio::test]
async fn pay_1_an_authorisation_that_lapses_after_a_shipment_is_shown_and_nothing_more_is_captured() {
    let (shop, back) = open().await;
    let id = paid(&shop, &back).await;
    ship(&shop, &id, 1).await;
    back.drain().await;
    provider::expire(&id, true).await;
    send(&back.webhooks(), &notices_of(&id).await, now(&shop)).await;
    back.drain().await;
    let order = read(&shop, &id).await;
    let (state, status) = (&order["state"], &order["payment"]["status"]);
    assert_eq!((state, status), (&json!("partially_shipped"), &json!("capture_failed")), "{order}");
    assert_eq!(moved(&id).await, (1999, 0));
    books_agree(&shop, &id).await;
}

/// Whoever could forge a notice would gain nothing: the provider is asked, not believed.
#[tokio::test]
async fn pay_1_a_notice_of_a_lapse_that_never_was_changes_nothing() {
    let (shop, back) = open().await;
    let id = paid(&shop, &back).await;
    let before = read(&shop, &id).await;
    back.send(&message(&id, true)).await;
    back.drain().await;
    assert_eq!(read(&shop, &id).await, before);
}

fn a_notice(id: &str) -> Value {
    json!({
        "id": "evt_1", "object": "event", "type": "payment_intent.succeeded", "created": 0,
        "data": {"object": {"object": "payment_intent", "id": "pi_1", "metadata": {"tenant": "acme", "order_id": id}}},
    })
}

/// Whether the queue has a message.
async fn has_message(back: &BackOffice) -> bool {
    back.work().await
}

#[tokio::test]
async fn pay_1_forged_stale_malformed_and_long_notices_are_refused_and_wake_nobody() {
    let (shop, back) = open().await;
    let id = paid(&shop, &back).await;
    let (router, at) = (back.webhooks(), now(&shop));
    let body = a_notice(&id).to_string();
    let signed = |body: &str, at: i64| notice(body, at);
    let other = signed(&body.replace("evt_1", "evt_2"), at);
    let long = format!("{}{body}", " ".repeat(payment_webhooks::BODY_BYTES_MAX));
    for (request, status, slug) in [
        (Request::post("/webhooks/stripe", &a_notice(&id)), 400, "invalid-signature"),
        (signed(&body, at).header("stripe-signature", "t=1,v1=00"), 400, "invalid-signature"),
        (other.raw(&body), 400, "invalid-signature"),
        (signed(&body, at - 301), 400, "stale-signature"),
        (signed(&body, at + 301), 400, "stale-signature"),
        (signed("nonsense", at), 400, "invalid-request"),
        (signed("{}", at), 400, "invalid-request"),
        (signed(&long, at), 413, "body-too-large"),
    ] {
        let answer = request.send(&router, None).await;
        assert_eq!((answer.status, answer.slug()), (status, slug), "{answer:?}");
    }
    assert!(!has_message(&back).await, "a notice that was refused got through");
    // The control of the signature: the same notice, signed, is what wakes the worker.
    assert_eq!(signed(&body, at).send(&router, None).await.body["taken"], true);
    assert!(has_message(&back).await, "the notice was not taken");
}

#[tokio::test]
async fn pay_1_notices_about_nothing_of_ours_are_taken_and_have_no_effect() {
    let (shop, back) = open().await;
    let id = paid(&shop, &back).await;
    let change = |pointer: &str, value: Value| {
        let mut notice = a_notice(&id);
        *notice.pointer_mut(pointer).unwrap() = value;
        notice
    };
    let notices = [
        change("/type", json!("customer.created")),
        change("/data/object/metadata", json!({})),
        change("/data/object/metadata/tenant", json!("other")),
        change("/data/object/metadata/order_id", json!("not an order")),
        change("/data/object", json!({"object": "balance"})),
    ];
    for answer in send(&back.webhooks(), &notices, now(&shop)).await {
        assert_eq!((answer.status, &answer.body["taken"]), (200, &json!(false)), "{answer:?}");
    }
    assert!(!has_message(&back).await);
}

#[tokio::test]
async fn pay_2_a_notice_that_the_queue_does_not_take_is_asked_for_again() {
    let (shop, back) = open().await;
    let id = paid(&shop, &back).await;
    let notices = [a_notice(&id)];
    shop.engine.wire.rewrite(|operation, request| {
        if operation == "SendMessageBatch" {
            request["QueueUrl"] = json!("http://127.0.0.1/000000000000/there-is-no-such-queue");
        }
    });
    let refused = send(&back.webhooks(), &notices, now(&shop)).await;
    assert_eq!((refused[0].status, refused[0].slug()), (503, "unavailable"));
    shop.engine.wire.rewrite(|_, _| {});
    assert_eq!(send(&back.webhooks(), &notices, now(&shop)).await[0].status, 200);
    assert!(has_message(&back).await);
}

/// The provider's account may serve more than one table: what is not here is no fault, and no dead letter.
#[tokio::test]
async fn pay_4_a_notice_of_an_order_that_is_not_here_is_done() {
    let (shop, back) = open().await;
    let unknown = "822b8224-07ef-8495-88e0-f8b7b79d9970";
    assert_eq!(back.deliver(&[message(unknown, false), message(unknown, true)]).await, [true, true]);
    assert!(shop.engine.evidence().await.dead.is_empty());
    // An event of the table itself about an order that is not there is a dead letter.
    let event = message(unknown, false).replace("com.holdfast.payment.notice", "com.holdfast.order.placed");
    assert_eq!(back.deliver(&[event]).await, [true]);
    let dead = shop.engine.evidence().await.dead;
    assert!(dead.len() == 1 && dead[0].contains("#order-worker.no-such-order.order.placed~"), "{dead:?}");
}
