//! Placing an order: pricing what was asked for, and the order that results.

use super::{HistoryEntry, LINES_MAX, Line, Order, OrderState, Quantity, Source};
use crate::address::Address;
use crate::event::EventKind;
use crate::ids::{CustomerId, Fingerprint, OrderId, ProductId, TenantId};
use crate::money::{Currency, Money};
use crate::order::Actor;
use crate::payment::{Payment, PaymentMethod, PaymentStatus};
use crate::pool::{Claim, PoolId};
use crate::product::{PriceVersion, Product};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, HashMap};

/// Who orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// The `sub` claim.
    pub id: CustomerId,
    /// Whether that is a session without an account.
    pub guest: bool,
}

/// A request to place an order, checked field by field.
#[derive(Debug, Clone)]
pub struct PlaceOrder {
    /// Whose shop.
    pub tenant: TenantId,
    /// Who orders.
    pub customer: Customer,
    /// Derived from the idempotency key.
    pub order_id: OrderId,
    /// What was asked for.
    pub fingerprint: Fingerprint,
    /// What the order is to be paid in.
    pub currency: Currency,
    /// What is wanted: 1 to [`LINES_MAX`] lines.
    pub lines: Vec<RequestedLine>,
    /// Where it goes.
    pub address: Address,
    /// How it is paid.
    pub payment_method: PaymentMethod,
}

/// One line as the buyer asked for it.
#[derive(Debug, Clone)]
pub struct RequestedLine {
    /// What.
    pub product: ProductId,
    /// How many.
    pub quantity: Quantity,
    /// The price of one that the buyer saw, in minor units, if the buyer wants to be held to it.
    pub shown_price: Option<i64>,
}

/// One line with its price, before its stock is claimed.
#[derive(Debug, Clone)]
pub struct PricedLine {
    /// What.
    pub product: ProductId,
    /// How many.
    pub quantity: Quantity,
    /// The price of one.
    pub unit_price: Money,
}

/// All lines of a request with their prices.
#[derive(Debug, Clone)]
pub struct Priced {
    /// As requested, in order.
    pub lines: Vec<PricedLine>,
    /// Their sum.
    pub total: Money,
    /// What has to be claimed, once a product.
    pub demands: Vec<Demand>,
}

/// What an order needs of one product, over all its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// What.
    pub product: ProductId,
    /// How many.
    pub quantity: u32,
    /// What it was priced at: stripes that ask for a later one refuse the claim.
    pub price_version: PriceVersion,
}

/// A price that is no longer the one the buyer saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceChange {
    /// The position of the line, from 0.
    pub line: usize,
    /// What.
    pub product: ProductId,
    /// What the buyer saw, in minor units.
    pub shown: i64,
    /// What it costs now.
    pub price: Money,
}

/// Why an order was not placed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such product.
    #[error("the shop has no product {product}")]
    UnknownProduct {
        /// The position of the line, from 0.
        line: usize,
        /// What was asked for.
        product: ProductId,
    },
    /// The product is priced in another currency than the order.
    #[error("the price of {product} is in {}", price.currency().code())]
    CurrencyDiffers {
        /// The position of the line, from 0.
        line: usize,
        /// What.
        product: ProductId,
        /// Its price.
        price: Money,
    },
    /// Prices are not those that the buyer saw.
    #[error("{} of the prices changed", .0.len())]
    PriceChanged(Vec<PriceChange>),
    /// The total is above what can be counted exactly.
    #[error("the total is above {} minor units", crate::money::AMOUNT_MAX)]
    TotalTooHigh,
    /// Not enough units.
    #[error("{available} of {product} are available, {requested} were asked for")]
    OutOfStock {
        /// Of what.
        product: ProductId,
        /// How many were asked for.
        requested: u32,
        /// How many there were.
        available: u64,
    },
    /// The units lie in more stripes than one transaction reaches.
    #[error("the order takes more than {LINES_MAX} claims")]
    TooManyClaims,
}

