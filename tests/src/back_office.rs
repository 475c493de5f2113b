//! What happens behind the API: relay, worker and maintenance in this process, over the stack's real queue and payment
//! provider.

use crate::clock::TestClock;
use crate::endpoints::stack;
use crate::engine::Engine;
use crate::faults::Wire;
use crate::faulty::{FaultyCarrier, FaultyPayments};
use crate::mailroom;
use crate::provider::payments_of;
use crate::requests::Who;
use crate::stream;
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use holdfast_cache::Level2;
use holdfast_domain::event::{CloudEvent, OrderNotice, Trace};
use holdfast_domain::ids::{OrderId, TenantId};
use holdfast_domain::routing::Queue;
use holdfast_runtime::cached;
use holdfast_runtime::dead_queue::DeadQueue;
use holdfast_runtime::message::Publisher;
use holdfast_runtime::routing::Queues;
use maintenance::{Job, JobError, Maintenance, Report, Task};
use order_worker::{HttpCarrier, Stripe, Worker};
use outbox_relay::{Relay, Told};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// How many rounds a drain takes before it counts as stuck.
const ROUNDS_MAX: usize = 200;

/// Relay, worker and maintenance of one table.
pub struct BackOffice {
    wire: Arc<Wire>,
    relay: Relay,
    worker: Worker,
    maintenance: Maintenance,
    publisher: Publisher,
    sqs: aws_sdk_sqs::Client,
    /// Those that the worker reads.
    queue_urls: [String; 2],
    dead_url: String,
    /// The queue of notifications, which only a [`crate::mailroom::Mailroom`] reads.
    pub notifications_url: String,
    streams: holdfast_local::engines::aws::JsonService,
    table: String,
    /// Where the relay stands in the stream.
    position: Mutex<Option<String>>,
    /// The order whose records cannot be read.
    spoiled: Mutex<Option<String>>,
    /// How often the message of each event was done.
    pub done: Mutex<BTreeMap<String, u64>>,
}

impl BackOffice {
    /// The back office of an engine's table, with a queue of its own.
    pub async fn open(engine: &Engine, clock: &TestClock) -> Self {
        let stack = stack();
        let aws = engine.aws(Some(stack.sqs_url.clone()));
        // The queue is made past the wire, so that making it is not one of the calls that fail.
        let sqs = Engine::plain_sqs(&stack.sqs_url);
        let name = format!("q{}", uuid::Uuid::now_v7().simple());
        let queue = sqs.create_queue().queue_name(name).attributes(QueueAttributeName::VisibilityTimeout, "30");
        let queue_url = queue.send().await.expect("the queue is made").queue_url.expect("a queue has a URL");
        let publisher = Publisher::new(aws.sqs(), queue_url.clone());
        let (notifications, notifications_url) = mailroom::queue(engine).await;
        let dead_url = sqs.create_queue().queue_name(format!("d{}", uuid::Uuid::now_v7().simple())).send().await;
        let dead_url = dead_url.expect("the queue is made").queue_url.expect("a queue has a URL");
        let dead_queues = vec![DeadQueue::new(aws.sqs(), dead_url.clone(), Some(Queue::Orders))];
        let name = format!("f{}", uuid::Uuid::now_v7().simple());
        let queue = sqs.create_queue().queue_name(name).attributes(QueueAttributeName::VisibilityTimeout, "30");
        let fulfilment = queue.send().await.expect("the queue is made").queue_url.expect("a queue has a URL");
        // No export is asked for here.
        let queues = Queues::new([
            (Queue::Orders, publisher.clone()),
            (Queue::Fulfilment, Publisher::new(aws.sqs(), fulfilment.clone())),
            (Queue::Notifications, notifications),
        ]);
        let store = engine.store();
        let stripe = Stripe::new(&stack.payment_url, "sk_test_local").expect("TLS is set up");
        let payments = Arc::new(FaultyPayments { stripe, wire: Arc::clone(&engine.wire) });
        let carrier =
            HttpCarrier::new(&stack.carrier_url, holdfast_local::engines::carrier::API_KEY).expect("TLS is set up");
        let carrier = Arc::new(FaultyCarrier { carrier, wire: Arc::clone(&engine.wire) });
        let clock = clock.clock();
        let recovery_after = jiff::SignedDuration::from_hours(1);
        Self {
            wire: Arc::clone(&engine.wire),
            relay: Relay {
                store: store.clone(),
                queues: queues.clone(),
                told: Told::new(cached::products_told(&clock, None)),
                clock: clock.clone(),
                recovery_after,
            },
            worker: Worker { store: store.clone(), queues: queues.clone(), payments, carrier, clock: clock.clone() },
            maintenance: Maintenance { store, queues, dead_queues, recovery_after, clock },
            publisher,
            dead_url,
            sqs,
            queue_urls: [queue_url, fulfilment],
            notifications_url,
            streams: engine.streams(),
            table: engine.table.clone(),
            position: Mutex::default(),
            spoiled: Mutex::default(),
            done: Mutex::default(),
        }
    }

