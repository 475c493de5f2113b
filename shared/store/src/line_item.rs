//! The lines of an order and its further claims, as attributes of an item.

use holdfast_domain::ids::{CouponCode, CustomerId, ProductId, TaxClass, WarehouseId};
use holdfast_domain::money::{Currency, Money};
use holdfast_domain::order::{Line, Quantity, Source};
use holdfast_domain::pool::{AllowanceOf, Claim, PoolId, StripeId, StripeNumber};
use serde::{Deserialize, Serialize};

/// A line. What can be told from the rest is left out: an order of one line fits a write unit.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct LineItem {
    product: ProductId,
    quantity: i64,
    price: i64,
    /// The currency of the price and the converted total, if the price is in another currency than the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    converted: Option<Converted>,
    #[serde(default, skip_serializing_if = "is_zero")]
    discount: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    tax: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tax_class: Option<TaxClass>,
    from: Vec<SourceItem>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Converted {
    currency: Currency,
    total: i64,
}

#[derive(Clone, Serialize, Deserialize)]
struct SourceItem {
    warehouse: WarehouseId,
    stripe: StripeNumber,
    quantity: u32,
    #[serde(default, skip_serializing_if = "is_none_of")]
    restocked: u32,
    #[serde(default, skip_serializing_if = "is_none_of")]
    restocked_late: u32,
}

fn is_none_of(units: &u32) -> bool {
    *units == 0
}

/// A claim that no line makes. Whose allowance it is, the order says.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum ClaimItem {
    Coupon { code: CouponCode, stripe: StripeNumber, quantity: u32 },
    ProductAllowance { product: ProductId, window_seconds: u32, window: u64, quantity: u32 },
    CouponAllowance { code: CouponCode, quantity: u32 },
}

fn is_zero(amount: &i64) -> bool {
    *amount == 0
}

impl LineItem {
    pub(crate) fn of(line: &Line, currency: Currency) -> Self {
        let source = |source: &Source| SourceItem {
            warehouse: source.warehouse.clone(),
            stripe: source.stripe,
            quantity: source.quantity,
            restocked: source.restocked,
            restocked_late: source.restocked_late,
        };
        let foreign = line.unit_price.currency() != currency;
        Self {
            product: line.product.clone(),
            quantity: i64::from(line.quantity.units()),
            price: line.unit_price.amount(),
            converted: foreign.then(|| Converted { currency: line.unit_price.currency(), total: line.total.amount() }),
            discount: line.discount.amount(),
            tax: line.tax.amount(),
            tax_class: line.tax_class.clone(),
            from: line.from.iter().map(source).collect(),
        }
    }

    /// The line, in an order of this currency.
    pub(crate) fn line(self, currency: Currency) -> Result<Line, String> {
        let invalid = |invalid: holdfast_domain::invalid::Invalid| invalid.to_string();
        let source = |item: SourceItem| {
            let SourceItem { warehouse, stripe, quantity, restocked, restocked_late } = item;
            Source { warehouse, stripe, quantity, restocked: restocked.min(quantity), restocked_late }
        };
        let quantity = Quantity::new(self.quantity).map_err(invalid)?;
        let price_currency = self.converted.as_ref().map_or(currency, |converted| converted.currency);
        let unit_price = Money::new(self.price, price_currency).map_err(invalid)?;
        let total = match self.converted {
            Some(converted) => Money::new(converted.total, currency).map_err(invalid)?,
            None => unit_price.times(quantity.units()).map_err(|overflow| overflow.to_string())?,
        };
        Ok(Line {
            product: self.product,
            quantity,
            unit_price,
            total,
            discount: Money::new(self.discount, currency).map_err(invalid)?,
            tax: Money::new(self.tax, currency).map_err(invalid)?,
            tax_class: self.tax_class,
            from: self.from.into_iter().map(source).collect(),
        })
    }
}

impl ClaimItem {
    /// None for a claim of stock, which a line makes.
    pub(crate) fn of(claim: &Claim) -> Option<Self> {
        let quantity = claim.quantity;
        match &claim.stripe.pool {
            PoolId::Stock { .. } => None,
            PoolId::Coupon { code } => Some(Self::Coupon { code: code.clone(), stripe: claim.stripe.number, quantity }),
            PoolId::Allowance { of: AllowanceOf::Product { product, window_seconds, window }, .. } => {
                let (window_seconds, window) = (*window_seconds, *window);
                Some(Self::ProductAllowance { product: product.clone(), window_seconds, window, quantity })
            }
            PoolId::Allowance { of: AllowanceOf::Coupon { code }, .. } => {
                Some(Self::CouponAllowance { code: code.clone(), quantity })
            }
        }
    }

    /// The claim, in an order of this customer.
    pub(crate) fn claim(self, customer: &CustomerId) -> Claim {
        let allowance = |of| PoolId::Allowance { customer: customer.clone(), of };
        let (pool, number, quantity) = match self {
            Self::Coupon { code, stripe, quantity } => (PoolId::Coupon { code }, stripe, quantity),
            Self::ProductAllowance { product, window_seconds, window, quantity } => {
                (allowance(AllowanceOf::Product { product, window_seconds, window }), 0, quantity)
            }
            Self::CouponAllowance { code, quantity } => (allowance(AllowanceOf::Coupon { code }), 0, quantity),
        };
        Claim { stripe: StripeId { pool, number }, quantity }
    }
}
