//! What came about against what was planned: a system that refuses everything breaks no other law.

use super::super::evidence::{OrderFacts, ProductKey};
use super::super::load::TENANT;
use super::super::plan::{IS_DECLINED, Order, PAYS, Plan};
use super::{Facts, Law, law};
use std::collections::{BTreeMap, HashMap};

/// The stock is the planned one; whoever asked only for products with enough for all got an order, of just what was
/// asked for; and cards did what such cards do.
pub(super) fn as_planned(facts: &Facts<'_>) -> Law {
    let Plan { orders, products, .. } = facts.plan;
    let stored: HashMap<_, _> = facts.evidence.orders.iter().map(|order| (order.id.as_str(), order)).collect();
    let demand = Plan::demand(orders);
    let enough: BTreeMap<_, _> = products
        .iter()
        .map(|product| (&product.id, demand.get(&product.id).is_none_or(|wanted| product.stock >= *wanted)))
        .collect();
    let prices: BTreeMap<_, _> =
        products.iter().map(|product| (product.id.as_str(), i64::from(product.price))).collect();

    let mut placed = 0;
    let mut breach = stock_differs(facts);
    for planned in orders {
        let told = facts.told.get(&planned.key);
        let order = told.and_then(|told| told.orders.first()).and_then(|id| stored.get(id.as_str()));
        placed += usize::from(order.is_some());
        let problem = match order {
            Some(order) => differs(planned, order, &prices, facts.plan.currency),
            None if planned.lines.iter().all(|(product, _)| enough.get(product) == Some(&true)) => {
                Some("there was enough for it, but it was not placed".to_owned())
            }
            None => None,
        };
        breach = breach.or_else(|| problem.map(|problem| format!("key {}: {problem}", planned.key)));
    }
    let nothing = (placed == 0 && !orders.is_empty()).then(|| format!("none of {} orders was placed", orders.len()));
    law("as_planned", breach.or(nothing), format!("{placed} of {} orders, as asked for", orders.len()))
}

fn stock_differs(facts: &Facts<'_>) -> Option<String> {
    facts.plan.products.iter().find_map(|product| {
        let key = ProductKey { tenant: TENANT.to_owned(), product: product.id.clone() };
        let receipts = facts.evidence.stock.get(&key).map_or(0, |stock| stock.receipts);
        let planned = i64::try_from(product.stock).unwrap_or(i64::MAX);
        (receipts != planned).then(|| format!("{key}: {planned} units planned, but receipts of {receipts}"))
    })
}

fn differs(planned: &Order, order: &OrderFacts, prices: &BTreeMap<&str, i64>, currency: &str) -> Option<String> {
    let line = |(product, quantity): &(String, u32)| {
        (product.clone(), i64::from(*quantity), prices.get(product.as_str()).copied().unwrap_or(-1))
    };
    let mut asked: Vec<_> = planned.lines.iter().map(line).collect();
    let mut lines: Vec<_> = order.lines.iter().map(|line| (line.product.clone(), line.quantity, line.price)).collect();
    asked.sort_unstable();
    lines.sort_unstable();
    if asked != lines || order.currency != currency {
        return Some(format!("asked for {asked:?} in {currency}, but got {lines:?} in {}", order.currency));
    }
    // Nobody is asked for nothing, so a card that would be declined pays a free order.
    let wrong = match (planned.payment_method, order.state.as_str()) {
        (PAYS, "payment_failed") => true,
        (IS_DECLINED, _) if order.is_sold() => order.total > 0,
        _ => false,
    };
    wrong.then(|| format!("order {} with {} is {}", order.id, planned.payment_method, order.state))
}
