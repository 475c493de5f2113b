//! Exports in this process: the function that takes requests, and exporters, over the stack's real queue and S3.

use crate::clock::TestClock;
use crate::endpoints::stack;
use crate::engine::Engine;
use crate::faults::Wire;
use crate::requests::{Answer, Request, Who};
use crate::shop::Shop;
use aws_sdk_sqs::types::QueueAttributeName;
use axum::Router;
use exporter::{Exporter, Objects, PartLimits};
use exports::{Links, Settings};
use flate2::read::MultiGzDecoder;
use holdfast_domain::routing::Queue;
use holdfast_runtime::clock::Clock;
use holdfast_runtime::http::{CursorKey, observed};
use holdfast_runtime::message::Publisher;
use holdfast_runtime::routing::Queues;
use jiff::Timestamp;
use maintenance::{Job, Maintenance, Report, Task};
use serde_json::{Value, json};
use std::io::Read;
use std::sync::Arc;

/// How many messages a drain takes before it counts as stuck.
const MESSAGES_MAX: usize = 200;

/// The exports of one shop, with a bucket and a queue of its own.
pub struct Exporting {
    /// The shop.
    pub shop: Shop,
    /// `exports`.
    pub exports: Router,
    /// The wire of exporters: faults and guards.
    pub wire: Arc<Wire>,
    /// When invocations by the queue's messages have to be over.
    pub deadline: Timestamp,
    bucket: String,
    queue_url: String,
    sqs: aws_sdk_sqs::Client,
    maintenance: Maintenance,
}

/// The smallest parts: of so many orders.
pub fn parts_of(orders: u64) -> PartLimits {
    PartLimits { orders, ..PartLimits::default() }
}

impl Exporting {
    /// A shop without orders, at a time.
    pub async fn open(now: &str) -> Self {
        Self::of(Shop::over(Engine::embedded().await, TestClock::at(now))).await
    }

    /// The exports of a shop.
    pub async fn of(shop: Shop) -> Self {
        let url = &stack().sqs_url;
        let name = uuid::Uuid::now_v7().simple().to_string();
        let bucket = format!("b{name}");
        let made = reqwest::Client::new().put(format!("{url}/{bucket}")).send().await.expect("S3 answers");
        assert!(made.status().is_success(), "the bucket was not made: {made:?}");
        let sqs = Engine::plain_sqs(url);
        // Longer than any test: what is not done is released by hand.
        let queue = sqs.create_queue().queue_name(name).attributes(QueueAttributeName::VisibilityTimeout, "600");
        let queue_url = queue.send().await.expect("the queue is made").queue_url.expect("a queue has a URL");
        let aws = shop.engine.aws(Some(url.clone()));
        let settings = Settings {
            queue: Publisher::new(aws.sqs(), queue_url.clone()),
            links: Links::new(aws.s3(), bucket.clone()),
            cursor_key: CursorKey::new("test"),
        };
        let router = observed(exports::router(shop.engine.store(), shop.clock.clock(), settings));
        let exports = shop.engine.wire.mortal(router);
        let maintenance = Maintenance {
            store: shop.engine.store(),
            queues: Queues::new([(Queue::Exports, Publisher::new(aws.sqs(), queue_url.clone()))]),
            dead_queues: Vec::new(),
            recovery_after: jiff::SignedDuration::from_hours(1),
            clock: shop.clock.clock(),
        };
        let wire = Arc::clone(&shop.engine.wire);
        Self { shop, exports, wire, deadline: Timestamp::MAX, bucket, queue_url, sqs, maintenance }
    }

    /// An exporter whose calls pass the shop's wire.
    pub fn exporter(&self, limits: PartLimits) -> Exporter {
        self.exporter_at(limits, self.shop.clock.clock())
    }

    /// An exporter with a clock of its own.
    pub fn exporter_at(&self, limits: PartLimits, clock: Clock) -> Exporter {
        let aws = self.shop.engine.aws(Some(stack().sqs_url.clone()));
        Exporter {
            store: self.shop.engine.store(),
            queues: Queues::new([(Queue::Exports, Publisher::new(aws.sqs(), self.queue_url.clone()))]),
            objects: Objects::new(aws.s3(), self.bucket.clone()),
            clock,
            limits,
        }
    }

    /// Asks for an export as staff.
    pub async fn ask(&self, key: &str, body: &Value) -> Answer {
        Request::post("/exports", body).key(key).send(&self.exports, Some(&Who::staff())).await
    }

