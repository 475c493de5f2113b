//! What happens to orders after they are paid: most are shipped and delivered, and some of these come back or get money back.

use super::evidence::{Evidence, OrderFacts};
use super::load::{Sender, Step};
use indicatif::ProgressBar;
use serde_json::json;

/// Of so many paid orders, one is left unshipped.
const UNSHIPPED_ONE_IN: usize = 10;
/// Of so many delivered orders, one unit of one comes back.
const RETURNED_ONE_IN: usize = 5;
/// Of so many delivered orders, one gets a minor unit back for a scratch.
const REFUNDED_ONE_IN: usize = 7;
/// Orders that are shipped at most: the provider on this machine takes its time for each capture.
const SHIPPED_MAX: usize = 1_000;

/// Asks for the shipment of paid orders. How many.
///
/// # Errors
/// When the API refuses one.
pub async fn ship(sender: &Sender, evidence: &Evidence, bar: &ProgressBar) -> anyhow::Result<usize> {
    let paid = evidence.orders.iter().filter(|order| order.state == "paid").enumerate();
    let shipped = paid.filter(|(number, _)| number % UNSHIPPED_ONE_IN != 0).take(SHIPPED_MAX);
    let steps = shipped.map(|(_, order)| Step {
        path: format!("/orders/{}/shipments", order.id),
        key: format!("ship-{}", order.id),
        body: json!({}),
    });
    sender.staff(steps.collect(), bar).await
}

/// Notes that every shipment arrived. How many.
///
/// # Errors
/// When the API refuses one.
pub async fn deliver(sender: &Sender, evidence: &Evidence, bar: &ProgressBar) -> anyhow::Result<usize> {
    let steps = shipped(evidence, "shipped").map(|(_, order)| Step {
        path: format!("/shipments/{}-1/delivered", order.id),
        key: format!("arrived-{}", order.id),
        body: json!({}),
    });
    sender.staff(steps.collect(), bar).await
}

/// Takes units back, every second one to be sold again, and gives money back. How many orders.
///
/// # Errors
/// When the API refuses one.
pub async fn take_back(sender: &Sender, evidence: &Evidence, bar: &ProgressBar) -> anyhow::Result<usize> {
    let returned = shipped(evidence, "delivered").filter(|(number, _)| number % RETURNED_ONE_IN == 0);
    let mut steps: Vec<_> = returned
        .map(|(number, order)| Step {
            path: format!("/orders/{}/returns", order.id),
            key: format!("return-{}", order.id),
            body: json!({"lines": [{"line": 0, "quantity": 1, "restock": number % (2 * RETURNED_ONE_IN) == 0}]}),
        })
        .collect();
    let refunded = shipped(evidence, "delivered")
        .filter(|(number, order)| number % REFUNDED_ONE_IN == 1 && number % RETURNED_ONE_IN != 0 && order.total > 0);
    steps.extend(refunded.map(|(_, order)| Step {
        path: format!("/orders/{}/refunds", order.id),
        key: format!("refund-{}", order.id),
        body: json!({"amount": 1, "reason": "a scratch"}),
    }));
    sender.staff(steps, bar).await
}

fn shipped<'a>(evidence: &'a Evidence, state: &'a str) -> impl Iterator<Item = (usize, &'a OrderFacts)> {
    evidence.orders.iter().filter(move |order| order.state == state).enumerate()
}
