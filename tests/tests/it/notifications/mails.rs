//! Mails to customers: which are sent, to whom, how often, and where the address may be seen.

use super::{cancel, open};
use crate::faults::each_call_fails;
use holdfast_tests::clocked_queue::Letter;
use holdfast_tests::endpoints::stack;
use holdfast_tests::engine::Engine;
use holdfast_tests::mailroom::{Failure, Mailroom, record};
use holdfast_tests::requests::{Answer, Request, Who, order_of};
use holdfast_tests::shop::Shop;
use jiff::SignedDuration;
use notifier::{Notifier, Ses};
use serde_json::{Value, json};

const ADA: &str = "ada.lovelace@example.com";

async fn mailing() -> (Shop, Mailroom) {
    let (shop, room) = open().await;
    let put =
        Request::put("/notifications/mail", &json!({"sender": "orders@shop.example", "shop_name": "The Mug Shop"}));
    assert_eq!(room.ask(put).await.status, 201);
    (shop, room)
}

async fn order(shop: &Shop, key: &str, email: Value) -> Answer {
    let mut body = order_of("mug", 2);
    body["contact_email"] = email;
    Request::post("/orders", &body).key(key).send(&shop.orders, Some(&Who::customer("c-1"))).await
}

#[tokio::test]
async fn note_1_a_customer_who_left_an_address_gets_a_confirmation_and_a_cancellation() {
    let (shop, room) = mailing().await;
    let placed = order(&shop, "o-1", json!(ADA)).await;
    assert_eq!((placed.status, &placed.body["contact_email"]), (201, &json!(ADA)));
    let id = placed.body["order_id"].as_str().unwrap();
    room.drain().await;
    let [mail] = &room.mails.sent()[..] else { panic!("{:?}", room.mails.sent()) };
    assert_eq!((mail.to.as_str(), mail.sender.as_str()), (ADA, "orders@shop.example"));
    assert_eq!((mail.sender_name.as_str(), mail.subject.as_str()), ("The Mug Shop", "Your order at The Mug Shop"));
    assert!(
        mail.text.contains(id) && mail.text.contains("2 x mug: 39.98 EUR") && mail.text.contains("Total: 39.98 EUR")
    );
    cancel(&shop, id).await;
    room.drain().await;
    let mails = room.mails.sent();
    assert!(mails.len() == 2 && mails[1].subject.contains("cancelled"), "{mails:?}");
}

#[tokio::test]
async fn note_1_without_an_address_or_settings_there_is_no_mail() {
    let (shop, room) = mailing().await;
    let placed = order(&shop, "o-1", Value::Null).await;
    assert!(placed.status == 201 && placed.body.get("contact_email").is_none(), "{placed:?}");
    room.drain().await;
    assert_eq!(room.ask(Request::delete("/notifications/mail")).await.status, 204);
    assert_eq!(order(&shop, "o-2", json!(ADA)).await.status, 201);
    room.drain().await;
    assert!(room.mails.sent().is_empty());
    let items = shop.engine.items().await;
    assert!(!items.iter().any(|item| item["pk"]["S"].as_str().unwrap().contains("#fence#")), "{items:?}");
}

#[tokio::test]
async fn note_1_a_confirmation_that_comes_after_the_end_is_not_sent() {
    let (shop, room) = mailing().await;
    let placed = order(&shop, "o-1", json!(ADA)).await;
    cancel(&shop, placed.body["order_id"].as_str().unwrap()).await;
    room.drain().await;
    let subjects: Vec<_> = room.mails.sent().into_iter().map(|mail| mail.subject).collect();
    assert_eq!(subjects, ["Your order at The Mug Shop was cancelled"]);
}

