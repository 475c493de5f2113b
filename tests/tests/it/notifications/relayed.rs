//! The queue of notifications and the orders': neither waits for the other.

use super::{cancel, open, place};
use crate::faults::each_call_fails;
use holdfast_domain::event::{CloudEvent, ORDER_EXPIRY_TYPE};
use holdfast_tests::back_office::BackOffice;
use holdfast_tests::endpoints::stack;
use holdfast_tests::engine::Engine;
use holdfast_tests::mailroom::{Mailroom, record};
use holdfast_tests::receiver::{Habit, Receiver};
use holdfast_tests::requests::{Request, Who};
use jiff::SignedDuration;
use maintenance::Job;
use serde_json::{Value, json};

/// The types of what a queue has, sorted.
fn types(letters: &[holdfast_tests::clocked_queue::Letter]) -> Vec<String> {
    let event = |body: &str| serde_json::from_str::<Value>(body).unwrap()["type"].as_str().unwrap().to_owned();
    let mut types: Vec<_> = letters.iter().map(|letter| event(&letter.body)).collect();
    types.sort();
    types
}

fn of_orders(kinds: &[&str]) -> Vec<String> {
    kinds.iter().map(|kind| format!("com.holdfast.order.{kind}")).collect()
}

#[tokio::test]
async fn note_1_events_go_to_both_queues_and_timers_to_the_orders_alone() {
    let (shop, room) = open().await;
    let held = Request::post("/reservations", &json!({"lines": [{"product_id": "mug", "quantity": 1}]})).key("r");
    assert_eq!(held.send(&shop.orders, Some(&Who::customer("c-1"))).await.status, 201);
    let order = place(&shop, "o-1").await;
    cancel(&shop, &order).await;
    while room.relay().await {}
    let mut expected = of_orders(&["cancelled", "placed", "reserved"]);
    expected.extend([ORDER_EXPIRY_TYPE.to_owned(), ORDER_EXPIRY_TYPE.to_owned()]);
    assert_eq!(types(&room.orders_queue.waiting()), expected);
    assert_eq!(types(&room.queue.waiting()), of_orders(&["cancelled", "placed"]));
}

#[tokio::test]
async fn note_1_orders_go_on_while_notifications_are_down() {
    let (shop, room) = open().await;
    let receiver = Receiver::open(Habit::Answer(200)).await;
    room.endpoint("k", &receiver.url, &[]).await;
    room.queue.down(true);
    place(&shop, "o-1").await;
    while room.relay().await {}
    assert_eq!(
        types(&room.orders_queue.waiting()),
        [&of_orders(&["placed"])[..], &[ORDER_EXPIRY_TYPE.to_owned()]].concat()
    );
    // Only the notification is kept.
    let outbox = shop.engine.evidence().await.outbox;
    assert!(outbox.len() == 1 && outbox[0].ends_with("#notifications"), "{outbox:?}");
    shop.clock.advance(SignedDuration::from_mins(1));
    assert_eq!(room.maintain(Job::OutboxSweep).await.waiting, 1);
    room.queue.down(false);
    shop.clock.advance(SignedDuration::from_mins(2));
    let report = room.maintain(Job::OutboxSweep).await;
    assert_eq!((report.published, report.waiting, report.dead), (1, 0, 0));
    assert_eq!(types(&room.orders_queue.waiting()).len(), 2, "nothing was published to the other queue");
    room.drain().await;
    assert_eq!(receiver.received().len(), 1);
    assert!(shop.engine.evidence().await.outbox.is_empty());
    shop.laws_hold().await;
}

#[tokio::test]
async fn note_1_notifications_go_on_while_the_orders_queue_is_down_and_neither_entry_replaces_the_other() {
    let (shop, room) = open().await;
    room.orders_queue.down(true);
    place(&shop, "o-1").await;
    while room.relay().await {}
    assert_eq!(types(&room.queue.waiting()), of_orders(&["placed"]));
    room.queue.down(true);
    place(&shop, "o-2").await;
    while room.relay().await {}
    // Of the first, event and timer; of the second, the event for each queue, and the timer.
    assert_eq!(shop.engine.evidence().await.outbox.len(), 5);
    room.orders_queue.down(false);
    room.queue.down(false);
    shop.clock.advance(SignedDuration::from_mins(1));
    assert_eq!(room.maintain(Job::OutboxSweep).await.published, 5);
    assert_eq!(types(&room.queue.waiting()), of_orders(&["placed", "placed"]));
    assert_eq!(types(&room.orders_queue.waiting()).len(), 4);
}

