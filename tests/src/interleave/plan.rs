//! What happens in a run: drawn from its seed, and nothing else.

mod drawing;
mod theme;

pub use theme::Theme;

use super::operation::Operation;
use std::fmt;

/// The price of every product at the start, in cents.
pub const FIRST_PRICE: i64 = 1_000;

/// What the coupon takes off before the operations begin, in percent.
pub const FIRST_PERCENT: i64 = 50;

/// How far the clocks of some lanes are ahead, in ms: longer than the writing of a large order may take.
pub const AHEAD_MS: i64 = 31_000;

/// A product.
#[derive(Debug, Clone)]
pub struct PlannedProduct {
    /// Its id.
    pub id: &'static str,
    /// Whether it is in the catalogue before the operations begin.
    pub listed: bool,
    /// Units in its only warehouse before the operations begin. Without any it lies nowhere.
    pub stock: u32,
    /// How many a customer may have.
    pub limit: Option<u32>,
    /// In how many stripes its stock is kept.
    pub stripes: u16,
}

/// A request for an order. All operations that name it send the same.
#[derive(Debug, Clone)]
pub struct PlannedOrder {
    /// Who orders.
    pub customer: &'static str,
    /// The idempotency key.
    pub key: String,
    /// Products, by their positions in the plan, and quantities.
    pub lines: Vec<(usize, u32)>,
    /// The price of one that the customer saw.
    pub shown: Option<i64>,
    /// The means of payment.
    pub payment_method: &'static str,
    /// Whether it is placed before the operations begin, if it can be.
    pub early: bool,
    /// Whether it begins as a reservation.
    pub reserved: bool,
    /// Whether it redeems the coupon.
    pub coupon: bool,
    /// Whether each unit is a line of its own.
    pub large: bool,
}

/// The coupon as it is to be.
#[derive(Debug, Clone)]
pub struct PlannedCoupon {
    /// How many orders may use it.
    pub uses: u32,
    /// What it takes off. No two are equal.
    pub percent: i64,
}

/// Stripes that a product's stock is to be kept in.
#[derive(Debug, Clone)]
pub struct PlannedShape {
    /// Of which product.
    pub product: usize,
    /// How many stripes.
    pub stripes: u16,
}

/// Stock that comes in.
#[derive(Debug, Clone)]
pub struct PlannedReceipt {
    /// The idempotency key.
    pub key: String,
    /// Of which product.
    pub product: usize,
    /// How many units.
    pub quantity: u32,
}

/// A price to be set. No two are equal.
#[derive(Debug, Clone)]
pub struct PlannedPrice {
    /// Of which product.
    pub product: usize,
    /// In cents.
    pub amount: i64,
}

/// All of a run that is decided before it begins.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What it was drawn from.
    pub seed: u64,
    /// What operations are likely.
    pub theme: Theme,
    /// The products.
    pub products: Vec<PlannedProduct>,
    /// The orders.
    pub orders: Vec<PlannedOrder>,
    /// The receipts.
    pub receipts: Vec<PlannedReceipt>,
    /// The prices.
    pub prices: Vec<PlannedPrice>,
    /// The coupon before the operations begin, if there is one then.
    pub coupon: Option<PlannedCoupon>,
    /// How many orders of a customer may use the coupon.
    pub coupon_limit: Option<u32>,
    /// The coupons to be put.
    pub coupons: Vec<PlannedCoupon>,
    /// The stripes to be made or merged.
    pub shapes: Vec<PlannedShape>,
    /// What each environment is asked to do, one after the other; the environments run side by side.
    pub lanes: Vec<Vec<Operation>>,
    /// The lanes whose clocks are ahead by [`AHEAD_MS`].
    pub ahead: Vec<usize>,
    /// Whether a caller whose request failed repeats it at once, at the end of its lane.
    pub repeats: bool,
    /// How long an order waits to be paid, in ms.
    pub expires_in_ms: i64,
    /// How many of a hundred calls fail.
    pub faults_percent: u32,
}

impl Plan {
    /// What there is before the operations begin, as a name for it.
    pub fn stocked(&self) -> String {
        format!("{:?} {:?} {:?}", self.products, self.coupon, self.coupon.as_ref().and(self.coupon_limit))
    }

    /// Every operation once, in the order of the lanes.
    pub fn operations(&self) -> Vec<Operation> {
        let mut operations: Vec<Operation> = Vec::new();
        for operation in self.lanes.iter().flatten() {
            if !operations.contains(operation) {
                operations.push(*operation);
            }
        }
        operations
    }

    /// The positions of the orders that are written in parts.
    pub fn large(&self) -> impl Iterator<Item = usize> {
        (0..self.orders.len()).filter(|order| self.orders[*order].large)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, theme, faults_percent, expires_in_ms, .. } = self;
        writeln!(
            f,
            "seed {seed}: {theme:?}, {faults_percent} % of calls fail, orders expire after {expires_in_ms} ms"
        )?;
        for product in &self.products {
            writeln!(f, "  {product:?}")?;
        }
        if let Some(coupon) = &self.coupon {
            writeln!(f, "  {coupon:?}, for {:?} orders of a customer", self.coupon_limit)?;
        }
        for (number, order) in self.orders.iter().enumerate() {
            writeln!(f, "  order {number}: {order:?}")?;
        }
        for (number, receipt) in self.receipts.iter().enumerate() {
            writeln!(f, "  receipt {number}: {receipt:?}")?;
        }
        for (number, price) in self.prices.iter().enumerate() {
            writeln!(f, "  price {number}: {price:?}")?;
        }
        for (number, coupon) in self.coupons.iter().enumerate() {
            writeln!(f, "  coupon {number}: {coupon:?}")?;
        }
        for (number, shape) in self.shapes.iter().enumerate() {
            writeln!(f, "  shape {number}: {shape:?}")?;
        }
        for (number, lane) in self.lanes.iter().enumerate() {
            let ahead = if self.ahead.contains(&number) { ", ahead" } else { "" };
            writeln!(f, "  lane {number}{ahead}: {lane:?}")?;
        }
        Ok(())
    }
}