    /// From now on, the relay tells a shared cache of products that changed.
    pub fn tell(&mut self, shared: Arc<dyn Level2>) {
        self.relay.told = Told::new(cached::products_told(&self.relay.clock, Some(shared)));
    }

    /// Invokes the relay with what the stream has; false when there was nothing.
    pub async fn relay(&self) -> bool {
        let position = self.position.lock().expect("no test panics while it holds this").clone();
        let iterator = match position {
            Some(iterator) => iterator,
            None => stream::start(&self.streams, &self.table).await,
        };
        let request = json!({"ShardIterator": iterator, "Limit": 100});
        let mut page = self.streams.call("GetRecords", &request).await.expect("the stream is readable");
        let order = |record: &Value| {
            ["order", "pulse", "product"].iter().any(|sk| record["dynamodb"]["Keys"]["sk"]["S"] == *sk)
        };
        let records: Vec<_> = page["Records"].as_array().cloned().unwrap_or_default();
        let mut matching: Vec<_> = records.iter().filter(|record| order(record)).cloned().collect();
        if let Some(id) = &*self.spoiled.lock().expect("no test panics while it holds this") {
            let of_it = |record: &&mut Value| record["dynamodb"]["Keys"]["pk"].to_string().contains(id);
            matching
                .iter_mut()
                .filter(of_it)
                .for_each(|record| record["dynamodb"]["NewImage"]["history"] = json!({"N": "1"}));
        }
        let event = serde_json::from_value(json!({"Records": matching})).expect("records are those of a stream event");
        let answer = Box::pin(self.wire.lives(self.relay.handle(event))).await;
        // A batch that failed, or at which the relay was killed, is delivered again: the position stays.
        if answer.is_some_and(|answer| answer.batch_item_failures.is_empty()) {
            *self.position.lock().expect("no test panics while it holds this") =
                page["NextShardIterator"].take().as_str().map(str::to_owned);
        }
        !records.is_empty()
    }

    /// From now on, the records of an order read like nothing that the relay knows.
    pub fn spoil_records(&self, order_id: &str) {
        *self.spoiled.lock().expect("no test panics while it holds this") = Some(order_id.to_owned());
    }

    /// From now on, all records can be read again.
    pub fn mend_records(&self) {
        *self.spoiled.lock().expect("no test panics while it holds this") = None;
    }

    /// Loses what the relay has not read, as the stream does after a day.
    pub async fn trim_stream(&self) {
        let position = self.position.lock().expect("no test panics while it holds this").clone();
        let mut iterator = match position {
            Some(iterator) => iterator,
            None => stream::start(&self.streams, &self.table).await,
        };
        loop {
            let request = json!({"ShardIterator": iterator, "Limit": 100});
            let page = self.streams.call("GetRecords", &request).await.expect("the stream is readable");
            iterator = page["NextShardIterator"].as_str().expect("the shard is open").to_owned();
            if page["Records"].as_array().is_none_or(Vec::is_empty) {
                break;
            }
        }
        *self.position.lock().expect("no test panics while it holds this") = Some(iterator);
    }

