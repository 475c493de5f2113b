//! Where an order stands, and where it may go from there.

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
    /// The provider declined; its stock went back.
    PaymentFailed,
    /// Called off; its stock went back.
    Cancelled,
    /// Not paid in time; its stock went back.
    Expired,
}

impl OrderState {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::Reserved,
        Self::Released,
        Self::Placing,
        Self::Aborted,
        Self::Placed,
        Self::Paid,
        Self::PaymentFailed,
        Self::Cancelled,
        Self::Expired,
    ];

    /// The states of what is shown as an order.
    pub const SHOWN: [Self; 5] = [Self::Placed, Self::Paid, Self::PaymentFailed, Self::Cancelled, Self::Expired];

    /// The states that may follow this one.
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::Reserved => &[Self::Placed, Self::Released, Self::Expired],
            Self::Placing => &[Self::Placed, Self::Aborted],
            Self::Aborted => &[Self::Placing],
            Self::Placed => &[Self::Paid, Self::PaymentFailed, Self::Cancelled, Self::Expired],
            Self::Paid => &[Self::Cancelled],
            Self::Released | Self::PaymentFailed | Self::Cancelled | Self::Expired => &[],
        }
    }

    /// Whether the order still keeps its stock from others, held or sold.
    pub fn keeps_stock(self) -> bool {
        matches!(self, Self::Reserved | Self::Placing | Self::Placed | Self::Paid)
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
