//! The tax of an order: counted line by line when it becomes one, and kept as it was then.

use super::{Line, Order, Priced, PricedLine, Refusal};
use crate::ids::{ProductId, TaxClass};
use crate::money::{Currency, Money};
use crate::terms::tax::{TaxMode, TaxPercent, Taxes};
use std::collections::{BTreeMap, HashMap};

/// What an order is taxed, by the rates of the moment it was placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderTax {
    /// Whether its prices have the tax in them.
    pub mode: TaxMode,
    /// How much, over all lines.
    pub amount: Money,
    /// The rates by which it was counted, each class once, by name.
    pub rates: Vec<(TaxClass, TaxPercent)>,
}

/// A line as taxes see it.
struct Taxable<'a> {
    product: &'a ProductId,
    class: &'a TaxClass,
    /// Its total less its discount.
    amount: Money,
}

/// What a line is taxed, and its class if the order has lines of several.
type LineTax = (Money, Option<TaxClass>);

impl Order {
    /// What is owed for one of its lines: its total less its discount, and the tax where prices are without it. Over all
    /// lines this adds up to the order's total.
    ///
    /// # Panics
    /// When the sum is above what can be counted, which no line of an order is.
    pub fn payable(&self, line: &Line) -> Money {
        let net = line.total.minus(line.discount);
        match &self.tax {
            Some(OrderTax { mode: TaxMode::Exclusive, .. }) => {
                net.plus(line.tax).expect("what is owed for a line is a part of the total, which was counted")
            }
            _ => net,
        }
    }

    /// Its tax as it is over these lines, which were taxed by its rates.
    pub(super) fn tax_over(&self, lines: &[Line]) -> Option<OrderTax> {
        let zero = Money::zero(self.total.currency());
        let sum =
            |sum: Money, line: &Line| sum.plus(line.tax).expect("the tax of lines is below what is owed for them");
        self.tax.as_ref().map(|tax| OrderTax { amount: lines.iter().fold(zero, sum), ..tax.clone() })
    }

    /// By which class and rate a line was taxed; none if the order has no tax.
    pub fn tax_rate_of(&self, line: &Line) -> Option<&(TaxClass, TaxPercent)> {
        let rates = &self.tax.as_ref()?.rates;
        match &line.tax_class {
            Some(class) => rates.iter().find(|(of, _)| of == class),
            None => rates.first(),
        }
    }

    /// The order with its tax counted, in place of any that was counted before. `classes` are those of its products;
    /// all its lines have to be here. The total follows; prices and discounts stay as they are.
    ///
    /// # Errors
    /// A [`Refusal`]: of a product without a class as unknown, of a class without a rate, or of a total too high.
    pub fn taxed(&self, taxes: &Taxes<'_>, classes: &HashMap<ProductId, TaxClass>) -> Result<Self, Refusal> {
        let mut order = self.clone();
        let mut net = Money::zero(self.total.currency());
        let mut taxables = Vec::with_capacity(self.lines.len());
        for (at, line) in self.lines.iter().enumerate() {
            let product = &line.product;
            let class = classes.get(product);
            let class = class.ok_or_else(|| Refusal::UnknownProduct { line: at, product: product.clone() })?;
            let amount = line.total.minus(line.discount);
            net = net.plus(amount).map_err(|_| Refusal::TotalTooHigh)?;
            taxables.push(Taxable { product, class, amount });
        }
        let (tax, by_line) = counted(taxes, net.currency(), &taxables)?;
        for (line, (tax, class)) in order.lines.iter_mut().zip(by_line) {
            (line.tax, line.tax_class) = (tax, class);
        }
        order.total = tax.total(net)?;
        order.tax = Some(tax);
        Ok(order)
    }
}

impl OrderTax {
    /// The total of an order whose lines less their discounts are `net`.
    fn total(&self, net: Money) -> Result<Money, Refusal> {
        match self.mode {
            TaxMode::Inclusive => Ok(net),
            TaxMode::Exclusive => net.plus(self.amount).map_err(|_| Refusal::TotalTooHigh),
        }
    }
}

impl Priced {
    /// Adds the tax to what was priced without it.
    pub(super) fn tax(&mut self, taxes: &Taxes<'_>, classes: &[&TaxClass]) -> Result<(), Refusal> {
        let taxable = |(line, class)| {
            let PricedLine { product, total, discount, .. }: &PricedLine = line;
            Taxable { product, class, amount: total.minus(*discount) }
        };
        let taxables: Vec<_> = self.lines.iter().zip(classes.iter().copied()).map(taxable).collect();
        let (tax, by_line) = counted(taxes, self.total.currency(), &taxables)?;
        for (line, (tax, class)) in self.lines.iter_mut().zip(by_line) {
            (line.tax, line.tax_class) = (tax, class);
        }
        self.total = tax.total(self.total)?;
        self.tax = Some(tax);
        Ok(())
    }
}

/// Counts the tax of each line and their sum.
fn counted(taxes: &Taxes<'_>, currency: Currency, lines: &[Taxable<'_>]) -> Result<(OrderTax, Vec<LineTax>), Refusal> {
    let mut rates: BTreeMap<&TaxClass, TaxPercent> = BTreeMap::new();
    let mut amount = Money::zero(currency);
    let mut by_line = Vec::with_capacity(lines.len());
    for (at, line) in lines.iter().enumerate() {
        let percent = taxes.table.rates.get(line.class).ok_or_else(|| Refusal::TaxRateMissing {
            line: at,
            product: line.product.clone(),
            country: taxes.table.country.clone(),
            class: line.class.clone(),
        })?;
        rates.insert(line.class, *percent);
        let tax = taxes.mode.tax_on(line.amount, *percent).map_err(|_| Refusal::TotalTooHigh)?;
        amount = amount.plus(tax).map_err(|_| Refusal::TotalTooHigh)?;
        by_line.push((tax, line.class));
    }
    // One class for all is told by the order's rates; items of orders stay small.
    let several = rates.len() > 1;
    let by_line = by_line.into_iter().map(|(tax, class)| (tax, several.then(|| class.clone()))).collect();
    let rates = rates.into_iter().map(|(class, percent)| (class.clone(), percent)).collect();
    Ok((OrderTax { mode: taxes.mode, amount, rates }, by_line))
}

#[cfg(test)]
mod tests;
