//! What must be true after a run, whatever was interleaved and whatever failed.

mod shapes;
mod terms;

use super::operation::{Operation, Reply};
use super::payments::Entry;
use super::plan::Plan;
use super::switchboard::State;
use super::{Outcome, Run};
use holdfast_local::demo::evidence::{Evidence, OrderFacts};
use serde_json::Value;
use std::collections::BTreeMap;

/// A law that does not hold.
#[derive(Debug, Clone)]
pub struct Breach {
    /// Its name.
    pub law: &'static str,
    /// What breaks it.
    pub detail: String,
}

/// What the laws are judged by.
pub struct Facts<'a> {
    /// What was planned.
    pub plan: &'a Plan,
    /// What was asked for, and what came of it.
    pub history: &'a [Run],
    /// The table's raw items.
    pub items: &'a [Value],
    /// The provider's books, and when orders were put.
    pub state: &'a State,
}

/// Every law that is broken.
pub fn judge(facts: &Facts<'_>) -> Vec<Breach> {
    let evidence = Evidence::of(facts.items);
    let of_table = holdfast_local::demo::laws::of_table(&evidence).into_iter().filter(|law| !law.holds);
    let of_table = of_table.map(|law| Breach { law: law.name, detail: law.detail });
    let orders: BTreeMap<&str, &OrderFacts> = evidence.orders.iter().map(|order| (order.id.as_str(), order)).collect();
    let laws: [(&'static str, Option<String>); 14] = [
        ("everything_answered", everything_answered(facts, &orders)),
        ("orders_exist_as_told", orders_exist_as_told(facts, &orders)),
        ("placed_orders_not_refused", placed_orders_not_refused(facts)),
        ("sold_out_only_when_short", sold_out_only_when_short(facts)),
        ("ended_once", ended_once(facts, &orders)),
        ("payments_settled", payments_settled(facts, &orders)),
        ("receipts_once", receipts_once(facts, &evidence)),
        ("prices_told_apart", terms::told_apart(facts)),
        ("price_changes_kept", terms::price_changes_kept(facts)),
        ("coupon_changes_kept", terms::coupon_changes_kept(facts)),
        ("limits_kept", terms::limits_kept(facts, &orders)),
        ("reservations_as_told", reservations_as_told(facts, &orders)),
        ("stripes_known", shapes::stripes_known(facts)),
        ("balances_match_parts", shapes::balances_match_parts(facts)),
    ];
    let own = laws.into_iter().filter_map(|(law, breach)| breach.map(|detail| Breach { law, detail }));
    of_table.chain(own).collect()
}

impl Facts<'_> {
    fn replies(&self) -> impl Iterator<Item = (&Run, &Reply)> {
        self.history.iter().filter_map(|run| Some((run, run.reply()?)))
    }

    fn id(&self, order: usize) -> String {
        self.plan.order_id(order).to_string()
    }
}

/// Once nothing fails any more, every caller gets an answer. A message about an order that was never placed is none.
fn everything_answered(facts: &Facts<'_>, orders: &BTreeMap<&str, &OrderFacts>) -> Option<String> {
    if let Some(run) = facts.history.iter().find(|run| matches!(run.outcome, Outcome::Panicked)) {
        return Some(format!("{:?} panicked", run.operation));
    }
    facts.plan.operations().into_iter().find_map(|operation| {
        let last = facts.history.iter().rfind(|run| run.operation == operation);
        let moot = match operation {
            Operation::Pay(order) | Operation::Expire(order) | Operation::Settle(order) => {
                !orders.contains_key(facts.id(order).as_str())
            }
            _ => false,
        };
        let answered = facts.history.iter().any(|run| run.operation == operation && run.is_final());
        (!moot && !answered)
            .then(|| format!("{operation:?} never got an answer; at last {:?}", last.map(|it| &it.outcome)))
    })
}

/// An order that somebody was shown is in the table, as the one order of its key, and was new once.
fn orders_exist_as_told(facts: &Facts<'_>, orders: &BTreeMap<&str, &OrderFacts>) -> Option<String> {
    let mut created: BTreeMap<usize, usize> = BTreeMap::new();
    facts.replies().find_map(|(run, reply)| {
        let Operation::Order(order) = run.operation else { return None };
        let id = facts.id(order);
        if !reply.is_done() {
            return None;
        }
        let times = created.entry(order).or_default();
        *times += usize::from(reply.status == 201);
        let shown =
            if facts.plan.orders[order].reserved { &reply.body["reservation_id"] } else { &reply.body["order_id"] };
        let wrong = *times > 1 || *shown != id.as_str() || !orders.contains_key(id.as_str());
        wrong.then(|| format!("order {order} was shown as {shown}, {times} times as new"))
    })
}

