//! Webhooks: endpoints of a shop's own systems that are told what happens to its orders, by the Standard Webhooks
//! specification (https://www.standardwebhooks.com).

mod delivery;
mod event_type;
mod secret;
#[cfg(test)]
mod tests;
mod timer;
mod url;

pub use delivery::{ATTEMPT_LEASE, Attempt, Delivery, DeliveryState, Due, SCHEDULE};
pub use event_type::{EventType, TEST_EVENT, TOLD, UNTOLD};
pub use secret::{SECRET_BYTES, Secret, Secrets};
pub use timer::{DELIVERY_TIMER_TYPE, DeliveryNotice, DeliveryTimer};
pub use url::{Loopback, WebhookUrl, may_be_called};

use crate::ids::{EndpointId, Fingerprint, TenantId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The most endpoints of a tenant.
pub const ENDPOINTS_MAX: u32 = 10;

/// How long a replaced secret still signs.
pub const SECRET_OVERLAP: SignedDuration = SignedDuration::from_hours(24);

/// How long an endpoint may fail before it is disabled (https://docs.svix.com/retries: five days in which all attempts
/// fail).
pub const FAILING_MAX: SignedDuration = SignedDuration::from_hours(24 * 5);

/// How many attempts in a row must have failed besides. All those of one message are fewer, so that several messages
/// failed: Svix, too, disables no endpoint for one.
pub const FAILURES_MIN: u32 = 12;

/// Where webhooks of a tenant are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Whose.
    pub tenant: TenantId,
    /// Derived from the idempotency key it was made with.
    pub id: EndpointId,
    /// Where it is. Checked when it was written; a delivery checks it again.
    pub url: String,
    /// Of what it is told; of everything if this is empty.
    pub events: Vec<EventType>,
    /// What signs.
    pub secrets: Secrets,
    /// Whether anything is sent to it.
    pub state: EndpointState,
    /// How it has been doing.
    pub health: Health,
    /// When it was made.
    pub created_at: Timestamp,
    /// Raised with every change by people.
    pub version: u64,
    /// What was asked for when it was made.
    pub fingerprint: Fingerprint,
}

/// Whether anything is sent to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointState {
    /// It is told of what happens.
    Enabled,
    /// It is not, until somebody enables it again.
    Disabled {
        /// Why.
        why: DisabledWhy,
        /// Since when.
        at: Timestamp,
    },
}

/// Why an endpoint is disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisabledWhy {
    /// A person of the shop said so.
    Staff,
    /// Every attempt failed for [`FAILING_MAX`].
    Failing,
    /// It answered 410 Gone.
    Gone,
}

impl DisabledWhy {
    /// The name as stored and answered.
    pub fn name(self) -> &'static str {
        match self {
            Self::Staff => "staff",
            Self::Failing => "failing",
            Self::Gone => "gone",
        }
    }
}

/// How an endpoint has been doing since its last success.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Health {
    /// Attempts in a row that failed. One may be counted twice when its record had to be written again.
    pub failures: u32,
    /// When the first of them was.
    pub failing_since: Option<Timestamp>,
}

impl Health {
    /// Whether it failed for so long that it is disabled.
    pub fn is_hopeless(&self, now: Timestamp) -> bool {
        let since = self.failing_since.filter(|_| self.failures >= FAILURES_MIN);
        since.is_some_and(|since| now.duration_since(since) >= FAILING_MAX)
    }
}

impl Endpoint {
    /// Whether it is to be told of an event.
    pub fn wants(&self, event: EventType) -> bool {
        self.is_enabled() && (self.events.is_empty() || self.events.contains(&event))
    }

    /// Whether anything is sent to it.
    pub fn is_enabled(&self) -> bool {
        self.state == EndpointState::Enabled
    }
}
