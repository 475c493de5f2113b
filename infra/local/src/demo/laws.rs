//! The laws that hold whatever happened, recomputed from the table's raw items, the queues, the deliveries and the
//! answers that callers got.

use super::evidence::{Evidence, LineFacts};
use super::payments::Payment;
use super::plan::Plan;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

mod ledger;
mod planned;
#[cfg(test)]
mod tests;

/// A law and whether it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Law {
    /// Its name.
    pub name: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// What was looked at, or the first thing that breaks it.
    pub detail: String,
}

/// What callers were told about one idempotency key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// The orders it was answered with.
    pub orders: BTreeSet<String>,
    /// How often it was answered with 201.
    pub created: u64,
    /// How often it was answered with the order that it had made before.
    pub replayed: u64,
    /// How often it was refused for want of stock.
    pub sold_out: u64,
    /// The answer that is neither an order nor a refusal for want of stock, if there was one.
    pub unexpected: Option<String>,
}

/// Everything the laws are judged by.
pub struct Facts<'a> {
    /// What was going to be done.
    pub plan: &'a Plan,
    /// The table.
    pub evidence: &'a Evidence,
    /// The answers by idempotency key.
    pub told: &'a BTreeMap<String, Told>,
    /// How often the event of this id was delivered and acknowledged.
    pub acknowledged: &'a dyn Fn(&str) -> u64,
    /// The messages in every dead-letter queue.
    pub dead_letters: &'a BTreeMap<String, u64>,
    /// What the payment provider holds.
    pub payments: &'a [Payment],
    /// The requests that placed an order and whose log line, with its spending, was found.
    pub placements_logged: u64,
}

/// Judges every law.
pub fn judge(facts: &Facts<'_>) -> Vec<Law> {
    let mut laws = of_table(facts.evidence);
    laws.extend([
        planned::as_planned(facts),
        orders_settled(facts.evidence),
        ledger::no_stray_authorisation(facts),
        ledger::provider_agrees(facts),
        requests_answered(facts),
        one_order_per_key(facts),
        events_delivered(facts),
        nothing_dead(facts),
        spending_known(facts),
    ]);
    laws
}

/// Judges the laws that the table alone can answer for, at any moment.
pub fn of_table(evidence: &Evidence) -> Vec<Law> {
    vec![
        stock_conserved(evidence),
        nothing_oversold(evidence),
        claims_match_lines(evidence),
        totals_exact(evidence),
        histories_complete(evidence),
        parts_settled(evidence),
        coupons_balance(evidence),
        allowances_balance(evidence),
        ledger::ledger_balances(evidence),
    ]
}

/// The units that orders keep beyond what was received.
pub fn oversold_units(evidence: &Evidence) -> i64 {
    evidence.stock.values().map(|stock| (stock.held + stock.sold - stock.restocked - stock.receipts).max(0)).sum()
}

/// The number of events: one for every version of every order.
pub fn events(evidence: &Evidence) -> i64 {
    evidence.orders.iter().map(|order| order.version).sum()
}

/// The events that nobody acknowledged.
pub fn events_lost(facts: &Facts<'_>) -> Vec<String> {
    let orders = facts.evidence.orders.iter();
    let ids = orders.flat_map(|order| (1..=order.version).map(|version| format!("{}/{version}", order.id)));
    ids.filter(|id| (facts.acknowledged)(id) == 0).collect()
}

fn law(name: &'static str, first_breach: Option<String>, looked_at: String) -> Law {
    Law { name, holds: first_breach.is_none(), detail: first_breach.unwrap_or(looked_at) }
}

fn stock_conserved(evidence: &Evidence) -> Law {
    let breach = evidence.stock.iter().find_map(|(product, stock)| {
        let accounted = stock.available + stock.held + stock.sold - stock.restocked;
        let conserved = stock.receipts == accounted && stock.received == stock.receipts;
        let (receipts, received) = (stock.receipts, stock.received);
        let (available, held, sold, back) = (stock.available, stock.held, stock.sold, stock.restocked);
        (!conserved).then(|| {
            format!("{product}: receipts {receipts}, received {received}, but available {available} + held {held} + sold {sold} - restocked {back}")
        })
    });
    let units: i64 = evidence.stock.values().map(|stock| stock.receipts).sum();
    law("stock_conserved", breach, format!("{} products, {units} units received", evidence.stock.len()))
}