    /// Asks for an export that is taken; its id.
    pub async fn asked(&self, key: &str, body: &Value) -> String {
        let answer = self.ask(key, body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let id = answer.body["export_id"].as_str().expect("an export has an id").to_owned();
        assert_eq!(answer.header("location"), format!("/exports/{id}"));
        id
    }

    /// An export as staff see it.
    pub async fn export(&self, id: &str) -> Value {
        let answer = Request::get(&format!("/exports/{id}")).send(&self.exports, Some(&Who::staff())).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    /// The event that brings a message about an export.
    pub fn event(id: &str) -> Value {
        let body = json!({"tenant": "acme", "export_id": id, "correlation_id": "c", "traceparent": "t"}).to_string();
        json!({"Records": [{"messageId": "m-1", "body": body, "attributes": {}, "messageAttributes": {}}]})
    }

    /// Brings a message about an export to an exporter past the queue; whether it was done.
    pub async fn deliver(&self, exporter: &Exporter, id: &str, deadline: Timestamp) -> bool {
        let event = serde_json::from_value(Self::event(id)).expect("the event is one of a queue");
        let answer = Box::pin(self.wire.lives(exporter.handle(event, deadline))).await;
        answer.is_some_and(|answer| answer.batch_item_failures.is_empty())
    }

    /// Brings the next message of the queue to an exporter; false when there is none. One that is not done goes back.
    pub async fn work(&self, exporter: &Exporter) -> bool {
        let receive = self.sqs.receive_message().queue_url(&self.queue_url);
        let received = receive.send().await.expect("the queue is readable").messages.unwrap_or_default();
        let Some(message) = received.into_iter().next() else { return false };
        let handle = message.receipt_handle.clone().unwrap_or_default();
        let record = json!({
            "messageId": message.message_id, "body": message.body, "attributes": {}, "messageAttributes": {},
        });
        let event = serde_json::from_value(json!({"Records": [record]})).expect("the event is one of a queue");
        let answer = Box::pin(self.wire.lives(exporter.handle(event, self.deadline))).await;
        if answer.is_some_and(|answer| answer.batch_item_failures.is_empty()) {
            let delete = self.sqs.delete_message().queue_url(&self.queue_url).receipt_handle(handle);
            delete.send().await.expect("the message is deleted");
        } else {
            let again = self.sqs.change_message_visibility().queue_url(&self.queue_url).receipt_handle(handle);
            again.visibility_timeout(0).send().await.expect("the message is released");
        }
        true
    }

    /// Works until there is no message.
    pub async fn drain(&self, exporter: &Exporter) {
        for _ in 0..MESSAGES_MAX {
            if !self.work(exporter).await {
                return;
            }
        }
        panic!("there are still messages after {MESSAGES_MAX}");
    }

    /// Loses every message of the queue.
    pub async fn lose_messages(&self) {
        self.sqs.purge_queue().queue_url(&self.queue_url).send().await.expect("the queue is purged");
    }

    /// Runs the job of maintenance that looks after exports.
    pub async fn maintain(&self) -> Report {
        Box::pin(self.maintenance.run(Task::from(Job::Exports))).await.expect("the table answers")
    }

    /// The bytes of an export's parts, fetched by their links.
    pub async fn parts(&self, id: &str) -> Vec<Vec<u8>> {
        let export = self.export(id).await;
        let mut parts = Vec::new();
        for part in export["parts"].as_array().expect("an export has parts") {
            let url = part["url"].as_str().expect("a part has a link");
            let answer = reqwest::get(url).await.expect("S3 answers");
            assert_eq!(answer.status(), 200, "{url}");
            parts.push(answer.bytes().await.expect("S3 answers to the end").to_vec());
        }
        parts
    }

    /// The lines of an export that is packed.
    pub async fn lines(&self, id: &str) -> Vec<Value> {
        let mut lines = Vec::new();
        for part in self.parts(id).await {
            let mut text = String::new();
            MultiGzDecoder::new(&*part).read_to_string(&mut text).expect("a part is gzip of UTF-8");
            assert!(text.ends_with('\n'), "the last line has its end");
            lines.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON")));
        }
        lines
    }

    /// The names of the objects in the bucket.
    pub async fn objects(&self) -> Vec<String> {
        let list = self.s3().list_objects_v2().bucket(&self.bucket).send().await.expect("S3 answers");
        list.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect()
    }

    /// S3 past the wire.
    fn s3(&self) -> aws_sdk_s3::Client {
        Engine::plain(&stack().sqs_url).s3()
    }
}
