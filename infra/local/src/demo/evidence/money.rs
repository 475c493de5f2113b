//! What orders say about money.

use super::items::{entries, number, optional, text};
use serde_json::Value;

/// An entry of a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryFacts {
    /// `authorised`, `captured`, `voided` or `refunded`.
    pub kind: String,
    /// In minor units.
    pub amount: i64,
    /// The shipment and the refund that it is for; 0 for none.
    pub cause: (i64, i64),
    /// The version of the order that noted it.
    pub version: i64,
}

/// Money that is to go back, or went back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundFacts {
    /// Its number.
    pub number: i64,
    /// In minor units.
    pub amount: i64,
    /// `requested`, `done` or `refused`.
    pub state: String,
}

/// What the entries of a ledger add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Set aside.
    pub authorised: i64,
    /// Taken out of it.
    pub captured: i64,
    /// Let go of it.
    pub voided: i64,
    /// Given back.
    pub refunded: i64,
}

impl Sums {
    /// The sums of these entries.
    pub fn of(ledger: &[EntryFacts]) -> Self {
        let mut sums = Self::default();
        for entry in ledger {
            match entry.kind.as_str() {
                "authorised" => sums.authorised += entry.amount,
                "captured" => sums.captured += entry.amount,
                "voided" => sums.voided += entry.amount,
                "refunded" => sums.refunded += entry.amount,
                _ => {}
            }
        }
        sums
    }

    /// What is still set aside.
    pub fn open(self) -> i64 {
        self.authorised - self.captured - self.voided
    }
}

/// The ledger of an order's item.
pub fn ledger(item: &Value) -> Vec<EntryFacts> {
    let entry = |entry: &Value| EntryFacts {
        kind: text(entry, "type").to_owned(),
        amount: number(entry, "amount"),
        cause: (optional(entry, "shipment"), optional(entry, "refund")),
        version: number(entry, "version"),
    };
    entries(item, "ledger").map(entry).collect()
}

/// The refunds of an order's item.
pub fn refunds(item: &Value) -> Vec<RefundFacts> {
    let refund = |refund: &Value| RefundFacts {
        number: number(refund, "number"),
        amount: number(refund, "amount"),
        state: text(refund, "status").to_owned(),
    };
    entries(item, "refunds").map(refund).collect()
}
