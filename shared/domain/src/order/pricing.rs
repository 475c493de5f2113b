//! What an order costs, and what it needs: prices, rates, the coupon and limits, by the terms of one instant.

use super::{Discount, OrderTax, PlaceOrder, PriceChange, Quantity, Refusal};
use crate::ids::{CouponCode, ProductId, TaxClass};
use crate::money::{Currency, Money, Overflow};
use crate::pool::{AllowanceOf, Claim, Guard, PoolId, StripeId, Take};
use crate::product::{PriceVersion, Product};
use crate::terms::coupon::{Coupon, CouponLine};
use crate::terms::rate::Rate;
use crate::terms::tax::Taxes;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, HashMap};

/// How long an allowance outlives its window, so that a late cancellation finds it.
const ALLOWANCE_KEPT: SignedDuration = SignedDuration::from_hours(24 * 400);

/// What the shop sells by, at one instant.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The products.
    pub products: &'a HashMap<ProductId, Product>,
    /// The rates into the order's currency, by the currency that they convert from.
    pub rates: &'a HashMap<Currency, Rate>,
    /// The coupon that was asked for, if there is one of that code.
    pub coupon: Option<&'a Coupon>,
    /// The taxes of the country that the order goes to. None for a shop without a tax policy, and for a reservation, whose
    /// country is not known for sure.
    pub tax: Option<Taxes<'a>>,
    /// The instant.
    pub at: Timestamp,
}

/// One line with its price, before its stock is claimed.
#[derive(Debug, Clone)]
pub struct PricedLine {
    /// What.
    pub product: ProductId,
    /// How many.
    pub quantity: Quantity,
    /// The price of one, in the product's currency.
    pub unit_price: Money,
    /// The price of all, in the order's currency.
    pub total: Money,
    /// What the coupon takes off `total`.
    pub discount: Money,
    /// See [`super::Line::tax`].
    pub tax: Money,
    /// See [`super::Line::tax_class`].
    pub tax_class: Option<TaxClass>,
}

/// All lines of a request with their prices.
#[derive(Debug, Clone)]
pub struct Priced {
    /// As requested, in order.
    pub lines: Vec<PricedLine>,
    /// What the coupon takes off.
    pub discount: Option<Discount>,
    /// The rates that were used.
    pub rates: Vec<Rate>,
    /// What the order is taxed.
    pub tax: Option<OrderTax>,
    /// The sum of the lines, less the discount, and with the tax where prices are without it.
    pub total: Money,
    /// The stock that has to be claimed, once a product.
    pub demands: Vec<Demand>,
    /// The version of the coupon's terms, if a use of it has to be claimed.
    pub coupon: Option<(CouponCode, PriceVersion)>,
    /// The allowances that have to be claimed.
    pub allowances: Vec<Take>,
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

impl PlaceOrder {
    /// Prices every line by the shop's terms.
    ///
    /// # Errors
    /// A [`Refusal`] other than for stock: of an unknown product first, then of a rate, of prices, of the coupon, of a
    /// limit, of a tax rate.
    pub fn priced(&self, terms: &Terms<'_>) -> Result<Priced, Refusal> {
        let mut lines = Vec::with_capacity(self.lines.len());
        let mut demands: BTreeMap<&ProductId, Demand> = BTreeMap::new();
        let mut rates: BTreeMap<&str, Rate> = BTreeMap::new();
        let mut changed = Vec::new();
        let mut classes = Vec::with_capacity(self.lines.len());
        let currency = self.currency_among(terms.products);
        let currency = currency.ok_or_else(|| self.unknown_product(0))?;
        for (index, line) in self.lines.iter().enumerate() {
            let Some(product) = terms.products.get(&line.product) else {
                return Err(self.unknown_product(index));
            };
            let price = product.price_at(terms.at);
            if let Some(shown) = line.shown_price.filter(|shown| *shown != price.amount()) {
                changed.push(PriceChange { line: index, product: line.product.clone(), shown, price });
            }
            let mut total = price.times(line.quantity.units()).map_err(too_high)?;
            if price.currency() != currency {
                let rate = rate(terms, (price.currency(), currency), index)?;
                total = rate.convert(total).map_err(too_high)?;
                rates.entry(price.currency().code()).or_insert_with(|| rate.clone());
            }
            classes.push(&product.tax_class);
            let zero = Money::zero(currency);
            lines.push(PricedLine {
                product: line.product.clone(),
                quantity: line.quantity,
                unit_price: price,
                total,
                discount: zero,
                tax: zero,
                tax_class: None,
            });
            let demand = demands.entry(&line.product).or_insert_with(|| Demand {
                product: line.product.clone(),
                quantity: 0,
                price_version: product.price_version,
            });
            demand.quantity += line.quantity.units();
        }
        if !changed.is_empty() {
            return Err(Refusal::PriceChanged(changed));
        }
        let discount = self.discounted(terms, currency, &mut lines)?;
        let mut total = Money::zero(currency);
        for line in &lines {
            total = total.plus(line.total).map_err(too_high)?;
        }
        if let Some(discount) = &discount {
            total = total.minus(discount.amount);
        }
        let demands: Vec<_> = demands.into_values().collect();
        let mut allowances = Vec::new();
        for demand in &demands {
            allowances.extend(self.allowance(terms, demand)?);
        }
        let coupon = terms.coupon.filter(|_| discount.is_some());
        allowances.extend(coupon.and_then(|coupon| self.coupon_allowance(coupon)));
        let mut priced = Priced {
            lines,
            discount,
            rates: rates.into_values().collect(),
            tax: None,
            total,
            demands,
            coupon: coupon.map(|coupon| (coupon.code.clone(), coupon.version)),
            allowances,
        };
        if let Some(taxes) = &terms.tax {
            priced.tax(taxes, &classes)?;
        }
        Ok(priced)
    }

