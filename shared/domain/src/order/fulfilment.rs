//! Shipping an order, its arrival, and its return.

use super::changes::{Actor, Change, IllegalTransition, StockEffect};
use super::returned::{RETURNS_MAX, RefundReason, Return, ReturnRefusal, ReturnedLine};
use super::shipment::{Booking, RequestMark, ShipmentStatus, ShippingRefusal, Wish};
use super::transitions::{TRANSITIONS, Transition};
use super::{Order, OrderState};
use crate::event::EventKind;
use jiff::Timestamp;

const FULFILMENT_WORKER: Actor = Actor::Worker("fulfilment");

/// Why something is not done to an order on its way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFulfilled {
    /// By where the order stands.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
    /// By what waits to be shipped.
    #[error(transparent)]
    Shipping(#[from] ShippingRefusal),
    /// By what arrived.
    #[error(transparent)]
    Return(#[from] ReturnRefusal),
    /// The shipment is not with the carrier.
    #[error("the shipment is {0}")]
    NotShipped(&'static str),
}

impl Order {
    /// Asks for shipments. From here on the order cannot be called off: of shipping and cancelling, one wins.
    ///
    /// # Errors
    /// When it is not paid, more is asked for than waits, or nothing.
    pub fn ship(&self, wish: &Wish, request: RequestMark, by: &Actor, at: Timestamp) -> Result<Change, NotFulfilled> {
        let mut change = self.moved(OrderState::Shipping, EventKind::Shipping, by, at, None)?;
        change.order.shipments.extend(self.shipments_for(wish, request)?);
        change.sections.shipments = true;
        Ok(change)
    }

    /// The shipment that the carrier is to be asked for next.
    pub fn next_booking(&self) -> Option<u16> {
        let open = self.shipments.iter().find(|shipment| shipment.status == ShipmentStatus::Requested);
        open.map(|shipment| shipment.number)
    }

    /// Notes that the carrier took a shipment. None when the outcome is known already. The lines must be there.
    pub fn shipped(&self, number: u16, booking: Booking, at: Timestamp) -> Option<Change> {
        let before = self.shipped_worth();
        let mut change =
            self.shipment_settled(number, ShipmentStatus::Shipped(booking), EventKind::Shipped, at, None)?;
        let worth = change.order.shipped_worth().minus(before);
        let position = self.shipments.iter().position(|shipment| shipment.number == number)?;
        change.order.shipments[position].amount = worth;
        Some(change)
    }

    /// Notes that the carrier does not take a shipment. None when the outcome is known already. The lines must be there.
    pub fn shipment_refused(&self, number: u16, reason: String, at: Timestamp) -> Option<Change> {
        let why = Some(reason.clone());
        self.shipment_settled(number, ShipmentStatus::Refused { reason }, EventKind::ShipmentRefused, at, why)
    }

    fn shipment_settled(
        &self,
        number: u16,
        status: ShipmentStatus,
        kind: EventKind,
        at: Timestamp,
        why: Option<String>,
    ) -> Option<Change> {
        let position = self.shipments.iter().position(|shipment| shipment.number == number)?;
        if self.shipments[position].status != ShipmentStatus::Requested {
            return None;
        }
        let mut after = self.clone();
        after.shipments[position].status = status;
        let mut change = self.moved(after.state_by_shipments(), kind, &FULFILMENT_WORKER, at, why).ok()?;
        change.order.shipments = after.shipments;
        change.sections.shipments = true;
        Some(change)
    }

    /// Notes that a shipment arrived. None when that is known already. The lines must be there.
    ///
    /// # Errors
    /// When the carrier does not have it, or there is none of this number.
    pub fn delivered(&self, number: u16, by: &Actor, at: Timestamp) -> Result<Option<Change>, NotFulfilled> {
        let position = self.shipments.iter().position(|shipment| shipment.number == number);
        let position = position.ok_or(NotFulfilled::NotShipped("unknown"))?;
        let booking = match &self.shipments[position].status {
            ShipmentStatus::Shipped(booking) => booking.clone(),
            ShipmentStatus::Delivered(_) => return Ok(None),
            other => return Err(NotFulfilled::NotShipped(other.name())),
        };
        let mut after = self.clone();
        after.shipments[position].status = ShipmentStatus::Delivered(booking);
        let mut change = self.moved(after.state_by_shipments(), EventKind::Delivered, by, at, None)?;
        change.order.shipments = after.shipments;
        change.sections.shipments = true;
        Ok(Some(change))
    }

    /// Where an order stands by its shipments.
    ///
    /// # Panics
    /// When the lines were not read.
    fn state_by_shipments(&self) -> OrderState {
        assert!(!self.lines.is_empty(), "the lines of an order are read before its shipments are judged");
        let is_delivered = |status: &ShipmentStatus| matches!(status, ShipmentStatus::Delivered(_));
        let with_carrier = |status: &ShipmentStatus| status.booking().is_some();
        if self.next_booking().is_some() {
            OrderState::Shipping
        } else if self.all_units(is_delivered) {
            OrderState::Delivered
        } else if self.all_units(with_carrier) {
            OrderState::Shipped
        } else if self.shipments.iter().any(|shipment| with_carrier(&shipment.status)) {
            OrderState::PartiallyShipped
        } else {
            OrderState::Paid
        }
    }

    /// When the last shipment arrived.
    pub fn delivered_at(&self) -> Option<Timestamp> {
        self.history.iter().rfind(|entry| entry.kind == EventKind::Delivered).map(|entry| entry.at)
    }

    /// Takes units back: some go back to stock, the rest is written off, and what they cost is refunded. The lines must be
    /// there. `until` is when the shop's time for returns ends.
    ///
    /// # Errors
    /// When nothing arrived, more is to come back than that, or too late.
    pub fn take_back(
        &self,
        lines: &[ReturnedLine],
        request: RequestMark,
        until: Timestamp,
        by: &Actor,
        at: Timestamp,
        why: Option<String>,
    ) -> Result<Change, NotFulfilled> {
        let takes_back = |way: &Transition| way.from == self.state && way.kind == EventKind::Returned;
        if !TRANSITIONS.iter().any(takes_back) {
            return Err(self.illegal(OrderState::Returned, by).into());
        }
        let returning = self.returning(lines)?;
        let back: u64 = self.returned_units().values().map(|units| u64::from(*units)).sum();
        let back = back + lines.iter().map(|line| u64::from(line.quantity)).sum::<u64>();
        let ordered: u64 = self.lines.iter().map(|line| u64::from(line.quantity.units())).sum();
        let to = if back == ordered { OrderState::Returned } else { self.state };
        let mut change = self.moved(to, EventKind::Returned, by, at, why)?;
        if at > until {
            return Err(ReturnRefusal::TooLate { until }.into());
        }
        if self.returns.len() >= RETURNS_MAX || self.refunds.len() >= RETURNS_MAX {
            return Err(ReturnRefusal::TooManyReturns.into());
        }
        for restock in &returning.restocks {
            change.order.lines[restock.line].from[restock.source].restocked += restock.quantity;
        }
        // What the shop gave back for other reasons is not given back twice.
        let worth = returning.worth.amount().min(self.returnable().amount());
        let worth = crate::money::Money::new(worth, self.total.currency()).expect("the lesser of two amounts is one");
        let refund = (!worth.is_zero()).then(|| change.order.add_refund(worth, RefundReason::Return, request));
        let number = u16::try_from(self.returns.len() + 1).expect("an order has few returns");
        change.order.returns.push(Return { number, lines: returning.lines, request, at, refund });
        change.sections.returns = true;
        change.sections.refunds = refund.is_some();
        change.stock = match returning.restocks.is_empty() {
            true => StockEffect::Keep,
            false => StockEffect::Restock(returning.restocks),
        };
        Ok(change)
    }

    /// Notes that nobody came back to what had expired or could not be paid. None when it is something else by now, or
    /// was noted before.
    pub fn abandon(&self, at: Timestamp) -> Option<Change> {
        let ended = matches!(self.state, OrderState::Expired | OrderState::PaymentFailed);
        let noted = self.history.iter().any(|entry| entry.kind == EventKind::Abandoned);
        (ended && !noted).then(|| self.noted(EventKind::Abandoned, &Actor::Worker("recovery"), at, None))
    }
}
