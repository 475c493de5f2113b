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

use async_trait::async_trait;
use aws_lambda_events::event::sqs::SqsEvent;
use aws_lambda_events::event::streams::SqsEventResponse;
use futures_util::future;
use holdfast_domain::event::{CloudEvent, SubjectMatter};
use holdfast_domain::routing::Queue;
use holdfast_domain::webhook::{DELIVERY_TIMER_TYPE, DeliveryTimer, EventType};
use holdfast_runtime::clock::Clock;
use holdfast_runtime::message::Unsent;
use holdfast_runtime::routing::Queues;
use holdfast_runtime::telemetry::child;
use holdfast_runtime::worker::{About, Consumer, Delivery, Desk, Failure, consume};
use holdfast_store::{Store, StoreError};
use jiff::Timestamp;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use webhooks::Batch;

/// The notifier and what it needs.
pub struct Notifications {
    /// Endpoints, deliveries, and orders to write mails about.
    pub store: Store,
    /// The queue that messages come from and timers go back to.
    pub queues: Queues,
    /// Who calls endpoints.
    pub sender: Arc<dyn Post>,
    /// Who sends mails.
    pub mails: Arc<dyn Notifier>,
    /// Tells what is due.
    pub clock: Clock,
}

/// Why a message is not done.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// It will never be: it is about an order that does not exist.
    #[error("there is no such order")]
    NoSuchOrder,
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
    #[error("the timer was not sent")]
    Timer(#[from] Unsent),
    /// Others wrote the delivery each time.
    #[error("the delivery changed each time")]
    Contended,
}

/// What a message is.
pub enum Letter {
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
        consume(self, batch, Timestamp::MAX).await
    }
}

#[async_trait]
impl Consumer for Notifications {
    type Letter = Letter;
    type Shared = Batch;
    type Error = WorkError;

    const NAME: &'static str = "notifier";
    const QUEUE: Queue = Queue::Notifications;
    // The time of a call to an endpoint, and some calls to the table. A batch of eight takes two rounds of it and of a release
    // at most, within the function's 90 s.
    const TIMEOUT: Duration = Duration::from_secs(25);

    fn desk(&self) -> Desk<'_> {
        Desk { store: &self.store, queues: &self.queues, clock: &self.clock }
    }

    fn read(&self, body: &str) -> Result<Letter, String> {
        read(body)
    }

    fn about(letter: &Letter) -> About {
        match letter {
            Letter::Event(event, _) => About::of_event(event),
            Letter::Timer(timer) => About {
                event_id: timer.id.clone(),
                event_type: timer.kind.clone(),
                tenant: Some(timer.data.tenant.clone()),
                subject: String::new(),
                correlation_id: timer.correlationid.clone(),
                traceparent: timer.traceparent.clone(),
            },
        }
    }

    async fn work(&self, letter: &Letter, delivery: &Delivery, batch: &Batch) -> Result<(), WorkError> {
        match letter {
            Letter::Event(event, kind) => {
                let trace = child(&event.trace());
                // Neither waits for the other, and neither keeps the other from being done.
                let told = self.fan_out((event, *kind), delivery.is_repeated(), &trace, batch);
                let (told, mailed) = future::join(told, self.mail(event, *kind)).await;
                told.and(mailed)
            }
            Letter::Timer(timer) => self.timer(timer, &child(&timer.trace()), batch).await,
        }
    }

    fn failure(error: &WorkError) -> Failure {
        match error {
            WorkError::NoSuchOrder => Failure::poison("no-such-order"),
            WorkError::Store(_) => Failure::retry("table"),
            WorkError::Mail(_) => Failure::retry("mail-service"),
            WorkError::UnderWay => Failure::retry("under-way"),
            WorkError::Timer(_) => Failure::retry("queue"),
            WorkError::Contended => Failure::retry("contended"),
        }
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
