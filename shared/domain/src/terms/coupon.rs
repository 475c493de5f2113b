//! Coupons: what they take off an order, and when they do not.

use crate::ids::{CouponCode, ProductId};
use crate::invalid::{Invalid, Problems};
use crate::money::{Currency, Money, half_even};
use crate::product::CATEGORY_MAX;
use crate::text;
use jiff::Timestamp;

/// A share in hundredths of a percent: 1 to 10,000, which is all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BasisPoints(u16);

impl BasisPoints {
    /// All of it.
    pub const ALL: u16 = 10_000;

    /// A share by its number of hundredths of a percent.
    ///
    /// # Errors
    /// When it is none of 1 to 10,000.
    pub fn new(points: u16) -> Result<Self, Invalid> {
        match points {
            1..=Self::ALL => Ok(Self(points)),
            _ => Err(Invalid::new(
                "percent",
                "must be a decimal above 0 and at most 100, with at most two digits after the point",
            )),
        }
    }

    /// Reads a percentage such as `12.5`, with at most two digits after the point.
    ///
    /// # Errors
    /// When the text is anything else, zero or above 100.
    pub fn parse(percent: &str) -> Result<Self, Invalid> {
        let (whole, fraction) = percent.split_once('.').unwrap_or((percent, "0"));
        let is_digits = |part: &str, max| (1..=max).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        let points = match is_digits(whole, 3) && is_digits(fraction, 2) && (whole == "0" || !whole.starts_with('0')) {
            true => format!("{whole}{fraction:0<2}").parse().unwrap_or_default(),
            false => 0,
        };
        Self::new(points)
    }

    /// Hundredths of a percent.
    pub fn points(self) -> u16 {
        self.0
    }
}

/// The percentage without zeros at its end, as [`BasisPoints::parse`] reads it.
impl std::fmt::Display for BasisPoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole}"),
            (whole, hundredths) if hundredths % 10 == 0 => write!(f, "{whole}.{}", hundredths / 10),
            (whole, hundredths) => write!(f, "{whole}.{hundredths:02}"),
        }
    }
}

/// What a coupon takes off the lines that it is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discount {
    /// A share of their sum, half-even to the minor unit.
    Percent(BasisPoints),
    /// An amount, or their sum if that is less.
    Amount(Money),
}

/// A coupon of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coupon {
    /// What the buyer types.
    pub code: CouponCode,
    /// What it takes off.
    pub discount: Discount,
    /// The first instant at which it is good; none if it always was.
    pub starts_at: Option<Timestamp>,
    /// The first instant at which it is good no more; none if it always will be.
    pub ends_at: Option<Timestamp>,
    /// How many orders may use it.
    pub total_uses: u32,
    /// How many orders of one customer may use it; none if only the total counts.
    pub uses_per_customer: Option<u32>,
    /// What all lines of an order must add up to before the discount.
    pub minimum_total: Option<Money>,
    /// The products it is good for. Without products and categories it is good for all.
    pub products: Vec<ProductId>,
    /// The categories it is good for, beside the products.
    pub categories: Vec<String>,
    /// Raised with every write. A claim of a use carries the one it was counted by.
    pub version: u64,
}

/// The most uses of a coupon.
pub const USES_MAX: u32 = 1_000_000_000;
/// The most products that a coupon names, and the most categories.
pub const NAMED_MAX: usize = 100;

/// A line of an order as a coupon sees it.
#[derive(Debug, Clone, Copy)]
pub struct CouponLine<'a> {
    /// What is bought.
    pub product: &'a ProductId,
    /// Where that stands in the shop.
    pub category: &'a str,
    /// What the line costs without the coupon, in the order's currency.
    pub total: Money,
}

/// Why a coupon takes nothing off an order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CouponRefusal {
    /// Its time has not come.
    #[error("the coupon is good from {starts_at} on")]
    NotYetValid {
        /// The first instant at which it is good.
        starts_at: Timestamp,
    },
    /// Its time is over.
    #[error("the coupon was good until {ended_at}")]
    Expired {
        /// The first instant at which it was good no more.
        ended_at: Timestamp,
    },
    /// Its amounts are in another currency than the order.
    #[error("the coupon is for orders in {}", currency.code())]
    CurrencyDiffers {
        /// The coupon's.
        currency: Currency,
    },
    /// The order is too small.
    #[error("the coupon is for orders of at least {} {} minor units", minimum.amount(), minimum.currency().code())]
    BelowMinimum {
        /// What the lines must add up to.
        minimum: Money,
    },
    /// No line that costs anything is of a product or a category that it is good for.
    #[error("the coupon is good for nothing in the order")]
    NothingEligible,
}

