//! What a tenant wants done with its orders.

use crate::invalid::Invalid;
use crate::payment::CapturePolicy;
use jiff::{SignedDuration, Timestamp};

/// The longest time for returns, in days.
pub const RETURN_DAYS_MAX: u16 = 3_650;

/// How a tenant's orders are paid and taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderPolicy {
    /// When an authorised amount is captured. What is chosen when an order is placed holds for that order.
    pub capture: CapturePolicy,
    /// For how many days after its last shipment arrived units of an order may come back.
    pub return_days: u16,
}

impl Default for OrderPolicy {
    fn default() -> Self {
        Self { capture: CapturePolicy::default(), return_days: 30 }
    }
}

impl OrderPolicy {
    /// The policy.
    ///
    /// # Errors
    /// When there are too many days.
    pub fn new(capture: CapturePolicy, return_days: i64) -> Result<Self, Invalid> {
        match u16::try_from(return_days) {
            Ok(return_days @ 0..=RETURN_DAYS_MAX) => Ok(Self { capture, return_days }),
            _ => Err(Invalid::new("return_days", format!("must be 0 to {RETURN_DAYS_MAX}"))),
        }
    }

    /// Until when units that arrived at an instant may come back.
    pub fn returns_until(&self, delivered_at: Timestamp) -> Timestamp {
        let days = SignedDuration::from_hours(24 * i64::from(self.return_days));
        delivered_at.saturating_add(days).unwrap_or(Timestamp::MAX)
    }
}
