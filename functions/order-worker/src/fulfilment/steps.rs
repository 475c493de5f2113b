//! From one shipment that was asked for to the next, until the carrier has answered to all of them.

use super::{BookShipment, CarrierError};
use crate::payment::CaptureOutcome;
use crate::{WorkError, Worker};
use holdfast_domain::event::{OrderNotice, Trace};
use holdfast_domain::order::{Change, Order, SHIPMENTS_MAX};
use holdfast_domain::payment::{PaymentStatus, PaymentStep, next_step};
use holdfast_store::Changed;
use std::time::Duration;

/// Why a shipment is not booked whose order cannot be paid any more.
const UNPAID: &str = "payment-failed";
/// How long a shipment waits for its capture before it is noted without: the carrier has taken most of a message's time.
const CAPTURE_PATIENCE: Duration = Duration::from_secs(3);
/// How often a step is taken again because others changed the order at the same time.
const REPEATS_MAX: usize = 8;

impl Worker {
    /// Books what was asked to be shipped, and does what the payment needs in between: nothing leaves while what left
    /// before is not paid.
    pub(crate) async fn advance(&self, notice: &OrderNotice, trace: &Trace) -> Result<(), WorkError> {
        for _ in 0..SHIPMENTS_MAX {
            let waits = self.advance_fulfilment(notice, trace).await?;
            self.advance_payment(notice, trace).await?;
            if !waits {
                return Ok(());
            }
        }
        Err(WorkError::Contended)
    }

    /// Books the shipments that were asked for. A shipment is stored before the carrier is asked, and the carrier is asked
    /// under its name until the outcome is known: none is booked twice (SHIP-1). What is shipped is captured in the same
    /// write, unless the payment provider is slower than the carrier: then `advance_payment` does it. Whether it waits for
    /// that: an order whose money is not paid out ships nothing more.
    async fn advance_fulfilment(&self, notice: &OrderNotice, trace: &Trace) -> Result<bool, WorkError> {
        let stored = self.store.order_read(&notice.tenant, notice.order_id).await?;
        let Some(stored) = stored else { return Err(WorkError::NoSuchOrder) };
        let mut order = stored.order;
        for _ in 0..SHIPMENTS_MAX + REPEATS_MAX {
            let Some(number) = order.next_booking() else { return Ok(false) };
            if matches!(next_step(&order), PaymentStep::Capture(_)) {
                return Ok(true);
            }
            let Some(shipment) = booked_as(&order, number) else {
                return Err(WorkError::Poison("the order has no address".to_owned()));
            };
            let is_unpaid = matches!(order.payment.status, PaymentStatus::CaptureFailed { .. });
            let booked = match is_unpaid {
                true => Err(CarrierError::Refused { reason: UNPAID.to_owned() }),
                false => self.carrier.book(&shipment).await,
            };
            let change = match booked {
                Ok(booking) => order.shipped(number, booking, self.clock.now()),
                Err(CarrierError::Refused { reason }) => order.shipment_refused(number, reason, self.clock.now()),
                Err(error) => return Err(error.into()),
            };
            let Some(mut change) = change else { return Ok(false) };
            self.capture_along(&mut change).await?;
            match self.store.order_change(&change, trace).await? {
                Changed::Done => order = change.order,
                Changed::Stale(current) => {
                    order = current.order;
                    self.store.order_lines_read(&mut order).await?;
                }
            }
        }
        Err(WorkError::Contended)
    }

    /// Captures what a shipment is worth before it is written as shipped, so that both take one write. Whatever else the
    /// provider says is left to the step that captures alone: it asks under the same key, and gets the same answer.
    async fn capture_along(&self, change: &mut Change) -> Result<(), WorkError> {
        let PaymentStep::Capture(capture) = next_step(&change.order) else { return Ok(()) };
        let captured = tokio::time::timeout(CAPTURE_PATIENCE, self.payments.capture(change.order.id, &capture)).await;
        let Ok(captured) = captured else {
            tracing::warn!(order_id = %change.order.id, "capture_put_off");
            return Ok(());
        };
        match captured {
            Ok(CaptureOutcome::Captured) => {
                Ok(change.enter_capture(capture.cause, capture.amount, self.clock.now())?)
            }
            Ok(CaptureOutcome::Refused(_) | CaptureOutcome::Lapsed(_)) => Ok(()),
            Err(error) => {
                tracing::warn!(order_id = %change.order.id, %error, "capture_put_off");
                Ok(())
            }
        }
    }
}

fn booked_as(order: &Order, number: u16) -> Option<BookShipment> {
    let shipment = order.shipments.iter().find(|shipment| shipment.number == number)?;
    let units = |line: &holdfast_domain::order::ShippedLine| {
        let product = order.lines.get(line.line)?.product.clone();
        Some((product, line.quantity))
    };
    Some(BookShipment {
        tenant: order.tenant.clone(),
        order: order.id,
        shipment: number,
        warehouse: shipment.warehouse.clone(),
        address: order.address.clone()?,
        lines: shipment.lines.iter().filter_map(units).collect(),
    })
}
