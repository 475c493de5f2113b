//! The ledger of an order's payment: entries are added and never changed, and their sums obey two laws: what was
//! captured or voided was authorised, and what was refunded was captured.

use super::Order;
use crate::money::Money;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What happened to money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// It was set aside for the shop.
    Authorised,
    /// It was taken out of what is set aside.
    Captured,
    /// What was set aside and not captured was let go.
    Voided,
    /// It was given back out of what was captured.
    Refunded,
}

/// What an entry is for: with its kind, what tells it from all others of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// The order itself: an attempt to pay it, or its end.
    Order,
    /// The shipment of this number.
    Shipment(u16),
    /// The refund of this number.
    Refund(u16),
}

/// Money that moved, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// What happened.
    pub kind: EntryKind,
    /// How much, above zero.
    pub amount: Money,
    /// What for.
    pub cause: Cause,
    /// When it was noted.
    pub at: Timestamp,
    /// The version of the order that noted it.
    pub version: u64,
}

/// What the entries of an order add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sums {
    /// Set aside so far.
    pub authorised: Money,
    /// Taken out of it.
    pub captured: Money,
    /// Let go of it.
    pub voided: Money,
    /// Given back.
    pub refunded: Money,
}

impl Sums {
    /// Whether something was set aside, and all of it still is.
    pub fn is_untouched(&self) -> bool {
        !self.authorised.is_zero() && self.captured.is_zero() && self.voided.is_zero()
    }
}

impl Order {
    /// What the ledger adds up to.
    pub fn sums(&self) -> Sums {
        let sum = |kind: EntryKind| {
            let amounts = self.ledger.iter().filter(|entry| entry.kind == kind).map(|entry| entry.amount);
            let added = |sum: Money, amount| sum.plus(amount).unwrap_or(sum);
            amounts.fold(Money::zero(self.total.currency()), added)
        };
        Sums {
            authorised: sum(EntryKind::Authorised),
            captured: sum(EntryKind::Captured),
            voided: sum(EntryKind::Voided),
            refunded: sum(EntryKind::Refunded),
        }
    }

    /// Whether the ledger has an entry of this kind for this cause.
    pub fn has_entry(&self, kind: EntryKind, cause: Cause) -> bool {
        self.ledger.iter().any(|entry| entry.kind == kind && entry.cause == cause)
    }

    /// Adds an entry for this version. Nothing moves without an amount.
    ///
    /// # Errors
    /// [`BeyondLedger`] when it would break a law: that is a mistake of this system or of the provider.
    pub(super) fn enter(
        &mut self,
        kind: EntryKind,
        amount: Money,
        cause: Cause,
        at: Timestamp,
    ) -> Result<(), BeyondLedger> {
        if amount.is_zero() || self.has_entry(kind, cause) {
            return Ok(());
        }
        let sums = self.sums();
        let (moved, limit) = match kind {
            EntryKind::Authorised => (sums.authorised, self.total),
            EntryKind::Captured | EntryKind::Voided => {
                (sums.captured.plus(sums.voided).unwrap_or(sums.authorised), sums.authorised)
            }
            EntryKind::Refunded => (sums.refunded, sums.captured),
        };
        let left = limit.minus(moved);
        if amount.currency() != left.currency() || amount.amount() > left.amount() {
            return Err(BeyondLedger { kind, amount, left });
        }
        self.ledger.push(LedgerEntry { kind, amount, cause, at, version: self.version });
        Ok(())
    }
}

/// An entry would break a law of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind:?} {} is more than the {} that are left", amount.amount(), left.amount())]
pub struct BeyondLedger {
    /// What was to happen.
    pub kind: EntryKind,
    /// How much.
    pub amount: Money,
    /// How much may.
    pub left: Money,
}
