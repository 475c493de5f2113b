//! The lines of an order.

use super::QUANTITY_MAX;
use crate::ids::{ProductId, TaxClass, WarehouseId};
use crate::invalid::Invalid;
use crate::money::Money;
use crate::pool::{Claim, PoolId, StripeId, StripeNumber};
use serde::Serialize;

/// How many of a product: 1 to [`QUANTITY_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Quantity(u32);

impl Quantity {
    /// Reads a quantity.
    ///
    /// # Errors
    /// When it is below 1 or above the limit.
    pub fn new(quantity: i64) -> Result<Self, Invalid> {
        match u32::try_from(quantity) {
            Ok(units @ 1..=QUANTITY_MAX) => Ok(Self(units)),
            _ => Err(Invalid::new("quantity", format!("must be 1 to {QUANTITY_MAX}"))),
        }
    }

    /// The number of units.
    pub fn units(self) -> u32 {
        self.0
    }
}

/// Units of a line and the stripe they were claimed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where they lie.
    pub warehouse: WarehouseId,
    /// The stripe of the warehouse's pool.
    pub stripe: StripeNumber,
    /// How many.
    pub quantity: u32,
    /// How many of them came back and were given back to their pool.
    pub restocked: u32,
    /// How many of those were given back after the day of the order was closed for reconciliation.
    pub restocked_late: u32,
}

impl Source {
    /// Units claimed from a stripe, none of which came back.
    pub fn new(warehouse: WarehouseId, stripe: StripeNumber, quantity: u32) -> Self {
        Self { warehouse, stripe, quantity, restocked: 0, restocked_late: 0 }
    }

    /// How many units it still keeps from others.
    pub fn kept(&self) -> u32 {
        self.quantity - self.restocked
    }
}

/// One line of an order, as agreed when it was placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What.
    pub product: ProductId,
    /// How many.
    pub quantity: Quantity,
    /// The price of one when the stock was claimed, in the product's currency; it does not change afterwards.
    pub unit_price: Money,
    /// The price of all, converted to the order's currency where that is another one.
    pub total: Money,
    /// What a coupon takes off `total`.
    pub discount: Money,
    /// What `total` less `discount` is taxed: within it or beside it, as the order says. Zero without tax.
    pub tax: Money,
    /// The class that it was taxed by, if the order has lines of several classes.
    pub tax_class: Option<TaxClass>,
    /// Where the units come from; their quantities add up to the line's.
    pub from: Vec<Source>,
}

impl Line {
    /// What the line still claims. A source of which everything came back claims nothing, but is there: what an order
    /// needs in one transaction does not change by its returns.
    pub fn claims(&self) -> impl Iterator<Item = Claim> + '_ {
        self.from.iter().map(|source| self.claim(source, source.kept()))
    }

    /// Units at the stripe of a source.
    pub fn claim(&self, source: &Source, quantity: u32) -> Claim {
        let pool = PoolId::Stock { product: self.product.clone(), warehouse: source.warehouse.clone() };
        Claim { stripe: StripeId { pool, number: source.stripe }, quantity }
    }
}
