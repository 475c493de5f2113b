//! What may be done to an order. Each deed gives the order as it would be, for the store to write if nothing came
//! between.

use super::returned::{RefundReason, Restock};
use super::transitions::{Role, is_legal};
use super::{HistoryEntry, Order, OrderState, Parts};
use crate::address::Address;
use crate::contact::Email;
use crate::event::EventKind;
use crate::ids::CustomerId;
use crate::payment::PaymentMethod;
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

impl Actor {
    /// As which of those that [`super::TRANSITIONS`] knows.
    pub fn role(&self) -> Role {
        match self {
            Self::Customer(_) => Role::Customer,
            Self::Staff(_) => Role::Staff,
            Self::Worker(_) => Role::Worker,
        }
    }
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

/// The order cannot go there from where it stands, or not by this one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an order that is {from} cannot become {to}")]
pub struct IllegalTransition {
    /// Where it stands.
    pub from: OrderState,
    /// Where it was to go.
    pub to: OrderState,
    /// As what it was to be done.
    pub by: Role,
}

impl IllegalTransition {
    /// Where the order may be led instead, by the same one.
    pub fn allowed(&self) -> Vec<OrderState> {
        self.from.next_by(self.by)
    }
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
    /// Units that came back go back to stock, in the same transaction.
    Restock(Vec<Restock>),
}

/// Which of the attributes that seldom change a change has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sections {
    /// Where it goes.
    pub address: bool,
    /// The shipments.
    pub shipments: bool,
    /// The returns.
    pub returns: bool,
    /// The refunds.
    pub refunds: bool,
    /// What it consists of and costs: lines, further claims, discount, rates and total.
    pub terms: bool,
    /// When it expires.
    pub expiry: bool,
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
    /// What else is written.
    pub sections: Sections,
}

impl Change {
    /// The entry of the history that the change adds.
    pub fn entry(&self) -> &HistoryEntry {
        self.order.history.last().expect("a change adds an entry")
    }
}

/// How many changes of attempts that were given up the next one keeps: a caller may repeat an order a thousand times.
const GIVEN_UP_KEPT: usize = 20;

impl Order {
    /// Calls the order off. An authorised payment is voided afterwards, and a captured one refunded, by the worker.
    ///
    /// # Errors
    /// When the order has ended already, or its shipping has begun.
    pub fn cancel(&self, by: &Actor, at: Timestamp, why: Option<String>) -> Result<Change, IllegalTransition> {
        let mut change = self.moved(OrderState::Cancelled, EventKind::Cancelled, by, at, why)?;
        let captured = change.order.refundable();
        if !captured.is_zero() {
            change.order.add_refund(captured, RefundReason::Cancelled, 0);
            change.sections.refunds = true;
        }
        Ok(change)
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
            return Err(self.illegal(OrderState::Placed, by));
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
            return Err(self.illegal(OrderState::Placed, by));
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
            return Err(IllegalTransition { from: aborted.state, to: self.state, by: Role::Customer });
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

    /// That the order does not go to a state from where it stands.
    pub(super) fn illegal(&self, to: OrderState, by: &Actor) -> IllegalTransition {
        IllegalTransition { from: self.state, to, by: by.role() }
    }

    /// The order moved on by [`super::TRANSITIONS`], or noted where it stands if that is one of them.
    pub(super) fn moved(
        &self,
        to: OrderState,
        kind: EventKind,
        by: &Actor,
        at: Timestamp,
        why: Option<String>,
    ) -> Result<Change, IllegalTransition> {
        if !is_legal(self.state, kind, to, by.role()) {
            return Err(self.illegal(to, by));
        }
        let stock = match (self.state.keeps_stock() && !to.keeps_stock(), self.parts) {
            (true, Some(parts)) => StockEffect::GiveBackParts(parts),
            (true, None) => StockEffect::GiveBack(self.all_claims()),
            (false, _) => StockEffect::Keep,
        };
        let mut order = self.next_version(HistoryEntry { kind, at, by: by.to_string(), why });
        order.state = to;
        Ok(Change { order, stock, becomes_order: false, sections: Sections::default() })
    }

    /// A change that leaves the order where it stands, wherever that is.
    pub(super) fn noted(&self, kind: EventKind, by: &Actor, at: Timestamp, why: Option<String>) -> Change {
        let order = self.next_version(HistoryEntry { kind, at, by: by.to_string(), why });
        Change { order, stock: StockEffect::Keep, becomes_order: false, sections: Sections::default() }
    }

    fn next_version(&self, entry: HistoryEntry) -> Order {
        let mut order = self.clone();
        order.version += 1;
        order.history.push(entry);
        order
    }
}
