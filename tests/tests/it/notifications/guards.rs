//! Messages that come twice, senders that stop half-way, and what happens without the guards against both.

use super::{Shop, endpoint, open, path, place};
use crate::faults::each_call_fails;
use holdfast_tests::faults::Way;
use holdfast_tests::mailroom::{Mailroom, record};
use holdfast_tests::receiver::{Habit, Receiver};
use holdfast_tests::requests::Request;
use jiff::SignedDuration;
use serde_json::{Value, json};

/// The message of the one order's event.
async fn placed(shop: &Shop, room: &Mailroom) -> String {
    place(shop, "o-1").await;
    while room.relay().await {}
    room.queue.take().remove(0).body
}

/// Handles a message twice at the same time and a third time later; how often it was sent.
async fn sent(shop: &Shop, room: &Mailroom, receiver: &Receiver) -> usize {
    let body = placed(shop, room).await;
    let records = [record("a", &body), record("b", &body)];
    assert!(room.handle(&records).await.is_empty());
    assert!(room.handle(&records[..1]).await.is_empty());
    // Whoever came second left a timer, in case the first had stopped.
    shop.clock.advance(SignedDuration::from_mins(5));
    room.drain().await;
    receiver.received().len()
}

#[tokio::test]
async fn note_1_a_message_that_comes_twice_is_sent_once() {
    let (shop, room) = open().await;
    let receiver = Receiver::open(Habit::Answer(200)).await;
    let (id, _) = room.endpoint("k", &receiver.url, &[]).await;
    assert_eq!(sent(&shop, &room, &receiver).await, 1);
    assert_eq!(room.deliveries(&id).await[0]["attempts"].as_array().unwrap().len(), 1);
    assert!(room.queue.waiting().is_empty());
}

#[tokio::test]
async fn note_1_without_the_condition_a_message_that_comes_twice_is_sent_twice() {
    let (shop, room) = open().await;
    let receiver = Receiver::open(Habit::Answer(200)).await;
    room.endpoint("k", &receiver.url, &[]).await;
    shop.engine.wire.rewrite(|operation, request| {
        let delivery = request["Item"]["sk"]["S"].as_str().is_some_and(|sk| sk.starts_with("delivery#"));
        if operation == "PutItem" && delivery {
            request.as_object_mut().unwrap().remove("ConditionExpression");
            request.as_object_mut().unwrap().remove("ExpressionAttributeValues");
        }
    });
    assert_eq!(sent(&shop, &room, &receiver).await, 3);
}

#[tokio::test]
async fn note_1_a_delivery_whose_sender_stopped_is_taken_up_by_another() {
    let (shop, room) = open().await;
    let receiver = Receiver::open(Habit::Answer(200)).await;
    let (id, _) = room.endpoint("k", &receiver.url, &[]).await;
    let body = placed(&shop, &room).await;
    // The delivery is begun, its answer is lost, and the function stops: the message comes again.
    // Endpoints and settings of mails are read before.
    shop.engine.wire.count(Some((2, Way::After)));
    assert_eq!(room.handle(&[record("a", &body)]).await, ["a"]);
    assert!(shop.engine.wire.counted().met);
    assert_eq!(room.deliveries(&id).await[0]["state"], "pending");
    assert!(room.handle(&[record("a", &body)]).await.is_empty());
    assert_eq!(receiver.received().len(), 0, "the first may still be at it");
    shop.clock.advance(SignedDuration::from_secs(60));
    room.drain().await;
    assert_eq!(receiver.received().len(), 1);
    assert_eq!(room.deliveries(&id).await[0]["state"], "delivered");
}

/// The endpoint is disabled between the first delivery of a message, which begun and stopped, and the second.
#[tokio::test]
async fn note_1_a_delivery_whose_endpoint_was_disabled_meanwhile_does_not_stay_open() {
    let (shop, room) = open().await;
    let receiver = Receiver::open(Habit::Answer(200)).await;
    let (id, _) = room.endpoint("k", &receiver.url, &[]).await;
    place(&shop, "o-1").await;
    while room.relay().await {}
    shop.engine.wire.count(Some((2, Way::After)));
    assert_eq!(room.notify().await, Some(0));
    shop.engine.wire.counted();
    assert_eq!(room.ask(Request::patch(&path(&id), &json!({"enabled": false}))).await.status, 200);
    room.drain().await;
    assert_eq!(room.deliveries(&id).await[0]["state"], "failed");
    assert!(receiver.received().is_empty() && room.queue.waiting().is_empty());
}

/// An event that is published anew after a long silence is no news to who came later.
#[tokio::test]
async fn note_1_an_endpoint_hears_of_nothing_that_was_before_it() {
    let (shop, room) = open().await;
    place(&shop, "before").await;
    shop.clock.advance(SignedDuration::from_mins(1));
    let receiver = Receiver::open(Habit::Answer(200)).await;
    let (id, _) = room.endpoint("k", &receiver.url, &[]).await;
    room.drain().await;
    assert!(receiver.received().is_empty() && room.deliveries(&id).await.is_empty());
    shop.clock.advance(SignedDuration::from_mins(1));
    let after = place(&shop, "after").await;
    room.drain().await;
    let [told] = &receiver.received()[..] else { panic!("{:?}", receiver.received()) };
    assert_eq!(told.json()["data"]["order_id"], json!(after));
}

