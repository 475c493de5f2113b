//! Events of orders from their queues: payment, shipping and expiry.
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

use async_trait::async_trait;
use aws_lambda_events::event::sqs::SqsEvent;
use aws_lambda_events::event::streams::SqsEventResponse;
use holdfast_domain::effects::{pays, ships};
use holdfast_domain::event::{CloudEvent, SubjectMatter};
use holdfast_domain::order::BeyondLedger;
use holdfast_domain::routing::Queue;
use holdfast_runtime::clock::Clock;
use holdfast_runtime::routing::Queues;
use holdfast_runtime::telemetry::child;
use holdfast_runtime::worker::{About, Consumer, Delivery, Desk, Failure, consume};
use holdfast_store::{Store, StoreError};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// The worker and what it needs.
pub struct Worker {
    /// The orders.
    pub store: Store,
    /// The queues that messages come from and timers go back to.
    pub queues: Queues,
    /// Who moves money.
    pub payments: Arc<dyn PaymentGateway>,
    /// Who moves goods.
    pub carrier: Arc<dyn Carrier>,
    /// Tells whether a timer is due.
    pub clock: Clock,
}

/// Why a message is not done.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// It will never be: the order lacks what it would take.
    #[error("the order cannot be worked on: {0}")]
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
}

impl Worker {
    /// Works on a batch. Messages that are not done are reported one by one: the others are not delivered again.
    pub async fn handle(&self, batch: SqsEvent) -> SqsEventResponse {
        consume(self, batch, Timestamp::MAX).await
    }
}

#[async_trait]
impl Consumer for Worker {
    type Letter = (CloudEvent, SubjectMatter);
    type Shared = ();
    type Error = WorkError;

    const NAME: &'static str = "order-worker";
    const QUEUE: Queue = Queue::Orders;
    // A batch of eight takes two rounds of this and of a release, which is a call, within the function's 50 s.
    const TIMEOUT: Duration = Duration::from_secs(12);

    fn desk(&self) -> Desk<'_> {
        Desk { store: &self.store, queues: &self.queues, clock: &self.clock }
    }

    fn read(&self, body: &str) -> Result<Self::Letter, String> {
        let event: CloudEvent = serde_json::from_str(body).map_err(|error| error.to_string())?;
        let matter = event.subject_matter().map_err(|invalid| invalid.to_string())?;
        Ok((event, matter))
    }

    fn about((event, _): &Self::Letter) -> About {
        About::of_event(event)
    }

    async fn work(&self, (event, matter): &Self::Letter, delivery: &Delivery, (): &()) -> Result<(), WorkError> {
        let trace = child(&event.trace());
        match matter {
            SubjectMatter::ExpiryDue => self.expire(event, delivery.queue, &trace).await,
            SubjectMatter::RecoveryDue => self.recover(event, &trace).await,
            SubjectMatter::PaymentNotice => or_unknown(self.advance_payment(&event.data, &trace).await),
            SubjectMatter::PaymentLapsed => or_unknown(self.look_after_payment(&event.data, &trace).await),
            SubjectMatter::Changed(kind) => {
                if kind.ends_hold() {
                    self.settle_parts(&event.data).await?;
                }
                match (ships(*kind), pays(*kind)) {
                    (true, _) => self.advance(&event.data, &trace).await,
                    (false, true) => self.advance_payment(&event.data, &trace).await,
                    (false, false) => Ok(()),
                }
            }
        }
    }

    fn failure(error: &WorkError) -> Failure {
        match error {
            WorkError::Poison(_) => Failure::poison("unworkable-order"),
            WorkError::NoSuchOrder => Failure::poison("no-such-order"),
            WorkError::Store(_) => Failure::retry("table"),
            WorkError::Payment(PaymentError::NoOutcome(_)) => Failure::retry("payment-provider"),
            WorkError::Payment(PaymentError::Rejected(_)) => Failure::retry("payment-rejected"),
            WorkError::Payment(PaymentError::Differs(_)) => Failure::retry("payment-differs"),
            WorkError::Ledger(_) => Failure::retry("beyond-ledger"),
            WorkError::Carrier(error) => Failure::retry_after("carrier", error.retry_after_seconds()),
            WorkError::Timer(_) => Failure::retry("queue"),
            WorkError::Contended => Failure::retry("contended"),
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