#[tokio::test]
async fn note_1_a_reservation_gets_its_address_when_it_is_confirmed() {
    let (shop, room) = mailing().await;
    let who = Who::customer("c-1");
    let held = Request::post("/reservations", &json!({"lines": [{"product_id": "mug", "quantity": 1}]})).key("r");
    let held = held.send(&shop.orders, Some(&who)).await;
    let id = held.body["reservation_id"].as_str().unwrap().to_owned();
    let address = order_of("mug", 1)["shipping_address"].clone();
    let confirm = |email: &str| {
        let body = json!({"shipping_address": address, "payment_method": "pm_card_visa", "contact_email": email});
        Request::post(&format!("/reservations/{id}/confirm"), &body)
    };
    let bad = confirm("ada@").send(&shop.orders, Some(&who)).await;
    assert_eq!((bad.status, bad.fields()), (400, vec!["contact_email"]));
    let confirmed = confirm(ADA).send(&shop.orders, Some(&who)).await;
    assert_eq!((confirmed.status, &confirmed.body["contact_email"]), (201, &json!(ADA)), "{confirmed:?}");
    assert_eq!(confirm(ADA).send(&shop.orders, Some(&who)).await.status, 200);
    assert_eq!(confirm("eve@example.com").send(&shop.orders, Some(&who)).await.slug(), "hold-ended");
    room.drain().await;
    assert_eq!(room.mails.sent().len(), 1);
}

#[tokio::test]
async fn note_1_bad_addresses_are_named_and_nothing_is_placed() {
    let (shop, _) = mailing().await;
    let before = shop.engine.items().await.len();
    let long = format!("{}@example.com", "a".repeat(300));
    for bad in [json!(""), json!("ada"), json!("a@b"), json!("a@b.example\r\nBcc: x@y.z"), json!(long), json!(1)] {
        let answer = order(&shop, "o-1", bad.clone()).await;
        assert_eq!((answer.status, answer.fields()), (400, vec!["contact_email"]), "{bad}: {answer:?}");
    }
    assert_eq!(shop.engine.items().await.len(), before);
}

/// The address is in the order's item and in answers to its owner and to staff, and nowhere else.
#[tokio::test]
async fn note_1_an_address_is_in_no_event_and_no_record() {
    let (shop, room) = mailing().await;
    let receiver = holdfast_tests::receiver::Receiver::open(holdfast_tests::receiver::Habit::Answer(500)).await;
    room.endpoint("k", &receiver.url, &[]).await;
    let placed = order(&shop, "o-1", json!(ADA)).await;
    let id = placed.body["order_id"].as_str().unwrap();
    while room.relay().await {}
    let bodies = |letters: Vec<Letter>| letters.into_iter().map(|letter| letter.body).collect::<String>();
    let mut told = bodies(room.queue.waiting()) + &bodies(room.orders_queue.waiting());
    room.drain().await;
    assert_eq!(room.mails.sent().len(), 1);
    told += &bodies(room.queue.waiting());
    told += &receiver.received().iter().map(|received| received.body.clone()).collect::<String>();
    let items = shop.engine.items().await;
    told += &items.iter().filter(|item| item["sk"]["S"] != "order").map(Value::to_string).collect::<String>();
    assert!(told.contains(id) && !told.contains("ada.lovelace"), "{told}");
    let get = Request::get(&format!("/orders/{id}"));
    for (who, status) in [(Who::customer("c-1"), 200), (Who::staff(), 200), (Who::customer("c-2"), 404)] {
        let answer = get.send(&shop.orders, Some(&who)).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.body.to_string().contains(ADA), status == 200);
    }
}

/// The message of one order that is to be confirmed.
async fn message(shop: &Shop, room: &Mailroom) -> String {
    assert_eq!(order(shop, "o-1", json!(ADA)).await.status, 201);
    while room.relay().await {}
    room.queue.take().remove(0).body
}

#[tokio::test]
async fn note_1_a_mail_is_sent_once_however_often_its_message_comes() {
    let (shop, room) = mailing().await;
    let body = message(&shop, &room).await;
    for _ in 0..3 {
        assert!(room.handle(&[record("a", &body)]).await.is_empty());
    }
    assert_eq!(room.mails.sent().len(), 1);
}