/// Whatever call fails while a message is sent: it arrives, the log says so, and nothing waits.
#[tokio::test]
async fn note_1_whatever_call_of_a_delivery_fails_it_arrives() {
    each_call_fails(async |fault| {
        let (shop, room) = open().await;
        let receiver = Receiver::open(Habit::Answer(500)).await;
        let (id, _) = room.endpoint("k", &receiver.url, &[]).await;
        place(&shop, "o-1").await;
        while room.relay().await {}
        shop.engine.wire.count(fault);
        room.notify().await;
        // The first attempt failed; the second succeeds, and the endpoint is forgiven.
        receiver.turn(Habit::Answer(200));
        shop.clock.advance(SignedDuration::from_secs(61));
        room.notify().await;
        let counted = shop.engine.wire.counted();
        for _ in 0..5 {
            shop.clock.advance(SignedDuration::from_secs(61));
            room.drain().await;
        }
        let deliveries = room.deliveries(&id).await;
        assert!(deliveries.len() == 1 && deliveries[0]["state"] == "delivered", "{fault:?}: {deliveries:?}");
        let calls = receiver.received().len();
        // One failed and one succeeded. A call more where a record of one was lost.
        assert!((1..=3).contains(&calls), "{fault:?}: {calls} calls");
        assert!(room.queue.waiting().is_empty(), "{fault:?}: {:?}", room.queue.waiting());
        assert_eq!(endpoint(&room, &id).await["failures"], 0, "{fault:?}");
        counted
    })
    .await;
}

#[tokio::test]
async fn note_1_whatever_call_fails_an_endpoint_that_is_gone_is_disabled() {
    each_call_fails(async |fault| {
        let (shop, room) = open().await;
        let receiver = Receiver::open(Habit::Answer(410)).await;
        let (id, _) = room.endpoint("k", &receiver.url, &[]).await;
        place(&shop, "o-1").await;
        while room.relay().await {}
        shop.engine.wire.count(fault);
        room.notify().await;
        let counted = shop.engine.wire.counted();
        for _ in 0..5 {
            room.drain().await;
            shop.clock.advance(SignedDuration::from_secs(61));
        }
        let now = endpoint(&room, &id).await;
        assert_eq!((&now["enabled"], &now["disabled_why"]), (&json!(false), &json!("gone")), "{fault:?}: {now}");
        assert_eq!(room.deliveries(&id).await[0]["state"], "failed", "{fault:?}");
        assert!(room.queue.waiting().is_empty(), "{fault:?}: {:?}", room.queue.waiting());
        counted
    })
    .await;
}

#[tokio::test]
async fn note_1_whatever_call_of_a_replay_fails_a_repeat_sends_it() {
    each_call_fails(async |fault| {
        let (shop, room) = open().await;
        let receiver = Receiver::open(Habit::Answer(200)).await;
        let (id, _) = room.endpoint("k", &receiver.url, &[]).await;
        place(&shop, "o-1").await;
        room.drain().await;
        let event = room.deliveries(&id).await[0]["event_id"].as_str().unwrap().to_owned();
        let replay = Request::post(&format!("{}/deliveries/{event}/replay", path(&id)), &json!({}));
        shop.engine.wire.count(fault);
        let mut answer = room.ask(replay.clone()).await;
        let counted = shop.engine.wire.counted();
        if answer.status >= 500 {
            // Unless the process died, the answer says when to come again.
            let died = matches!(fault, Some((_, Way::Killed))) && answer.status == 500;
            assert!(died || !answer.header("retry-after").is_empty(), "{fault:?}: {answer:?}");
            answer = room.ask(replay).await;
        }
        assert_eq!(answer.status, 202, "{fault:?}: {answer:?}");
        room.drain().await;
        assert_eq!(room.deliveries(&id).await[0]["state"], "delivered", "{fault:?}");
        assert!(receiver.received().len() >= 2, "{fault:?}");
        counted
    })
    .await;
}

/// Somebody enables an endpoint again while an old message's failure is being counted.
#[tokio::test]
async fn note_1_an_endpoint_that_was_just_enabled_is_not_disabled_for_what_was_before() {
    let (shop, room) = open().await;
    let receiver = Receiver::open(Habit::Answer(500)).await;
    let (id, _) = room.endpoint("k", &receiver.url, &[]).await;
    let item = |name: &str, value: Value| json!({name: value});
    // Eleven failures, the first of them five days ago.
    let since = (shop.clock.clock().now() - SignedDuration::from_hours(121)).as_millisecond();
    let update = json!({
        "TableName": shop.engine.table,
        "Key": {"pk": item("S", json!("acme#webhooks")), "sk": item("S", json!(format!("endpoint#{id}")))},
        "UpdateExpression": "SET failures = :failures, failing_since = :since",
        "ExpressionAttributeValues": {":failures": {"N": "11"}, ":since": {"N": since.to_string()}},
    });
    shop.engine.dynamodb().call("UpdateItem", &update).await.unwrap();
    place(&shop, "o-1").await;
    while room.relay().await {}
    let again = async || {
        room.ask(Request::patch(&path(&id), &json!({"enabled": false}))).await;
        let enabled = room.ask(Request::patch(&path(&id), &json!({"enabled": true}))).await;
        assert_eq!(enabled.status, 200, "{enabled:?}");
    };
    // The failure is counted, and the notifier has decided; before it writes that, people act. Its first update counts the
    // failure, its second disables.
    let counting = shop.engine.wire.halt("UpdateItem");
    let notify = room.notify();
    let people = async {
        counting.reached().await;
        let disabling = shop.engine.wire.halt("UpdateItem");
        counting.go();
        disabling.reached().await;
        again().await;
        disabling.go();
    };
    futures_util::future::join(notify, people).await;
    let now = endpoint(&room, &id).await;
    assert_eq!((&now["enabled"], &now["failures"]), (&json!(true), &json!(0)), "{now}");
}
