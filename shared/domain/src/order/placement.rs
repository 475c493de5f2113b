//! Placing an order: what is asked for, and the order that results.

use super::parts::dealt;
use super::{HistoryEntry, Line, Order, OrderState, Part, Parts, Priced, PricedLine, Quantity, Source};
use crate::address::Address;
use crate::contact::Email;
use crate::event::EventKind;
use crate::ids::{CouponCode, CustomerId, Fingerprint, OrderId, ProductId, TenantId};
use crate::money::Currency;
use crate::order::Actor;
use crate::payment::{CapturePolicy, Payment, PaymentMethod, PaymentStatus};
use crate::pool::{Claim, PoolId};
use crate::product::Product;
use crate::text::Country;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;

/// Who orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// The `sub` claim.
    pub id: CustomerId,
    /// Whether that is a session without an account.
    pub guest: bool,
}

/// A request to place an order or to reserve its stock, checked field by field.
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
    /// What the order is to be paid in; that of its first product if it is left open.
    pub currency: Option<Currency>,
    /// What is wanted: 1 to [`super::LINES_MAX`] lines.
    pub lines: Vec<RequestedLine>,
    /// The coupon to redeem.
    pub coupon: Option<CouponCode>,
    /// Where its customer wants to hear of it, if anywhere; a reservation is not told of.
    pub contact: Option<Email>,
    /// What is to come of it.
    pub purpose: Purpose,
    /// When the shop captures what is authorised.
    pub capture: CapturePolicy,
}

/// What is to come of a request.
#[derive(Debug, Clone)]
pub enum Purpose {
    /// An order.
    Order {
        /// Where it goes.
        address: Address,
        /// How it is paid; none to pay it later.
        method: Option<PaymentMethod>,
    },
    /// A reservation.
    Reservation {
        /// Where it will go, as far as is known: some warehouses are nearer than others.
        country: Option<Country>,
    },
}

/// One line as the buyer asked for it.
#[derive(Debug, Clone)]
pub struct RequestedLine {
    /// What.
    pub product: ProductId,
    /// How many.
    pub quantity: Quantity,
    /// The price of one that the buyer saw, in minor units of the product's currency, if the buyer wants to be held to
    /// it.
    pub shown_price: Option<i64>,
}

impl PlaceOrder {
    /// The distinct products asked for.
    pub fn products(&self) -> Vec<ProductId> {
        let mut products: Vec<_> = self.lines.iter().map(|line| line.product.clone()).collect();
        products.sort();
        products.dedup();
        products
    }

    /// Whether an order is wanted, rather than a reservation.
    pub fn is_order(&self) -> bool {
        matches!(self.purpose, Purpose::Order { .. })
    }

    /// Where it goes, as far as is known.
    pub fn country(&self) -> Option<&Country> {
        match &self.purpose {
            Purpose::Order { address, .. } => Some(&address.country),
            Purpose::Reservation { country } => country.as_ref(),
        }
    }

    /// What the order is to be paid in, if that is known or its first product is.
    pub fn currency_among(&self, products: &HashMap<ProductId, Product>) -> Option<Currency> {
        let first = || products.get(&self.lines.first()?.product);
        self.currency.or_else(|| Some(first()?.price.currency()))
    }

    /// The order, or the reservation, with its claims dealt out to its lines.
    ///
    /// `claims` cover every demand of `priced` exactly, its coupon and its allowances. The price binds from here on.
    pub fn placed(&self, priced: &Priced, claims: &[Claim], at: Timestamp, expires_in: SignedDuration) -> Order {
        let mut stock = claims.to_vec();
        let lines = priced.lines.iter().map(|line| assigned(line, &mut stock)).collect();
        let (state, kind) = match self.purpose {
            Purpose::Order { .. } => (OrderState::Placed, EventKind::Placed),
            Purpose::Reservation { .. } => (OrderState::Reserved, EventKind::Reserved),
        };
        let order = self.begun(priced, state, kind, at, expires_in);
        Order { lines, claims: beside_stock(claims), ..order }
    }

