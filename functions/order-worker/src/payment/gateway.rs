//! What the worker needs of a payment provider, in the shop's terms.

use async_trait::async_trait;
use holdfast_domain::ids::OrderId;
use holdfast_domain::money::Money;
use holdfast_domain::payment::{AttemptNumber, PaymentMethod, PaymentOutcome, PaymentReference};

/// An attempt to set an order's amount aside. All of it is stored on the order, so that a repetition is the same to
/// the letter.
#[derive(Debug, Clone)]
pub struct Authorisation {
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
    async fn void(
        &self,
        order: OrderId,
        attempt: AttemptNumber,
        reference: &PaymentReference,
    ) -> Result<(), PaymentError>;
}
