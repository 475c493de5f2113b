//! What the outside is told of.

use crate::invalid::Invalid;
use serde::{Deserialize, Serialize};

/// The changes that shops and customers are told of, by the names of their kinds. The order is part of what is stored:
/// new ones are added at the end.
pub const TOLD: [&str; 15] = [
    "placed",
    "paid",
    "payment_failed",
    "cancelled",
    "expired",
    "changed",
    "split",
    "merged",
    "absorbed",
    "shipped",
    "delivered",
    "returned",
    "payment_captured",
    "payment_refunded",
    "abandoned",
];

/// The changes that are nobody's business outside: steps on the way, and what never became an order.
pub const UNTOLD: [&str; 13] = [
    "reserved",
    "released",
    "placing",
    "aborted",
    "payment_started",
    "payment_authorised",
    "payment_declined",
    "payment_voided",
    "shipping",
    "shipment_refused",
    "payment_capture_failed",
    "refund_requested",
    "payment_refund_failed",
];

/// The type of the event that a shop sends to try an endpoint.
pub const TEST_EVENT: &str = "endpoint.test";

/// The type of an event about an order as the outside knows it: `order.` and the name of the change (Standard Webhooks,
/// "Event types": grouped by resource, full-stop delimited).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventType(u8);

impl EventType {
    /// The type of a change by the name of its kind; none for one that is not told.
    pub fn of_change(kind: &str) -> Option<Self> {
        let position = TOLD.iter().position(|told| *told == kind)?;
        u8::try_from(position).ok().map(Self)
    }

    /// Reads a type such as `order.placed`.
    ///
    /// # Errors
    /// When it is not one that is told; names them all.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let known = || TOLD.map(|kind| format!("order.{kind}")).join(", ");
        let told = text.strip_prefix("order.").and_then(Self::of_change);
        told.ok_or_else(|| Invalid::new("events", format!("must be one of {}", known())))
    }

    /// The name of the kind of change, such as `placed`.
    pub fn change(self) -> &'static str {
        TOLD[usize::from(self.0)]
    }
}

impl std::fmt::Display for EventType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "order.{}", self.change())
    }
}

impl TryFrom<String> for EventType {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<EventType> for String {
    fn from(event: EventType) -> String {
        event.to_string()
    }
}
