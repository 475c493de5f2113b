//! What an event of Stripe's is about.

use holdfast_domain::ids::{OrderId, TenantId};
use serde::Deserialize;
use serde_json::Value;

/// An event (<https://docs.stripe.com/api/events/object>), as far as it matters here.
#[derive(Debug, Deserialize)]
pub struct Notice {
    /// Stripe's name of it, the same on every delivery.
    pub id: String,
    #[serde(rename = "type")]
    kind: String,
    data: Subject,
}

#[derive(Debug, Deserialize)]
struct Subject {
    object: Value,
}

/// What an event gives reason to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matter {
    /// To nothing.
    Unknown,
    /// To look whether the order's payment has a step to take.
    Step,
    /// To ask whether what was set aside is gone.
    Lapsed,
    /// To tell people: what went back came back.
    RefundFailed,
}

impl Notice {
    /// What the event gives reason to (<https://docs.stripe.com/api/events/types>).
    pub fn matter(&self) -> Matter {
        match self.kind.as_str() {
            "payment_intent.amount_capturable_updated"
            | "payment_intent.succeeded"
            | "payment_intent.payment_failed"
            | "payment_intent.requires_action"
            | "charge.succeeded"
            | "charge.captured"
            | "charge.failed"
            | "charge.refunded"
            | "refund.created"
            | "refund.updated"
            | "charge.refund.updated" => Matter::Step,
            "payment_intent.canceled" | "charge.expired" => Matter::Lapsed,
            "refund.failed" => Matter::RefundFailed,
            _ => Matter::Unknown,
        }
    }

    /// The order that the event is about: what the worker noted on the payment, on which Stripe's charges and our refunds
    /// carry it, too. None for payments that are not an order's.
    pub fn order(&self) -> Option<(TenantId, OrderId)> {
        let noted = |name: &str| self.data.object["metadata"][name].as_str().unwrap_or_default();
        let tenant = TenantId::parse(noted("tenant").to_owned()).ok()?;
        let order = OrderId::parse(noted("order_id")).ok().filter(|order| order.may_be_of(&tenant))?;
        Some((tenant, order))
    }
}
