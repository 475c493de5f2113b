//! From one step of a payment to the next, until there is none.

use super::{Authorisation, CaptureOutcome, RefundOutcome, RefundRequest, Standing, VoidOutcome, VoidRequest};
use crate::{WorkError, Worker};
use holdfast_domain::event::{OrderNotice, Trace};
use holdfast_domain::order::{Change, Order};
use holdfast_domain::payment::{PaymentStatus, PaymentStep, next_step};
use holdfast_store::Changed;

/// How many steps one message takes at most: three lead from placed to paid, and each may be tried again when others
/// change the order at the same time.
const STEPS_MAX: usize = 12;

impl Worker {
    /// Takes the steps that the order's payment needs now. What is stored before the provider is asked, and repeated
    /// with the same key until the outcome is known, never charges twice (PAY-2); and an order that ended meanwhile
    /// lets its authorisation go (PAY-1).
    pub(crate) async fn advance_payment(&self, notice: &OrderNotice, trace: &Trace) -> Result<(), WorkError> {
        let mut order = self.order_of(notice).await?;
        for _ in 0..STEPS_MAX {
            let Some(change) = self.step(&order).await? else { return Ok(()) };
            match self.store.order_change(&change, trace).await {
                Ok(Changed::Done) => order = change.order,
                Ok(Changed::Stale(current)) => order = current.order,
                Err(error) => return Err(error.into()),
            }
        }
        Err(WorkError::Contended)
    }

    /// Asks the provider whether it let go of what it had set aside for an order, as it says. An order of which nothing
    /// is with a carrier yet gives its stock back. Whatever step the payment needs is taken as well.
    pub(crate) async fn look_after_payment(&self, notice: &OrderNotice, trace: &Trace) -> Result<(), WorkError> {
        let mut order = self.order_of(notice).await?;
        for _ in 0..STEPS_MAX {
            let PaymentStatus::Authorised { reference, .. } = &order.payment.status else { break };
            let sums = order.sums();
            let is_open = !sums.authorised.minus(sums.captured).minus(sums.voided).is_zero();
            if !order.state.is_sold() || !is_open {
                break;
            }
            let Standing::Lapsed(code) = self.payments.standing(reference).await? else { break };
            let change = order.lapsed(code, self.clock.now());
            match self.store.order_change(&change, trace).await {
                Ok(Changed::Done) => break,
                Ok(Changed::Stale(current)) => order = current.order,
                Err(error) => return Err(error.into()),
            }
        }
        self.advance_payment(notice, trace).await
    }

    async fn order_of(&self, notice: &OrderNotice) -> Result<Order, WorkError> {
        let stored = self.store.order_head_read(&notice.tenant, notice.order_id).await?;
        stored.map(|stored| stored.order).ok_or(WorkError::NoSuchOrder)
    }

    /// Takes the next step outside, if there is one, and gives what is to be noted of it.
    async fn step(&self, order: &Order) -> Result<Option<Change>, WorkError> {
        let now = || self.clock.now();
        Ok(match next_step(order) {
            PaymentStep::Done => None,
            PaymentStep::Confirm => order.confirm_unpriced(now()).ok(),
            PaymentStep::Start => order.start_payment(now()).ok(),
            PaymentStep::Authorise(attempt) => {
                let Some(authorisation) = authorisation(order, attempt) else {
                    return Err(WorkError::Poison("the order has no means of payment".to_owned()));
                };
                let outcome = self.payments.authorise(&authorisation).await?;
                order.settle(attempt, outcome, now())
            }
            PaymentStep::Void(attempt, reference) => {
                let amount = order.sums().authorised;
                let void = VoidRequest { order: order.id, attempt, reference: reference.clone(), amount };
                match self.payments.void(&void).await? {
                    VoidOutcome::Voided => Some(order.voided(attempt, reference, now())),
                    VoidOutcome::Captured => Some(order.captured_after_end(now())?),
                }
            }
            PaymentStep::Capture(capture) => match self.payments.capture(order.id, &capture).await? {
                CaptureOutcome::Captured => Some(order.captured(capture.cause, capture.amount, now())?),
                CaptureOutcome::Refused(code) => Some(order.capture_refused(code, now())),
                CaptureOutcome::Lapsed(code) => Some(order.lapsed(code, now())),
            },
            PaymentStep::Refund { reference, number, amount } => {
                let refund = RefundRequest { tenant: order.tenant.clone(), order: order.id, number, reference, amount };
                match self.payments.refund(&refund).await? {
                    RefundOutcome::Refunded(reference) => order.refunded(number, reference, now())?,
                    RefundOutcome::Refused(code) => order.refund_refused(number, code, now()),
                }
            }
        })
    }
}

fn authorisation(order: &Order, attempt: u32) -> Option<Authorisation> {
    let (tenant, method) = (order.tenant.clone(), order.payment.method.clone()?);
    Some(Authorisation { tenant, order: order.id, attempt, amount: order.total, method })
}