    /// Loses every message of the queue, also those that were delivered and not done.
    pub async fn lose_messages(&self) {
        for url in &self.queue_urls {
            self.sqs.purge_queue().queue_url(url).send().await.expect("the queue is purged");
        }
    }

    /// Invokes the worker with a batch of what each of its queues has; false when there was nothing.
    pub async fn work(&self) -> bool {
        let mut worked = false;
        for url in &self.queue_urls {
            worked |= self.work_from(url).await;
        }
        worked
    }

    async fn work_from(&self, url: &str) -> bool {
        let received = self
            .sqs
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(10)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_attribute_names("All")
            .send()
            .await
            .expect("the queue is readable");
        let messages = received.messages.unwrap_or_default();
        if messages.is_empty() {
            return false;
        }
        let arn = format!("arn:aws:sqs:us-east-1:000000000000:{}", url.rsplit('/').next().unwrap_or_default());
        let records = messages.iter().map(|message| {
            let attributes = message.attributes.iter().flatten();
            let attributes: BTreeMap<_, _> = attributes.map(|(name, value)| (name.as_str(), value.clone())).collect();
            let given = message.message_attributes.iter().flatten().map(|(name, value)| {
                let given = json!({
                    "stringValue": value.string_value, "dataType": "String", "stringListValues": [], "binaryListValues": [],
                });
                (name.clone(), given)
            });
            json!({
                "messageId": message.message_id, "receiptHandle": message.receipt_handle, "body": message.body,
                "attributes": attributes, "messageAttributes": given.collect::<BTreeMap<_, _>>(),
                "eventSource": "aws:sqs", "eventSourceARN": arn,
            })
        });
        let event = serde_json::from_value(json!({"Records": records.collect::<Vec<_>>()}));
        let handled = self.worker.handle(event.expect("records are those of a queue event"));
        let failed: Vec<_> = match Box::pin(self.wire.lives(handled)).await {
            Some(answer) => answer.batch_item_failures.into_iter().filter_map(|item| item.item_identifier).collect(),
            None => messages.iter().filter_map(|message| message.message_id.clone()).collect(),
        };
        for message in messages {
            let handle = message.receipt_handle.clone().unwrap_or_default();
            if failed.contains(&message.message_id.clone().unwrap_or_default()) {
                // What the worker asked for, or what SQS does some time after it was killed, without the wait.
                let again = self.sqs.change_message_visibility().queue_url(url).receipt_handle(handle);
                again.visibility_timeout(0).send().await.expect("the message is released");
                continue;
            }
            let body: Value = serde_json::from_str(message.body.as_deref().unwrap_or_default()).unwrap_or_default();
            let id = body["id"].as_str().unwrap_or_default().to_owned();
            *self.done.lock().expect("no test panics while it holds this").entry(id).or_default() += 1;
            let delete = self.sqs.delete_message().queue_url(url).receipt_handle(handle);
            delete.send().await.expect("the message is deleted");
        }
        true
    }

    /// Relays and works until there is nothing left to do now. Timers that are still to run stay where they are.
    pub async fn drain(&self) {
        for _ in 0..ROUNDS_MAX {
            let relayed = self.relay().await;
            if !self.work().await && !relayed {
                return;
            }
        }
        panic!("there is still something to do after {ROUNDS_MAX} rounds");
    }

    /// Runs a job of maintenance, by its schedule.
    pub async fn maintain(&self, job: Job) -> Report {
        self.run(Task::from(job)).await.expect("the table answers")
    }

