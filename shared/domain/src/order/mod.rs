//! Orders: how one is placed, what it consists of, and what may happen to it.

mod changes;
mod fulfilment;
mod ledger;
mod line;
mod merging;
mod parts;
mod paying;
mod placement;
mod pricing;
mod refusal;
mod returned;
mod revising;
mod shares;
mod shipment;
mod splitting;
mod state;
mod tax;
#[cfg(test)]
mod tests;
mod transitions;

pub use changes::{Actor, Change, IllegalTransition, Sections, StockEffect};
pub use fulfilment::NotFulfilled;
pub use ledger::{BeyondLedger, Cause, EntryKind, LedgerEntry, Sums};
pub use line::{Line, Quantity, Source};
pub use merging::{NotMerged, Unlike};
pub use parts::{PART_PRODUCTS_MAX, Part, Parts};
pub use paying::RefundRefusal;
pub use placement::{Customer, PlaceOrder, Purpose, RequestedLine};
pub use pricing::{Demand, Priced, PricedLine, Terms};
pub use refusal::{PriceChange, Refusal};
pub use returned::{
    OverRefund, RETURNED_LINES_MAX, Refund, RefundReason, RefundStatus, Restock, Return, ReturnRefusal, ReturnedLine,
};
pub use revising::{Exchange, NotChanged, Revision};
pub use shares::share;
pub use shipment::{Booking, RequestMark, SHIPMENTS_MAX, Shipment, ShipmentStatus, ShippedLine, ShippingRefusal, Wish};
pub use splitting::{NotSplit, SplitAs};
pub use state::OrderState;
pub use tax::OrderTax;
pub use transitions::{Role, TRANSITIONS, Transition, diagram};

use crate::address::Address;
use crate::contact::Email;
use crate::event::EventKind;
use crate::ids::{CouponCode, CustomerId, Fingerprint, OrderId, TenantId};
use crate::money::Money;
use crate::payment::Payment;
use crate::pool::{Claim, merged};
use crate::terms::rate::Rate;
use jiff::Timestamp;

/// The most lines of an order (ORD-4).
pub const LINES_MAX: usize = 5_000;

/// The most claims that one transaction takes: 100 actions (Amazon DynamoDB, `TransactWriteItems`), of which one
/// writes their owner.
pub const CLAIMS_MAX: usize = 99;

/// The most lines of an order or a reservation that is one item: at 130 bytes each, it then stays below 60 KB.
pub const LINES_AT_ONCE_MAX: usize = 400;

/// The most units of one line (ORD-3).
pub const QUANTITY_MAX: u32 = 10_000;

/// An order as it is at one version. It begins as a reservation, or as placed; one that a single transaction does not
/// take begins as `placing`.
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
    /// Where the lines are kept when they are too many for the order's own item.
    pub parts: Option<Parts>,
    /// What a coupon takes off.
    pub discount: Option<Discount>,
    /// The rates at which prices in other currencies were converted.
    pub rates: Vec<Rate>,
    /// Claims beside those of the lines: the use of a coupon, and allowances of limited products.
    pub claims: Vec<Claim>,
    /// What it is taxed, if the shop has a tax policy. Not known while it is a reservation.
    pub tax: Option<OrderTax>,
    /// The sum of the lines, less the discount, and with the tax where prices are without it.
    pub total: Money,
    /// Where it goes; not known while it is a reservation.
    pub address: Option<Address>,
    /// Where its customer wants to hear of it, if anywhere.
    pub contact: Option<Email>,
    /// How it is paid.
    pub payment: Payment,
    /// What money moved, oldest first.
    pub ledger: Vec<LedgerEntry>,
    /// What was asked to be shipped, and what became of it.
    pub shipments: Vec<Shipment>,
    /// What came back.
    pub returns: Vec<Return>,
    /// Money that is to go back, or went back.
    pub refunds: Vec<Refund>,
    /// Where it stands.
    pub state: OrderState,
    /// The number of writes so far; also the length of the history, unless many attempts to place it were given up.
    pub version: u64,
    /// When it was placed; until then, when it was begun.
    pub placed_at: Timestamp,
    /// When its stock goes back unless it is paid, confirmed, or completely placed.
    pub expires_at: Timestamp,
    /// What was asked for, to tell a retry from a mistaken second use of a key.
    pub fingerprint: Fingerprint,
    /// Every change, oldest first; of attempts that were given up, the last ones.
    pub history: Vec<HistoryEntry>,
}

/// What a coupon takes off an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discount {
    /// Which coupon.
    pub coupon: CouponCode,
    /// How much, over all lines.
    pub amount: Money,
}

impl Order {
    /// Whether it ever was an order rather than a reservation or an attempt to place one: only then is it shown as one.
    pub fn was_placed(&self) -> bool {
        self.history.iter().any(|entry| entry.kind == EventKind::Placed)
    }

    /// Whether it began as a reservation.
    pub fn was_reserved(&self) -> bool {
        self.history.first().is_some_and(|entry| entry.kind == EventKind::Reserved)
    }

    /// Everything that it claims, one claim a stripe. Of an order in parts, only what its own item holds.
    pub fn all_claims(&self) -> Vec<Claim> {
        merged(self.lines.iter().flat_map(Line::claims).chain(self.claims.iter().cloned()))
    }
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
