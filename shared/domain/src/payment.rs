//! The payment of an order: what is known of it, and the next step that brings it to its end.

use crate::invalid::Invalid;
use crate::order::{Order, OrderState};
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
}

/// How an order is paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// With what; not known while the order is a reservation.
    pub method: Option<PaymentMethod>,
    /// How far it got.
    pub status: PaymentStatus,
}

/// What the provider said to an attempt. A silence is not an outcome: the attempt is repeated until there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentOutcome {
    /// The amount is set aside.
    Authorised(PaymentReference),
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
}

/// The next step of an order's payment (PAY-1, PAY-2).
///
/// An order that ended while its attempt was under way still asks for the outcome, because an authorisation may exist
/// at the provider that nobody would void otherwise.
pub fn next_step(order: &Order) -> PaymentStep {
    use PaymentStatus as P;
    match (&order.payment.status, order.state) {
        (P::None, OrderState::Placed) => PaymentStep::Confirm,
        (P::Pending, OrderState::Placed) => PaymentStep::Start,
        (P::Started { attempt }, _) => PaymentStep::Authorise(*attempt),
        (P::Authorised { attempt, reference }, OrderState::Cancelled | OrderState::Expired) => {
            PaymentStep::Void(*attempt, reference.clone())
        }
        _ => PaymentStep::Done,
    }
}
