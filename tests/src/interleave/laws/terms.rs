//! Prices, coupons and limits bind.

use super::{Facts, Reply, Run};
use crate::interleave::operation::Operation;
use crate::interleave::plan::{FIRST_PERCENT, FIRST_PRICE};
use holdfast_local::demo::evidence::OrderFacts;
use serde_json::Value;
use std::collections::BTreeMap;

/// A version stands for one price, or for one set of a coupon's terms.
pub fn told_apart(facts: &Facts<'_>) -> Option<String> {
    let mut known: BTreeMap<(Option<usize>, u64), &Value> = BTreeMap::new();
    facts.replies().filter(|(_, reply)| reply.is_done()).find_map(|(run, reply)| {
        let (of, version, terms) = match run.operation {
            Operation::Price(price) => {
                let product = facts.plan.prices[price].product;
                (Some(product), &reply.body["price_version"], &reply.body["price"]["amount"])
            }
            Operation::Coupon(_) => (None, &reply.body["version"], &reply.body["percent"]),
            _ => return None,
        };
        let version = version.as_u64()?;
        let other = known.insert((of, version), terms).filter(|other| *other != terms)?;
        Some(format!("version {version} of {of:?} is {other} and {terms}"))
    })
}

/// An acknowledged price is in every stripe, and no order that is asked for later is placed at an earlier price.
pub fn price_changes_kept(facts: &Facts<'_>) -> Option<String> {
    facts.plan.products.iter().enumerate().find_map(|(position, product)| {
        let changes: Vec<_> = acknowledged_prices(facts, position).collect();
        let newest = changes.iter().map(|change| change.version).max().unwrap_or_default();
        let behind = behind(facts, &format!("#pool#stock#{}@", product.id), newest);
        behind.or_else(|| facts.replies().find_map(|(run, reply)| earlier_price(product.id, &changes, run, reply)))
    })
}

struct Change {
    at: usize,
    version: u64,
    amount: i64,
    /// Whether it was asked for once only: a repetition may set the price anew.
    once: bool,
}

impl Change {
    fn of(facts: &Facts<'_>, run: &Run, version: u64, amount: i64) -> Self {
        let times = facts.history.iter().filter(|other| other.operation == run.operation).count();
        Self { at: run.ended, version, amount, once: times == 1 }
    }
}

fn acknowledged_prices<'a>(facts: &'a Facts<'_>, product: usize) -> impl Iterator<Item = Change> + 'a {
    facts.replies().filter_map(move |(run, reply)| {
        let Operation::Price(price) = run.operation else { return None };
        let planned = &facts.plan.prices[price];
        let version = reply.body["price_version"].as_u64().filter(|_| reply.is_done() && planned.product == product)?;
        Some(Change::of(facts, run, version, planned.amount))
    })
}

fn earlier_price(product: &str, changes: &[Change], run: &Run, reply: &Reply) -> Option<String> {
    if !matches!(run.operation, Operation::Order(_)) || reply.status != 201 {
        return None;
    }
    let line = reply.body["lines"].as_array()?.iter().find(|line| line["product_id"] == product)?;
    let paid = line["unit_price"].as_i64()?;
    is_earlier(changes, run, paid, FIRST_PRICE)
        .then(|| format!("{:?} was placed at {paid} after a later price was acknowledged", run.operation))
}

/// Whether an order is by terms that were replaced, which was acknowledged before the order was asked for.
fn is_earlier(changes: &[Change], run: &Run, amount: i64, first: i64) -> bool {
    let acknowledged = changes.iter().filter(|change| change.at < run.begun).max_by_key(|change| change.version);
    let Some(acknowledged) = acknowledged else { return false };
    match changes.iter().find(|change| change.amount == amount) {
        Some(change) => change.once && change.version < acknowledged.version,
        None => amount == first,
    }
}

/// An acknowledged coupon is in every stripe of its uses, and no order that is asked for later redeems an earlier one.
pub fn coupon_changes_kept(facts: &Facts<'_>) -> Option<String> {
    let changes: Vec<_> = facts
        .replies()
        .filter_map(|(run, reply)| {
            let Operation::Coupon(coupon) = run.operation else { return None };
            let version = reply.body["version"].as_u64().filter(|_| reply.is_done())?;
            Some(Change::of(facts, run, version, facts.plan.coupons[coupon].percent))
        })
        .collect();
    let newest = changes.iter().map(|change| change.version).max().unwrap_or_default();
    behind(facts, "#pool#coupon#", newest).or_else(|| {
        facts.replies().find_map(|(run, reply)| {
            if !matches!(run.operation, Operation::Order(_)) || reply.status != 201 {
                return None;
            }
            let (discount, total) =
                (reply.body["discount"]["amount"].as_i64()?, reply.body["total"]["amount"].as_i64()?);
            // Prices are whole euros, so nothing was rounded.
            let percent = discount * 100 / (discount + total).max(1);
            is_earlier(&changes, run, percent, FIRST_PERCENT)
                .then(|| format!("{:?} got {percent} % after a later coupon was acknowledged", run.operation))
        })
    })
}

/// A stripe whose floor is below a version that was acknowledged.
fn behind(facts: &Facts<'_>, marker: &str, newest: u64) -> Option<String> {
    facts.items.iter().find_map(|item| {
        let pk = item["pk"]["S"].as_str().filter(|pk| pk.contains(marker))?;
        let version: u64 = item["price_version"]["N"].as_str()?.parse().ok()?;
        (version < newest).then(|| format!("{pk} is at version {version}, but {newest} was acknowledged"))
    })
}

/// No customer has more than the limits allow, by what was planned and not by what the orders claim.
pub fn limits_kept(facts: &Facts<'_>, orders: &BTreeMap<&str, &OrderFacts>) -> Option<String> {
    let kept = |customer: &'static str| {
        facts.plan.orders.iter().enumerate().filter_map(move |(number, planned)| {
            let order = orders.get(facts.id(number).as_str())?;
            (planned.customer == customer && order.keeps_stock()).then_some((planned, *order))
        })
    };
    ["ada", "bob"].into_iter().find_map(|customer| {
        let over = facts.plan.products.iter().enumerate().find_map(|(position, product)| {
            let lines = kept(customer).flat_map(|(planned, _)| &planned.lines).filter(|(of, _)| *of == position);
            let units: u32 = lines.map(|(_, quantity)| quantity).sum();
            let limit = product.limit.filter(|limit| units > *limit)?;
            Some(format!("{customer} keeps {units} of {}, but may have {limit}", product.id))
        });
        let uses = kept(customer).filter(|(_, order)| order.discount > 0).count();
        let limit = facts.plan.coupon_limit.filter(|limit| uses > *limit as usize);
        over.or_else(|| limit.map(|limit| format!("{customer} uses the coupon {uses} times, but may {limit} times")))
    })
}