#[tokio::test]
async fn note_1_without_the_record_a_mail_is_sent_as_often_as_its_message_comes() {
    let (shop, room) = mailing().await;
    shop.engine.wire.rewrite(|operation, request| {
        let mail = request["Item"]["pk"]["S"].as_str().is_some_and(|pk| pk.contains("#fence#"));
        if operation == "PutItem" && mail {
            for name in ["ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues"] {
                request.as_object_mut().unwrap().remove(name);
            }
        }
    });
    let body = message(&shop, &room).await;
    for _ in 0..3 {
        assert!(room.handle(&[record("a", &body)]).await.is_empty());
    }
    assert_eq!(room.mails.sent().len(), 3);
}

#[tokio::test]
async fn note_1_a_mail_that_was_not_taken_is_sent_again_and_one_that_is_refused_is_not() {
    for (failure, failed_first, sent) in
        [(Failure::Unavailable, true, 1), (Failure::Lost, true, 2), (Failure::Refused, false, 0)]
    {
        let (shop, room) = mailing().await;
        let body = message(&shop, &room).await;
        room.mails.fail_next(failure);
        assert_eq!(!room.handle(&[record("a", &body)]).await.is_empty(), failed_first, "{failure:?}");
        assert!(room.handle(&[record("a", &body)]).await.is_empty(), "{failure:?}");
        assert_eq!(room.mails.sent().len(), sent, "{failure:?}");
    }
}

#[tokio::test]
async fn note_1_whatever_call_of_a_mail_fails_it_is_sent() {
    each_call_fails(async |fault| {
        let (shop, room) = mailing().await;
        let body = message(&shop, &room).await;
        shop.engine.wire.count(fault);
        room.handle(&[record("a", &body)]).await;
        let counted = shop.engine.wire.counted();
        // Who stopped while sending keeps others from it for a minute.
        for _ in 0..3 {
            shop.clock.advance(SignedDuration::from_secs(61));
            room.handle(&[record("a", &body)]).await;
        }
        assert!((1..=2).contains(&room.mails.sent().len()), "{fault:?}: {:?}", room.mails.sent());
        let items = shop.engine.items().await;
        let mail = items.iter().find(|item| item["pk"]["S"].as_str().unwrap().contains("#fence#")).unwrap();
        assert_eq!(mail["state"]["S"], "done", "{fault:?}");
        counted
    })
    .await;
}

/// The adapter, against the stack's SES.
#[tokio::test]
async fn note_1_ses_takes_mails() {
    let (shop, room) = mailing().await;
    let body = message(&shop, &room).await;
    room.handle(&[record("a", &body)]).await;
    let mut mail = room.mails.sent().remove(0);
    mail.sender_name = "Zoës Tassen".to_owned();
    let url = stack().sqs_url.clone();
    let aws = shop.engine.aws(Some(url.clone()));
    let ses = Ses::new(aws_sdk_sesv2::config::Builder::from(aws.config()).endpoint_url(&url));
    // An identity that is not verified sends nothing; where the engine knows no such rule, it is verified first.
    let verify = aws_sdk_sesv2::Client::from_conf(
        aws_sdk_sesv2::config::Builder::from(Engine::embedded().await.aws(None).config()).endpoint_url(&url).build(),
    );
    let _ = verify.create_email_identity().email_identity("orders@shop.example").send().await;
    ses.notify(&mail).await.unwrap();
    let sent = reqwest::get(format!("{url}/_ministack/ses/messages")).await.unwrap().text().await.unwrap();
    let id = serde_json::from_str::<Value>(&body).unwrap()["data"]["order_id"].as_str().unwrap().to_owned();
    assert!(sent.contains(&id) && sent.contains(ADA) && sent.contains("=?UTF-8?B?"), "{sent}");
    shop.engine.wire.count(Some((0, holdfast_tests::faults::Way::Before)));
    assert!(matches!(ses.notify(&mail).await, Err(notifier::NotifyError::Unavailable(_))));
}
