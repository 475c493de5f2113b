//! Units that come back, and money that goes back.

use super::shares::share;
use super::shipment::{RequestMark, ShipmentStatus};
use super::{CLAIMS_MAX, Order, Source};
use crate::money::Money;
use crate::payment::{CapturePolicy, PaymentStatus};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// The most returns, and the most refunds, of an order.
pub const RETURNS_MAX: usize = 200;

/// The most lines of one return: what is restocked goes back in one transaction.
pub const RETURNED_LINES_MAX: usize = 25;

/// Units of an order that came back together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Return {
    /// Its number within the order, from 1.
    pub number: u16,
    /// What came back.
    pub lines: Vec<ReturnedLine>,
    /// Which request noted it.
    pub request: RequestMark,
    /// When it was noted.
    pub at: Timestamp,
    /// The refund of what its units cost; none if they cost nothing.
    pub refund: Option<u16>,
}

/// Some units of a line that came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReturnedLine {
    /// The position of the line in the order, from 0.
    pub line: usize,
    /// How many, above 0.
    pub quantity: u32,
    /// Whether they can be sold again; otherwise they are written off.
    pub restock: bool,
}

/// Money that is to go back, or went back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// Its number within the order, from 1.
    pub number: u16,
    /// How much.
    pub amount: Money,
    /// What for.
    pub reason: RefundReason,
    /// Which request asked for it.
    pub request: RequestMark,
    /// Where it stands.
    pub status: RefundStatus,
}

/// What a refund is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundReason {
    /// Units came back.
    Return,
    /// The shop gives it.
    Goodwill,
    /// The order was called off after its amount was captured.
    Cancelled,
}

/// Where a refund stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundStatus {
    /// The provider is to be asked, or was asked and has not answered.
    Requested,
    /// It went back: the provider's name of it.
    Done {
        /// Such as `re_…`.
        reference: String,
    },
    /// The provider does not give it back.
    Refused {
        /// Why, as a stable code.
        reason: String,
    },
}

/// Units that go back to stock: which of a line's sources, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restock {
    /// The position of the line.
    pub line: usize,
    /// The position of the source in the line.
    pub source: usize,
    /// How many.
    pub quantity: u32,
}

/// Why nothing comes back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReturnRefusal {
    /// There is no such line.
    #[error("the order has no line {line}")]
    UnknownLine {
        /// Its position.
        line: usize,
    },
    /// More units are to come back than arrived and have not come back before.
    #[error("{asked} units of line {line} are to come back, but {left} may")]
    TooMany {
        /// The position of the line.
        line: usize,
        /// How many are to come back.
        asked: u32,
        /// How many may.
        left: u32,
    },
    /// The units lie in more places than one transaction reaches.
    #[error("so many units cannot come back at once: take back fewer lines")]
    TooMuchAtOnce,
    /// The time to return is over.
    #[error("returns were taken until {until}")]
    TooLate {
        /// When it ended.
        until: Timestamp,
    },
    /// The order has too many returns or refunds.
    #[error("the order has too many returns or refunds")]
    TooManyReturns,
}

/// More is to go back than was captured and is not going back already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} is to go back, but {} may", asked.amount(), left.amount())]
pub struct OverRefund {
    /// How much is to go back.
    pub asked: Money,
    /// How much may.
    pub left: Money,
}

/// What a return does.
pub(super) struct Returning {
    pub lines: Vec<ReturnedLine>,
    pub restocks: Vec<Restock>,
    pub worth: Money,
}

impl RefundReason {
    /// The name as stored and sent.
    pub fn name(self) -> &'static str {
        match self {
            Self::Return => "return",
            Self::Goodwill => "goodwill",
            Self::Cancelled => "cancelled",
        }
    }
}

impl RefundStatus {
    /// The name as stored and sent.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Done { .. } => "done",
            Self::Refused { .. } => "refused",
        }
    }
}

