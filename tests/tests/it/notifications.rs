//! Webhooks on their way: signed, retried by the schedule, visible, and never in the way of an order.

mod guards;
mod mails;
mod outside;
mod relayed;

use holdfast_tests::clock::TestClock;
use holdfast_tests::engine::Engine;
use holdfast_tests::mailroom::Mailroom;
use holdfast_tests::receiver::{Habit, Received, Receiver};
use holdfast_tests::requests::{Request, Who, order_of};
use holdfast_tests::shop::Shop;
use jiff::SignedDuration;
use serde_json::{Value, json};
use standardwebhooks::Webhook;

async fn open() -> (Shop, Mailroom) {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    let room = Mailroom::open(&shop).await;
    shop.sell("mug", 100).await;
    (shop, room)
}

async fn place(shop: &Shop, key: &str) -> String {
    let placed =
        Request::post("/orders", &order_of("mug", 1)).key(key).send(&shop.orders, Some(&Who::customer("c-1"))).await;
    assert_eq!(placed.status, 201, "{placed:?}");
    placed.body["order_id"].as_str().unwrap().to_owned()
}

async fn cancel(shop: &Shop, id: &str) {
    let cancel = Request::post(&format!("/orders/{id}/cancel"), &json!({}));
    assert_eq!(cancel.send(&shop.orders, Some(&Who::customer("c-1"))).await.status, 200);
}

fn path(id: &str) -> String {
    format!("/webhooks/endpoints/{id}")
}

async fn endpoint(room: &Mailroom, id: &str) -> Value {
    room.ask(Request::get(&path(id))).await.body
}

/// The signature that a message should have, by the reference implementation.
fn expected(secret: &str, received: &Received) -> String {
    let at = received.header("webhook-timestamp").parse().unwrap();
    Webhook::new(secret).unwrap().sign(received.header("webhook-id"), at, received.body.as_bytes()).unwrap()
}