impl PlaceOrder {
    /// The distinct products asked for.
    pub fn products(&self) -> Vec<ProductId> {
        let mut products: Vec<_> = self.lines.iter().map(|line| line.product.clone()).collect();
        products.sort();
        products.dedup();
        products
    }

    /// Prices every line by what the catalogue says.
    ///
    /// # Errors
    /// A [`Refusal`] other than for stock: of an unknown product first, then of currency, then of price.
    pub fn priced(&self, catalogue: &HashMap<ProductId, Product>) -> Result<Priced, Refusal> {
        let mut lines = Vec::with_capacity(self.lines.len());
        let mut demands: BTreeMap<&ProductId, Demand> = BTreeMap::new();
        let mut total = Money::zero(self.currency);
        let mut changed = Vec::new();
        for (index, line) in self.lines.iter().enumerate() {
            let Some(product) = catalogue.get(&line.product) else {
                return Err(Refusal::UnknownProduct { line: index, product: line.product.clone() });
            };
            let price = product.price;
            if price.currency() != self.currency {
                return Err(Refusal::CurrencyDiffers { line: index, product: line.product.clone(), price });
            }
            if let Some(shown) = line.shown_price.filter(|shown| *shown != price.amount()) {
                changed.push(PriceChange { line: index, product: line.product.clone(), shown, price });
            }
            let sum = price.times(line.quantity.units()).and_then(|line_total| total.plus(line_total));
            total = sum.map_err(|_| Refusal::TotalTooHigh)?;
            lines.push(PricedLine { product: line.product.clone(), quantity: line.quantity, unit_price: price });
            let demand = demands.entry(&line.product).or_insert_with(|| Demand {
                product: line.product.clone(),
                quantity: 0,
                price_version: product.price_version,
            });
            demand.quantity += line.quantity.units();
        }
        match changed.is_empty() {
            true => Ok(Priced { lines, total, demands: demands.into_values().collect() }),
            false => Err(Refusal::PriceChanged(changed)),
        }
    }

    /// The order, with its claimed stock dealt out to its lines.
    ///
    /// `claims` cover every demand of `priced` exactly. The price binds from here on.
    pub fn placed(&self, priced: &Priced, claims: &[Claim], at: Timestamp, expires_in: SignedDuration) -> Order {
        let mut unassigned: Vec<Claim> = claims.to_vec();
        let lines = priced.lines.iter().map(|line| Line {
            product: line.product.clone(),
            quantity: line.quantity,
            unit_price: line.unit_price,
            from: take(&mut unassigned, &line.product, line.quantity.units()),
        });
        let lines = lines.collect();
        let status = if priced.total.is_zero() { PaymentStatus::None } else { PaymentStatus::Pending };
        Order {
            id: self.order_id,
            tenant: self.tenant.clone(),
            customer: self.customer.id.clone(),
            guest: self.customer.guest,
            lines,
            total: priced.total,
            address: self.address.clone(),
            payment: Payment { method: self.payment_method.clone(), status },
            state: OrderState::Placed,
            version: 1,
            placed_at: at,
            expires_at: at.saturating_add(expires_in).unwrap_or(Timestamp::MAX),
            fingerprint: self.fingerprint,
            history: vec![HistoryEntry {
                kind: EventKind::Placed,
                at,
                by: Actor::Customer(self.customer.id.clone()).to_string(),
                why: None,
            }],
        }
    }
}

/// Takes `quantity` units of a product out of `claims`.
fn take(claims: &mut [Claim], product: &ProductId, quantity: u32) -> Vec<Source> {
    let mut missing = quantity;
    let mut sources = Vec::new();
    for claim in claims.iter_mut() {
        let PoolId::Stock { product: of, warehouse } = &claim.stripe.pool;
        let taken = if of == product { claim.quantity.min(missing) } else { 0 };
        if taken > 0 {
            sources.push(Source { warehouse: warehouse.clone(), stripe: claim.stripe.number, quantity: taken });
            claim.quantity -= taken;
            missing -= taken;
        }
    }
    sources
}