impl Order {
    /// How many units of each line came back.
    pub fn returned_units(&self) -> BTreeMap<usize, u32> {
        let mut units = BTreeMap::new();
        for line in self.returns.iter().flat_map(|returned| &returned.lines) {
            *units.entry(line.line).or_default() += line.quantity;
        }
        units
    }

    /// How much may still go back: what was captured, less what went back or is going back.
    pub fn refundable(&self) -> Money {
        self.sums().captured.minus(self.going_back())
    }

    /// How much may still go back for units that came back: they may be faster than the capture of what they cost, which
    /// comes before any refund.
    pub(super) fn returnable(&self) -> Money {
        let due = match (&self.payment.status, self.payment.capture) {
            (PaymentStatus::Authorised { .. }, CapturePolicy::AtOnce | CapturePolicy::WithFirstShipment) => self.total,
            (PaymentStatus::Authorised { .. }, CapturePolicy::WhenShipped) => {
                self.sum(self.shipments.iter().map(|shipment| shipment.amount))
            }
            _ => self.sums().captured,
        };
        due.minus(self.going_back())
    }

    /// What went back or is going back.
    fn going_back(&self) -> Money {
        let pending = self.refunds.iter().filter(|refund| !matches!(refund.status, RefundStatus::Refused { .. }));
        self.sum(pending.map(|refund| refund.amount))
    }

    fn sum(&self, amounts: impl Iterator<Item = Money>) -> Money {
        amounts.fold(Money::zero(self.total.currency()), |sum, amount| sum.plus(amount).unwrap_or(sum))
    }

    /// What the return of these units does: the units that go back to stock and where to, and what they cost.
    pub(super) fn returning(&self, asked: &[ReturnedLine]) -> Result<Returning, ReturnRefusal> {
        let mut delivered: BTreeMap<usize, u32> = BTreeMap::new();
        for ((line, _), units) in self.shipped_units(|status| matches!(status, ShipmentStatus::Delivered(_))) {
            *delivered.entry(line).or_default() += units;
        }
        let mut returned = self.returned_units();
        let mut sources: BTreeMap<usize, Vec<Source>> = BTreeMap::new();
        let mut returning =
            Returning { lines: asked.to_vec(), restocks: Vec::new(), worth: Money::zero(self.total.currency()) };
        for wish in asked {
            let line = self.lines.get(wish.line).ok_or(ReturnRefusal::UnknownLine { line: wish.line })?;
            let before = returned.entry(wish.line).or_default();
            let left = delivered.get(&wish.line).copied().unwrap_or(0) - *before;
            if wish.quantity > left {
                return Err(ReturnRefusal::TooMany { line: wish.line, asked: wish.quantity, left });
            }
            let worth = share(self.payable(line), *before, wish.quantity, line.quantity.units());
            returning.worth = returning.worth.plus(worth).expect("shares stay below the order's total");
            *before += wish.quantity;
            if wish.restock {
                let sources = sources.entry(wish.line).or_insert_with(|| line.from.clone());
                returning.restocks.extend(restocked(wish, sources));
            }
        }
        // Beside the order, its parts and the balances of their pools take an action each.
        let actions = returning.lines.len() + 2 * returning.restocks.len();
        if self.parts.is_some() && actions > CLAIMS_MAX {
            return Err(ReturnRefusal::TooMuchAtOnce);
        }
        Ok(returning)
    }
}

/// Takes units out of what the sources of a line still keep.
fn restocked(wish: &ReturnedLine, sources: &mut [Source]) -> Vec<Restock> {
    let mut missing = wish.quantity;
    let mut restocks = Vec::new();
    for (position, source) in sources.iter_mut().enumerate() {
        let quantity = source.kept().min(missing);
        if quantity > 0 {
            source.restocked += quantity;
            missing -= quantity;
            restocks.push(Restock { line: wish.line, source: position, quantity });
        }
    }
    restocks
}