/// Whoever asks again for an order that is placed gets that order.
fn placed_orders_not_refused(facts: &Facts<'_>) -> Option<String> {
    facts.replies().find_map(|(run, reply)| {
        let Operation::Order(order) = run.operation else { return None };
        let placed = facts.state.placed.get(&facts.id(order))?;
        let refused = run.begun > *placed && (400..500).contains(&reply.status);
        refused.then(|| format!("order {order}, placed at {placed}, was refused {} at {}", reply.slug, run.begun))
    })
}

/// Nobody hears that a product is sold out of which there was always enough for everybody.
fn sold_out_only_when_short(facts: &Facts<'_>) -> Option<String> {
    let wanted = |product: usize| -> u32 {
        let lines = facts.plan.orders.iter().flat_map(|order| &order.lines);
        lines.filter(|(of, _)| *of == product).map(|(_, quantity)| quantity).sum()
    };
    facts.replies().find_map(|(run, reply)| {
        let named = |id: &str| reply.slug == "out-of-stock" && reply.body["product_id"] == id;
        let (position, product) = facts.plan.products.iter().enumerate().find(|(_, product)| named(product.id))?;
        (wanted(position) <= product.stock)
            .then(|| format!("{:?} was refused for want of {}", run.operation, product.id))
    })
}

/// An order ends once, and stays as its callers were told.
fn ended_once(facts: &Facts<'_>, orders: &BTreeMap<&str, &OrderFacts>) -> Option<String> {
    let ends = |entry: &&String| matches!(entry.as_str(), "cancelled" | "expired" | "payment_failed" | "released");
    let twice = orders.values().find(|order| order.history.iter().filter(ends).count() > 1);
    if let Some(order) = twice {
        return Some(format!("order {} ended more than once: {:?}", order.id, order.history));
    }
    facts.replies().find_map(|(run, reply)| {
        let Operation::Cancel(order) = run.operation else { return None };
        let state = orders.get(facts.id(order).as_str()).map_or("missing", |order| order.state.as_str());
        (reply.is_done() && state != "cancelled").then(|| format!("order {order} was told cancelled and is {state}"))
    })
}

/// A reservation becomes an order once, if its caller was told so, and ends otherwise if its caller was told that.
fn reservations_as_told(facts: &Facts<'_>, orders: &BTreeMap<&str, &OrderFacts>) -> Option<String> {
    let twice = orders.values().find(|order| order.history.iter().filter(|entry| *entry == "placed").count() > 1);
    if let Some(order) = twice {
        return Some(format!("order {} was placed more than once: {:?}", order.id, order.history));
    }
    facts.replies().find_map(|(run, reply)| {
        let order = |order| orders.get(facts.id(order).as_str());
        let wrong = match run.operation {
            Operation::Confirm(n) => !order(n).is_some_and(|order| order.was_placed()),
            Operation::Release(n) => order(n).is_none_or(|order| order.state != "released"),
            _ => false,
        };
        (reply.is_done() && wrong).then(|| format!("{:?} was told done, and is not", run.operation))
    })
}

/// The provider holds the amount of each order that is paid, once, and of no other.
fn payments_settled(facts: &Facts<'_>, orders: &BTreeMap<&str, &OrderFacts>) -> Option<String> {
    orders.values().find_map(|order| {
        let entries = facts.state.ledger.of_order(&order.id);
        let held = entries.iter().filter(|entry| **entry == Entry::Authorised).count();
        let paid = order.state == "paid";
        let (id, state, payment) = (&order.id, &order.state, &order.payment);
        (held != usize::from(paid) || paid != (payment == "authorised"))
            .then(|| format!("order {id} is {state}, its payment {payment}, but the provider has {entries:?}"))
    })
}

/// A receipt is new once, and everything that was received under any key is there.
fn receipts_once(facts: &Facts<'_>, evidence: &Evidence) -> Option<String> {
    for (number, receipt) in facts.plan.receipts.iter().enumerate() {
        let is = |(run, reply): &(&Run, &Reply)| run.operation == Operation::Receive(number) && reply.status == 201;
        let times = facts.replies().filter(is).count();
        if times > 1 {
            return Some(format!("receipt {} was new {times} times", receipt.key));
        }
    }
    facts.plan.products.iter().enumerate().find_map(|(position, product)| {
        let told = facts.plan.receipts.iter().enumerate().filter(|(number, receipt)| {
            let done = |(run, reply): (&Run, &Reply)| run.operation == Operation::Receive(*number) && reply.is_done();
            receipt.product == position && facts.replies().any(done)
        });
        let told: u32 = product.stock + told.map(|(_, receipt)| receipt.quantity).sum::<u32>();
        let stock = evidence.stock.iter().find(|(key, _)| key.product == product.id);
        let receipts = stock.map_or(0, |(_, stock)| stock.receipts);
        (receipts != i64::from(told))
            .then(|| format!("{}: {told} units were told received, {receipts} are", product.id))
    })
}
