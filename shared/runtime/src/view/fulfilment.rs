//! What happens to an order after it is placed, as its customer sees it: payment, shipments, returns, refunds.

use holdfast_domain::ids::WarehouseId;
use holdfast_domain::order::{
    Cause, EntryKind, LedgerEntry, Order, Refund, RefundStatus, Return, ReturnedLine, Shipment, ShipmentStatus,
    ShippedLine,
};
use holdfast_domain::payment::{CapturePolicy, PaymentStatus};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// How an order is paid. Amounts are minor units of its currency.
#[derive(Serialize, ToSchema)]
#[schema(as = Payment)]
pub struct PaymentView {
    /// The provider's token; none while the order waits for one.
    #[schema(value_type = String)]
    method: Option<String>,
    /// `none`, `pending`, `started`, `authorised`, `declined`, `voided` or `capture_failed`.
    status: &'static str,
    /// The provider's reason for a decline.
    #[serde(skip_serializing_if = "Option::is_none")]
    decline: Option<String>,
    /// When the amount is captured: `at-once`, `with-first-shipment`, or with each shipment without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    capture: Option<&'static str>,
    /// How much was captured, of it all.
    #[serde(skip_serializing_if = "is_zero")]
    captured: i64,
    /// How much went back.
    #[serde(skip_serializing_if = "is_zero")]
    refunded: i64,
    /// All money that moved, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ledger: Vec<LedgerView>,
}

/// Money that moved.
#[derive(Serialize, ToSchema)]
#[schema(as = LedgerEntry)]
struct LedgerView {
    /// `authorised`, `captured`, `voided` or `refunded`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    kind: EntryKind,
    /// How much.
    amount: i64,
    /// When it was noted.
    at: Timestamp,
    /// The shipment that it was captured for.
    #[serde(skip_serializing_if = "Option::is_none")]
    shipment: Option<u16>,
    /// The refund that it went back by.
    #[serde(skip_serializing_if = "Option::is_none")]
    refund: Option<u16>,
}

/// Units that leave a warehouse together.
#[derive(Serialize, ToSchema)]
#[schema(as = Shipment)]
pub struct ShipmentView {
    /// The order's id and the number of the shipment.
    #[schema(example = "822b8224-07ef-8495-88e0-f8b7b79d9970-1")]
    shipment_id: String,
    /// `requested`, `refused`, `shipped` or `delivered`.
    state: &'static str,
    /// Where it leaves from.
    #[schema(value_type = String)]
    warehouse: WarehouseId,
    /// What it consists of.
    lines: Vec<UnitsView>,
    /// How much of the order's amount is captured for it: known when it is shipped.
    #[serde(skip_serializing_if = "is_zero")]
    amount: i64,
    /// Why the carrier does not take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The carrier's number to follow it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    tracking: Option<String>,
}

/// Some units of a line.
#[derive(Serialize, ToSchema)]
#[schema(as = LineUnits)]
struct UnitsView {
    /// The position of the line in the order, from 0.
    line: usize,
    /// How many.
    quantity: u32,
    /// Of units that came back: whether they can be sold again, rather than being written off.
    #[serde(skip_serializing_if = "Option::is_none")]
    restock: Option<bool>,
}

/// Units that came back together.
#[derive(Serialize, ToSchema)]
#[schema(as = Return)]
pub struct ReturnView {
    /// Its number within the order, from 1.
    number: u16,
    /// What came back.
    lines: Vec<UnitsView>,
    /// When.
    at: Timestamp,
    /// The number of the refund of what its units cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    refund: Option<u16>,
}

/// Money that is to go back, or went back.
#[derive(Serialize, ToSchema)]
#[schema(as = Refund)]
pub struct RefundView {
    /// Its number within the order, from 1.
    number: u16,
    /// How much.
    amount: i64,
    /// `return`, `goodwill` or `cancelled`.
    reason: &'static str,
    /// `requested`, `done` or `refused`.
    state: &'static str,
    /// Why the provider does not give it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

fn is_zero(amount: &i64) -> bool {
    *amount == 0
}

impl From<&Order> for PaymentView {
    fn from(order: &Order) -> Self {
        let (status, decline) = match &order.payment.status {
            PaymentStatus::None => ("none", None),
            PaymentStatus::Pending => ("pending", None),
            PaymentStatus::Started { .. } => ("started", None),
            PaymentStatus::Authorised { .. } => ("authorised", None),
            PaymentStatus::Declined { code, .. } => ("declined", Some(code.0.clone())),
            PaymentStatus::Voided { .. } => ("voided", None),
            PaymentStatus::CaptureFailed { code, .. } => ("capture_failed", Some(code.0.clone())),
        };
        let sums = order.sums();
        Self {
            method: order.payment.method.as_ref().map(|method| method.as_str().to_owned()),
            status,
            decline,
            capture: match order.payment.capture {
                CapturePolicy::WhenShipped => None,
                CapturePolicy::WithFirstShipment => Some("with-first-shipment"),
                CapturePolicy::AtOnce => Some("at-once"),
            },
            captured: sums.captured.amount(),
            refunded: sums.refunded.amount(),
            ledger: order.ledger.iter().map(LedgerView::from).collect(),
        }
    }
}

impl From<&LedgerEntry> for LedgerView {
    fn from(entry: &LedgerEntry) -> Self {
        let (shipment, refund) = match entry.cause {
            Cause::Order => (None, None),
            Cause::Shipment(number) => (Some(number), None),
            Cause::Refund(number) => (None, Some(number)),
        };
        Self { kind: entry.kind, amount: entry.amount.amount(), at: entry.at, shipment, refund }
    }
}

impl ShipmentView {
    /// A shipment of an order.
    pub fn of(order: &Order, shipment: &Shipment) -> Self {
        let units = |line: &ShippedLine| UnitsView { line: line.line, quantity: line.quantity, restock: None };
        let reason = match &shipment.status {
            ShipmentStatus::Refused { reason } => Some(reason.clone()),
            _ => None,
        };
        Self {
            shipment_id: format!("{}-{}", order.id, shipment.number),
            state: shipment.status.name(),
            warehouse: shipment.warehouse.clone(),
            lines: shipment.lines.iter().map(units).collect(),
            amount: shipment.amount.amount(),
            reason,
            tracking: shipment.status.booking().map(|booking| booking.tracking.clone()),
        }
    }
}

impl From<&Return> for ReturnView {
    fn from(returned: &Return) -> Self {
        let units =
            |line: &ReturnedLine| UnitsView { line: line.line, quantity: line.quantity, restock: Some(line.restock) };
        let lines = returned.lines.iter().map(units).collect();
        Self { number: returned.number, lines, at: returned.at, refund: returned.refund }
    }
}

impl From<&Refund> for RefundView {
    fn from(refund: &Refund) -> Self {
        let refused = match &refund.status {
            RefundStatus::Refused { reason } => Some(reason.clone()),
            _ => None,
        };
        let (number, amount) = (refund.number, refund.amount.amount());
        Self { number, amount, reason: refund.reason.name(), state: refund.status.name(), refused }
    }
}