    fn unknown_product(&self, line: usize) -> Refusal {
        let product = self.lines.get(line).map(|line| line.product.clone());
        Refusal::UnknownProduct { line, product: product.expect("an order has lines") }
    }

    /// Takes the coupon off the lines.
    fn discounted(
        &self,
        terms: &Terms<'_>,
        currency: Currency,
        lines: &mut [PricedLine],
    ) -> Result<Option<Discount>, Refusal> {
        let Some(code) = &self.coupon else { return Ok(None) };
        let Some(coupon) = terms.coupon else { return Err(Refusal::UnknownCoupon(code.clone())) };
        let seen: Vec<_> = lines
            .iter()
            .map(|line| CouponLine {
                product: &line.product,
                category: terms.products.get(&line.product).map_or("", |product| product.category.as_str()),
                total: line.total,
            })
            .collect();
        let discounts = coupon
            .discount_on(&seen, terms.at, currency)
            .map_err(|why| Refusal::CouponRefused { code: code.clone(), why })?;
        let mut amount = Money::zero(currency);
        for (line, discount) in lines.iter_mut().zip(discounts) {
            line.discount = discount;
            amount = amount.plus(discount).map_err(too_high)?;
        }
        Ok(Some(Discount { coupon: code.clone(), amount }))
    }

    /// What the customer has to have left of a limited product.
    fn allowance(&self, terms: &Terms<'_>, demand: &Demand) -> Result<Option<Take>, Refusal> {
        let product = terms.products.get(&demand.product);
        let Some(limit) = product.and_then(|product| product.limit) else { return Ok(None) };
        if demand.quantity > limit.quantity() {
            let product = demand.product.clone();
            return Err(Refusal::LimitReached { product, limit: limit.quantity(), left: None });
        }
        let of = AllowanceOf::Product {
            product: demand.product.clone(),
            window_seconds: limit.window_seconds().unwrap_or(0),
            window: limit.window_at(terms.at),
        };
        let forget_at = limit.window_ends_at(terms.at);
        Ok(Some(self.allowance_take(of, demand.quantity, limit.quantity(), forget_at)))
    }

    fn coupon_allowance(&self, coupon: &Coupon) -> Option<Take> {
        let of = AllowanceOf::Coupon { code: coupon.code.clone() };
        // It is never forgotten: the coupon's end may be put off.
        coupon.uses_per_customer.map(|uses| self.allowance_take(of, 1, uses, None))
    }

    fn allowance_take(&self, of: AllowanceOf, quantity: u32, units: u32, ends_at: Option<Timestamp>) -> Take {
        let pool = PoolId::Allowance { customer: self.customer.id.clone(), of };
        let forget_at = ends_at.and_then(|at| at.checked_add(ALLOWANCE_KEPT).ok());
        Take {
            claim: Claim { stripe: StripeId { pool, number: 0 }, quantity },
            guard: Guard::Limit { units, forget_at },
        }
    }
}

impl Priced {
    /// The position of the first line of each product.
    pub fn first_lines(&self) -> HashMap<&ProductId, usize> {
        let mut first = HashMap::with_capacity(self.demands.len());
        for (position, line) in self.lines.iter().enumerate() {
            first.entry(&line.product).or_insert(position);
        }
        first
    }

    /// What the lines at these positions need: the stock, and the allowances of their products. Lines of a product are
    /// all in one part, or its allowance is with the part that has the first.
    pub fn demands_of(&self, positions: &[usize]) -> Vec<Demand> {
        let mut demands: BTreeMap<&ProductId, Demand> = BTreeMap::new();
        for line in positions.iter().map(|at| &self.lines[*at]) {
            // Demands are in the order of their products.
            let whole = self.demands.binary_search_by(|demand| demand.product.cmp(&line.product));
            let price_version = whole.map_or(0, |at| self.demands[at].price_version);
            let demand = demands.entry(&line.product).or_insert_with(|| Demand {
                product: line.product.clone(),
                quantity: 0,
                price_version,
            });
            demand.quantity += line.quantity.units();
        }
        demands.into_values().collect()
    }
}

fn rate<'a>(terms: &Terms<'a>, (from, to): (Currency, Currency), line: usize) -> Result<&'a Rate, Refusal> {
    let rate = terms.rates.get(&from).filter(|rate| rate.is_current(terms.at));
    rate.ok_or(Refusal::RateUnavailable { line, from, to })
}

fn too_high(_: Overflow) -> Refusal {
    Refusal::TotalTooHigh
}
