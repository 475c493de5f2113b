//! Changing an order before it is paid: its lines, where it goes, and how it is paid.

use super::changes::{Actor, Change, IllegalTransition, StockEffect};
use super::{CLAIMS_MAX, Customer, Demand, LINES_AT_ONCE_MAX, Line, Order, OrderState, PlaceOrder, Priced, Purpose};
use super::{Refusal, RequestedLine};
use crate::address::Address;
use crate::event::EventKind;
use crate::money::{Money, Overflow};
use crate::payment::{PaymentMethod, PaymentStatus};
use crate::pool::{AllowanceOf, Claim, PoolId, Take, merged};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// The longest history that an order may have and still be changed: it is kept in the order's item.
const HISTORY_MAX: usize = 500;

/// Why an order is not changed, split or merged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotChanged {
    /// By where it stands.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
    /// The provider was asked for its total already.
    #[error("the payment of the order has begun")]
    PaymentStarted,
    /// The time to pay it is over, although nobody ended it yet.
    #[error("the order was to be paid until {until}")]
    TimeOver {
        /// When it was over.
        until: Timestamp,
    },
    /// It is kept in parts, or would have to be; or it was changed too often.
    #[error("the order is too large, or was changed too often, to be changed in one transaction")]
    TooLarge,
}

/// What of an order is to be otherwise, besides its lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revision {
    /// Where it is to go.
    pub address: Option<Address>,
    /// How it is to be paid.
    pub method: Option<PaymentMethod>,
}

/// What an order with other lines claims, compared with what it claims now: only the difference is claimed, or given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// What stays claimed, where it is.
    pub kept: Vec<Claim>,
    /// What goes back: never of a pool that something is missing from, nor of a product.
    pub surplus: Vec<Claim>,
    /// The stock that is missing.
    pub demands: Vec<Demand>,
    /// Whether the use of the coupon is missing.
    pub coupon: bool,
    /// The allowances that are missing.
    pub allowances: Vec<Take>,
}

impl Order {
    /// Changes where it goes, and how it is paid.
    ///
    /// # Errors
    /// When it does not wait to be paid any more.
    pub fn change(&self, revision: &Revision, by: &Actor, at: Timestamp) -> Result<Change, NotChanged> {
        let mut change = self.unpaid(OrderState::Placed, EventKind::Changed, by, at, None)?;
        if let Some(address) = &revision.address {
            change.order.address = Some(address.clone());
            change.sections.address = true;
        }
        if let Some(method) = &revision.method {
            change.order.payment.method = Some(method.clone());
        }
        Ok(change)
    }

    /// A request for this order with other lines, as if it were placed now: to price it as a whole by today's terms.
    pub fn request_of(&self, lines: Vec<RequestedLine>) -> PlaceOrder {
        let purpose = match &self.address {
            Some(address) => Purpose::Order { address: address.clone(), method: self.payment.method.clone() },
            None => Purpose::Reservation { country: None },
        };
        PlaceOrder {
            tenant: self.tenant.clone(),
            customer: Customer { id: self.customer.clone(), guest: self.guest },
            order_id: self.id,
            fingerprint: self.fingerprint,
            currency: Some(self.total.currency()),
            lines,
            coupon: self.discount.as_ref().map(|discount| discount.coupon.clone()),
            purpose,
            contact: self.contact.clone(),
            capture: self.payment.capture,
        }
    }

    /// What is to be claimed and given back for it to be as priced. It must not be in parts.
    pub fn exchange(&self, priced: &Priced) -> Exchange {
        let claims = self.all_claims();
        let mut left: BTreeMap<Wanted<'_>, u32> = BTreeMap::new();
        left.extend(priced.demands.iter().map(|demand| (Wanted::Product(&demand.product), demand.quantity)));
        left.extend(priced.coupon.iter().map(|(code, _)| (Wanted::Coupon(code), 1)));
        let allowances = priced.allowances.iter();
        left.extend(allowances.map(|take| (Wanted::of(&take.claim.stripe.pool), take.claim.quantity)));
        let (mut kept, mut surplus) = (Vec::new(), Vec::new());
        for claim in &claims {
            let wanted = left.get_mut(&Wanted::of(&claim.stripe.pool));
            let keeps = wanted.as_deref().map_or(0, |left| claim.quantity.min(*left));
            if let Some(left) = wanted {
                *left -= keeps;
            }
            let part = |quantity| (quantity > 0).then(|| Claim { quantity, ..claim.clone() });
            kept.extend(part(keeps));
            surplus.extend(part(claim.quantity - keeps));
        }
        let missing = |wanted: Wanted<'_>| left.get(&wanted).copied().unwrap_or_default();
        let demand = |demand: &Demand| {
            let quantity = missing(Wanted::Product(&demand.product));
            (quantity > 0).then(|| Demand { quantity, ..demand.clone() })
        };
        let take = |take: &Take| {
            let quantity = missing(Wanted::of(&take.claim.stripe.pool));
            let claim = Claim { quantity, ..take.claim.clone() };
            (quantity > 0).then(|| Take { claim, guard: take.guard.clone() })
        };
        Exchange {
            demands: priced.demands.iter().filter_map(demand).collect(),
            coupon: priced.coupon.as_ref().is_some_and(|(code, _)| missing(Wanted::Coupon(code)) > 0),
            allowances: priced.allowances.iter().filter_map(take).collect(),
            kept,
            surplus,
        }
    }

