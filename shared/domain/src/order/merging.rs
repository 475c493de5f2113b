//! Merging two orders of a customer that are not paid: the lines of one go over into the other. No pool is touched.

use super::changes::{Actor, Change};
use super::revising::NotChanged;
use super::{CLAIMS_MAX, Discount, LINES_AT_ONCE_MAX, Order, OrderState};
use crate::event::EventKind;
use crate::ids::OrderId;
use jiff::Timestamp;

/// Why two orders are not merged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotMerged {
    /// One of them cannot be changed.
    #[error("order {id}: {why}")]
    NotChanged {
        /// Which.
        id: OrderId,
        /// Why.
        why: NotChanged,
    },
    /// They do not fit together.
    #[error("the orders cannot become one: {}", .0.reason())]
    Unlike(Unlike),
}

/// In what two orders differ that are not merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlike {
    /// They are of two customers.
    Customer,
    /// They are to be paid in two currencies.
    Currency,
    /// They have two coupons: an order has one.
    Coupon,
    /// They are taxed by different rates, or one of them is not.
    Tax,
    /// One is kept in parts, or one item or transaction does not take both.
    TooLarge,
}

impl Unlike {
    /// A stable word for it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Customer => "customer-differs",
            Self::Currency => "currency-differs",
            Self::Coupon => "coupon-differs",
            Self::Tax => "tax-differs",
            Self::TooLarge => "too-large",
        }
    }
}

impl Order {
    /// Takes in the lines of another order, at the prices that they have: the change of this order, and that of the other.
    /// Address and means of payment stay those of this order; it is to be paid until either was to be.
    ///
    /// # Errors
    /// When one of them does not wait to be paid any more, or they do not fit together.
    pub fn absorb(&self, other: &Self, by: &Actor, at: Timestamp) -> Result<(Change, Change), NotMerged> {
        if (&self.tenant, &self.customer, self.guest) != (&other.tenant, &other.customer, other.guest) {
            return Err(NotMerged::Unlike(Unlike::Customer));
        }
        let refused = |id| move |why| NotMerged::NotChanged { id, why };
        let absorbed = self.unpaid(OrderState::Placed, EventKind::Absorbed, by, at, Some(other.id.to_string()));
        let mut target = absorbed.map_err(refused(self.id))?;
        let merged = other.unpaid(OrderState::Merged, EventKind::Merged, by, at, Some(self.id.to_string()));
        let source = merged.map_err(refused(other.id))?;
        self.is_like(other).map_err(NotMerged::Unlike)?;
        let order = &mut target.order;
        order.lines.extend(other.lines.iter().cloned());
        order.claims = crate::pool::merged(self.claims.iter().chain(&other.claims).cloned());
        if order.lines.len() > LINES_AT_ONCE_MAX || order.all_claims().len() > CLAIMS_MAX {
            return Err(NotMerged::Unlike(Unlike::TooLarge));
        }
        let too_large = |_| NotMerged::Unlike(Unlike::TooLarge);
        order.discount = match (&self.discount, &other.discount) {
            (Some(own), Some(others)) => {
                let amount = own.amount.plus(others.amount).map_err(too_large)?;
                Some(Discount { coupon: own.coupon.clone(), amount })
            }
            (own, others) => own.clone().or_else(|| others.clone()),
        };
        for rate in &other.rates {
            if !order.rates.contains(rate) {
                order.rates.push(rate.clone());
            }
        }
        order.tax = self.tax_over(&order.lines);
        order.total = self.payable_for(&order.lines).map_err(too_large)?;
        order.payment = self.payment_of(order.total);
        order.expires_at = self.expires_at.min(other.expires_at);
        target.sections.terms = true;
        target.sections.expiry = true;
        Ok((target, source))
    }

    /// Whether its lines went over into that order.
    pub fn was_merged_into(&self, target: OrderId) -> bool {
        let last = self.history.last().filter(|entry| entry.kind == EventKind::Merged);
        last.is_some_and(|entry| entry.why == Some(target.to_string()))
    }

    fn is_like(&self, other: &Self) -> Result<(), Unlike> {
        if self.total.currency() != other.total.currency() {
            return Err(Unlike::Currency);
        }
        if self.parts.is_some() || other.parts.is_some() {
            return Err(Unlike::TooLarge);
        }
        let rates = |order: &Self| order.tax.as_ref().map(|tax| (tax.mode, tax.rates.clone()));
        if rates(self) != rates(other) {
            return Err(Unlike::Tax);
        }
        match (&self.discount, &other.discount) {
            (Some(own), Some(others)) if own.coupon != others.coupon => Err(Unlike::Coupon),
            _ => Ok(()),
        }
    }
}
