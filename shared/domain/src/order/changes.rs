//! What may be done to an order. Each deed gives the order as it would be, for the store to write if nothing came
//! between.

use super::{HistoryEntry, Order, OrderState, Parts};
use crate::address::Address;
use crate::contact::Email;
use crate::event::EventKind;
use crate::ids::CustomerId;
use crate::payment::{AttemptNumber, PaymentMethod, PaymentOutcome, PaymentReference, PaymentStatus};
use crate::pool::Claim;
use jiff::{SignedDuration, Timestamp};

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

/// What a change does to what the order claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StockEffect {
    /// Nothing: what was held stays held, or becomes sold.
    Keep,
    /// Every claim of the order goes back, in the same transaction.
    GiveBack(Vec<Claim>),
    /// The claims of its parts go back afterwards, a transaction a part.
    GiveBackParts(Parts),
}

/// A change that is allowed: the order after it, and what happens to its stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The order after the change, at the next version.
    pub order: Order,
    /// What happens to its stock.
    pub stock: StockEffect,
    /// Whether the order becomes one now: address, means of payment and place in the lists are written, too.
    pub becomes_order: bool,
}

impl Change {
    /// The entry of the history that the change adds.
    pub fn entry(&self) -> &HistoryEntry {
        self.order.history.last().expect("a change adds an entry")
    }
}

/// How many changes of attempts that were given up the next one keeps: a caller may repeat an order a thousand times.
const GIVEN_UP_KEPT: usize = 20;

const PAYMENT_WORKER: Actor = Actor::Worker("payment");

impl Order {
    /// Calls the order off. An authorised payment is voided afterwards, by the worker.
    ///
    /// # Errors
    /// When the order has ended already.
    pub fn cancel(&self, by: &Actor, at: Timestamp, why: Option<String>) -> Result<Change, IllegalTransition> {
        self.moved(OrderState::Cancelled, EventKind::Cancelled, by, at, why)
    }

    /// Ends the hold because its time is over: nobody paid the order, confirmed the reservation, or finished the
    /// placing.
    ///
    /// # Errors
    /// When the order no longer waits for any of these.
    pub fn expire(&self, at: Timestamp) -> Result<Change, IllegalTransition> {
        let by = Actor::Worker("expiry");
        match self.state {
            OrderState::Placing => self.abort(&by, at, Some("the placing did not end".to_owned())),
            _ => self.moved(OrderState::Expired, EventKind::Expired, &by, at, None),
        }
    }

    /// Turns a reservation into an order that waits to be paid for `expires_in`. Its claims stay as they are.
    ///
    /// # Errors
    /// When the reservation has ended.
    pub fn confirm(
        &self,
        by: &Actor,
        address: Address,
        contact: Option<Email>,
        method: PaymentMethod,
        at: Timestamp,
        expires_in: SignedDuration,
    ) -> Result<Change, IllegalTransition> {
        if self.state != OrderState::Reserved {
            return Err(IllegalTransition { from: self.state, to: OrderState::Placed });
        }
        let mut change = self.becoming_order(by, at, expires_in)?;
        change.order.address = Some(address);
        change.order.contact = contact;
        change.order.payment.method = Some(method);
        Ok(change)
    }

    /// Gives up a reservation.
    ///
    /// # Errors
    /// When it has ended.
    pub fn release(&self, by: &Actor, at: Timestamp) -> Result<Change, IllegalTransition> {
        self.moved(OrderState::Released, EventKind::Released, by, at, None)
    }

    /// The single commit point of a large order: all parts are written, and it is placed.
    ///
    /// # Errors
    /// When it is not being placed any more.
    pub fn complete(&self, by: &Actor, at: Timestamp, expires_in: SignedDuration) -> Result<Change, IllegalTransition> {
        if self.state != OrderState::Placing {
            return Err(IllegalTransition { from: self.state, to: OrderState::Placed });
        }
        self.becoming_order(by, at, expires_in)
    }

    /// Gives up the writing of a large order: from here on no part of this attempt may be written.
    ///
    /// # Errors
    /// When it is not being placed any more.
    pub fn abort(&self, by: &Actor, at: Timestamp, why: Option<String>) -> Result<Change, IllegalTransition> {
        self.moved(OrderState::Aborted, EventKind::Aborted, by, at, why)
    }

    /// This order as the next attempt after `aborted`, an attempt that was given up.
    ///
    /// # Errors
    /// When the earlier attempt was not given up.
    pub fn reopening(mut self, aborted: &Self) -> Result<Self, IllegalTransition> {
        if aborted.state != OrderState::Aborted {
            return Err(IllegalTransition { from: aborted.state, to: self.state });
        }
        self.version = aborted.version + 1;
        self.parts = self.parts.zip(aborted.parts).map(|(own, earlier)| Parts { attempt: earlier.attempt + 1, ..own });
        let earlier = aborted.history.len().saturating_sub(GIVEN_UP_KEPT);
        self.history.splice(0..0, aborted.history[earlier..].iter().cloned());
        Ok(self)
    }

    fn becoming_order(
        &self,
        by: &Actor,
        at: Timestamp,
        expires_in: SignedDuration,
    ) -> Result<Change, IllegalTransition> {
        let mut change = self.moved(OrderState::Placed, EventKind::Placed, by, at, None)?;
        change.order.placed_at = at;
        change.order.expires_at = at.saturating_add(expires_in).unwrap_or(Timestamp::MAX);
        change.becomes_order = true;
        Ok(change)
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
        let stock = match (self.state.keeps_stock() && !to.keeps_stock(), self.parts) {
            (true, Some(parts)) => StockEffect::GiveBackParts(parts),
            (true, None) => StockEffect::GiveBack(self.all_claims()),
            (false, _) => StockEffect::Keep,
        };
        let mut order = self.next_version(HistoryEntry { kind, at, by: by.to_string(), why });
        order.state = to;
        Ok(Change { order, stock, becomes_order: false })
    }

    /// A change of the payment that leaves the order where it stands.
    fn noted(&self, kind: EventKind, at: Timestamp, why: Option<String>) -> Change {
        let order = self.next_version(HistoryEntry { kind, at, by: PAYMENT_WORKER.to_string(), why });
        Change { order, stock: StockEffect::Keep, becomes_order: false }
    }

    fn next_version(&self, entry: HistoryEntry) -> Order {
        let mut order = self.clone();
        order.version += 1;
        order.history.push(entry);
        order
    }
}
