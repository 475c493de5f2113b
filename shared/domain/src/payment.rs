//! The payment of an order: what is known of it, and the next step that brings it to its end.

use crate::invalid::Invalid;
use crate::money::Money;
use crate::order::{Cause, EntryKind, Order, OrderState, RefundStatus};
use serde::{Deserialize, Serialize};

/// The number of an attempt to pay, from 1. A new one is made only after a definite decline.
pub type AttemptNumber = u32;

/// The provider's name of the means of payment, such as `pm_card_visa`. Never a card number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PaymentMethod(String);

impl PaymentMethod {
    /// Reads a provider's token.
    ///
    /// # Errors
    /// When it does not look like one: card numbers in particular must not reach this system.
    pub fn parse(text: String) -> Result<Self, Invalid> {
        let token = text.len() <= 128 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        match token && text.starts_with("pm_") {
            true => Ok(Self(text)),
            false => {
                Err(Invalid::new("payment_method", "must be a payment method of the provider such as pm_card_visa"))
            }
        }
    }

    /// The token.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The provider's name of an authorisation, needed to void or capture it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PaymentReference(pub String);

/// Why the provider said no, as a stable code such as `card_declined`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeclineCode(pub String);

/// What is known of an order's payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentStatus {
    /// The total is zero.
    None,
    /// The provider was not asked yet.
    Pending,
    /// The provider was or may have been asked; the outcome is not known.
    Started {
        /// Which attempt.
        attempt: AttemptNumber,
    },
    /// The provider set the amount aside.
    Authorised {
        /// Which attempt.
        attempt: AttemptNumber,
        /// The provider's name of it.
        reference: PaymentReference,
    },
    /// The provider said no.
    Declined {
        /// Which attempt.
        attempt: AttemptNumber,
        /// Why.
        code: DeclineCode,
    },
    /// The provider let the amount go again.
    Voided {
        /// Which attempt.
        attempt: AttemptNumber,
        /// The provider's name of it.
        reference: PaymentReference,
    },
    /// The provider does not pay out the amount that it had set aside: people have to look at it.
    CaptureFailed {
        /// Which attempt.
        attempt: AttemptNumber,
        /// The provider's name of it.
        reference: PaymentReference,
        /// Why.
        code: DeclineCode,
    },
}

/// When an authorised amount is captured, by the shop's choice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapturePolicy {
    /// A share with each shipment.
    #[default]
    WhenShipped,
    /// All of it as soon as it is authorised.
    AtOnce,
    /// All of it with the first shipment, because the provider captures the payment only once: what was shipped after a
    /// capture of the first share alone would never be paid.
    WithFirstShipment,
}

/// How an order is paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// With what; not known while the order is a reservation, or is to be paid later.
    pub method: Option<PaymentMethod>,
    /// How far it got.
    pub status: PaymentStatus,
    /// When it is captured.
    pub capture: CapturePolicy,
}

/// What the provider said to an attempt. A silence is not an outcome: the attempt is repeated until there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentOutcome {
    /// The amount is set aside.
    Authorised(PaymentReference),
    /// The amount is set aside, but can be captured only once.
    AuthorisedOnce(PaymentReference),
    /// It is not, and will not be by this attempt.
    Declined(DeclineCode),
}

/// What to do next for an order's payment, decided by the order's current state alone, so that events may come late,
/// twice or out of order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentStep {
    /// Nothing is left to do.
    Done,
    /// There is nothing to pay: the order is paid.
    Confirm,
    /// Store that an attempt begins; only then may the provider be asked.
    Start,
    /// Ask the provider, with the attempt's own key and parameters, as often as it takes to know the outcome.
    Authorise(AttemptNumber),
    /// Let the amount go: the order ended without it.
    Void(AttemptNumber, PaymentReference),
    /// Take money out of what is set aside.
    Capture(Capture),
    /// Give money back.
    Refund {
        /// The provider's name of the payment.
        reference: PaymentReference,
        /// The number of the refund within the order.
        number: u16,
        /// How much.
        amount: Money,
    },
}