    /// What is to be paid for lines, all together.
    pub(super) fn payable_for(&self, lines: &[Line]) -> Result<Money, Overflow> {
        let zero = Money::zero(self.total.currency());
        lines.iter().try_fold(zero, |sum, line| sum.plus(self.payable(line)))
    }

    /// The order moved on, if it waits to be paid and nobody began with that.
    pub(super) fn unpaid(
        &self,
        to: OrderState,
        kind: EventKind,
        by: &Actor,
        at: Timestamp,
        why: Option<String>,
    ) -> Result<Change, NotChanged> {
        if self.state != OrderState::Placed {
            return Err(self.illegal(to, by).into());
        }
        let change = self.moved(to, kind, by, at, why)?;
        if !matches!(self.payment.status, PaymentStatus::Pending | PaymentStatus::None) {
            return Err(NotChanged::PaymentStarted);
        }
        // The timer may be late, the time is not. Days are closed for reconciliation only when this is long over.
        if self.expires_at <= at {
            return Err(NotChanged::TimeOver { until: self.expires_at });
        }
        if self.history.len() >= HISTORY_MAX {
            return Err(NotChanged::TooLarge);
        }
        Ok(Change { stock: StockEffect::Keep, ..change })
    }
}

impl Exchange {
    /// A refusal of what is missing, told of all that is wanted: what the order has counts as available to it.
    pub fn told_whole(&self, refusal: Refusal) -> Refusal {
        match refusal {
            Refusal::OutOfStock { product, requested, available } => {
                let own = self.kept.iter().filter(|claim| claim.stripe.pool.stock_product() == Some(&product));
                let own: u32 = own.map(|claim| claim.quantity).sum();
                let (requested, available) = (requested + own, available + u64::from(own));
                Refusal::OutOfStock { product, requested, available }
            }
            other => other,
        }
    }
}

impl Change {
    /// The change with the tax of another country, as `taxed` has it.
    pub fn with_tax(mut self, taxed: Order) -> Self {
        let order = &mut self.order;
        (order.lines, order.tax, order.total) = (taxed.lines, taxed.tax, taxed.total);
        order.payment = order.payment_of(order.total);
        self.sections.terms = true;
        self
    }

    /// The change with other lines: priced as a whole, with these claims dealt out to them, which cover them exactly.
    ///
    /// # Errors
    /// When one item, or one transaction, does not take the order as it would be.
    pub fn with_lines(mut self, request: &PlaceOrder, priced: &Priced, claims: &[Claim]) -> Result<Self, NotChanged> {
        let order = &mut self.order;
        let claims = merged(claims.iter().cloned());
        if order.parts.is_some() || priced.lines.len() > LINES_AT_ONCE_MAX || claims.len() > CLAIMS_MAX {
            return Err(NotChanged::TooLarge);
        }
        let as_placed = request.placed(priced, &claims, order.placed_at, SignedDuration::ZERO);
        order.lines = as_placed.lines;
        order.claims = as_placed.claims;
        order.discount = as_placed.discount;
        order.rates = as_placed.rates;
        order.tax = as_placed.tax;
        order.total = as_placed.total;
        order.payment.status = as_placed.payment.status;
        self.sections.terms = true;
        Ok(self)
    }
}

/// What claims are counted by: units of a product count wherever they lie.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted<'a> {
    Product(&'a crate::ids::ProductId),
    Coupon(&'a crate::ids::CouponCode),
    Allowance(&'a AllowanceOf),
}

impl<'a> Wanted<'a> {
    fn of(pool: &'a PoolId) -> Self {
        match pool {
            PoolId::Stock { product, .. } => Self::Product(product),
            PoolId::Coupon { code } => Self::Coupon(code),
            PoolId::Allowance { of, .. } => Self::Allowance(of),
        }
    }
}
