//! Events of orders from the queue: payment, shipping and expiry.
//!
//! Every message leads to a look at the order as it is now, and to whatever that needs next; so messages may come late,
//! twice and in any order.

mod answer;
mod expiry;
mod fulfilment;
mod payment;

pub use fulfilment::{BookShipment, Carrier, CarrierError, HttpCarrier};
pub use payment::{
    Authorisation, CaptureOutcome, PaymentError, PaymentGateway, RefundOutcome, RefundRequest, Standing, Stripe,
    VoidOutcome, VoidRequest,
};

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use aws_lambda_events::event::streams::{SqsBatchItemFailure, SqsEventResponse};
use futures_util::{StreamExt, stream};
use holdfast_domain::event::{CloudEvent, EventKind, SubjectMatter};
use holdfast_domain::order::BeyondLedger;
use holdfast_runtime::clock::Clock;
use holdfast_runtime::message::Publisher;
use holdfast_runtime::telemetry::{chain, child};
use holdfast_store::{Store, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// How many messages of a batch are worked on at the same time (OUT-5).
const MESSAGES_AT_ONCE: usize = 4;
/// How long one message may take, but for its release, which takes a call. A batch of ten takes three rounds of both at
/// most, within the function's 50 s.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(12);

/// The worker and what it needs.
pub struct Worker {
    /// The orders.
    pub store: Store,
    /// The queue that messages come from and timers go back to.
    pub publisher: Publisher,
    /// Who moves money.
    pub payments: Arc<dyn PaymentGateway>,
    /// Who moves goods.
    pub carrier: Arc<dyn Carrier>,
    /// Tells whether a timer is due.
    pub clock: Clock,
}

/// Why a message is not done.
#[derive(Debug, thiserror::Error)]
enum WorkError {
    /// It will never be: it is not an event that this worker knows.
    #[error("the message is not an event of this worker: {0}")]
    Poison(String),
    /// It will never be: it is about an order that does not exist.
    #[error("there is no such order")]
    NoSuchOrder,
    /// The table failed.
    #[error("the table failed")]
    Store(#[from] StoreError),
    /// The payment provider gave no answer that settles the matter.
    #[error("the payment provider failed")]
    Payment(#[from] PaymentError),
    /// The provider moved more money than the order's ledger has room for.
    #[error("the ledger has no room for what the provider did")]
    Ledger(#[from] BeyondLedger),
    /// The carrier gave no answer that settles the matter.
    #[error("the carrier failed")]
    Carrier(#[from] CarrierError),
    /// A timer could not be sent on.
    #[error("the timer was not sent on: {0}")]
    Timer(String),
    /// Others changed the order each time.
    #[error("the order changed each time")]
    Contended,
    /// It took longer than [`MESSAGE_TIMEOUT`].
    #[error("the message took too long")]
    TimedOut,
}

impl Worker {
    /// Works on a batch. Messages that are not done are reported one by one: the others are not delivered again.
    pub async fn handle(&self, batch: SqsEvent) -> SqsEventResponse {
        let outcomes = stream::iter(batch.records).map(|message| async move {
            let done = self.message(&message).await;
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

    async fn message(&self, message: &SqsMessage) -> Result<(), WorkError> {
        let event = read(message);
        let worked = async {
            let (event, matter) = event.as_ref().map_err(|poison| WorkError::Poison(poison.clone()))?;
            self.work(event, *matter).await
        };
        let done = tokio::time::timeout(MESSAGE_TIMEOUT, worked).await.unwrap_or(Err(WorkError::TimedOut));
        let event = event.as_ref().ok().map(|(event, _)| event);
        let text = |text: fn(&CloudEvent) -> String| event.map(text).unwrap_or_default();
        macro_rules! log {
            ($level:ident, $message:literal, $($more:tt)*) => {
                tracing::$level!(
                    event_id = text(|event| event.id.clone()),
                    event_type = text(|event| event.kind.clone()),
                    correlation_id = text(|event| event.correlationid.clone()),
                    traceparent = text(|event| event.traceparent.clone()),
                    tenant = text(|event| event.data.tenant.to_string()),
                    order_id = text(|event| event.data.order_id.to_string()),
                    $($more)*
                    $message
                )
            };
        }
        match &done {
            Ok(()) => log!(info, "message_done",),
            Err(error) => {
                let poison = matches!(error, WorkError::Poison(_) | WorkError::NoSuchOrder);
                log!(error, "message_failed", message_id = message.message_id, poison, error = chain(error),);
                if let Some(handle) = &message.receipt_handle {
                    let asked = match error {
                        WorkError::Carrier(error) => error.retry_after_seconds(),
                        _ => None,
                    };
                    self.publisher.release(handle, pause_seconds(message, poison, asked)).await;
                }
            }
        }
        done
    }

    async fn work(&self, event: &CloudEvent, matter: SubjectMatter) -> Result<(), WorkError> {
        let trace = child(&event.trace());
        match matter {
            SubjectMatter::ExpiryDue => self.expire(event, &trace).await,
            SubjectMatter::RecoveryDue => self.recover(event, &trace).await,
            SubjectMatter::PaymentNotice => or_unknown(self.advance_payment(&event.data, &trace).await),
            SubjectMatter::PaymentLapsed => or_unknown(self.look_after_payment(&event.data, &trace).await),
            SubjectMatter::Changed(kind) => {
                if kind.ends_hold() {
                    self.settle_parts(&event.data).await?;
                }
                if matches!(kind, EventKind::Shipping | EventKind::Shipped | EventKind::ShipmentRefused) {
                    return self.advance(&event.data, &trace).await;
                }
                match needs_payment_step(kind) {
                    true => self.advance_payment(&event.data, &trace).await,
                    false => Ok(()),
                }
            }
        }
    }
}

/// A provider's account may serve more than this table: its notice of an order that is not here is no fault.
fn or_unknown(looked: Result<(), WorkError>) -> Result<(), WorkError> {
    match looked {
        Err(WorkError::NoSuchOrder) => {
            tracing::info!("notice_of_unknown_order");
            Ok(())
        }
        other => other,
    }
}

/// The event in a message and what it is about, or why it is none that this worker knows.
fn read(message: &SqsMessage) -> Result<(CloudEvent, SubjectMatter), String> {
    let body = message.body.as_deref().unwrap_or_default();
    let event: CloudEvent = serde_json::from_str(body).map_err(|error| error.to_string())?;
    let matter = event.subject_matter().map_err(|invalid| invalid.to_string())?;
    Ok((event, matter))
}

/// The changes after which an order's payment has a step to take. The others happen within such a step, whose message
/// is not done before the last one.
fn needs_payment_step(kind: EventKind) -> bool {
    use EventKind as E;
    matches!(
        kind,
        E::Placed
            | E::Changed
            | E::Absorbed
            | E::Split
            | E::Cancelled
            | E::Expired
            | E::PaymentAuthorised
            | E::Returned
            | E::RefundRequested
    )
}

/// How long a failed message waits: poison goes on to the dead letters at once, the rest waits 5 s, 25 s, 125 s,
/// 625 s, so that five deliveries outlast a short outage of the provider; and as long as it was asked to wait.
fn pause_seconds(message: &SqsMessage, poison: bool, asked: Option<u32>) -> i32 {
    let received = message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
    let asked = asked.and_then(|seconds| i32::try_from(seconds).ok()).unwrap_or(0).min(VISIBILITY_SECONDS_MAX);
    match poison {
        true => 0,
        false => 5_i32.pow(received.unwrap_or(1).clamp(1, 4)).max(asked),
    }
}

/// The longest that a message may stay unseen (Amazon SQS, `ChangeMessageVisibility`): 12 hours.
const VISIBILITY_SECONDS_MAX: i32 = 43_200;