/// An entry that an earlier release wrote names no queue.
#[tokio::test]
async fn note_1_an_entry_of_the_outbox_without_a_queue_is_for_the_orders() {
    let (shop, room) = open().await;
    room.orders_queue.down(true);
    place(&shop, "o-1").await;
    while room.relay().await {}
    let items = shop.engine.items().await;
    let entries = items.iter().filter(|item| item["pk"]["S"].as_str().unwrap().starts_with("outbox#"));
    assert!(entries.clone().count() == 2 && entries.clone().all(|entry| entry.get("queue").is_none()));
    room.orders_queue.down(false);
    room.queue.take();
    shop.clock.advance(SignedDuration::from_mins(1));
    assert_eq!(room.maintain(Job::OutboxSweep).await.published, 2);
    assert_eq!((room.orders_queue.waiting().len(), room.queue.waiting().len()), (2, 0));
}

#[tokio::test]
async fn note_1_and_out_1_hold_whatever_call_of_the_relay_fails() {
    each_call_fails(async |fault| {
        let (shop, room) = open().await;
        let receiver = Receiver::open(Habit::Answer(200)).await;
        room.endpoint("k", &receiver.url, &[]).await;
        place(&shop, "o-1").await;
        shop.engine.wire.count(fault);
        room.relay().await;
        let counted = shop.engine.wire.counted();
        while room.relay().await {}
        shop.clock.advance(SignedDuration::from_mins(1));
        room.maintain(Job::OutboxSweep).await;
        room.drain().await;
        assert_eq!(receiver.received().len(), 1, "{fault:?}");
        assert!(types(&room.orders_queue.waiting()).contains(&of_orders(&["placed"])[0]), "{fault:?}");
        assert!(shop.engine.evidence().await.outbox.is_empty(), "{fault:?}");
        counted
    })
    .await;
}

#[tokio::test]
async fn note_1_what_cannot_be_read_does_not_fail_its_neighbours() {
    let (shop, room) = open().await;
    let receiver = Receiver::open(Habit::Answer(200)).await;
    room.endpoint("k", &receiver.url, &[]).await;
    place(&shop, "o-1").await;
    while room.relay().await {}
    let placed = room.queue.take().remove(0).body;
    let event: CloudEvent = serde_json::from_str(&placed).unwrap();
    let timer = format!(
        r#"{{"type":"{ORDER_EXPIRY_TYPE}","specversion":"1.0","id":"x","source":"s","subject":"x","time":"{}","datacontenttype":"","traceparent":"","correlationid":"","data":{}}}"#,
        event.time,
        serde_json::to_string(&event.data).unwrap()
    );
    let poison = [
        "nonsense".to_owned(),
        "{}".to_owned(),
        placed.replace("order.placed", "order.exploded"),
        placed.replace("order.placed", "order.payment_started"),
        placed.replace("\"1.0\"", "\"2.0\""),
        r#"{"type":"com.holdfast.timer.webhook_delivery"}"#.to_owned(),
        timer,
    ];
    let mut records: Vec<_> =
        poison.iter().enumerate().map(|(number, body)| record(&format!("p-{number}"), body)).collect();
    records.insert(3, record("good", &placed));
    let failed = room.handle(&records).await;
    assert!(failed.is_empty(), "{failed:?}: what nobody can handle is kept at once");
    assert_eq!(receiver.received().len(), 1);
    let dead = shop.engine.evidence().await.dead;
    assert_eq!(dead.len(), poison.len(), "{dead:?}");
    assert!(dead.iter().all(|letter| letter.contains("#notifier.unreadable.")), "{dead:?}");
}

/// The whole way over the queues of the stack: what the back office's relay publishes is what the notifier reads.
#[tokio::test]
async fn note_1_an_order_is_paid_and_told_over_real_queues() {
    let shop = holdfast_tests::shop::Shop::over(Engine::embedded().await, holdfast_tests::clock::TestClock::present());
    let (back, room) = (BackOffice::open(&shop.engine, &shop.clock).await, Mailroom::open(&shop).await);
    shop.sell("mug", 10).await;
    let receiver = Receiver::open(Habit::Answer(200)).await;
    let (id, _) = room.endpoint("k", &receiver.url, &[]).await;
    let key = shop.engine.table.clone();
    place(&shop, &key).await;
    back.drain().await;
    let sqs = Engine::plain_sqs(&stack().sqs_url);
    for _ in 0..20 {
        let received =
            sqs.receive_message().queue_url(&back.notifications_url).max_number_of_messages(10).send().await.unwrap();
        let messages = received.messages.unwrap_or_default();
        let records: Vec<_> = messages
            .iter()
            .map(|message| record(message.message_id.as_deref().unwrap(), message.body.as_deref().unwrap()))
            .collect();
        assert!(room.handle(&records).await.is_empty());
        for message in messages {
            let delete = sqs.delete_message().queue_url(&back.notifications_url);
            delete.receipt_handle(message.receipt_handle.unwrap()).send().await.unwrap();
        }
        if receiver.received().len() == 2 {
            break;
        }
    }
    let mut kinds: Vec<_> = receiver.received().iter().map(|each| each.json()["type"].to_string()).collect();
    kinds.sort();
    assert_eq!(kinds, ["\"order.paid\"", "\"order.placed\""]);
    assert_eq!(room.deliveries(&id).await.len(), 2);
}
