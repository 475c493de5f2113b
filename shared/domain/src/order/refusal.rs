//! Why an order is not placed.

use crate::ids::{CouponCode, ProductId, TaxClass};
use crate::money::{Currency, Money};
use crate::terms::coupon::CouponRefusal;
use crate::text::Country;

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
    /// A product is priced in another currency than the order, and no current rate between them is known.
    #[error("there is no current rate from {} to {}", from.code(), to.code())]
    RateUnavailable {
        /// The position of the line, from 0.
        line: usize,
        /// The currency of the product.
        from: Currency,
        /// The currency of the order.
        to: Currency,
    },
    /// No such coupon.
    #[error("the shop has no coupon {0}")]
    UnknownCoupon(CouponCode),
    /// The coupon's terms exclude the order.
    #[error("the coupon {code} does not apply: {why}")]
    CouponRefused {
        /// Which coupon.
        code: CouponCode,
        /// Which of its terms.
        why: CouponRefusal,
    },
    /// Nobody may use the coupon any more.
    #[error("the coupon {0} is used up")]
    CouponUsedUp(CouponCode),
    /// The customer has used the coupon as often as one may.
    #[error("the coupon {0} was used as often as a customer may")]
    CouponUsedByCustomer(CouponCode),
    /// The customer may not have so many.
    #[error("a customer may have {limit} of {product}")]
    LimitReached {
        /// Of what.
        product: ProductId,
        /// How many a customer may have, within the window.
        limit: u32,
        /// How many more this one may have now, if that is known.
        left: Option<u32>,
    },
    /// The shop is taxed, and has no rate for a class of product in the country that the order goes to.
    #[error("there is no tax rate for the class {class} in {}", country.as_str())]
    TaxRateMissing {
        /// The position of the line, from 0.
        line: usize,
        /// Of what.
        product: ProductId,
        /// Where the order goes.
        country: Country,
        /// The class of the product.
        class: TaxClass,
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
    #[error("the order takes more than {} claims", super::CLAIMS_MAX)]
    TooManyClaims,
}
