//! What may be done about the payment of an order, and what the provider said to it.

use super::changes::{Actor, Change, IllegalTransition};
use super::ledger::{BeyondLedger, Cause, EntryKind};
use super::returned::{OverRefund, RETURNS_MAX, Refund, RefundReason, RefundStatus, ReturnRefusal};
use super::shipment::RequestMark;
use super::{Order, OrderState};
use crate::event::EventKind;
use crate::money::Money;
use crate::payment::{AttemptNumber, CapturePolicy, DeclineCode, PaymentOutcome, PaymentReference, PaymentStatus};
use jiff::Timestamp;

const PAYMENT_WORKER: Actor = Actor::Worker("payment");

/// Why the shop cannot give money back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefundRefusal {
    /// More than may go back.
    #[error(transparent)]
    Over(#[from] OverRefund),
    /// The order has too many refunds.
    #[error(transparent)]
    TooMany(#[from] ReturnRefusal),
}

impl Order {
    /// Notes that an attempt to pay begins: the provider may be asked once this is stored.
    ///
    /// # Errors
    /// When the order is no longer waiting to be paid: no new attempt begins for it.
    pub fn start_payment(&self, at: Timestamp) -> Result<Change, IllegalTransition> {
        if self.state != OrderState::Placed || self.payment.status != PaymentStatus::Pending {
            return Err(self.illegal(OrderState::Paid, &PAYMENT_WORKER));
        }
        let mut change = self.noted(EventKind::PaymentStarted, &PAYMENT_WORKER, at, None);
        change.order.payment.status = PaymentStatus::Started { attempt: 1 };
        Ok(change)
    }

    /// The order is paid without a provider, since nothing is to be paid.
    ///
    /// # Errors
    /// When the order is no longer waiting to be paid, or something is to be paid.
    pub fn confirm_unpriced(&self, at: Timestamp) -> Result<Change, IllegalTransition> {
        if self.payment.status != PaymentStatus::None {
            return Err(self.illegal(OrderState::Paid, &PAYMENT_WORKER));
        }
        let why = Some("nothing to pay".to_owned());
        self.moved(OrderState::Paid, EventKind::Paid, &PAYMENT_WORKER, at, why)
    }

    /// Takes in what the provider said to an attempt. An order that ended meanwhile stays ended and remembers the
    /// outcome, so that an authorisation can be voided. None when the outcome is known already.
    pub fn settle(&self, attempt: AttemptNumber, outcome: PaymentOutcome, at: Timestamp) -> Option<Change> {
        if self.payment.status != (PaymentStatus::Started { attempt }) {
            return None;
        }
        let is_once = matches!(outcome, PaymentOutcome::AuthorisedOnce(_));
        let (status, to, kind_after_end, why) = match outcome {
            PaymentOutcome::Authorised(reference) | PaymentOutcome::AuthorisedOnce(reference) => {
                let status = PaymentStatus::Authorised { attempt, reference };
                (status, OrderState::Paid, EventKind::PaymentAuthorised, None)
            }
            PaymentOutcome::Declined(code) => {
                let why = Some(code.0.clone());
                (PaymentStatus::Declined { attempt, code }, OrderState::PaymentFailed, EventKind::PaymentDeclined, why)
            }
        };
        let kind = if to == OrderState::Paid { EventKind::Paid } else { EventKind::PaymentFailed };
        let mut change = match self.moved(to, kind, &PAYMENT_WORKER, at, why.clone()) {
            Ok(change) => change,
            Err(_) => self.noted(kind_after_end, &PAYMENT_WORKER, at, why),
        };
        if let PaymentStatus::Authorised { .. } = status {
            let entered = change.order.enter(EntryKind::Authorised, self.total, Cause::Order, at);
            entered.expect("the total is authorised once");
        }
        change.order.payment.status = status;
        if is_once && self.payment.capture == CapturePolicy::WhenShipped {
            change.order.payment.capture = CapturePolicy::WithFirstShipment;
        }
        Some(change)
    }

    /// Notes that the authorisation was let go.
    pub fn voided(&self, attempt: AttemptNumber, reference: PaymentReference, at: Timestamp) -> Change {
        let mut change = self.noted(EventKind::PaymentVoided, &PAYMENT_WORKER, at, None);
        let sums = self.sums();
        let left = sums.authorised.minus(sums.captured).minus(sums.voided);
        let entered = change.order.enter(EntryKind::Voided, left, Cause::Order, at);
        entered.expect("what is left of the authorised amount may be let go");
        change.order.payment.status = PaymentStatus::Voided { attempt, reference };
        change
    }

    /// Notes that money was captured, as a change of its own. What was captured while the order was called off goes back.
    ///
    /// # Errors
    /// When it is more than is authorised.
    pub fn captured(&self, cause: Cause, amount: Money, at: Timestamp) -> Result<Change, BeyondLedger> {
        let mut change = self.noted(EventKind::PaymentCaptured, &PAYMENT_WORKER, at, None);
        change.enter_capture(cause, amount, at)?;
        if change.order.ledger.len() > self.ledger.len() && !self.state.keeps_stock() {
            change.order.add_refund(amount, RefundReason::Cancelled, 0);
            change.sections.refunds = true;
        }
        Ok(change)
    }

    /// Notes that all of the amount was captured although the order had ended: the answer to the capture had been lost.
    /// What was captured goes back.
    ///
    /// # Errors
    /// When it is not what is authorised.
    pub fn captured_after_end(&self, at: Timestamp) -> Result<Change, BeyondLedger> {
        let sums = self.sums();
        let left = sums.authorised.minus(sums.captured).minus(sums.voided);
        let mut change = self.captured(Cause::Order, left, at)?;
        change.order.add_refund(left, RefundReason::Cancelled, 0);
        change.sections.refunds = true;
        Ok(change)
    }

    /// Notes that the provider let go of what it had authorised, before all of it was captured. It is as if it had
    /// refused a capture, and the ledger knows that nothing is left.
    pub fn lapsed(&self, code: DeclineCode, at: Timestamp) -> Change {
        let sums = self.sums();
        let left = sums.authorised.minus(sums.captured).minus(sums.voided);
        let mut change = self.capture_refused(code, at);
        let entered = change.order.enter(EntryKind::Voided, left, Cause::Order, at);
        entered.expect("what is left of the authorised amount may be let go");
        change
    }

    /// Notes that the provider refuses to pay out what it had authorised. What is not with the carrier yet is not sold:
    /// its stock goes back. Otherwise the order stays where it is, for people to look at.
    pub fn capture_refused(&self, code: DeclineCode, at: Timestamp) -> Change {
        let why = Some(code.0.clone());
        let failed = self.moved(OrderState::PaymentFailed, EventKind::PaymentFailed, &PAYMENT_WORKER, at, why.clone());
        let note = |_| self.noted(EventKind::PaymentCaptureFailed, &PAYMENT_WORKER, at, why);
        let mut change = failed.unwrap_or_else(note);
        if let PaymentStatus::Authorised { attempt, reference } = self.payment.status.clone() {
            change.order.payment.status = PaymentStatus::CaptureFailed { attempt, reference, code };
        }
        change.sections.refunds |= change.order.refuse_uncovered();
        change
    }

    /// Gives up refunds of money that never came, and says whether there were any.
    fn refuse_uncovered(&mut self) -> bool {
        let sums = self.sums();
        let mut left = sums.captured.minus(sums.refunded);
        let mut any = false;
        for refund in self.refunds.iter_mut().filter(|refund| refund.status == RefundStatus::Requested) {
            if refund.amount.amount() > left.amount() {
                refund.status = RefundStatus::Refused { reason: "not_captured".to_owned() };
                any = true;
            } else {
                left = left.minus(refund.amount);
            }
        }
        any
    }

    /// The shop gives money back, beyond what returns give back.
    ///
    /// # Errors
    /// When it is more than was captured and is not going back already, or the order has too many refunds.
    pub fn refund(
        &self,
        amount: Money,
        request: RequestMark,
        by: &Actor,
        at: Timestamp,
        why: Option<String>,
    ) -> Result<Change, RefundRefusal> {
        let left = self.refundable();
        if amount.amount() > left.amount() {
            return Err(OverRefund { asked: amount, left }.into());
        }
        if self.refunds.len() >= RETURNS_MAX {
            return Err(ReturnRefusal::TooManyReturns.into());
        }
        let mut change = self.noted(EventKind::RefundRequested, by, at, why);
        change.order.add_refund(amount, RefundReason::Goodwill, request);
        change.sections.refunds = true;
        Ok(change)
    }

    /// Notes that money went back. None when that is known already.
    ///
    /// # Errors
    /// When it is more than was captured.
    pub fn refunded(&self, number: u16, reference: String, at: Timestamp) -> Result<Option<Change>, BeyondLedger> {
        let Some((position, amount)) = self.open_refund(number) else { return Ok(None) };
        let mut change = self.noted(EventKind::PaymentRefunded, &PAYMENT_WORKER, at, None);
        change.order.enter(EntryKind::Refunded, amount, Cause::Refund(number), at)?;
        change.order.refunds[position].status = RefundStatus::Done { reference };
        change.sections.refunds = true;
        Ok(Some(change))
    }

    /// Notes that the provider does not give money back. None when the outcome is known already.
    pub fn refund_refused(&self, number: u16, code: DeclineCode, at: Timestamp) -> Option<Change> {
        let (position, _) = self.open_refund(number)?;
        let why = Some(code.0.clone());
        let mut change = self.noted(EventKind::PaymentRefundFailed, &PAYMENT_WORKER, at, why);
        change.order.refunds[position].status = RefundStatus::Refused { reason: code.0 };
        change.sections.refunds = true;
        Some(change)
    }

    fn open_refund(&self, number: u16) -> Option<(usize, Money)> {
        let open = |refund: &Refund| refund.number == number && refund.status == RefundStatus::Requested;
        let position = self.refunds.iter().position(open)?;
        Some((position, self.refunds[position].amount))
    }

    /// Adds a refund to be asked of the provider, and gives its number.
    pub(super) fn add_refund(&mut self, amount: Money, reason: RefundReason, request: RequestMark) -> u16 {
        let number = u16::try_from(self.refunds.len() + 1).expect("an order has few refunds");
        self.refunds.push(Refund { number, amount, reason, request, status: RefundStatus::Requested });
        number
    }
}

impl Change {
    /// Enters a capture into the ledger of the order as the change leaves it: one write for both.
    ///
    /// # Errors
    /// When it is more than is authorised.
    pub fn enter_capture(&mut self, cause: Cause, amount: Money, at: Timestamp) -> Result<(), BeyondLedger> {
        self.order.enter(EntryKind::Captured, amount, cause, at)
    }
}
