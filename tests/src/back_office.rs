//! What happens behind the API: relay, worker and maintenance in this process, over the stack's real queue and payment
//! provider.

use crate::clock::TestClock;
use crate::endpoints::stack;
use crate::engine::Engine;
use crate::faults::{Way, Wire};
use crate::mailroom;
use crate::requests::Who;
use async_trait::async_trait;
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use holdfast_domain::event::{CloudEvent, OrderNotice, Trace};
use holdfast_domain::ids::{OrderId, TenantId};
use holdfast_domain::order::Booking;
use holdfast_domain::payment::{Capture, PaymentOutcome, PaymentReference};
use holdfast_runtime::message::Publisher;
use holdfast_runtime::routing::Queues;
use holdfast_runtime::task_queue::TaskQueue;
use maintenance::{Job, Maintenance, Report, Task};
use order_worker::{
    Authorisation, BookShipment, CaptureOutcome, Carrier, CarrierError, HttpCarrier, PaymentError, PaymentGateway,
    RefundOutcome, RefundRequest, Standing, Stripe, VoidOutcome, VoidRequest, Worker,
};
use outbox_relay::Relay;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// How many rounds a drain takes before it counts as stuck.
const ROUNDS_MAX: usize = 200;

/// Relay, worker and maintenance of one table.
pub struct BackOffice {
    relay: Relay,
    worker: Worker,
    maintenance: Maintenance,
    sqs: aws_sdk_sqs::Client,
    queue_url: String,
    /// The queue of notifications, which only a [`crate::mailroom::Mailroom`] reads.
    pub notifications_url: String,
    streams: holdfast_local::engines::aws::JsonService,
    table: String,
    /// Where the relay stands in the stream.
    position: Mutex<Option<String>>,
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
        let queues = Queues { orders: publisher.clone(), notifications };
        // No export is asked for here.
        let exports = TaskQueue::new(aws.sqs(), queue_url.clone());
        let store = engine.store();
        let stripe = Stripe::new(&stack.payment_url, "sk_test_local").expect("TLS is set up");
        let payments = Arc::new(FaultyPayments { stripe, wire: Arc::clone(&engine.wire) });
        let carrier =
            HttpCarrier::new(&stack.carrier_url, holdfast_local::engines::carrier::API_KEY).expect("TLS is set up");
        let carrier = Arc::new(FaultyCarrier { carrier, wire: Arc::clone(&engine.wire) });
        let clock = clock.clock();
        Self {
            relay: Relay {
                store: store.clone(),
                queues: queues.clone(),
                clock: clock.clone(),
                recovery_after: jiff::SignedDuration::from_hours(1),
            },
            worker: Worker { store: store.clone(), publisher, payments, carrier, clock: clock.clone() },
            maintenance: Maintenance { store, queues, exports, clock },
            sqs,
            queue_url,
            notifications_url,
            streams: engine.streams(),
            table: engine.table.clone(),
            position: Mutex::default(),
            done: Mutex::default(),
        }
    }

    /// Invokes the relay with what the stream has; false when there was nothing.
    pub async fn relay(&self) -> bool {
        let position = self.position.lock().expect("no test panics while it holds this").clone();
        let iterator = match position {
            Some(iterator) => iterator,
            None => self.stream_start().await,
        };
        let request = json!({"ShardIterator": iterator, "Limit": 100});
        let mut page = self.streams.call("GetRecords", &request).await.expect("the stream is readable");
        let order = |record: &Value| record["dynamodb"]["Keys"]["sk"]["S"] == "order";
        let records: Vec<_> = page["Records"].as_array().cloned().unwrap_or_default();
        let matching: Vec<_> = records.iter().filter(|record| order(record)).cloned().collect();
        let event = serde_json::from_value(json!({"Records": matching})).expect("records are those of a stream event");
        let answer = Box::pin(self.relay.handle(event)).await;
        // A failed batch is delivered again: the position stays.
        if answer.batch_item_failures.is_empty() {
            *self.position.lock().expect("no test panics while it holds this") =
                page["NextShardIterator"].take().as_str().map(str::to_owned);
        }
        !records.is_empty()
    }

    /// Loses every message of the queue, also those that were delivered and not done.
    pub async fn lose_messages(&self) {
        self.sqs.purge_queue().queue_url(&self.queue_url).send().await.expect("the queue is purged");
    }

    /// Invokes the worker with a batch of what the queue has; false when there was nothing.
    pub async fn work(&self) -> bool {
        let received = self
            .sqs
            .receive_message()
            .queue_url(&self.queue_url)
            .max_number_of_messages(10)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .send()
            .await
            .expect("the queue is readable");
        let messages = received.messages.unwrap_or_default();
        if messages.is_empty() {
            return false;
        }
        let records = messages.iter().map(|message| {
            let attributes = message.attributes.iter().flatten();
            let attributes: BTreeMap<_, _> = attributes.map(|(name, value)| (name.as_str(), value.clone())).collect();
            json!({
                "messageId": message.message_id, "receiptHandle": message.receipt_handle, "body": message.body,
                "attributes": attributes, "messageAttributes": {}, "eventSource": "aws:sqs",
            })
        });
        let event = serde_json::from_value(json!({"Records": records.collect::<Vec<_>>()}));
        let answer = Box::pin(self.worker.handle(event.expect("records are those of a queue event"))).await;
        let failed: Vec<_> =
            answer.batch_item_failures.iter().filter_map(|item| item.item_identifier.clone()).collect();
        for message in messages {
            let handle = message.receipt_handle.clone().unwrap_or_default();
            if failed.contains(&message.message_id.clone().unwrap_or_default()) {
                // What the worker asked for, without the wait.
                let again = self.sqs.change_message_visibility().queue_url(&self.queue_url).receipt_handle(handle);
                again.visibility_timeout(0).send().await.expect("the message is released");
                continue;
            }
            let body: Value = serde_json::from_str(message.body.as_deref().unwrap_or_default()).unwrap_or_default();
            let id = body["id"].as_str().unwrap_or_default().to_owned();
            *self.done.lock().expect("no test panics while it holds this").entry(id).or_default() += 1;
            let delete = self.sqs.delete_message().queue_url(&self.queue_url).receipt_handle(handle);
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

    /// Runs a job of maintenance.
    pub async fn maintain(&self, job: Job) -> Report {
        Box::pin(self.maintenance.run(Task { job })).await.expect("the table answers")
    }

    /// Sends a message as it is.
    pub async fn send(&self, body: &str) {
        let send = self.sqs.send_message().queue_url(&self.queue_url).message_body(body);
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
        let (publisher, clock) = (self.worker.publisher.clone(), self.worker.clock.clone());
        let secrets = payment_webhooks::Secrets::parse(crate::provider::WEBHOOK_SECRET);
        holdfast_runtime::http::observed(payment_webhooks::router(publisher, secrets, clock))
    }

    /// The events whose message was done, each with how often.
    pub fn events_done(&self) -> BTreeMap<String, u64> {
        self.done.lock().expect("no test panics while it holds this").clone()
    }

    /// How many payments the provider has for an order.
    pub async fn authorisations(&self, order_id: &str) -> usize {
        let (mut found, mut after) = (0, String::new());
        loop {
            let url = format!("{}/v1/payment_intents?limit=100{after}", stack().payment_url);
            let answer = reqwest::Client::new().get(url).bearer_auth("sk_test_local").send().await;
            let page: Value = answer.expect("the provider answers").json().await.expect("the provider speaks JSON");
            let intents = page["data"].as_array().cloned().unwrap_or_default();
            found += intents.iter().filter(|intent| intent["metadata"]["order_id"] == order_id).count();
            match intents.last().filter(|_| page["has_more"] == true) {
                Some(last) => after = format!("&starting_after={}", last["id"].as_str().unwrap_or_default()),
                None => return found,
            }
        }
    }

    async fn stream_start(&self) -> String {
        let request = json!({"TableName": self.table});
        let streams = self.streams.call("ListStreams", &request).await.expect("the table has a stream");
        let arn = streams["Streams"][0]["StreamArn"].as_str().expect("the table has a stream").to_owned();
        let stream =
            self.streams.call("DescribeStream", &json!({"StreamArn": arn})).await.expect("the stream is there");
        let shard = stream["StreamDescription"]["Shards"][0]["ShardId"].clone();
        let request = json!({"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
        let iterator = self.streams.call("GetShardIterator", &request).await.expect("the shard is there");
        iterator["ShardIterator"].as_str().expect("a shard has an iterator").to_owned()
    }
}

/// The real adapter, with the wire's faults: a call that is not made, or one whose answer is lost.
struct FaultyPayments {
    stripe: Stripe,
    wire: Arc<Wire>,
}

#[async_trait]
impl PaymentGateway for FaultyPayments {
    async fn authorise(&self, request: &Authorisation) -> Result<PaymentOutcome, PaymentError> {
        match self.wire.outside_call() {
            None => self.stripe.authorise(request).await,
            Some(Way::After) => self.stripe.authorise(request).await.and(Err(lost())),
            Some(_) => Err(lost()),
        }
    }

    async fn void(&self, request: &VoidRequest) -> Result<VoidOutcome, PaymentError> {
        match self.wire.outside_call() {
            None => self.stripe.void(request).await,
            Some(Way::After) => self.stripe.void(request).await.and(Err(lost())),
            Some(_) => Err(lost()),
        }
    }

    async fn standing(&self, reference: &PaymentReference) -> Result<Standing, PaymentError> {
        match self.wire.outside_call() {
            None => self.stripe.standing(reference).await,
            Some(_) => Err(lost()),
        }
    }

    async fn capture(&self, order: OrderId, capture: &Capture) -> Result<CaptureOutcome, PaymentError> {
        match self.wire.outside_call() {
            None => self.stripe.capture(order, capture).await,
            Some(Way::After) => self.stripe.capture(order, capture).await.and(Err(lost())),
            Some(_) => Err(lost()),
        }
    }

    async fn refund(&self, request: &RefundRequest) -> Result<RefundOutcome, PaymentError> {
        match self.wire.outside_call() {
            None => self.stripe.refund(request).await,
            Some(Way::After) => self.stripe.refund(request).await.and(Err(lost())),
            Some(_) => Err(lost()),
        }
    }
}

/// The real adapter, with the wire's faults.
struct FaultyCarrier {
    carrier: HttpCarrier,
    wire: Arc<Wire>,
}

#[async_trait]
impl Carrier for FaultyCarrier {
    async fn book(&self, shipment: &BookShipment) -> Result<Booking, CarrierError> {
        let lost = || CarrierError::NoOutcome { cause: "injected".to_owned(), retry_after_seconds: None };
        match self.wire.outside_call() {
            None => self.carrier.book(shipment).await,
            Some(Way::After) => self.carrier.book(shipment).await.and(Err(lost())),
            Some(_) => Err(lost()),
        }
    }

    async fn cancel(&self, reference: &str) -> Result<(), CarrierError> {
        self.carrier.cancel(reference).await
    }
}

fn lost() -> PaymentError {
    PaymentError::NoOutcome("injected".to_owned())
}
