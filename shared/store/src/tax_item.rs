//! The tax of an order, as attributes of its item.

use crate::item::value;
use crate::line_item::LineItem;
use aws_sdk_dynamodb::types::AttributeValue;
use holdfast_domain::ids::TaxClass;
use holdfast_domain::money::{Currency, Money};
use holdfast_domain::order::{Change, OrderTax};
use holdfast_domain::terms::tax::{TaxMode, TaxPercent};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rates are millionths, by class; the amount is in the order's currency.
#[derive(Serialize, Deserialize)]
pub(crate) struct TaxItem {
    mode: TaxMode,
    amount: i64,
    rates: BTreeMap<TaxClass, u32>,
}

impl From<&OrderTax> for TaxItem {
    fn from(tax: &OrderTax) -> Self {
        let rates = tax.rates.iter().map(|(class, percent)| (class.clone(), percent.millionths())).collect();
        Self { mode: tax.mode, amount: tax.amount.amount(), rates }
    }
}

impl TaxItem {
    /// The tax, in an order of this currency.
    pub(crate) fn tax(self, currency: Currency) -> Result<OrderTax, String> {
        let amount = Money::new(self.amount, currency).map_err(|invalid| invalid.to_string())?;
        let rate = |(class, millionths)| TaxPercent::new(millionths).map(|percent| (class, percent));
        let rates = self.rates.into_iter().map(rate).collect::<Result<_, _>>();
        Ok(OrderTax { mode: self.mode, amount, rates: rates.map_err(|invalid| invalid.to_string())? })
    }
}

/// What a reservation that becomes an order adds to its item's update when it is taxed: an expression and its values.
/// Nothing for an order that was placed at once, or in parts, with its tax.
pub(crate) fn taxed_now(change: &Change) -> Option<(&'static str, Vec<(&'static str, AttributeValue)>)> {
    let order = &change.order;
    let tax = order.tax.as_ref().filter(|_| change.becomes_order && order.was_reserved())?;
    let lines: Vec<_> = order.lines.iter().map(|line| LineItem::of(line, order.total.currency())).collect();
    let values =
        vec![(":tax", value(&TaxItem::from(tax))), (":total", value(&order.total.amount())), (":lines", value(&lines))];
    // Both names that stand for themselves are reserved words (Amazon DynamoDB, reserved words in expressions).
    Some((", tax = :tax, #total = :total, #lines = :lines", values))
}
