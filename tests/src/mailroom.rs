//! What tells the outside: relay and notifier in this process, over queues whose delays pass by the test's clock. Orders are
//! relayed, too, and nobody works on them: the back office does that, over the stack's real queue.

use crate::clocked_queue::ClockedQueue;
use crate::endpoints::stack;
use crate::engine::Engine;
use crate::faults::Wire;
use crate::requests::{Answer, Request, Who};
use crate::shop::Shop;
use crate::stream;
use async_trait::async_trait;
use aws_sdk_sqs::types::QueueAttributeName;
use axum::Router;
use holdfast_domain::mail::Mail;
use holdfast_domain::routing::Queue;
use holdfast_domain::webhook::Loopback;
use holdfast_runtime::cached;
use holdfast_runtime::http::{CursorKey, observed};
use holdfast_runtime::message::Publisher;
use holdfast_runtime::names::Names;
use holdfast_runtime::outside::{BreakerSettings, Settings};
use holdfast_runtime::routing::Queues;
use maintenance::{Job, Maintenance, Report, Task};
use notifier::{Notifications, Notifier, NotifyError, Sender};
use outbox_relay::{Relay, Told};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How many rounds a drain takes before it counts as stuck.
const ROUNDS_MAX: usize = 200;

/// Relay, notifier and the `webhooks` function of one shop.
pub struct Mailroom {
    /// The notifier.
    pub notifications: Notifications,
    /// The HTTP function `webhooks`.
    pub webhooks: Router,
    /// The queue of order events; nobody reads it.
    pub orders_queue: ClockedQueue,
    /// The queue of notifications.
    pub queue: ClockedQueue,
    /// What names lead to.
    pub names: Arc<NameTable>,
    /// The mails that were sent.
    pub mails: Arc<SentMails>,
    wire: Arc<Wire>,
    relay: Relay,
    maintenance: Maintenance,
    streams: holdfast_local::engines::aws::JsonService,
    table: String,
    position: Mutex<Option<String>>,
}

impl Mailroom {
    /// The mailroom of a shop. Receivers are on this machine, so that these are allowed.
    pub async fn open(shop: &Shop) -> Self {
        Self::with(shop, Loopback::Allowed, Duration::from_secs(15)).await
    }

    /// The same by other rules of what may be called, and with another time for a call. Hosts that fail are called all the
    /// same: the clock of breakers is the machine's, and most tests let an endpoint fail for days within a second.
    pub async fn with(shop: &Shop, loopback: Loopback, call_timeout: Duration) -> Self {
        let breaker = BreakerSettings { failures_in_a_row: usize::MAX, attempts_min: usize::MAX, ..Default::default() };
        let call_timeout = call_timeout + Duration::from_secs(1);
        Self::with_settings(shop, loopback, Settings { call_timeout, breaker, ..Sender::settings() }).await
    }

