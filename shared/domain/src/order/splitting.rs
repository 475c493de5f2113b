//! Splitting an order that is not paid: some of its units become an order of their own. No pool is touched: claims go
//! with their units, and everything adds up to what there was.

use super::changes::{Actor, Change};
use super::revising::NotChanged;
use super::shares::share;
use super::{Discount, HistoryEntry, Line, Order, OrderState, Quantity, ShippedLine, Source};
use crate::event::EventKind;
use crate::ids::{Fingerprint, OrderId};
use crate::money::Money;
use crate::payment::{Payment, PaymentStatus};
use crate::pool::{AllowanceOf, Claim, PoolId};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// How the history of an order begins that was split from another.
const SPLIT_FROM: &str = "split from ";

/// Why an order is not split.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSplit {
    /// It cannot be changed.
    #[error(transparent)]
    NotChanged(#[from] NotChanged),
    /// There is no such line.
    #[error("the order has no line {line}")]
    UnknownLine {
        /// Its position.
        line: usize,
    },
    /// The line has fewer units.
    #[error("{asked} units of line {line} are to be split off, but it has {has}")]
    TooMany {
        /// The position of the line.
        line: usize,
        /// How many are to go.
        asked: u32,
        /// How many there are.
        has: u32,
    },
    /// A coupon was redeemed for the whole: whoever gives the first order up would get its use back, and keep the discount
    /// on the other.
    #[error("an order with a coupon is not split")]
    Discounted,
    /// Nothing would be left, or nothing would go.
    #[error("both orders must have a line")]
    NothingLeft,
}

/// The new order that is to come of a split.
#[derive(Debug, Clone, Copy)]
pub struct SplitAs {
    /// Its id.
    pub id: OrderId,
    /// What was asked for, to tell a retry from a mistaken second use of a key.
    pub fingerprint: Fingerprint,
}

impl Order {
    /// Cuts units off: the change of this order, and the new one, which is to be paid until this one was to be. The coupon's
    /// use stays with this order; what the coupon takes off each line goes with the line's units.
    ///
    /// # Errors
    /// When this order does not wait to be paid any more, does not have the units, or has no others.
    pub fn split_off(
        &self,
        units: &[ShippedLine],
        new: SplitAs,
        by: &Actor,
        at: Timestamp,
    ) -> Result<(Change, Self), NotSplit> {
        let mut change = self.unpaid(OrderState::Placed, EventKind::Split, by, at, Some(new.id.to_string()))?;
        if self.parts.is_some() {
            return Err(NotChanged::TooLarge.into());
        }
        let (lines_left, lines_off) = self.cut(units)?;
        let (claims_left, claims_off) = self.claims_dealt(&lines_off);
        let sum = |lines: &[Line]| self.payable_for(lines).expect("parts of a total are below it");
        let (total_left, total_off) = (sum(&lines_left), sum(&lines_off));
        let discount = |lines: &[Line]| {
            let zero = Money::zero(self.total.currency());
            let amounts = lines.iter().map(|line| line.discount);
            amounts.fold(zero, |sum, amount| sum.plus(amount).expect("parts of a discount are below it"))
        };
        let named = |amount| self.discount.as_ref().map(|whole| Discount { coupon: whole.coupon.clone(), amount });
        let off = discount(&lines_off);
        let order = Self {
            id: new.id,
            discount: named(off).filter(|_| !off.is_zero()),
            claims: claims_off,
            tax: self.tax_over(&lines_off),
            total: total_off,
            payment: self.payment_of(total_off),
            version: 1,
            placed_at: at,
            fingerprint: new.fingerprint,
            history: vec![HistoryEntry {
                kind: EventKind::Placed,
                at,
                by: by.to_string(),
                why: Some(format!("{SPLIT_FROM}{}", self.id)),
            }],
            lines: lines_off,
            ..self.clone()
        };
        change.order.discount = named(discount(&lines_left));
        change.order.tax = self.tax_over(&lines_left);
        change.order.payment = self.payment_of(total_left);
        change.order.lines = lines_left;
        change.order.claims = claims_left;
        change.order.total = total_left;
        change.sections.terms = true;
        Ok((change, order))
    }

    /// Whether it was split off another order.
    pub fn was_split_off(&self) -> bool {
        let is_split = |why: &String| why.starts_with(SPLIT_FROM);
        self.history.first().is_some_and(|entry| entry.why.as_ref().is_some_and(is_split))
    }