    /// Runs a task of maintenance.
    ///
    /// # Errors
    /// As the function.
    pub async fn run(&self, task: Task) -> Result<Report, JobError> {
        match Box::pin(self.wire.lives(self.maintenance.run(task))).await {
            Some(done) => done,
            // Lambda invokes it again (AWS Lambda, "Retry behavior" of asynchronous invocations).
            None => Box::pin(self.maintenance.run(task)).await,
        }
    }

    /// Puts a message where SQS puts what a function crashed at.
    pub async fn send_dead(&self, body: &str) {
        let send = self.sqs.send_message().queue_url(&self.dead_url).message_body(body);
        send.send().await.expect("the queue takes the message");
    }

    /// The function that shows and mends, before this queue.
    pub fn ops(&self) -> axum::Router {
        self.wire.mortal(holdfast_runtime::http::observed(ops::router(ops::App {
            store: self.worker.store.clone(),
            queues: self.worker.queues.clone(),
            recovery_after: self.maintenance.recovery_after,
            cursor_key: holdfast_runtime::http::CursorKey::new("test"),
            clock: self.worker.clock.clone(),
        })))
    }

    /// Sends a message as it is.
    pub async fn send(&self, body: &str) {
        let send = self.sqs.send_message().queue_url(&self.queue_urls[0]).message_body(body);
        send.send().await.expect("the queue takes the message");
    }

    /// Delivers the timer after which nobody is expected to come back to an order.
    pub async fn recover(&self, order_id: &str) {
        let trace = Trace { correlation_id: "c".to_owned(), traceparent: String::new() };
        let notice = OrderNotice {
            tenant: TenantId::parse(Who::staff().tenant).expect("the tests' tenant is well-formed"),
            order_id: OrderId::parse(order_id).expect("it is an order's id"),
            version: 1,
            state: "expired".to_owned(),
            due_at: 0,
        };
        let timer = CloudEvent::recovery_timer(jiff::Timestamp::UNIX_EPOCH, &trace, notice);
        self.send(&serde_json::to_string(&timer).expect("events are JSON")).await;
    }

    /// How many shipments the carrier has of an order.
    pub async fn bookings(&self, order_id: &str) -> usize {
        let url = format!("{}/_shipments", stack().carrier_url);
        let answer = reqwest::Client::new().get(url).send().await.expect("the carrier answers");
        let booked: Value = answer.json().await.expect("the carrier speaks JSON");
        let shipments = booked["shipments"].as_array().cloned().unwrap_or_default();
        shipments.iter().filter(|shipment| shipment["booked"]["order"] == order_id).count()
    }

    /// Delivers messages at the same time, each to an environment of its own; which of them are done.
    pub async fn deliver(&self, bodies: &[String]) -> Vec<bool> {
        let deliveries = bodies.iter().enumerate().map(|(number, body)| async move {
            let record = json!({
                "messageId": number.to_string(), "body": body, "attributes": {}, "messageAttributes": {},
                "eventSource": "aws:sqs",
            });
            let event = serde_json::from_value(json!({"Records": [record]}));
            let answer = Box::pin(self.worker.handle(event.expect("records are those of a queue event"))).await;
            answer.batch_item_failures.is_empty()
        });
        futures_util::future::join_all(deliveries).await
    }

    /// An environment of the function that takes the provider's notices, before this queue.
    pub fn webhooks(&self) -> axum::Router {
        let (publisher, clock) = (self.publisher.clone(), self.worker.clock.clone());
        let secrets = payment_webhooks::Secrets::parse(crate::provider::WEBHOOK_SECRET);
        let router = payment_webhooks::router(publisher, secrets, clock);
        self.wire.mortal(holdfast_runtime::http::observed(router))
    }

    /// The events whose message was done, each with how often.
    pub fn events_done(&self) -> BTreeMap<String, u64> {
        self.done.lock().expect("no test panics while it holds this").clone()
    }

    /// How many payments the provider has for an order.
    pub async fn authorisations(&self, order_id: &str) -> usize {
        payments_of(order_id).await.len()
    }
}
