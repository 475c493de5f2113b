//! Pools: everything scarce, kept in stripes. A claim takes from stripes, a release gives back.

mod choice;
mod gather;

pub use choice::{Next, PoolMemory, Room, SOLD_OUT_MS};
pub use gather::{Shortage, gather, merged};

use crate::ids::{CouponCode, CustomerId, ProductId, WarehouseId};
use crate::product::PriceVersion;
use jiff::Timestamp;

/// The number of a stripe within its pool, from 0.
pub type StripeNumber = u16;

/// The most stripes a pool has.
pub const STRIPES_MAX: StripeNumber = 1_024;

/// What is scarce.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PoolId {
    /// The units of a product in a warehouse.
    Stock {
        /// What is kept.
        product: ProductId,
        /// Where it is kept.
        warehouse: WarehouseId,
    },
    /// The uses of a coupon.
    Coupon {
        /// Which coupon.
        code: CouponCode,
    },
    /// What one customer may still have of something. It has one stripe: nobody else claims from it.
    Allowance {
        /// Whose.
        customer: CustomerId,
        /// Of what.
        of: AllowanceOf,
    },
}

/// What a customer has an allowance of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AllowanceOf {
    /// The units of a limited product within a window of time.
    Product {
        /// Which product.
        product: ProductId,
        /// The length of its windows, in seconds; 0 when the limit is for ever.
        window_seconds: u32,
        /// Which window, counted from the epoch.
        window: u64,
    },
    /// The uses of a coupon.
    Coupon {
        /// Which coupon.
        code: CouponCode,
    },
}

/// One stripe of a pool: an item of its own, so that claims on several do not meet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StripeId {
    /// The pool it is a part of.
    pub pool: PoolId,
    /// Which part.
    pub number: StripeNumber,
}

/// Units taken from a stripe, or given back to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Whose units.
    pub stripe: StripeId,
    /// How many, at least 1.
    pub quantity: u32,
}

/// What a claim is made under: what has to be true of the stripe besides having the units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// The terms that the claimer knows: a stripe that asks for later ones refuses.
    Terms(PriceVersion),
    /// At most so many in all. Such a pool counts what is used, and begins with its first claim.
    Limit {
        /// The most units that may be used.
        units: u32,
        /// When the pool may be forgotten, if ever: after the last release that may come.
        forget_at: Option<Timestamp>,
    },
}

/// A claim and what it is made under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Take {
    /// What is claimed.
    pub claim: Claim,
    /// Under which conditions.
    pub guard: Guard,
}

impl PoolId {
    /// The product whose units these are, for a pool of stock.
    pub fn stock_product(&self) -> Option<&ProductId> {
        match self {
            Self::Stock { product, .. } => Some(product),
            Self::Coupon { .. } | Self::Allowance { .. } => None,
        }
    }
}

/// What a stripe held when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripeLevel {
    /// Which stripe.
    pub stripe: StripeId,
    /// Units free to claim.
    pub available: u64,
    /// The least price version a claim must carry.
    pub price_version: PriceVersion,
}