fn nothing_oversold(evidence: &Evidence) -> Law {
    let breach = evidence.stock.iter().find_map(|(product, stock)| {
        let kept = stock.held + stock.sold - stock.restocked;
        let oversold = kept > stock.receipts || stock.lowest < 0;
        oversold.then(|| format!("{product}: {kept} of {} units kept, {} in a stripe", stock.receipts, stock.lowest))
    });
    let empty = evidence.stock.values().filter(|stock| stock.available == 0).count();
    law("nothing_oversold", breach, format!("{empty} products sold to the last unit"))
}

fn claims_match_lines(evidence: &Evidence) -> Law {
    let breach = evidence.orders.iter().find_map(|order| {
        let unlike = order.lines.iter().find(|line| line.claimed != line.quantity || line.quantity < 1);
        let unlike = unlike.map(|line| format!("{} of {}, but {} claimed", line.quantity, line.product, line.claimed));
        let empty = (order.lines.is_empty() && order.was_placed()).then(|| "it has no line".to_owned());
        unlike.or(empty).map(|problem| format!("order {}: {problem}", order.id))
    });
    let lines: usize = evidence.orders.iter().map(|order| order.lines.len()).sum();
    law("claims_match_lines", breach, format!("{lines} lines"))
}

fn totals_exact(evidence: &Evidence) -> Law {
    let breach = evidence.orders.iter().find_map(|order| {
        let line_total = |line: &LineFacts| match line.converted {
            Some(total) => i128::from(total),
            None => i128::from(line.quantity) * i128::from(line.price),
        };
        let discount: i64 = order.lines.iter().map(|line| line.discount).sum();
        let sum: i128 = order.lines.iter().map(line_total).sum::<i128>() - i128::from(discount);
        // Tax that prices do not have in them is paid beside them.
        let sum = if order.tax_is_beside { sum + i128::from(order.tax) } else { sum };
        let tax: i64 = order.lines.iter().map(|line| line.tax).sum();
        let exact = sum == i128::from(order.total) && discount == order.discount && tax == order.tax;
        // What never was placed may lack parts.
        (!exact && (order.was_placed() || order.attempt.is_none()))
            .then(|| format!("order {}: total {}, but lines of {sum}", order.id, order.total))
    });
    law("totals_exact", breach, format!("{} orders", evidence.orders.len()))
}

/// Every version has its entry in the history, which begins with the placing, or what came before it, and leads to the
/// state.
fn histories_complete(evidence: &Evidence) -> Law {
    const BEGINNINGS: [&str; 3] = ["placed", "reserved", "placing"];
    let breach = evidence.orders.iter().find_map(|order| {
        let led_to = order.history.iter().rev().find_map(|entry| states_after(entry));
        let begun = order.history.first().is_some_and(|entry| BEGINNINGS.contains(&entry.as_str()));
        let complete = order.history.len() as i64 == order.version
            && begun
            && led_to.is_some_and(|states| states.contains(&order.state.as_str()));
        let (id, state, version, history) = (&order.id, &order.state, order.version, order.history.join(", "));
        (!complete).then(|| format!("order {id}: {state} at version {version}, but its history is: {history}"))
    });
    law("histories_complete", breach, format!("{} changes", events(evidence)))
}

/// Where an order may stand after something happened to it; none if that moves no order.
fn states_after(entry: &str) -> Option<&'static [&'static str]> {
    Some(match entry {
        "reserved" => &["reserved"],
        "released" => &["released"],
        "placing" => &["placing"],
        "aborted" => &["aborted"],
        "placed" | "changed" | "split" | "absorbed" => &["placed"],
        "merged" => &["merged"],
        "paid" => &["paid"],
        "payment_failed" => &["payment_failed"],
        "cancelled" => &["cancelled"],
        "expired" => &["expired"],
        "shipping" => &["shipping"],
        "shipped" => &["shipping", "partially_shipped", "shipped"],
        "shipment_refused" => &["shipping", "partially_shipped", "paid"],
        "delivered" => &["shipping", "partially_shipped", "shipped", "delivered"],
        "returned" => &["shipping", "partially_shipped", "shipped", "delivered", "returned"],
        _ => return None,
    })
}

/// A large order that keeps its stock has all its parts, and one that does not has given all of them back.
fn parts_settled(evidence: &Evidence) -> Law {
    let stray = evidence.stray_parts.first().map(|part| format!("part {part} is held for nobody"));
    let torn = evidence.orders.iter().find(|order| {
        let is_begun = matches!(order.state.as_str(), "reserved" | "placing");
        order.keeps_stock() && !is_begun && !order.whole
    });
    let torn = torn.map(|order| format!("order {} is {}, but a part of it is not held", order.id, order.state));
    let parted = evidence.orders.iter().filter(|order| order.attempt.is_some()).count();
    law("parts_settled", stray.or(torn), format!("{parted} orders in parts"))
}

