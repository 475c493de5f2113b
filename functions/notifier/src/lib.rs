//! Notifications from their queue: webhooks to the shops' endpoints, and mails to their customers (NOTE-1).
//!
//! Nothing here changes an order. Messages may come late, twice and in any order: what was delivered is recorded, and what
//! was not has a timer, which is a message that this function sends to itself.

mod mail;
mod sender;
mod ses;
mod webhooks;

pub use mail::{Notifier, NotifyError};
pub use sender::{Answered, CALL_TIMEOUT, Call, Post, Sender};
pub use ses::Ses;

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use aws_lambda_events::event::streams::{SqsBatchItemFailure, SqsEventResponse};
use futures_util::{StreamExt, future, stream};
use holdfast_domain::event::{CloudEvent, SubjectMatter};
use holdfast_domain::webhook::{DELIVERY_TIMER_TYPE, DeliveryTimer, EventType};
use holdfast_runtime::clock::Clock;
use holdfast_runtime::message::Publisher;
use holdfast_runtime::telemetry::{chain, child};
use holdfast_store::{Store, StoreError};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use webhooks::Batch;

/// How many messages of a batch are worked on at the same time.
const MESSAGES_AT_ONCE: usize = 4;
/// How long one message may take, but for its release, which takes a call: the time of a call to an endpoint, and some calls
/// to the table. A batch of ten takes three rounds of both at most, within the function's 90 s.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(25);

/// The notifier and what it needs.
pub struct Notifications {
    /// Endpoints, deliveries, and orders to write mails about.
    pub store: Store,
    /// The queue that messages come from and timers go back to.
    pub publisher: Publisher,
    /// Who calls endpoints.
    pub sender: Arc<dyn Post>,
    /// Who sends mails.
    pub mails: Arc<dyn Notifier>,
    /// Tells what is due.
    pub clock: Clock,
}

/// Why a message is not done.
#[derive(Debug, thiserror::Error)]
enum WorkError {
    /// It will never be: it is nothing that this function knows.
    #[error("the message is not one for the notifier: {0}")]
    Poison(String),
    /// The table failed.
    #[error("the table failed")]
    Store(#[from] StoreError),
    /// The mail service failed.
    #[error("the mail was not sent")]
    Mail(#[source] NotifyError),
    /// Somebody else is sending the mail, and may stop half-way.
    #[error("the mail is being sent")]
    UnderWay,
    /// A timer could not be sent.
    #[error("the timer was not sent: {0}")]
    Timer(String),
    /// Others wrote the delivery each time.
    #[error("the delivery changed each time")]
    Contended,
    /// It took longer than [`MESSAGE_TIMEOUT`].
    #[error("the message took too long")]
    TimedOut,
}

/// What a message is.
enum Letter {
    /// An order changed in a way that is told.
    Event(Box<CloudEvent>, EventType),
    /// A delivery may be due.
    Timer(Box<DeliveryTimer>),
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
}

impl Notifications {
    /// Works on a batch. Messages that are not done are reported one by one: the others are not delivered again.
    pub async fn handle(&self, batch: SqsEvent) -> SqsEventResponse {
        let shared = Batch::default();
        let outcomes = stream::iter(batch.records).map(|message| async {
            let done = self.message(&message, &shared).await;
            (message, done)
        });
        let outcomes: Vec<_> = outcomes.buffer_unordered(MESSAGES_AT_ONCE).collect().await;
        let mut response = SqsEventResponse::default();
        for (message, done) in outcomes {
            if done.is_err() {
                let mut failure = SqsBatchItemFailure::default();
                failure.item_identifier = message.message_id;
                response.batch_item_failures.push(failure);
            }
        }
        response
    }

    async fn message(&self, message: &SqsMessage, batch: &Batch) -> Result<(), WorkError> {
        let letter = read(message.body.as_deref().unwrap_or_default());
        let done = match &letter {
            Ok(letter) => {
                let worked =
                    tokio::time::timeout(MESSAGE_TIMEOUT, self.work(letter, received(message) > 1, batch)).await;
                worked.unwrap_or(Err(WorkError::TimedOut))
            }
            Err(poison) => Err(WorkError::Poison(poison.clone())),
        };
        let [event_id, correlation_id, traceparent, tenant] = letter.as_ref().map(Letter::names).unwrap_or_default();
        match &done {
            Ok(()) => tracing::info!(event_id, correlation_id, traceparent, tenant, "message_done"),
            Err(error) => {
                let poison = matches!(error, WorkError::Poison(_));
                tracing::error!(
                    event_id,
                    correlation_id,
                    traceparent,
                    tenant,
                    message_id = message.message_id,
                    poison,
                    error = chain(error),
                    "message_failed"
                );
                if let Some(handle) = &message.receipt_handle {
                    self.publisher.release(handle, pause_seconds(message, poison)).await;
                }
            }
        }
        done
    }

    async fn work(&self, letter: &Letter, again: bool, batch: &Batch) -> Result<(), WorkError> {
        match letter {
            Letter::Event(event, kind) => {
                let trace = child(&event.trace());
                // Neither waits for the other, and neither keeps the other from being done.
                let told = self.fan_out((event, *kind), again, &trace, batch);
                let (told, mailed) = future::join(told, self.mail(event, *kind)).await;
                told.and(mailed)
            }
            Letter::Timer(timer) => self.timer(timer, &child(&timer.trace()), batch).await,
        }
    }
}

impl Letter {
    /// Its id, correlation id, trace context and tenant, for the log.
    fn names(&self) -> [String; 4] {
        let (id, trace, tenant) = match self {
            Self::Event(event, _) => (&event.id, event.trace(), &event.data.tenant),
            Self::Timer(timer) => (&timer.id, timer.trace(), &timer.data.tenant),
        };
        [id.clone(), trace.correlation_id, trace.traceparent, tenant.to_string()]
    }
}

/// What is in a message, or why it is nothing that the notifier knows.
fn read(body: &str) -> Result<Letter, String> {
    let unreadable = |error: serde_json::Error| error.to_string();
    let envelope: Envelope = serde_json::from_str(body).map_err(unreadable)?;
    if envelope.kind == DELIVERY_TIMER_TYPE {
        return serde_json::from_str(body).map(|timer| Letter::Timer(Box::new(timer))).map_err(unreadable);
    }
    let event: CloudEvent = serde_json::from_str(body).map_err(unreadable)?;
    let kind = match event.subject_matter().map_err(|invalid| invalid.to_string())? {
        SubjectMatter::Changed(kind) => EventType::of_change(kind.name()),
        SubjectMatter::ExpiryDue | SubjectMatter::RecoveryDue => None,
        SubjectMatter::PaymentNotice | SubjectMatter::PaymentLapsed => None,
    };
    let kind = kind.ok_or_else(|| format!("{} is told nobody", event.kind))?;
    Ok(Letter::Event(Box::new(event), kind))
}

/// How long a failed message waits: poison goes on to the dead letters at once, the rest waits 5 s, 25 s, 125 s, 625 s.
fn pause_seconds(message: &SqsMessage, poison: bool) -> i32 {
    match poison {
        true => 0,
        false => 5_i32.pow(received(message).clamp(1, 4)),
    }
}

/// How often a message was delivered, this time included.
fn received(message: &SqsMessage) -> u32 {
    let count = message.attributes.get("ApproximateReceiveCount");
    count.and_then(|count| count.parse().ok()).unwrap_or(1)
}
