//! From one step of a payment to the next, until there is none.

use super::{Authorisation, CaptureOutcome, RefundOutcome, RefundRequest};
use crate::{WorkError, Worker};
use holdfast_domain::event::{OrderNotice, Trace};
use holdfast_domain::order::Order;
use holdfast_domain::payment::{PaymentStep, next_step};
use holdfast_store::Changed;

/// How many steps one message takes at most: three lead from placed to paid, and each may be tried again when others
/// change the order at the same time.
const STEPS_MAX: usize = 12;

impl Worker {
    /// Takes the steps that the order's payment needs now. What is stored before the provider is asked, and repeated
    /// with the same key until the outcome is known, never charges twice (PAY-2); and an order that ended meanwhile
    /// lets its authorisation go (PAY-1).
    pub(crate) async fn advance_payment(&self, notice: &OrderNotice, trace: &Trace) -> Result<(), WorkError> {
        let stored = self.store.order_head_read(&notice.tenant, notice.order_id).await?;
        let Some(stored) = stored else { return Err(WorkError::Poison("there is no such order".to_owned())) };
        let mut order = stored.order;
        for _ in 0..STEPS_MAX {
            let now = self.clock.now();
            let change = match next_step(&order) {
                PaymentStep::Done => return Ok(()),
                PaymentStep::Confirm => order.confirm_unpriced(now).ok(),
                PaymentStep::Start => order.start_payment(now).ok(),
                PaymentStep::Authorise(attempt) => {
                    let Some(authorisation) = authorisation(&order, attempt) else {
                        return Err(WorkError::Poison("the order has no means of payment".to_owned()));
                    };
                    let outcome = self.payments.authorise(&authorisation).await?;
                    order.settle(attempt, outcome, self.clock.now())
                }
                PaymentStep::Void(attempt, reference) => {
                    self.payments.void(order.id, attempt, &reference).await?;
                    Some(order.voided(attempt, reference, self.clock.now()))
                }
                PaymentStep::Capture(capture) => match self.payments.capture(order.id, &capture).await? {
                    CaptureOutcome::Captured => {
                        Some(order.captured(capture.cause, capture.amount, self.clock.now())?)
                    }
                    CaptureOutcome::Refused(code) => Some(order.capture_refused(code, self.clock.now())),
                },
                PaymentStep::Refund { reference, number, amount } => {
                    let refund = RefundRequest { order: order.id, number, reference, amount };
                    match self.payments.refund(&refund).await? {
                        RefundOutcome::Refunded(reference) => order.refunded(number, reference, self.clock.now())?,
                        RefundOutcome::Refused(code) => order.refund_refused(number, code, self.clock.now()),
                    }
                }
            };
            let Some(change) = change else { return Ok(()) };
            match self.store.order_change(&change, trace).await {
                Ok(Changed::Done) => order = change.order,
                Ok(Changed::Stale(current)) => order = current.order,
                Err(error) => return Err(error.into()),
            }
        }
        Err(WorkError::Contended)
    }
}

fn authorisation(order: &Order, attempt: u32) -> Option<Authorisation> {
    let method = order.payment.method.clone()?;
    Some(Authorisation { order: order.id, attempt, amount: order.total, method })
}
