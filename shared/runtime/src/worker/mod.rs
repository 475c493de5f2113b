//! The one way to write a consumer of a queue (OUT-5).
//!
//! A [`Consumer`] says what a message is to it and what it does about it. [`consume`] does the rest: it works on some
//! messages of a batch at the same time, gives each its time, tells a bad one from its neighbours, lets a failed one come
//! back after a pause, buries one that nobody can handle, logs one line a message, and answers with those that failed.
//!
//! A message may come late, twice, and after a newer one. Consumers are safe by looking at the state of what a message is
//! about (`holdfast_domain::effects::SafeBy::State`), or else by a fence (`holdfast_store::Fence`).

mod burial;
mod delivery;
mod failure;

pub use delivery::{Delivery, REPLAYS_ATTRIBUTE};
pub use failure::Failure;

use crate::clock::Clock;
use crate::routing::Queues;
use crate::telemetry::chain;
use async_trait::async_trait;
use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use aws_lambda_events::event::streams::{SqsBatchItemFailure, SqsEventResponse};
use failure::End;
use futures_util::{FutureExt, StreamExt, stream};
use holdfast_domain::ids::TenantId;
use holdfast_domain::routing::Queue;
use holdfast_store::Store;
use jiff::Timestamp;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

/// How often a message is delivered before it is buried: the `maxReceiveCount` of the queues.
pub const DELIVERIES_MAX: u32 = 5;

/// Handles the messages of queues.
#[async_trait]
pub trait Consumer: Sync {
    /// What a message is to it.
    type Letter: Send + Sync;
    /// What the messages of one batch share.
    type Shared: Default + Send + Sync;
    /// Why a message is not done.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Its name: that of the function.
    const NAME: &'static str;
    /// The queue that messages come from that do not say which.
    const QUEUE: Queue;
    /// How many messages of a batch are worked on at the same time.
    const AT_ONCE: usize = 4;
    /// How long one message may take. It must be over, with the rounds that a batch takes, before the function's time-out, and
    /// that long before the message can be seen again.
    const TIMEOUT: Duration;

    /// Where it works.
    fn desk(&self) -> Desk<'_>;

    /// What a message is.
    ///
    /// # Errors
    /// Why it is nothing that this consumer knows: it is buried at once.
    fn read(&self, body: &str) -> Result<Self::Letter, String>;

    /// What the log, and a dead letter, tells of it.
    fn about(letter: &Self::Letter) -> About;

    /// Does what a message is for.
    ///
    /// # Errors
    /// When it is not done; [`Consumer::failure`] says what then.
    async fn work(&self, letter: &Self::Letter, delivery: &Delivery, shared: &Self::Shared) -> Result<(), Self::Error>;

    /// What kind of failure an error is, and whether another delivery can help.
    fn failure(error: &Self::Error) -> Failure;
}

/// What every consumer works with.
pub struct Desk<'a> {
    /// Where dead letters go.
    pub store: &'a Store,
    /// The queues that messages come from.
    pub queues: &'a Queues,
    /// Tells how long messages waited.
    pub clock: &'a Clock,
}

/// What is known of a message.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// Its id, which is the same for every delivery.
    pub event_id: String,
    /// Its type.
    pub event_type: String,
    /// Whose it is.
    pub tenant: Option<TenantId>,
    /// What it is about: an order, an export.
    pub subject: String,
    /// The correlation id of what led to it (OUT-6).
    pub correlation_id: String,
    /// The W3C trace context of what led to it (OUT-6).
    pub traceparent: String,
}

/// Handles a batch. Messages that are not done are reported one by one, so that the others are not delivered again.
/// `deadline` is when the invocation has to be over.
pub async fn consume<C: Consumer>(consumer: &C, batch: SqsEvent, deadline: Timestamp) -> SqsEventResponse {
    let shared = C::Shared::default();
    let outcomes = stream::iter(batch.records).map(|message| async {
        let done = handle(consumer, &message, deadline, &shared).await;
        (message, done)
    });
    let outcomes: Vec<_> = outcomes.buffer_unordered(C::AT_ONCE).collect().await;
    let mut response = SqsEventResponse::default();
    response.batch_item_failures =
        outcomes.into_iter().filter(|(_, done)| !done).map(|(message, _)| failed(message)).collect();
    response
}

fn failed(message: SqsMessage) -> SqsBatchItemFailure {
    let mut failure = SqsBatchItemFailure::default();
    failure.item_identifier = message.message_id;
    failure
}

/// Handles a message; whether it can be deleted.
async fn handle<C: Consumer>(consumer: &C, message: &SqsMessage, deadline: Timestamp, shared: &C::Shared) -> bool {
    let desk = consumer.desk();
    let delivery = Delivery::of(message, deadline, &desk, C::QUEUE);
    let begun = Instant::now();
    let letter = consumer.read(message.body.as_deref().unwrap_or_default());
    let worked = match &letter {
        Ok(letter) => attempt(consumer, letter, &delivery, shared).await,
        Err(problem) => Err((Failure::poison("unreadable"), problem.clone())),
    };
    let about = letter.as_ref().map(C::about).unwrap_or_default();
    let (duration_ms, waited_ms) = (begun.elapsed().as_secs_f64() * 1e3, delivery.waited_ms);
    macro_rules! log {
        ($level:ident, $message:literal, $($more:tt)*) => {
            tracing::$level!(
                consumer = C::NAME,
                event_id = about.event_id,
                event_type = about.event_type,
                correlation_id = about.correlation_id,
                traceparent = about.traceparent,
                tenant = about.tenant.as_ref().map(TenantId::as_str).unwrap_or_default(),
                order_id = about.subject,
                queue = delivery.queue.name(),
                received = delivery.received,
                duration_ms,
                waited_ms,
                $($more)*
                $message
            )
        };
    }
    let Err((failure, error)) = worked else {
        log!(info, "message_done",);
        return true;
    };
    let poison = failure.end == End::Poison;
    log!(error, "message_failed", message_id = message.message_id, poison, kind = failure.kind, error,);
    if poison || delivery.received >= DELIVERIES_MAX {
        let body = message.body.as_deref().unwrap_or_default();
        let letter = burial::letter(C::NAME, (&delivery, body), about, (&failure, error), desk.clock.now());
        if burial::bury(desk.store, &letter).await {
            return true;
        }
    }
    if let Some(handle) = &message.receipt_handle {
        let pause = failure.pause_seconds(delivery.received);
        if let Some(queue) = desk.queues.of(delivery.queue) {
            queue.release(handle, pause).await;
        }
    }
    false
}

/// Works on a letter for as long as it may take. A panic is its own failure, and not that of its neighbours.
async fn attempt<C: Consumer>(
    consumer: &C,
    letter: &C::Letter,
    delivery: &Delivery,
    shared: &C::Shared,
) -> Result<(), (Failure, String)> {
    let work = AssertUnwindSafe(consumer.work(letter, delivery, shared)).catch_unwind();
    match tokio::time::timeout(C::TIMEOUT, work).await {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) => Err((C::failure(&error), chain(&error))),
        Ok(Err(_)) => {
            Err((Failure::retry("panicked"), "the work on the message panicked; the log tells where".to_owned()))
        }
        Err(_) => Err((Failure::retry("timed-out"), "the message took too long".to_owned())),
    }
}
