//! Orders: how one is placed, what it consists of, and what may happen to it.

mod changes;
mod line;
mod placement;
mod state;
#[cfg(test)]
mod tests;

pub use changes::{Actor, Change, IllegalTransition, StockEffect};
pub use line::{Line, Quantity, Source};
pub use placement::{Customer, Demand, PlaceOrder, PriceChange, Priced, PricedLine, Refusal, RequestedLine};
pub use state::OrderState;

use crate::address::Address;
use crate::event::EventKind;
use crate::ids::{CustomerId, Fingerprint, OrderId, TenantId};
use crate::money::Money;
use crate::payment::Payment;
use jiff::Timestamp;

/// The most lines of an order that one transaction takes: 100 actions (Amazon DynamoDB, `TransactWriteItems`), of
/// which one is the order itself.
pub const LINES_MAX: usize = 99;

/// The most units of one line (ORD-3).
pub const QUANTITY_MAX: u32 = 10_000;

/// An order as it is at one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Derived from tenant, customer and idempotency key.
    pub id: OrderId,
    /// Whose shop.
    pub tenant: TenantId,
    /// Who ordered.
    pub customer: CustomerId,
    /// Whether the customer has no account: such orders are in no list of a customer's orders.
    pub guest: bool,
    /// What was ordered, at which prices, and from where it comes.
    pub lines: Vec<Line>,
    /// The sum of the lines.
    pub total: Money,
    /// Where it goes.
    pub address: Address,
    /// How it is paid.
    pub payment: Payment,
    /// Where it stands.
    pub state: OrderState,
    /// The number of writes so far; also the length of the history.
    pub version: u64,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// When its stock goes back unless it is paid.
    pub expires_at: Timestamp,
    /// What was asked for, to tell a retry from a mistaken second use of a key.
    pub fingerprint: Fingerprint,
    /// Every change, oldest first.
    pub history: Vec<HistoryEntry>,
}

/// One change of an order: what, when, by whom and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub at: Timestamp,
    /// Who did it, such as `customer:c-1` or `worker:expiry`.
    pub by: String,
    /// Why, where there is more to say.
    pub why: Option<String>,
}