impl Coupon {
    /// The coupon, if its parts fit together.
    ///
    /// # Errors
    /// Every field that is out of range or does not fit another one: `amount.amount`, `ends_at`, `total_uses`,
    /// `uses_per_customer`, `minimum_total.currency`, `products` and `categories` with their positions.
    pub fn checked(self) -> Result<Self, Vec<Invalid>> {
        let mut problems = Problems::new();
        if let Discount::Amount(amount) = self.discount {
            if amount.is_zero() {
                problems.push(Invalid::new("amount.amount", "must be at least 1"));
            }
            if self.minimum_total.is_some_and(|minimum| minimum.currency() != amount.currency()) {
                problems.push(Invalid::new("minimum_total.currency", "must be the currency of the amount"));
            }
        }
        if self.starts_at.zip(self.ends_at).is_some_and(|(starts_at, ends_at)| ends_at <= starts_at) {
            problems.push(Invalid::new("ends_at", "must be after starts_at"));
        }
        for (field, uses) in [("total_uses", Some(self.total_uses)), ("uses_per_customer", self.uses_per_customer)] {
            if uses.is_some_and(|uses| !(1..=USES_MAX).contains(&uses)) {
                problems.push(Invalid::new(field, format!("must be 1 to {USES_MAX}")));
            }
        }
        names(&mut problems, "products", &self.products);
        names(&mut problems, "categories", &self.categories);
        for (index, category) in self.categories.iter().enumerate() {
            let field = format!("categories[{index}]");
            problems.keep("", text::checked(&field, CATEGORY_MAX, category.clone()));
        }
        problems.finish(Some(self))
    }

    /// What the coupon takes off each line of an order in `currency`, in the order of the lines.
    ///
    /// The discount is counted once, of the sum of the eligible lines, and then dealt to them in proportion by the
    /// largest-remainder method (Hamilton's), an earlier line first among equals: so the parts add up to it exactly,
    /// and no part is above its line's total.
    ///
    /// # Errors
    /// A [`CouponRefusal`]: of time first, then currency, minimum and lines.
    pub fn discount_on(
        &self,
        lines: &[CouponLine<'_>],
        at: Timestamp,
        currency: Currency,
    ) -> Result<Vec<Money>, CouponRefusal> {
        self.refuse_by_time(at)?;
        self.refuse_by_currency(currency)?;
        let sum = |lines: &mut dyn Iterator<Item = &CouponLine<'_>>| lines.map(|line| units(line.total)).sum::<u128>();
        if let Some(minimum) = self.minimum_total.filter(|minimum| sum(&mut lines.iter()) < units(*minimum)) {
            return Err(CouponRefusal::BelowMinimum { minimum });
        }
        let subtotal = sum(&mut lines.iter().filter(|line| self.is_for(line)));
        if subtotal == 0 {
            return Err(CouponRefusal::NothingEligible);
        }
        let discount = match self.discount {
            Discount::Percent(share) => half_even(subtotal * u128::from(share.0), u128::from(BasisPoints::ALL)),
            Discount::Amount(amount) => units(amount).min(subtotal),
        };
        let weights: Vec<_> = lines.iter().map(|line| if self.is_for(line) { units(line.total) } else { 0 }).collect();
        let part = |part: u128| {
            let part = i64::try_from(part).ok().and_then(|part| Money::new(part, currency).ok());
            part.expect("a part of a line's total fits like the total")
        };
        Ok(dealt(discount, &weights).into_iter().map(part).collect())
    }

    fn refuse_by_time(&self, at: Timestamp) -> Result<(), CouponRefusal> {
        match (self.starts_at, self.ends_at) {
            (Some(starts_at), _) if at < starts_at => Err(CouponRefusal::NotYetValid { starts_at }),
            (_, Some(ended_at)) if at >= ended_at => Err(CouponRefusal::Expired { ended_at }),
            _ => Ok(()),
        }
    }

    fn refuse_by_currency(&self, currency: Currency) -> Result<(), CouponRefusal> {
        let amount = match self.discount {
            Discount::Amount(amount) => Some(amount),
            Discount::Percent(_) => None,
        };
        let other = [amount, self.minimum_total].into_iter().flatten().find(|amount| amount.currency() != currency);
        other.map_or(Ok(()), |other| Err(CouponRefusal::CurrencyDiffers { currency: other.currency() }))
    }

    fn is_for(&self, line: &CouponLine<'_>) -> bool {
        let is_for_all = self.products.is_empty() && self.categories.is_empty();
        is_for_all || self.products.contains(line.product) || self.categories.iter().any(|name| name == line.category)
    }
}

fn units(money: Money) -> u128 {
    u128::try_from(money.amount()).unwrap_or_default()
}

/// Notes a list that is too long, or names something twice.
fn names<T: PartialEq>(problems: &mut Problems, field: &str, names: &[T]) {
    if names.len() > NAMED_MAX {
        problems.push(Invalid::new(field, format!("must be at most {NAMED_MAX}")));
        return;
    }
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            problems.push(Invalid::new(format!("{field}[{index}]"), "is given twice"));
        }
    }
}

/// Deals a sum in proportion to weights by the largest remainders. The sum is at most that of the weights.
fn dealt(sum: u128, weights: &[u128]) -> Vec<u128> {
    let all: u128 = weights.iter().sum();
    // Amounts have at most 16 digits and orders at most 4 of lines, so that the products fit.
    let mut parts: Vec<_> = weights.iter().map(|weight| sum * weight / all).collect();
    let mut by_remainder: Vec<_> = (0..weights.len()).collect();
    by_remainder.sort_by_key(|index| std::cmp::Reverse(sum * weights[*index] % all));
    let left = sum - parts.iter().sum::<u128>();
    for index in by_remainder.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
        parts[index] += 1;
    }
    parts
}

#[cfg(test)]
mod tests;