/// Money to be taken out of what is set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// The provider's name of the payment.
    pub reference: PaymentReference,
    /// What for: with the order, the provider's idempotency key.
    pub cause: Cause,
    /// How much.
    pub amount: Money,
    /// What was captured before it: what the provider must say, too.
    pub captured: Money,
    /// Whether nothing more will be captured: the provider lets go of the rest.
    pub is_final: bool,
}

/// How often a payment can be captured at most (<https://docs.stripe.com/payments/multicapture>). The last time takes all
/// that is left.
pub const CAPTURES_MAX: usize = 50;

/// The next step of an order's payment (PAY-1, PAY-2).
///
/// An order that ended while its attempt was under way still asks for the outcome, because an authorisation may exist
/// at the provider that nobody would void otherwise.
pub fn next_step(order: &Order) -> PaymentStep {
    use PaymentStatus as P;
    match (&order.payment.status, order.state) {
        (P::None, OrderState::Placed) => PaymentStep::Confirm,
        // Without a means of payment it waits for one.
        (P::Pending, OrderState::Placed) if order.payment.method.is_some() => PaymentStep::Start,
        (P::Started { attempt }, _) => PaymentStep::Authorise(*attempt),
        (P::Authorised { attempt, reference }, state) if !state.keeps_stock() && order.sums().captured.is_zero() => {
            PaymentStep::Void(*attempt, reference.clone())
        }
        // What was not paid out is still set aside, and nobody will ask for it again.
        (P::CaptureFailed { attempt, reference, .. }, state) if !state.keeps_stock() && order.sums().is_untouched() => {
            PaymentStep::Void(*attempt, reference.clone())
        }
        (P::Authorised { reference, .. }, state) if state.is_sold() => match next_capture(order, reference) {
            Some(capture) => PaymentStep::Capture(capture),
            None => next_refund(order, reference),
        },
        (P::Authorised { reference, .. } | P::CaptureFailed { reference, .. }, _) => next_refund(order, reference),
        _ => PaymentStep::Done,
    }
}

fn next_capture(order: &Order, reference: &PaymentReference) -> Option<Capture> {
    let sums = order.sums();
    let left = sums.authorised.minus(sums.captured).minus(sums.voided);
    if left.is_zero() {
        return None;
    }
    let capture = |cause, amount, is_final| Capture {
        reference: reference.clone(),
        cause,
        amount,
        captured: sums.captured,
        is_final,
    };
    if order.payment.capture == CapturePolicy::AtOnce {
        return Some(capture(Cause::Order, left, true));
    }
    let open = order.shipments.iter().filter(|shipment| {
        let is_captured = order.has_entry(EntryKind::Captured, Cause::Shipment(shipment.number));
        shipment.status.booking().is_some() && !shipment.amount.is_zero() && !is_captured
    });
    let open: Vec<_> = open.collect();
    let first = open.first()?;
    let cause = Cause::Shipment(first.number);
    let captures = order.ledger.iter().filter(|entry| entry.kind == EntryKind::Captured).count();
    if order.payment.capture == CapturePolicy::WithFirstShipment || captures + 1 >= CAPTURES_MAX {
        return Some(capture(cause, left, true));
    }
    let all_shipped = matches!(order.state, OrderState::Shipped | OrderState::Delivered | OrderState::Returned);
    Some(capture(cause, first.amount, all_shipped && open.len() == 1))
}

fn next_refund(order: &Order, reference: &PaymentReference) -> PaymentStep {
    let open = order.refunds.iter().find(|refund| refund.status == RefundStatus::Requested);
    open.map_or(PaymentStep::Done, |refund| PaymentStep::Refund {
        reference: reference.clone(),
        number: refund.number,
        amount: refund.amount,
    })
}
