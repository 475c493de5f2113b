//! The worker's adapters to the outside, with the wire's faults.

use crate::faults::Wire;
use async_trait::async_trait;
use holdfast_domain::ids::OrderId;
use holdfast_domain::order::Booking;
use holdfast_domain::payment::{Capture, PaymentOutcome, PaymentReference};
use order_worker::{
    Authorisation, BookShipment, CaptureOutcome, Carrier, CarrierError, HttpCarrier, PaymentError, PaymentGateway,
    RefundOutcome, RefundRequest, Standing, Stripe, VoidOutcome, VoidRequest,
};
use std::sync::Arc;

/// The real adapter, with the wire's faults: a call that is not made, or one whose answer is lost.
pub struct FaultyPayments {
    /// The adapter.
    pub stripe: Stripe,
    /// Whose faults.
    pub wire: Arc<Wire>,
}

#[async_trait]
impl PaymentGateway for FaultyPayments {
    async fn authorise(&self, request: &Authorisation) -> Result<PaymentOutcome, PaymentError> {
        self.wire.outside(self.stripe.authorise(request), lost).await
    }

    async fn void(&self, request: &VoidRequest) -> Result<VoidOutcome, PaymentError> {
        self.wire.outside(self.stripe.void(request), lost).await
    }

    async fn standing(&self, reference: &PaymentReference) -> Result<Standing, PaymentError> {
        self.wire.outside(self.stripe.standing(reference), lost).await
    }

    async fn capture(&self, order: OrderId, capture: &Capture) -> Result<CaptureOutcome, PaymentError> {
        self.wire.outside(self.stripe.capture(order, capture), lost).await
    }

    async fn refund(&self, request: &RefundRequest) -> Result<RefundOutcome, PaymentError> {
        self.wire.outside(self.stripe.refund(request), lost).await
    }
}

/// The real adapter, with the wire's faults.
pub struct FaultyCarrier {
    /// The adapter.
    pub carrier: HttpCarrier,
    /// Whose faults.
    pub wire: Arc<Wire>,
}

#[async_trait]
impl Carrier for FaultyCarrier {
    async fn book(&self, shipment: &BookShipment) -> Result<Booking, CarrierError> {
        let lost = || CarrierError::NoOutcome { cause: "injected".to_owned(), retry_after_seconds: None };
        self.wire.outside(self.carrier.book(shipment), lost).await
    }

    async fn cancel(&self, reference: &str) -> Result<(), CarrierError> {
        self.carrier.cancel(reference).await
    }
}

fn lost() -> PaymentError {
    PaymentError::NoOutcome("injected".to_owned())
}