    /// The order before its parts of at most so many products are written, and which lines each takes, by position. It is given up
    /// unless it is complete within `recovers_in`.
    pub fn opening(
        &self,
        priced: &Priced,
        products_max: usize,
        at: Timestamp,
        recovers_in: SignedDuration,
    ) -> (Order, Vec<Vec<usize>>) {
        let dealt = dealt(&priced.lines, products_max);
        let count = u16::try_from(dealt.len()).unwrap_or(u16::MAX);
        let order = self.begun(priced, OrderState::Placing, EventKind::Placing, at, recovers_in);
        (Order { parts: Some(Parts { attempt: 1, count }), ..order }, dealt)
    }

    fn begun(
        &self,
        priced: &Priced,
        state: OrderState,
        kind: EventKind,
        at: Timestamp,
        expires_in: SignedDuration,
    ) -> Order {
        let status = if priced.total.is_zero() { PaymentStatus::None } else { PaymentStatus::Pending };
        let (address, method) = match &self.purpose {
            Purpose::Order { address, method } => (Some(address.clone()), method.clone()),
            Purpose::Reservation { .. } => (None, None),
        };
        Order {
            id: self.order_id,
            tenant: self.tenant.clone(),
            customer: self.customer.id.clone(),
            guest: self.customer.guest,
            lines: Vec::new(),
            parts: None,
            discount: priced.discount.clone(),
            rates: priced.rates.clone(),
            claims: Vec::new(),
            tax: priced.tax.clone(),
            total: priced.total,
            address,
            payment: Payment { method, status, capture: self.capture },
            ledger: Vec::new(),
            shipments: Vec::new(),
            returns: Vec::new(),
            refunds: Vec::new(),
            contact: self.contact.clone(),
            state,
            version: 1,
            placed_at: at,
            expires_at: at.saturating_add(expires_in).unwrap_or(Timestamp::MAX),
            fingerprint: self.fingerprint,
            history: vec![HistoryEntry {
                kind,
                at,
                by: Actor::Customer(self.customer.id.clone()).to_string(),
                why: None,
            }],
        }
    }
}

impl Priced {
    /// A part of the order: the lines at these positions, with their claims dealt out to them. `claims` cover them
    /// exactly.
    pub fn part(&self, number: u16, positions: &[usize], claims: &[Claim]) -> Part {
        let mut stock = claims.to_vec();
        let lines = positions.iter().map(|at| (*at, assigned(&self.lines[*at], &mut stock))).collect();
        Part { number, lines, claims: beside_stock(claims) }
    }
}

/// The claims that are not of stock.
fn beside_stock(claims: &[Claim]) -> Vec<Claim> {
    claims.iter().filter(|claim| claim.stripe.pool.stock_product().is_none()).cloned().collect()
}

/// The line with its units taken out of `stock`.
fn assigned(line: &PricedLine, stock: &mut [Claim]) -> Line {
    Line {
        product: line.product.clone(),
        quantity: line.quantity,
        unit_price: line.unit_price,
        total: line.total,
        discount: line.discount,
        tax: line.tax,
        tax_class: line.tax_class.clone(),
        from: take(stock, &line.product, line.quantity.units()),
    }
}

/// Takes `quantity` units of a product out of `claims`.
fn take(claims: &mut [Claim], product: &ProductId, quantity: u32) -> Vec<Source> {
    let mut missing = quantity;
    let mut sources = Vec::new();
    for claim in claims.iter_mut() {
        let PoolId::Stock { product: of, warehouse } = &claim.stripe.pool else { continue };
        let taken = if of == product { claim.quantity.min(missing) } else { 0 };
        if taken > 0 {
            sources.push(Source::new(warehouse.clone(), claim.stripe.number, taken));
            claim.quantity -= taken;
            missing -= taken;
        }
    }
    sources
}
