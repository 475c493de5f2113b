//! What may be done to an order. Each deed gives the order as it would be, for the store to write if nothing came
//! between.

use super::{HistoryEntry, Order, OrderState};
use crate::event::EventKind;
use crate::ids::CustomerId;
use crate::payment::{AttemptNumber, PaymentOutcome, PaymentReference, PaymentStatus};
use crate::pool::{Claim, merged};
use jiff::Timestamp;

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// The person who ordered.
    Customer(CustomerId),
    /// A person of the shop.
    Staff(CustomerId),
    /// A background worker, by its task.
    Worker(&'static str),
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Customer(id) => write!(f, "customer:{id}"),
            Self::Staff(id) => write!(f, "staff:{id}"),
            Self::Worker(task) => write!(f, "worker:{task}"),
        }
    }
}

/// The order cannot go there from where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an order that is {from} cannot become {to}")]
pub struct IllegalTransition {
    /// Where it stands.
    pub from: OrderState,
    /// Where it was to go.
    pub to: OrderState,
}

/// What a change does to the stock of the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StockEffect {
    /// Nothing: what was held stays held, or becomes sold.
    Keep,
    /// Every claim of the order goes back, in the same transaction.
    GiveBack(Vec<Claim>),
}

/// A change that is allowed: the order after it, and what happens to its stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The order after the change, at the next version.
    pub order: Order,
    /// What happens to its stock.
    pub stock: StockEffect,
}

impl Change {
    /// The entry of the history that the change adds.
    pub fn entry(&self) -> &HistoryEntry {
        self.order.history.last().expect("a change adds an entry")
    }
}

const PAYMENT_WORKER: Actor = Actor::Worker("payment");

impl Order {
    /// Calls the order off. An authorised payment is voided afterwards, by the worker.
    ///
    /// # Errors
    /// When the order has ended already.
    pub fn cancel(&self, by: &Actor, at: Timestamp, why: Option<String>) -> Result<Change, IllegalTransition> {
        self.moved(OrderState::Cancelled, EventKind::Cancelled, by, at, why)
    }

    /// Ends the order because nobody paid in time.
    ///
    /// # Errors
    /// When the order is no longer waiting to be paid.
    pub fn expire(&self, at: Timestamp) -> Result<Change, IllegalTransition> {
        self.moved(OrderState::Expired, EventKind::Expired, &Actor::Worker("expiry"), at, None)
    }

    /// Notes that an attempt to pay begins: the provider may be asked once this is stored.
    ///
    /// # Errors
    /// When the order is no longer waiting to be paid: no new attempt begins for it.
    pub fn start_payment(&self, at: Timestamp) -> Result<Change, IllegalTransition> {
        if self.state != OrderState::Placed || self.payment.status != PaymentStatus::Pending {
            return Err(IllegalTransition { from: self.state, to: OrderState::Paid });
        }
        let mut change = self.noted(EventKind::PaymentStarted, at, None);
        change.order.payment.status = PaymentStatus::Started { attempt: 1 };
        Ok(change)
    }

    /// The order is paid without a provider, since nothing is to be paid.
    ///
    /// # Errors
    /// When the order is no longer waiting to be paid.
    pub fn confirm_unpriced(&self, at: Timestamp) -> Result<Change, IllegalTransition> {
        let why = Some("nothing to pay".to_owned());
        self.moved(OrderState::Paid, EventKind::Paid, &PAYMENT_WORKER, at, why)
    }

    /// Takes in what the provider said to an attempt. An order that ended meanwhile stays ended and remembers the
    /// outcome, so that an authorisation can be voided. None when the outcome is known already.
    pub fn settle(&self, attempt: AttemptNumber, outcome: PaymentOutcome, at: Timestamp) -> Option<Change> {
        if self.payment.status != (PaymentStatus::Started { attempt }) {
            return None;
        }
        let (status, to, kind_after_end, why) = match outcome {
            PaymentOutcome::Authorised(reference) => {
                let status = PaymentStatus::Authorised { attempt, reference };
                (status, OrderState::Paid, EventKind::PaymentAuthorised, None)
            }
            PaymentOutcome::Declined(code) => {
                let why = Some(code.0.clone());
                (PaymentStatus::Declined { attempt, code }, OrderState::PaymentFailed, EventKind::PaymentDeclined, why)
            }
        };
        let kind = if to == OrderState::Paid { EventKind::Paid } else { EventKind::PaymentFailed };
        let mut change = match self.moved(to, kind, &PAYMENT_WORKER, at, why.clone()) {
            Ok(change) => change,
            Err(_) => self.noted(kind_after_end, at, why),
        };
        change.order.payment.status = status;
        Some(change)
    }

    /// Notes that the authorisation was let go.
    pub fn voided(&self, attempt: AttemptNumber, reference: PaymentReference, at: Timestamp) -> Change {
        let mut change = self.noted(EventKind::PaymentVoided, at, None);
        change.order.payment.status = PaymentStatus::Voided { attempt, reference };
        change
    }

    fn moved(
        &self,
        to: OrderState,
        kind: EventKind,
        by: &Actor,
        at: Timestamp,
        why: Option<String>,
    ) -> Result<Change, IllegalTransition> {
        if !self.state.next().contains(&to) {
            return Err(IllegalTransition { from: self.state, to });
        }
        let stock = match self.state.keeps_stock() && !to.keeps_stock() {
            true => StockEffect::GiveBack(merged(self.lines.iter().flat_map(|line| line.claims()))),
            false => StockEffect::Keep,
        };
        let mut order = self.next_version(HistoryEntry { kind, at, by: by.to_string(), why });
        order.state = to;
        Ok(Change { order, stock })
    }

    /// A change of the payment that leaves the order where it stands.
    fn noted(&self, kind: EventKind, at: Timestamp, why: Option<String>) -> Change {
        let order = self.next_version(HistoryEntry { kind, at, by: PAYMENT_WORKER.to_string(), why });
        Change { order, stock: StockEffect::Keep }
    }

    fn next_version(&self, entry: HistoryEntry) -> Order {
        let mut order = self.clone();
        order.version += 1;
        order.history.push(entry);
        order
    }
}
