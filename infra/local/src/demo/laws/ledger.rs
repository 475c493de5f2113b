//! Laws of money: every order's ledger adds up, and the provider's books say the same.

use super::{Facts, Law, law};
use crate::demo::evidence::{EntryFacts, Evidence, OrderFacts, Sums};
use crate::demo::payments::Payment;
use std::collections::{BTreeSet, HashMap};

/// What was captured or let go was authorised, what went back was captured, and an order's state, the state of its payment
/// and its refunds say the same as its ledger.
pub(super) fn ledger_balances(evidence: &Evidence) -> Law {
    let breach = evidence.orders.iter().find_map(|order| {
        let problem = entries_at_odds(order).or_else(|| sums_at_odds(order)).or_else(|| refunds_at_odds(order))?;
        Some(format!("order {} of {}: {problem}", order.id, order.total))
    });
    let entries: usize = evidence.orders.iter().map(|order| order.ledger.len()).sum();
    law("ledger_balances", breach, format!("{entries} entries"))
}

/// Entries are added, one for each thing that happened: in the order of the versions that noted them, and each of them
/// beside what its version says happened.
fn entries_at_odds(order: &OrderFacts) -> Option<String> {
    let mut seen = BTreeSet::new();
    let mut before = 0;
    for entry in &order.ledger {
        let EntryFacts { kind, amount, cause, version } = entry;
        if *amount < 1 {
            return Some(format!("{kind} {amount}"));
        }
        if !seen.insert((kind, cause)) {
            return Some(format!("{kind} twice for {cause:?}"));
        }
        let noted = usize::try_from(version - 1).ok().and_then(|position| order.history.get(position));
        let is_noted = noted.is_some_and(|noted| notes(noted).contains(&kind.as_str()));
        // The history of an attempt that was given up often is shorter than its versions.
        if *version < before || *version > order.version || !is_noted && order.history.len() as i64 == order.version {
            return Some(format!("{kind} was entered by version {version}, which is {noted:?}"));
        }
        before = *version;
    }
    None
}

/// What may be entered beside something that happened.
fn notes(entry: &str) -> &'static [&'static str] {
    match entry {
        "paid" | "payment_authorised" => &["authorised"],
        "payment_captured" | "shipped" => &["captured"],
        "payment_voided" | "payment_capture_failed" | "payment_failed" => &["voided"],
        "payment_refunded" => &["refunded"],
        _ => &[],
    }
}

fn sums_at_odds(order: &OrderFacts) -> Option<String> {
    let sums = Sums::of(&order.ledger);
    let Sums { authorised, captured, voided, refunded } = sums;
    let breaks = authorised > order.total || captured + voided > authorised || refunded > captured;
    let has_authorisation = matches!(order.payment.as_str(), "authorised" | "voided" | "capture_failed");
    let unlike_payment = has_authorisation != (authorised == order.total && order.total > 0);
    let unlike_state = order.is_sold() && authorised != order.total;
    let unlike_end = order.payment == "voided" && sums.open() != 0;
    (breaks || unlike_payment || unlike_state || unlike_end).then(|| {
        let (state, payment) = (&order.state, &order.payment);
        format!("it is {state} and its payment {payment}, but {sums:?}")
    })
}

fn refunds_at_odds(order: &OrderFacts) -> Option<String> {
    let sums = Sums::of(&order.ledger);
    // Units may come back before what they cost is captured, which then comes first.
    let captured = sums.captured + sums.open();
    let pending: i64 =
        order.refunds.iter().filter(|refund| refund.state != "refused").map(|refund| refund.amount).sum();
    let entered = order.ledger.iter().filter(|entry| entry.kind == "refunded");
    let entered: BTreeSet<_> = entered.map(|entry| (entry.cause.1, entry.amount)).collect();
    let done = order.refunds.iter().filter(|refund| refund.state == "done");
    let done: BTreeSet<_> = done.map(|refund| (refund.number, refund.amount)).collect();
    (pending > captured || entered != done)
        .then(|| format!("{pending} is to go back of {captured}, {done:?} did, and {entered:?} is entered"))
}

