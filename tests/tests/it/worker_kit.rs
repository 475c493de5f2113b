//! The kit that consumers are written with: bounded concurrency, time for each message, neighbours, pauses, burials (OUT-5).

use async_trait::async_trait;
use aws_lambda_events::event::sqs::SqsEvent;
use holdfast_domain::routing::Queue;
use holdfast_runtime::clock::Clock;
use holdfast_runtime::message::Publisher;
use holdfast_runtime::routing::Queues;
use holdfast_runtime::worker::{About, Consumer, Delivery, Desk, Failure, consume};
use holdfast_store::{DeadOf, Store};
use holdfast_tests::clocked_queue::ClockedQueue;
use holdfast_tests::shop::Shop;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A consumer that does what a message says.
struct Obedient {
    store: Store,
    queues: Queues,
    clock: Clock,
    at_work: AtomicUsize,
    most: AtomicUsize,
    done: Mutex<Vec<String>>,
}

#[derive(Debug, thiserror::Error)]
#[error("as it was told")]
struct Refused(Failure);

#[async_trait]
impl Consumer for Obedient {
    type Letter = String;
    type Shared = ();
    type Error = Refused;

    const NAME: &'static str = "obedient";
    const QUEUE: Queue = Queue::Orders;
    const TIMEOUT: Duration = Duration::from_millis(200);

    fn desk(&self) -> Desk<'_> {
        Desk { store: &self.store, queues: &self.queues, clock: &self.clock }
    }

    fn read(&self, body: &str) -> Result<String, String> {
        if body == "unreadable" { Err("it is not readable".to_owned()) } else { Ok(body.to_owned()) }
    }

    fn about(letter: &String) -> About {
        About { event_id: letter.clone(), event_type: "test".to_owned(), ..About::default() }
    }

    async fn work(&self, letter: &String, _: &Delivery, (): &()) -> Result<(), Refused> {
        let now = self.at_work.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(10)).await;
        let result = match letter.split_once(' ').map_or(letter.as_str(), |(word, _)| word) {
            "hang" => std::future::pending().await,
            "down" => Err(Refused(Failure::retry("down"))),
            "busy" => Err(Refused(Failure::retry_after("busy", Some(60)))),
            "panic" => panic!("as it was told"),
            "poison" => Err(Refused(Failure::poison("poison"))),
            _ => Ok(()),
        };
        self.at_work.fetch_sub(1, Ordering::SeqCst);
        self.done.lock().unwrap().extend(result.is_ok().then(|| letter.clone()));
        result
    }

    fn failure(error: &Refused) -> Failure {
        error.0.clone()
    }
}

struct Scene {
    shop: Shop,
    consumer: Obedient,
    /// Which queue was asked to hide a message for how long.
    paused: Arc<Mutex<Vec<(String, i64)>>>,
}