    /// The orders that were split off this one since an instant.
    pub fn split_off_since(&self, since: Timestamp) -> Vec<OrderId> {
        let splits = self.history.iter().filter(|entry| entry.kind == EventKind::Split && entry.at >= since);
        splits.filter_map(|entry| OrderId::parse(entry.why.as_deref()?).ok()).collect()
    }

    /// Whether units came to it from another order, or went to one, since an instant: without a pool being touched.
    pub fn moved_units_since(&self, since: Timestamp) -> bool {
        let moves = |entry: &HistoryEntry| match entry.kind {
            EventKind::Split | EventKind::Merged | EventKind::Absorbed => true,
            EventKind::Placed => self.was_split_off(),
            _ => false,
        };
        self.history.iter().any(|entry| entry.at >= since && moves(entry))
    }

    /// How an order that is not paid is paid, if it has this total.
    pub(super) fn payment_of(&self, total: Money) -> Payment {
        let status = if total.is_zero() { PaymentStatus::None } else { PaymentStatus::Pending };
        Payment { status, ..self.payment.clone() }
    }

    /// The lines that stay, and those that go.
    fn cut(&self, units: &[ShippedLine]) -> Result<(Vec<Line>, Vec<Line>), NotSplit> {
        let mut asked: BTreeMap<usize, u32> = BTreeMap::new();
        for unit in units {
            let sum = asked.entry(unit.line).or_default();
            *sum = sum.saturating_add(unit.quantity);
        }
        if let Some((line, _)) = asked.iter().find(|(line, _)| **line >= self.lines.len()) {
            return Err(NotSplit::UnknownLine { line: *line });
        }
        let (mut left, mut off) = (Vec::new(), Vec::new());
        for (position, line) in self.lines.iter().enumerate() {
            let (has, goes) = (line.quantity.units(), asked.get(&position).copied().unwrap_or_default());
            if goes > has {
                return Err(NotSplit::TooMany { line: position, asked: goes, has });
            }
            let (mut from_off, mut from_left) = (Vec::new(), Vec::new());
            let mut missing = goes;
            for source in &line.from {
                let taken = source.quantity.min(missing);
                missing -= taken;
                let deal = |quantity| Source { quantity, ..source.clone() };
                from_off.extend((taken > 0).then(|| deal(taken)));
                from_left.extend((source.quantity > taken).then(|| deal(source.quantity - taken)));
            }
            off.extend(line.piece(0, goes, from_off));
            left.extend(line.piece(goes, has - goes, from_left));
        }
        match left.is_empty() || off.is_empty() {
            true => Err(NotSplit::NothingLeft),
            false => Ok((left, off)),
        }
    }

    /// The claims beside those of the lines: those that stay, and those that go, which are allowances of the units that go.
    fn claims_dealt(&self, off: &[Line]) -> (Vec<Claim>, Vec<Claim>) {
        let mut going: BTreeMap<_, u32> = BTreeMap::new();
        for line in off {
            *going.entry(&line.product).or_default() += line.quantity.units();
        }
        let (mut left, mut gone) = (Vec::new(), Vec::new());
        for claim in &self.claims {
            let going = match &claim.stripe.pool {
                PoolId::Allowance { of: AllowanceOf::Product { product, .. }, .. } => going.get_mut(product),
                _ => None,
            };
            let goes = going.as_deref().map_or(0, |units| claim.quantity.min(*units));
            if let Some(units) = going {
                *units -= goes;
            }
            let deal = |quantity| (quantity > 0).then(|| Claim { quantity, ..claim.clone() });
            gone.extend(deal(goes));
            left.extend(deal(claim.quantity - goes));
        }
        (left, gone)
    }
}

impl Line {
    /// Some of its units as a line: their share of its amounts. None without units.
    fn piece(&self, before: u32, units: u32, from: Vec<Source>) -> Option<Self> {
        let of = self.quantity.units();
        let quantity = Quantity::new(i64::from(units)).ok()?;
        Some(Self {
            quantity,
            total: share(self.total, before, units, of),
            discount: share(self.discount, before, units, of),
            tax: share(self.tax, before, units, of),
            from,
            ..self.clone()
        })
    }
}
