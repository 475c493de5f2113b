//! From one shipment that was asked for to the next, until the carrier has answered to all of them.

use super::{BookShipment, CarrierError};
use crate::payment::CaptureOutcome;
use crate::{WorkError, Worker};
use holdfast_domain::event::{OrderNotice, Trace};
use holdfast_domain::order::{Change, Order, SHIPMENTS_MAX};
use holdfast_domain::payment::{PaymentStep, next_step};
use holdfast_store::Changed;

/// How often a step is taken again because others changed the order at the same time.
const REPEATS_MAX: usize = 8;

impl Worker {
    /// Books the shipments that were asked for. A shipment is stored before the carrier is asked, and the carrier is asked
    /// under its name until the outcome is known: none is booked twice (SHIP-1). What is shipped is captured in the same
    /// write, unless the payment provider is slower than the carrier: then `advance_payment` does it.
    pub(crate) async fn advance_fulfilment(&self, notice: &OrderNotice, trace: &Trace) -> Result<(), WorkError> {
        let stored = self.store.order_read(&notice.tenant, notice.order_id).await?;
        let Some(stored) = stored else { return Err(WorkError::Poison("there is no such order".to_owned())) };
        let mut order = stored.order;
        for _ in 0..SHIPMENTS_MAX + REPEATS_MAX {
            let Some(number) = order.next_booking() else { return Ok(()) };
            let Some(shipment) = booked_as(&order, number) else {
                return Err(WorkError::Poison("the order has no address".to_owned()));
            };
            let change = match self.carrier.book(&shipment).await {
                Ok(booking) => order.shipped(number, booking, self.clock.now()),
                Err(CarrierError::Refused { reason }) => order.shipment_refused(number, reason, self.clock.now()),
                Err(error) => return Err(error.into()),
            };
            let Some(mut change) = change else { return Ok(()) };
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
        match self.payments.capture(change.order.id, &capture).await {
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