impl Scene {
    async fn set() -> Self {
        let shop = Shop::open().await;
        let queue = ClockedQueue::open(&shop.clock).await;
        let sqs = shop.engine.aws(Some(queue.url.clone())).sqs();
        let publisher = |name: &str| Publisher::new(sqs.clone(), format!("{}/000000000000/{name}", queue.url));
        let queues = Queues::new([(Queue::Orders, publisher("orders")), (Queue::Fulfilment, publisher("carrier"))]);
        let paused = Arc::<Mutex<Vec<_>>>::default();
        let seen = Arc::clone(&paused);
        shop.engine.wire.rewrite(move |operation, request| {
            if operation == "ChangeMessageVisibility" {
                let url = request["QueueUrl"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
                seen.lock().unwrap().push((url, request["VisibilityTimeout"].as_i64().unwrap()));
            }
        });
        let consumer = Obedient {
            store: shop.engine.store(),
            queues,
            clock: shop.clock.clock(),
            at_work: AtomicUsize::default(),
            most: AtomicUsize::default(),
            done: Mutex::default(),
        };
        Self { shop, consumer, paused }
    }

    /// Hands over messages that were received so often; the positions of those that failed.
    async fn handle(&self, bodies: &[&str], received: u32) -> Vec<usize> {
        self.handle_from(bodies, received, Value::Null).await
    }

    async fn handle_from(&self, bodies: &[&str], received: u32, arn: Value) -> Vec<usize> {
        let record = |(number, body): (usize, &&str)| {
            json!({
                "messageId": number.to_string(), "receiptHandle": number.to_string(), "body": body,
                "attributes": {"ApproximateReceiveCount": received.to_string()}, "messageAttributes": {},
                "eventSourceARN": arn,
            })
        };
        let records: Vec<_> = bodies.iter().enumerate().map(record).collect();
        let event: SqsEvent = serde_json::from_value(json!({"Records": records})).unwrap();
        let answer = consume(&self.consumer, event, Timestamp::MAX).await;
        let failed = answer.batch_item_failures.iter().filter_map(|item| item.item_identifier.as_deref()?.parse().ok());
        let mut failed: Vec<_> = failed.collect();
        failed.sort_unstable();
        failed
    }

    async fn letters(&self) -> Vec<String> {
        let page = self.shop.engine.store().dead_letters(DeadOf::All, None, 100, None).await.unwrap();
        page.letters.iter().map(|letter| format!("{} {}", letter.fingerprint(), letter.deliveries)).collect()
    }
}

#[tokio::test]
async fn out_5_at_most_four_messages_are_worked_on_at_a_time() {
    let scene = Scene::set().await;
    assert!(scene.handle(&["ok"; 20], 1).await.is_empty());
    assert_eq!(scene.consumer.most.load(Ordering::SeqCst), 4);
    assert_eq!(scene.consumer.done.lock().unwrap().len(), 20);
}

#[tokio::test]
async fn out_5_a_bad_message_fails_alone_and_waits_as_long_as_it_should() {
    let scene = Scene::set().await;
    assert_eq!(scene.handle(&["ok 1", "down", "ok 2", "busy", "hang", "ok 3", "panic", "ok 4"], 2).await, [1, 3, 4, 6]);
    assert_eq!(scene.consumer.done.lock().unwrap().len(), 4);
    let mut paused = scene.paused.lock().unwrap().clone();
    paused.sort();
    let orders = |seconds| ("orders".to_owned(), seconds);
    let expected = [orders(25), orders(25), orders(25), orders(60)];
    assert_eq!(paused, expected, "down, hang, panic and busy, at their second delivery");
    assert!(scene.letters().await.is_empty());
}

#[tokio::test]
async fn out_3_poison_is_buried_at_once_and_the_rest_at_the_last_delivery() {
    let scene = Scene::set().await;
    assert!(scene.handle(&["poison", "unreadable", "ok"], 1).await.is_empty());
    assert_eq!(scene.letters().await, ["obedient.poison.test 1", "obedient.unreadable.unknown 1"]);
    assert_eq!(scene.handle(&["down", "hang"], 4).await, [0, 1]);
    assert!(scene.handle(&["down", "hang"], 5).await.is_empty());
    let letters = scene.letters().await;
    assert!(letters.contains(&"obedient.down.test 5".to_owned()), "{letters:?}");
    assert!(letters.contains(&"obedient.timed-out.test 5".to_owned()), "{letters:?}");
}

/// What cannot be kept stays in its queue, whose own dead letters get it.
#[tokio::test]
async fn out_3_a_message_that_cannot_be_buried_is_not_taken_for_done() {
    let scene = Scene::set().await;
    scene.shop.engine.wire.rewrite(|operation, request| {
        if operation == "PutItem" {
            *request = json!({});
        }
    });
    assert_eq!(scene.handle(&["poison", "ok"], 5).await, [0]);
    assert!(scene.letters().await.is_empty());
}

/// A function with several queues lets a message wait in the one that it came from, and keeps it with that one's name.
#[tokio::test]
async fn ship_1_a_message_waits_in_the_queue_that_it_came_from() {
    let scene = Scene::set().await;
    let arn = json!("arn:aws:sqs:eu-central-1:000000000000:carrier");
    assert_eq!(scene.handle_from(&["busy"], 1, arn.clone()).await, [0]);
    assert_eq!(*scene.paused.lock().unwrap(), [("carrier".to_owned(), 60)]);
    assert!(scene.handle_from(&["busy"], 5, arn).await.is_empty());
    let page = scene.shop.engine.store().dead_letters(DeadOf::Nobody, None, 10, None).await.unwrap();
    assert_eq!(page.letters[0].queue, Some(Queue::Fulfilment));
}