/// What an order still has to do about its payment, once everything has settled.
pub(super) fn unsettled(order: &OrderFacts) -> Option<String> {
    let open = order.refunds.iter().find(|refund| refund.state == "requested");
    let open = open.map(|refund| format!("refund {} of order {} is not settled", refund.number, order.id));
    let sums = Sums::of(&order.ledger);
    let refused = order.refunds.iter().any(|refund| refund.state == "refused");
    let is_kept = order.state == "cancelled" && sums.refunded != sums.captured && !refused;
    open.or_else(|| is_kept.then(|| format!("order {} is cancelled, but its money was kept: {sums:?}", order.id)))
}

/// The provider has set aside for every order what its ledger says is set aside, once, and nothing for any other.
pub(super) fn no_stray_authorisation(facts: &Facts<'_>) -> Law {
    let mut authorised: HashMap<&str, Vec<&Payment>> = HashMap::new();
    for payment in facts.payments.iter().filter(|payment| payment.is_authorised()) {
        authorised.entry(&payment.metadata.order_id).or_default().push(payment);
    }
    let breach = facts.evidence.orders.iter().find_map(|order| {
        let authorised = authorised.remove(order.id.as_str()).unwrap_or_default();
        let amounts: Vec<_> = authorised.iter().map(|it| format!("{} {}", it.amount, it.currency)).collect();
        let (id, state, said) = (&order.id, &order.state, &order.payment);
        (!is_right(order, &authorised))
            .then(|| format!("order {id} of {} is {state}, its payment {said}, authorised: {amounts:?}", order.total))
    });
    let stray = authorised.values().flatten().next();
    let stray = stray.map(|it| format!("payment {} is authorised for no known order", it.id));
    let voided = facts.payments.iter().filter(|payment| payment.status == "canceled").count();
    law("no_stray_authorisation", breach.or(stray), format!("{} payments, {voided} voided", facts.payments.len()))
}

fn is_right(order: &OrderFacts, authorised: &[&Payment]) -> bool {
    let open = Sums::of(&order.ledger).open();
    match (order.payment.as_str(), authorised) {
        // It is not settled, which is the matter of another law.
        _ if order.state == "placed" => true,
        ("started", _) => false,
        // What the provider refused to pay out may still be set aside.
        ("capture_failed", authorised) => authorised.len() <= 1,
        ("authorised", []) => open == 0,
        ("authorised", [only]) => {
            let is_whole = only.amount == order.total && only.currency.eq_ignore_ascii_case(&order.currency);
            order.is_sold() && open > 0 && is_whole
        }
        ("authorised", _) => false,
        ("none", authorised) => order.total == 0 && authorised.is_empty(),
        (_, authorised) => !order.is_sold() && authorised.is_empty(),
    }
}

/// For every order, what the provider says was captured and given back is what the ledger says.
pub(super) fn provider_agrees(facts: &Facts<'_>) -> Law {
    let mut held: HashMap<&str, Sums> = HashMap::new();
    for payment in facts.payments {
        let sums = held.entry(&payment.metadata.order_id).or_default();
        sums.captured += payment.amount_received;
        sums.refunded += payment.amount_refunded();
        sums.authorised += if payment.is_authorised() { payment.amount_capturable } else { 0 };
    }
    let breach = facts.evidence.orders.iter().find_map(|order| {
        let theirs = held.remove(order.id.as_str()).unwrap_or_default();
        let ours = Sums::of(&order.ledger);
        let is_open = ours.open() == theirs.authorised || order.payment == "capture_failed" || order.state == "placed";
        let agrees = ours.captured == theirs.captured && ours.refunded == theirs.refunded && is_open;
        (!agrees).then(|| {
            format!(
                "order {}: {ours:?}, but the provider captured {}, gave {} back and has {} set aside",
                order.id, theirs.captured, theirs.refunded, theirs.authorised
            )
        })
    });
    let stray = held.iter().find(|(_, sums)| sums.captured != sums.refunded);
    let stray = stray.map(|(order, _)| format!("money was captured for order {order:?}, which is not known"));
    let captured: i64 = facts.payments.iter().map(|payment| payment.amount_received).sum();
    law("provider_agrees", breach.or(stray), format!("{captured} captured"))
}
