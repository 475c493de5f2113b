//! What the worker needs of a carrier, in the shop's terms.

use async_trait::async_trait;
use holdfast_domain::address::Address;
use holdfast_domain::ids::{OrderId, ProductId, TenantId, WarehouseId};
use holdfast_domain::order::Booking;

/// A shipment to be booked. All of it is stored on the order, so that a repetition is the same to the letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookShipment {
    /// Whose shop it is.
    pub tenant: TenantId,
    /// Of which order.
    pub order: OrderId,
    /// Which of the order's shipments.
    pub shipment: u16,
    /// Where it is fetched.
    pub warehouse: WarehouseId,
    /// Where it goes.
    pub address: Address,
    /// What is in it, with units.
    pub lines: Vec<(ProductId, u32)>,
}

/// A shipment is not booked, or not known to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CarrierError {
    /// No answer that settles the matter: the same call is made again later.
    #[error("no outcome yet: {cause}")]
    NoOutcome {
        /// What the last attempt met.
        cause: String,
        /// When to call again, if that is known, in seconds.
        retry_after_seconds: Option<u32>,
    },
    /// The carrier does not do it, however often it is asked.
    #[error("the carrier refuses: {reason}")]
    Refused {
        /// The carrier's code, such as `address-not-served`.
        reason: String,
    },
    /// The carrier does not accept us or our request: a mistake in configuration or code.
    #[error("the carrier rejects the request: {0}")]
    Rejected(String),
}

impl BookShipment {
    /// The key under which the shipment is booked, once, however often it is asked for.
    pub fn idempotency_key(&self) -> String {
        format!("{}-shipment-{}", self.order, self.shipment)
    }
}

impl CarrierError {
    /// When to call again, in seconds, if that is known.
    pub fn retry_after_seconds(&self) -> Option<u32> {
        match self {
            Self::NoOutcome { retry_after_seconds, .. } => *retry_after_seconds,
            Self::Refused { .. } | Self::Rejected(_) => None,
        }
    }

    /// Whether repeating the call may help.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::NoOutcome { .. })
    }
}

/// A carrier.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// Books a shipment. Repeating it gives the same booking.
    ///
    /// # Errors
    /// [`CarrierError`] when it is not booked, or not known to be.
    async fn book(&self, shipment: &BookShipment) -> Result<Booking, CarrierError>;

    /// Calls a shipment off that was not fetched yet. Repeating it is harmless.
    ///
    /// # Errors
    /// [`CarrierError`] when it is not known to be called off; [`CarrierError::Refused`] when it is too late.
    async fn cancel(&self, reference: &str) -> Result<(), CarrierError>;
}
