//! What the worker needs of a payment provider, in the shop's terms.

use async_trait::async_trait;
use holdfast_domain::ids::{OrderId, TenantId};
use holdfast_domain::money::Money;
use holdfast_domain::payment::{AttemptNumber, Capture, DeclineCode, PaymentMethod, PaymentOutcome, PaymentReference};

/// An attempt to set an order's amount aside. All of it is stored on the order, so that a repetition is the same to
/// the letter.
#[derive(Debug, Clone)]
pub struct Authorisation {
    /// Whose order.
    pub tenant: TenantId,
    /// For which order.
    pub order: OrderId,
    /// Which attempt: with the order, the provider's idempotency key.
    pub attempt: AttemptNumber,
    /// The order's total, above zero.
    pub amount: Money,
    /// With what.
    pub method: PaymentMethod,
}

/// The provider gave no answer that settles the matter: the same call is made again later.
#[derive(Debug, thiserror::Error)]
pub enum PaymentError {
    /// No answer, or one that says to come back.
    #[error("no outcome yet: {0}")]
    NoOutcome(String),
    /// The provider does not accept us or our request: a mistake in configuration or code.
    #[error("the provider refuses the request: {0}")]
    Rejected(String),
    /// The provider did something else than what it was asked for, or somebody else did: nothing of it is noted, and
    /// people have to look at it.
    #[error("the provider's books differ from the order's: {0}")]
    Differs(String),
}

/// An authorisation to be let go.
#[derive(Debug, Clone)]
pub struct VoidRequest {
    /// For which order.
    pub order: OrderId,
    /// Which attempt: with the order, the provider's idempotency key.
    pub attempt: AttemptNumber,
    /// The provider's name of the payment.
    pub reference: PaymentReference,
    /// What was set aside.
    pub amount: Money,
}

/// What became of an authorisation that was to be let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoidOutcome {
    /// It is gone.
    Voided,
    /// All of it had been captured: by a call whose answer was lost.
    Captured,
}

/// Money to give back. All of it is stored on the order, so that a repetition is the same to the letter.
#[derive(Debug, Clone)]
pub struct RefundRequest {
    /// Whose order.
    pub tenant: TenantId,
    /// For which order.
    pub order: OrderId,
    /// The number of the refund: with the order, the provider's idempotency key.
    pub number: u16,
    /// The provider's name of the payment.
    pub reference: PaymentReference,
    /// How much, above zero.
    pub amount: Money,
}

/// What the provider said to a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaptureOutcome {
    /// The money is the shop's.
    Captured,
    /// It is not, and will not be.
    Refused(DeclineCode),
    /// It is not, and nothing is set aside any more.
    Lapsed(DeclineCode),
}

/// How an authorisation stands at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It holds, or all of it was captured.
    Holds,
    /// The provider let go of what was not captured.
    Lapsed(DeclineCode),
}

/// What the provider said to a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundOutcome {
    /// It went back: the provider's name of it.
    Refunded(String),
    /// It did not, and will not.
    Refused(DeclineCode),
}

/// A payment provider.
#[async_trait]
pub trait PaymentGateway: Send + Sync {
    /// Sets an amount aside. Repeating the same attempt never sets it aside twice (PAY-2).
    ///
    /// # Errors
    /// [`PaymentError`] when the outcome is not known.
    async fn authorise(&self, request: &Authorisation) -> Result<PaymentOutcome, PaymentError>;

    /// Lets an amount go. Repeating it is harmless.
    ///
    /// # Errors
    /// [`PaymentError`] when it is not known to be gone.
    async fn void(&self, request: &VoidRequest) -> Result<VoidOutcome, PaymentError>;

    /// Looks how an authorisation stands.
    ///
    /// # Errors
    /// [`PaymentError`] when the provider does not tell.
    async fn standing(&self, reference: &PaymentReference) -> Result<Standing, PaymentError>;

    /// Takes money out of what is set aside. Repeating the same capture takes it once.
    ///
    /// # Errors
    /// [`PaymentError`] when the outcome is not known.
    async fn capture(&self, order: OrderId, capture: &Capture) -> Result<CaptureOutcome, PaymentError>;

    /// Gives money back. Repeating the same refund gives it back once (PAY-5).
    ///
    /// # Errors
    /// [`PaymentError`] when the outcome is not known.
    async fn refund(&self, request: &RefundRequest) -> Result<RefundOutcome, PaymentError>;
}
