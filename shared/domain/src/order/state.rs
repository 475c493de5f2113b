//! Where an order stands, and where it may go from there.

use super::transitions::{Role, TRANSITIONS, Transition};
use serde::{Deserialize, Serialize};

/// The states of an order (ORD-8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// A cart: its stock is held until it is confirmed, released or expires. Not an order yet.
    Reserved,
    /// A cart that was given up; its stock went back.
    Released,
    /// Its parts are being written. Not an order yet.
    Placing,
    /// Its parts could not all be written; what was claimed goes back. Never was an order.
    Aborted,
    /// Accepted, its stock held until it is paid or expires.
    Placed,
    /// Its amount is authorised; its stock is sold.
    Paid,
    /// A shipment of it waits for the carrier: from here on it cannot be called off.
    Shipping,
    /// Some of it is with the carrier, or arrived; the rest waits to be shipped.
    PartiallyShipped,
    /// All of it is with the carrier, or arrived.
    Shipped,
    /// All of it arrived.
    Delivered,
    /// All of it came back.
    Returned,
    /// Its lines live on in another order, which claims their stock now.
    Merged,
    /// The provider declined; its stock went back.
    PaymentFailed,
    /// Called off; its stock went back.
    Cancelled,
    /// Not paid in time; its stock went back.
    Expired,
}

impl OrderState {
    /// Every state.
    pub const ALL: [Self; 15] = [
        Self::Reserved,
        Self::Released,
        Self::Placing,
        Self::Aborted,
        Self::Placed,
        Self::Paid,
        Self::Shipping,
        Self::PartiallyShipped,
        Self::Shipped,
        Self::Delivered,
        Self::Returned,
        Self::PaymentFailed,
        Self::Cancelled,
        Self::Expired,
        Self::Merged,
    ];

    /// The states of what is shown as an order.
    pub const SHOWN: [Self; 11] = [
        Self::Placed,
        Self::Paid,
        Self::Shipping,
        Self::PartiallyShipped,
        Self::Shipped,
        Self::Delivered,
        Self::Returned,
        Self::PaymentFailed,
        Self::Cancelled,
        Self::Expired,
        Self::Merged,
    ];

    /// The other states that may follow this one, by [`TRANSITIONS`].
    pub fn next(self) -> Vec<Self> {
        self.next_where(|_| true)
    }

    /// The other states that this one may lead an order to from here, by [`TRANSITIONS`].
    pub fn next_by(self, role: Role) -> Vec<Self> {
        self.next_where(|way| way.by.contains(&role))
    }

    fn next_where(self, fits: impl Fn(&Transition) -> bool) -> Vec<Self> {
        let mut next = Vec::new();
        for way in TRANSITIONS.iter().filter(|way| way.from == self && way.to != self && fits(way)) {
            if !next.contains(&way.to) {
                next.push(way.to);
            }
        }
        next
    }

    /// Whether the order still keeps stock from others, held or sold.
    pub fn keeps_stock(self) -> bool {
        match self {
            Self::Reserved | Self::Placing | Self::Placed => true,
            Self::Paid | Self::Shipping | Self::PartiallyShipped | Self::Shipped => true,
            // What came back and was written off is still accounted for by the order.
            Self::Delivered | Self::Returned => true,
            Self::Released | Self::Aborted | Self::PaymentFailed => false,
            Self::Cancelled | Self::Expired | Self::Merged => false,
        }
    }

    /// Whether its stock is sold rather than held.
    pub fn is_sold(self) -> bool {
        self.keeps_stock() && !matches!(self, Self::Reserved | Self::Placing | Self::Placed)
    }

    /// The name as stored and sent.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Released => "released",
            Self::Placing => "placing",
            Self::Aborted => "aborted",
            Self::Placed => "placed",
            Self::Paid => "paid",
            Self::Shipping => "shipping",
            Self::PartiallyShipped => "partially_shipped",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Returned => "returned",
            Self::Merged => "merged",
            Self::PaymentFailed => "payment_failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

impl std::fmt::Display for OrderState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Reads a state that an order may be asked for in.
impl std::str::FromStr for OrderState {
    type Err = crate::invalid::Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::SHOWN.into_iter().find(|state| state.name() == text).ok_or_else(|| {
            let names = Self::SHOWN.map(Self::name).join(", ");
            crate::invalid::Invalid::new("state", format!("must be one of {names}"))
        })
    }
}