    /// The same with other settings of calls.
    pub async fn with_settings(shop: &Shop, loopback: Loopback, settings: Settings) -> Self {
        let (orders_queue, queue) = (ClockedQueue::open(&shop.clock).await, ClockedQueue::open(&shop.clock).await);
        let publisher =
            |queue: &ClockedQueue| Publisher::new(shop.engine.aws(Some(queue.url.clone())).sqs(), queue.url.clone());
        // No export is asked for here.
        let queues = Queues::new([
            (Queue::Orders, publisher(&orders_queue)),
            (Queue::Fulfilment, publisher(&orders_queue)),
            (Queue::Notifications, publisher(&queue)),
        ]);
        let (names, mails) = (Arc::<NameTable>::default(), Arc::<SentMails>::default());
        let sender = Sender::with_settings(Arc::clone(&names) as Arc<dyn Names>, loopback, settings);
        let (store, clock) = (shop.engine.store(), shop.clock.clock());
        let webhooks = webhooks::router(webhooks::App {
            store: store.clone(),
            publisher: publisher(&queue),
            names: Arc::clone(&names) as Arc<dyn Names>,
            loopback,
            cursor_key: CursorKey::new("test"),
            clock: clock.clone(),
        });
        let recovery_after = jiff::SignedDuration::from_hours(1);
        Self {
            notifications: Notifications {
                store: store.clone(),
                queues: queues.clone(),
                sender: Arc::new(sender.expect("TLS is set up")),
                mails: Arc::clone(&mails) as Arc<dyn Notifier>,
                clock: clock.clone(),
            },
            webhooks: shop.engine.wire.mortal(observed(webhooks)),
            wire: Arc::clone(&shop.engine.wire),
            relay: Relay {
                store: store.clone(),
                queues: queues.clone(),
                told: Told::new(cached::products_told(&clock, None)),
                clock: clock.clone(),
                recovery_after,
            },
            maintenance: Maintenance { store, queues, dead_queues: Vec::new(), recovery_after, clock },
            orders_queue,
            queue,
            names,
            mails,
            streams: shop.engine.streams(),
            table: shop.engine.table.clone(),
            position: Mutex::default(),
        }
    }

    /// Makes an endpoint of the shop `acme`; its id and its secret.
    pub async fn endpoint(&self, key: &str, url: &str, events: &[&str]) -> (String, String) {
        let body = json!({"url": url, "events": events});
        let answer = self.ask(Request::post("/webhooks/endpoints", &body).key(key)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let text = |name: &str| answer.body[name].as_str().unwrap_or_default().to_owned();
        (text("endpoint_id"), text("secret"))
    }

    /// Sends a request of the shop's staff to `webhooks`.
    pub async fn ask(&self, request: Request) -> Answer {
        request.send(&self.webhooks, Some(&Who::staff())).await
    }

    /// The deliveries to an endpoint, newest first, as its log tells.
    pub async fn deliveries(&self, endpoint: &str) -> Vec<Value> {
        let answer = self.ask(Request::get(&format!("/webhooks/endpoints/{endpoint}/deliveries?limit=100"))).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["deliveries"].as_array().cloned().unwrap_or_default()
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
        let records: Vec<_> = page["Records"].as_array().cloned().unwrap_or_default();
        let of_order = |record: &&Value| record["dynamodb"]["Keys"]["sk"]["S"] == "order";
        let matching: Vec<_> = records.iter().filter(of_order).cloned().collect();
        let event = serde_json::from_value(json!({"Records": matching})).expect("records are those of a stream event");
        let answer = Box::pin(self.wire.lives(self.relay.handle(event))).await;
        if answer.is_some_and(|answer| answer.batch_item_failures.is_empty()) {
            *self.position.lock().expect("no test panics while it holds this") =
                page["NextShardIterator"].take().as_str().map(str::to_owned);
        }
        !records.is_empty()
    }

    /// Invokes the notifier with a batch of what the queue has; how many of its messages were done, or none when there was
    /// nothing.
    pub async fn notify(&self) -> Option<usize> {
        let letters = self.queue.take();
        if letters.is_empty() {
            return None;
        }
        let records: Vec<_> =
            letters.iter().map(|letter| received(&letter.id, &letter.body, letter.received)).collect();
        let failed = self.handle(&records).await;
        let count = letters.len() - failed.len();
        letters
            .into_iter()
            .filter(|letter| failed.contains(&letter.id))
            .for_each(|letter| self.queue.give_back(letter));
        Some(count)
    }

    /// Invokes the notifier with these messages; the ids of those that were not done.
    pub async fn handle(&self, records: &[Value]) -> Vec<String> {
        let event = serde_json::from_value(json!({"Records": records})).expect("records are those of a queue event");
        match Box::pin(self.wire.lives(self.notifications.handle(event))).await {
            Some(answer) => answer.batch_item_failures.into_iter().filter_map(|item| item.item_identifier).collect(),
            None => records.iter().filter_map(|record| record["messageId"].as_str().map(str::to_owned)).collect(),
        }
    }

    /// Relays and notifies until there is nothing left to do now. Timers that are still to run stay where they are.
    pub async fn drain(&self) {
        for _ in 0..ROUNDS_MAX {
            let relayed = self.relay().await;
            if self.notify().await.is_none() && !relayed {
                return;
            }
        }
        panic!("there is still something to do after {ROUNDS_MAX} rounds: {:?}", self.queue.waiting());
    }

    /// Runs a job of maintenance.
    pub async fn maintain(&self, job: Job) -> Report {
        let run = || Box::pin(self.maintenance.run(Task::from(job)));
        let done = match self.wire.lives(run()).await {
            Some(done) => done,
            None => run().await,
        };
        done.expect("the table answers")
    }
}

/// A message as Lambda brings it for the first time.
pub fn record(id: &str, body: &str) -> Value {
    received(id, body, 1)
}

fn received(id: &str, body: &str, count: u32) -> Value {
    json!({
        "messageId": id, "receiptHandle": id, "body": body,
        "attributes": {"ApproximateReceiveCount": count.to_string()},
        "messageAttributes": {}, "eventSource": "aws:sqs",
    })
}

/// A queue of notifications at the stack, for the back office: a publisher through the wire, and its URL.
pub async fn queue(engine: &Engine) -> (Publisher, String) {
    let stack = stack();
    let name = format!("n{}", uuid::Uuid::now_v7().simple());
    let sqs = Engine::plain_sqs(&stack.sqs_url);
    let made = sqs.create_queue().queue_name(name).attributes(QueueAttributeName::VisibilityTimeout, "30").send().await;
    let url = made.expect("the queue is made").queue_url.expect("a queue has a URL");
    (Publisher::new(engine.aws(Some(stack.sqs_url.clone())).sqs(), url.clone()), url)
}

/// Names that lead where the test says; this machine's own leads here.
#[derive(Default)]
pub struct NameTable(Mutex<BTreeMap<String, Vec<IpAddr>>>);

impl NameTable {
    /// From now on a name leads to these addresses.
    pub fn set(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| address.parse().expect("the test gives addresses")).collect();
        self.0.lock().expect("no test panics while it holds this").insert(name.to_owned(), addresses);
    }
}