#[tokio::test]
async fn note_1_an_event_reaches_an_endpoint_signed_by_the_specification() {
    let (shop, room) = open().await;
    let receiver = Receiver::open(Habit::Answer(204)).await;
    let (id, secret) = room.endpoint("k", &receiver.url, &[]).await;
    let order = place(&shop, "o-1").await;
    room.drain().await;
    let [received] = &receiver.received()[..] else { panic!("{:?}", receiver.received()) };
    // The reference implementation also checks that the timestamp is recent.
    Webhook::new(&secret).unwrap().verify(received.body.as_bytes(), &received.headers).unwrap();
    let message = received.header("webhook-id");
    assert!(message.starts_with("msg_") && message.ends_with(&format!("_{order}_1")) && !message.contains('.'));
    assert_eq!(received.header("content-type"), "application/json");
    // Exactly this, and nothing personal.
    let body = received.json();
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["data", "timestamp", "type"]);
    assert_eq!(body["type"], "order.placed");
    assert_eq!(body["data"], json!({"order_id": order, "version": 1, "state": "placed"}));
    assert!(body["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    let [delivery] = &room.deliveries(&id).await[..] else { panic!("one delivery") };
    assert_eq!((&delivery["state"], &delivery["event_id"]), (&json!("delivered"), &json!(message)));
    assert_eq!((&delivery["body"], &delivery["attempts"][0]["status"]), (&json!(received.body), &json!(204)));
    assert!(room.queue.waiting().is_empty());
    // The body may not be changed on the way.
    assert!(Webhook::new(&secret).unwrap().verify(b"{}", &received.headers).is_err());
}

#[tokio::test]
async fn note_1_endpoints_are_told_of_what_they_want_and_once() {
    let (shop, room) = open().await;
    let (all, some) = (Receiver::open(Habit::Answer(200)).await, Receiver::open(Habit::Answer(200)).await);
    let off = Receiver::open(Habit::Answer(200)).await;
    room.endpoint("k-1", &all.url, &[]).await;
    room.endpoint("k-2", &some.url, &["order.cancelled", "order.paid"]).await;
    let (disabled, _) = room.endpoint("k-3", &off.url, &[]).await;
    assert_eq!(room.ask(Request::patch(&path(&disabled), &json!({"enabled": false}))).await.status, 200);
    let other = Receiver::open(Habit::Answer(200)).await;
    let body = json!({"url": other.url});
    let of_another = Request::post("/webhooks/endpoints", &body).key("k");
    assert_eq!(of_another.send(&room.webhooks, Some(&Who::staff().of("other"))).await.status, 201);
    let order = place(&shop, "o-1").await;
    cancel(&shop, &order).await;
    room.drain().await;
    let types = |receiver: &Receiver| -> Vec<Value> {
        let mut types: Vec<_> = receiver.received().iter().map(|received| received.json()["type"].clone()).collect();
        types.sort_by_key(Value::to_string);
        types
    };
    assert_eq!(types(&all), ["order.cancelled", "order.placed"]);
    assert_eq!(types(&some), ["order.cancelled"]);
    assert!(types(&off).is_empty() && types(&other).is_empty());
}

#[tokio::test]
async fn note_1_while_a_secret_is_rotated_both_sign() {
    let (shop, room) = open().await;
    let receiver = Receiver::open(Habit::Answer(200)).await;
    let (id, old) = room.endpoint("k", &receiver.url, &[]).await;
    let rotated = room.ask(Request::post(&format!("{}/secret", path(&id)), &json!({}))).await;
    let new = rotated.body["secret"].as_str().unwrap().to_owned();
    let last = async |key: &str| {
        place(&shop, key).await;
        room.drain().await;
        receiver.received().pop().unwrap()
    };
    let received = last("o-1").await;
    for secret in [&old, &new] {
        Webhook::new(secret).unwrap().verify(received.body.as_bytes(), &received.headers).unwrap();
    }
    shop.clock.advance(SignedDuration::from_hours(24));
    let received = last("o-2").await;
    assert_eq!(received.header("webhook-signature"), expected(&new, &received), "the old one signs no more");
    assert_ne!(expected(&old, &received), expected(&new, &received));
}

#[tokio::test]
async fn note_1_a_failing_endpoint_is_tried_by_the_schedule() {
    let (shop, room) = open().await;
    let receiver = Receiver::open(Habit::Answer(500)).await;
    let (id, secret) = room.endpoint("k", &receiver.url, &[]).await;
    place(&shop, "o-1").await;
    room.drain().await;
    let mut waits = Vec::new();
    let mut waited = 0;
    while let Some(ms) = room.queue.next_in_ms() {
        // A queue delays 15 minutes at most: the timer is sent on until it is due.
        assert!(ms <= 900_000, "{ms}");
        waited += ms / 1_000;
        shop.clock.advance(SignedDuration::from_millis(ms));
        let before = receiver.received().len();
        room.drain().await;
        if receiver.received().len() > before {
            waits.push(waited);
            waited = 0;
        }
    }
    assert_eq!(waits, [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000]);
    let [delivery] = &room.deliveries(&id).await[..] else { panic!("one delivery") };
    assert_eq!((&delivery["state"], delivery.get("next_attempt_at")), (&json!("failed"), None));
    let attempts = delivery["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 8);
    assert!(attempts.iter().all(|attempt| attempt["status"] == 500 && attempt["error"].is_string()), "{attempts:?}");
    // The id stays, the timestamp and with it the signature are of the attempt.
    let received = receiver.received();
    assert!(received.iter().all(|each| each.header("webhook-id") == received[0].header("webhook-id")));
    assert!(received.iter().all(|each| each.header("webhook-signature") == expected(&secret, each)));
    assert!(received.is_sorted_by(|a, b| a.header("webhook-timestamp") < b.header("webhook-timestamp")));
    // One message is not enough to disable an endpoint.
    assert_eq!(
        (&endpoint(&room, &id).await["enabled"], &endpoint(&room, &id).await["failures"]),
        (&json!(true), &json!(8))
    );
    assert_eq!(
        room.ask(Request::get(&format!("{}/deliveries?state=failed", path(&id)))).await.body["deliveries"][0],
        *delivery
    );
    shop.laws_hold().await;
}

#[tokio::test]
async fn note_1_an_endpoint_that_recovers_is_forgiven() {
    let (shop, room) = open().await;
    let receiver = Receiver::open(Habit::Answer(503)).await;
    let (id, _) = room.endpoint("k", &receiver.url, &[]).await;
    place(&shop, "o-1").await;
    room.drain().await;
    assert_eq!(endpoint(&room, &id).await["failures"], 1);
    receiver.turn(Habit::Answer(200));
    shop.clock.advance(SignedDuration::from_secs(5));
    room.drain().await;
    let [delivery] = &room.deliveries(&id).await[..] else { panic!("one delivery") };
    assert_eq!((&delivery["state"], delivery["attempts"].as_array().unwrap().len()), (&json!("delivered"), 2));
    let now = endpoint(&room, &id).await;
    assert_eq!((&now["failures"], now.get("failing_since")), (&json!(0), None));
}

/// Lets everything that is due come due, for so many days.
async fn pass_days(shop: &Shop, room: &Mailroom, days: i64) {
    let end = shop.clock.clock().now() + SignedDuration::from_hours(24 * days);
    while let Some(ms) = room.queue.next_in_ms() {
        if shop.clock.clock().now() + SignedDuration::from_millis(ms) > end {
            break;
        }
        shop.clock.advance(SignedDuration::from_millis(ms));
        room.drain().await;
    }
    shop.clock.advance(end.duration_since(shop.clock.clock().now()));
}

#[tokio::test]
async fn note_1_an_endpoint_that_fails_for_five_days_is_disabled_until_somebody_enables_it() {
    let (shop, room) = open().await;
    let receiver = Receiver::open(Habit::Answer(500)).await;
    let (id, _) = room.endpoint("k", &receiver.url, &[]).await;
    for key in ["o-1", "o-2"] {
        place(&shop, key).await;
        room.drain().await;
        pass_days(&shop, &room, 2).await;
    }
    assert_eq!(endpoint(&room, &id).await["enabled"], true, "after four days");
    pass_days(&shop, &room, 1).await;
    let waiting = place(&shop, "o-3").await;
    room.drain().await;
    let now = endpoint(&room, &id).await;
    assert_eq!((&now["enabled"], &now["disabled_why"]), (&json!(false), &json!("failing")), "{now}");
    // What waits is given up, and what happens is not sent.
    pass_days(&shop, &room, 2).await;
    let deliveries = room.deliveries(&id).await;
    assert!(deliveries.len() == 3 && deliveries.iter().all(|each| each["state"] == "failed"), "{deliveries:?}");
    assert!(deliveries[0]["event_id"].as_str().unwrap().contains(&waiting));
    let calls = receiver.received().len();
    place(&shop, "o-4").await;
    room.drain().await;
    assert_eq!((receiver.received().len(), room.deliveries(&id).await.len()), (calls, 3));
    let replay = format!("{}/deliveries/{}/replay", path(&id), deliveries[0]["event_id"].as_str().unwrap());
    for refused in [replay.clone(), format!("{}/test", path(&id))] {
        let answer = room.ask(Request::post(&refused, &json!({}))).await;
        assert_eq!((answer.status, answer.slug()), (409, "endpoint-disabled"));
    }
    receiver.turn(Habit::Answer(200));
    let enabled = room.ask(Request::patch(&path(&id), &json!({"enabled": true}))).await;
    assert_eq!((&enabled.body["enabled"], &enabled.body["failures"]), (&json!(true), &json!(0)));
    assert_eq!(room.ask(Request::post(&replay, &json!({}))).await.status, 202);
    room.drain().await;
    assert_eq!(room.deliveries(&id).await[0]["state"], "delivered");
    assert_eq!(receiver.received().len(), calls + 1);
}

#[tokio::test]
async fn note_1_an_endpoint_that_is_gone_is_disabled_at_once() {
    let (shop, room) = open().await;
    let receiver = Receiver::open(Habit::Answer(410)).await;
    let (id, _) = room.endpoint("k", &receiver.url, &[]).await;
    place(&shop, "o-1").await;
    room.drain().await;
    let now = endpoint(&room, &id).await;
    assert_eq!((&now["enabled"], &now["disabled_why"]), (&json!(false), &json!("gone")), "{now}");
    assert_eq!(room.deliveries(&id).await[0]["state"], "failed");
    assert!(room.queue.waiting().is_empty());
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn note_1_a_delivery_is_replayed_to_the_letter_and_a_test_is_one_of_its_own() {
    let (shop, room) = open().await;
    let receiver = Receiver::open(Habit::Answer(200)).await;
    let (id, secret) = room.endpoint("k", &receiver.url, &["order.paid"]).await;
    let test = room.ask(Request::post(&format!("{}/test", path(&id)), &json!({}))).await;
    assert_eq!(
        (test.status, &test.body["type"], &test.body["state"]),
        (202, &json!("endpoint.test"), &json!("pending"))
    );
    room.drain().await;
    assert_eq!(receiver.received()[0].json()["type"], "endpoint.test");
    shop.clock.advance(SignedDuration::from_mins(1));
    let replay = format!("{}/deliveries/{}/replay", path(&id), test.body["event_id"].as_str().unwrap());
    let replayed = room.ask(Request::post(&replay, &json!({}))).await;
    assert_eq!((replayed.status, &replayed.body["state"]), (202, &json!("pending")));
    room.drain().await;
    let [first, second] = &receiver.received()[..] else { panic!("two calls") };
    assert_eq!((&first.body, first.header("webhook-id")), (&second.body, second.header("webhook-id")));
    assert_eq!(second.header("webhook-signature"), expected(&secret, second));
    assert_ne!(first.header("webhook-timestamp"), second.header("webhook-timestamp"));
    assert_eq!(room.deliveries(&id).await[0]["attempts"].as_array().unwrap().len(), 2);
    let unknown = room.ask(Request::post(&format!("{}/deliveries/msg_1/replay", path(&id)), &json!({}))).await;
    assert_eq!((unknown.status, unknown.slug()), (404, "not-found"));
}

#[tokio::test]
async fn note_1_what_waits_for_an_endpoint_that_was_removed_is_forgotten() {
    let (shop, room) = open().await;
    let receiver = Receiver::open(Habit::Answer(500)).await;
    let (id, _) = room.endpoint("k", &receiver.url, &[]).await;
    place(&shop, "o-1").await;
    room.drain().await;
    assert_eq!(room.ask(Request::delete(&path(&id))).await.status, 204);
    pass_days(&shop, &room, 3).await;
    assert_eq!((receiver.received().len(), room.queue.waiting().len()), (1, 0));
    assert_eq!(room.ask(Request::get(&format!("{}/deliveries", path(&id)))).await.status, 404);
}