fn coupons_balance(evidence: &Evidence) -> Law {
    let breach = evidence.coupons.iter().find_map(|((tenant, code), coupon)| {
        let balanced = coupon.uses == coupon.available + coupon.kept && coupon.lowest >= 0;
        let (uses, available, kept) = (coupon.uses, coupon.available, coupon.kept);
        (!balanced).then(|| format!("coupon {code} of {tenant}: {uses} uses, but available {available} + kept {kept}"))
    });
    law("coupons_balance", breach, format!("{} coupons", evidence.coupons.len()))
}

fn allowances_balance(evidence: &Evidence) -> Law {
    let breach = evidence.allowances.iter().find_map(|((tenant, key), allowance)| {
        let (used, kept) = (allowance.used, allowance.kept);
        (used != kept).then(|| format!("{key} of {tenant}: {used} used, but {kept} kept by orders"))
    });
    law("allowances_balance", breach, format!("{} allowances", evidence.allowances.len()))
}

fn orders_settled(evidence: &Evidence) -> Law {
    let waiting =
        evidence.orders.iter().find(|order| matches!(order.state.as_str(), "placed" | "placing" | "reserved"));
    let breach = waiting.map(|order| format!("order {} is neither paid nor ended", order.id));
    let breach = breach.or_else(|| evidence.orders.iter().find_map(ledger::unsettled));
    law("orders_settled", breach, format!("{} orders", evidence.orders.len()))
}

fn requests_answered(facts: &Facts<'_>) -> Law {
    let breach = facts.told.iter().find_map(|(key, told)| Some(format!("key {key}: {}", told.unexpected.as_ref()?)));
    law("requests_answered", breach, format!("{} keys", facts.told.len()))
}

/// A key stands for one order at most, which was created once; and every order was some caller's.
fn one_order_per_key(facts: &Facts<'_>) -> Law {
    let mut owners: HashMap<&str, &str> = HashMap::new();
    let mut breach = None;
    for (key, told) in facts.told {
        if told.orders.len() > 1 || told.created > 1 {
            let orders = Vec::from_iter(told.orders.iter().map(String::as_str)).join(", ");
            breach = breach.or_else(|| Some(format!("key {key} created an order {} times: {orders}", told.created)));
        }
        for order in &told.orders {
            if let Some(other) = owners.insert(order, key) {
                breach = breach.or_else(|| Some(format!("order {order} answers the keys {other} and {key}")));
            }
        }
    }
    let stored: BTreeSet<_> = facts.evidence.orders.iter().map(|order| order.id.as_str()).collect();
    let lost = owners.keys().find(|order| !stored.contains(*order)).map(|id| format!("order {id} is not in the table"));
    let unknown = stored.iter().find(|order| !owners.contains_key(*order));
    let unknown = unknown.map(|id| format!("order {id} answers no key"));
    law("one_order_per_key", breach.or(lost).or(unknown), format!("{} keys, {} orders", facts.told.len(), stored.len()))
}

fn events_delivered(facts: &Facts<'_>) -> Law {
    let lost = events_lost(facts);
    let breach = lost.first().map(|id| format!("event {id} was never acknowledged ({} such events)", lost.len()));
    law("events_delivered", breach, format!("{} events", events(facts.evidence)))
}

fn nothing_dead(facts: &Facts<'_>) -> Law {
    let dead = facts.dead_letters.iter().find(|(_, messages)| **messages > 0);
    let dead = dead.map(|(queue, messages)| format!("{messages} messages in {queue}"));
    let kept = facts.evidence.outbox.first().map(|entry| format!("{entry} is still in the outbox"));
    let letter = facts.evidence.dead.first().map(|letter| format!("{letter} is a dead letter"));
    let queues = facts.dead_letters.len();
    law("nothing_dead", dead.or(kept).or(letter), format!("{queues} queues, outbox and dead letters are empty"))
}

/// What an order costs is known of each that was placed, not of those alone whose log line was found.
fn spending_known(facts: &Facts<'_>) -> Law {
    let created: u64 = facts.told.values().map(|told| told.created).sum();
    let logged = facts.placements_logged;
    let breach =
        (logged != created).then(|| format!("{created} requests placed an order, but {logged} are in the log"));
    law("spending_known", breach, format!("{logged} requests in the log"))
}