#[async_trait]
impl Names for NameTable {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        if name == "localhost" {
            return Ok(vec![IpAddr::from([127, 0, 0, 1])]);
        }
        let table = self.0.lock().expect("no test panics while it holds this");
        table.get(name).cloned().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such name"))
    }
}

/// Where mails go in tests; the next ones may fail.
#[derive(Default)]
pub struct SentMails {
    sent: Mutex<Vec<Mail>>,
    failing: Mutex<Vec<Failure>>,
}

/// How a mail fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// It is refused for good.
    Refused,
    /// It is not taken for now.
    Unavailable,
    /// It is taken, and the answer is lost.
    Lost,
}

impl SentMails {
    /// The mails that were taken.
    pub fn sent(&self) -> Vec<Mail> {
        self.sent.lock().expect("no test panics while it holds this").clone()
    }

    /// Lets the next mail fail.
    pub fn fail_next(&self, failure: Failure) {
        self.failing.lock().expect("no test panics while it holds this").push(failure);
    }
}

#[async_trait]
impl Notifier for SentMails {
    async fn notify(&self, mail: &Mail) -> Result<(), NotifyError> {
        let failure = self.failing.lock().expect("no test panics while it holds this").pop();
        if matches!(failure, None | Some(Failure::Lost)) {
            self.sent.lock().expect("no test panics while it holds this").push(mail.clone());
        }
        match failure {
            None => Ok(()),
            Some(Failure::Refused) => Err(NotifyError::Refused("MessageRejected".to_owned())),
            Some(Failure::Unavailable | Failure::Lost) => Err(NotifyError::Unavailable("injected".to_owned())),
        }
    }
}
