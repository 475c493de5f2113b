//! What happens to an order after it is paid, as attributes of its item: ledger, shipments, returns and refunds.

use holdfast_domain::ids::WarehouseId;
use holdfast_domain::money::{Currency, Money};
use holdfast_domain::order::{
    Booking, Cause, EntryKind, LedgerEntry, Refund, RefundReason, RefundStatus, RequestMark, Return, ReturnedLine,
    Shipment, ShipmentStatus, ShippedLine,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(crate) struct LedgerItem {
    #[serde(rename = "type")]
    kind: EntryKind,
    amount: i64,
    at: i64,
    version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shipment: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refund: Option<u16>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ShipmentItem {
    number: u16,
    warehouse: WarehouseId,
    /// Positions and quantities.
    lines: Vec<(usize, u32)>,
    #[serde(default, skip_serializing_if = "is_zero")]
    amount: i64,
    request: RequestMark,
    status: ShipmentName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tracking: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ShipmentName {
    Requested,
    Refused,
    Shipped,
    Delivered,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ReturnItem {
    number: u16,
    /// Positions, quantities, and whether they went back to stock.
    lines: Vec<(usize, u32, bool)>,
    request: RequestMark,
    at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refund: Option<u16>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RefundItem {
    number: u16,
    amount: i64,
    #[serde(rename = "for")]
    reason: RefundName,
    request: RequestMark,
    status: RefundStatusName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RefundName {
    Return,
    Goodwill,
    Cancelled,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RefundStatusName {
    Requested,
    Done,
    Refused,
}

fn is_zero(amount: &i64) -> bool {
    *amount == 0
}

fn money(amount: i64, currency: Currency) -> Result<Money, String> {
    Money::new(amount, currency).map_err(|invalid| invalid.to_string())
}

fn instant(ms: i64) -> Result<Timestamp, String> {
    Timestamp::from_millisecond(ms).map_err(|error| error.to_string())
}

impl From<&LedgerEntry> for LedgerItem {
    fn from(entry: &LedgerEntry) -> Self {
        let (shipment, refund) = match entry.cause {
            Cause::Order => (None, None),
            Cause::Shipment(number) => (Some(number), None),
            Cause::Refund(number) => (None, Some(number)),
        };
        let (amount, at) = (entry.amount.amount(), entry.at.as_millisecond());
        Self { kind: entry.kind, amount, at, version: entry.version, shipment, refund }
    }
}

impl LedgerItem {
    pub(crate) fn entry(self, currency: Currency) -> Result<LedgerEntry, String> {
        let cause = match (self.shipment, self.refund) {
            (Some(number), _) => Cause::Shipment(number),
            (None, Some(number)) => Cause::Refund(number),
            (None, None) => Cause::Order,
        };
        let (amount, at) = (money(self.amount, currency)?, instant(self.at)?);
        Ok(LedgerEntry { kind: self.kind, amount, cause, at, version: self.version })
    }
}

impl From<&Shipment> for ShipmentItem {
    fn from(shipment: &Shipment) -> Self {
        let booking = shipment.status.booking();
        let (status, reason) = match &shipment.status {
            ShipmentStatus::Requested => (ShipmentName::Requested, None),
            ShipmentStatus::Refused { reason } => (ShipmentName::Refused, Some(reason.clone())),
            ShipmentStatus::Shipped(_) => (ShipmentName::Shipped, None),
            ShipmentStatus::Delivered(_) => (ShipmentName::Delivered, None),
        };
        Self {
            number: shipment.number,
            warehouse: shipment.warehouse.clone(),
            lines: shipment.lines.iter().map(|line| (line.line, line.quantity)).collect(),
            amount: shipment.amount.amount(),
            request: shipment.request,
            status,
            reason,
            reference: booking.map(|booking| booking.reference.clone()),
            tracking: booking.map(|booking| booking.tracking.clone()),
        }
    }
}

impl ShipmentItem {
    pub(crate) fn shipment(self, currency: Currency) -> Result<Shipment, String> {
        let booking = || {
            let (reference, tracking) = self.reference.clone().zip(self.tracking.clone())?;
            Some(Booking { reference, tracking })
        };
        let lacking = || format!("shipment {} lacks the carrier's names of it", self.number);
        let status = match self.status {
            ShipmentName::Requested => ShipmentStatus::Requested,
            ShipmentName::Refused => ShipmentStatus::Refused { reason: self.reason.clone().unwrap_or_default() },
            ShipmentName::Shipped => ShipmentStatus::Shipped(booking().ok_or_else(lacking)?),
            ShipmentName::Delivered => ShipmentStatus::Delivered(booking().ok_or_else(lacking)?),
        };
        Ok(Shipment {
            number: self.number,
            warehouse: self.warehouse,
            lines: self.lines.into_iter().map(|(line, quantity)| ShippedLine { line, quantity }).collect(),
            amount: money(self.amount, currency)?,
            request: self.request,
            status,
        })
    }
}

impl From<&Return> for ReturnItem {
    fn from(returned: &Return) -> Self {
        Self {
            number: returned.number,
            lines: returned.lines.iter().map(|line| (line.line, line.quantity, line.restock)).collect(),
            request: returned.request,
            at: returned.at.as_millisecond(),
            refund: returned.refund,
        }
    }
}

impl ReturnItem {
    pub(crate) fn returned(self) -> Result<Return, String> {
        let line = |(line, quantity, restock)| ReturnedLine { line, quantity, restock };
        Ok(Return {
            number: self.number,
            lines: self.lines.into_iter().map(line).collect(),
            request: self.request,
            at: instant(self.at)?,
            refund: self.refund,
        })
    }
}

impl From<&Refund> for RefundItem {
    fn from(refund: &Refund) -> Self {
        let (status, reference, refused) = match &refund.status {
            RefundStatus::Requested => (RefundStatusName::Requested, None, None),
            RefundStatus::Done { reference } => (RefundStatusName::Done, Some(reference.clone()), None),
            RefundStatus::Refused { reason } => (RefundStatusName::Refused, None, Some(reason.clone())),
        };
        let reason = match refund.reason {
            RefundReason::Return => RefundName::Return,
            RefundReason::Goodwill => RefundName::Goodwill,
            RefundReason::Cancelled => RefundName::Cancelled,
        };
        let (number, amount, request) = (refund.number, refund.amount.amount(), refund.request);
        Self { number, amount, reason, request, status, reference, refused }
    }
}

impl RefundItem {
    pub(crate) fn refund(self, currency: Currency) -> Result<Refund, String> {
        let reason = match self.reason {
            RefundName::Return => RefundReason::Return,
            RefundName::Goodwill => RefundReason::Goodwill,
            RefundName::Cancelled => RefundReason::Cancelled,
        };
        let status = match self.status {
            RefundStatusName::Requested => RefundStatus::Requested,
            RefundStatusName::Done => RefundStatus::Done { reference: self.reference.unwrap_or_default() },
            RefundStatusName::Refused => RefundStatus::Refused { reason: self.refused.unwrap_or_default() },
        };
        Ok(Refund { number: self.number, amount: money(self.amount, currency)?, reason, request: self.request, status })
    }
}
