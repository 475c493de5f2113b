//! The delivery of one message to one endpoint: when it is tried, and what came of it.

use crate::ids::{EndpointId, MessageId, TenantId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How long each attempt waits after the one before it failed: Svix's schedule
/// (https://docs.svix.com/retries). The attempts of one message take a little more than 27 hours.
pub const SCHEDULE: [SignedDuration; 8] = [
    SignedDuration::ZERO,
    SignedDuration::from_secs(5),
    SignedDuration::from_mins(5),
    SignedDuration::from_mins(30),
    SignedDuration::from_hours(2),
    SignedDuration::from_hours(5),
    SignedDuration::from_hours(10),
    SignedDuration::from_hours(10),
];

/// How long an attempt that began keeps others from beginning: longer than any takes. Who began it and stopped is then
/// replaced, so that a message is sent twice only if its sender stopped after sending it.
pub const ATTEMPT_LEASE: SignedDuration = SignedDuration::from_secs(60);

/// How many attempts the log of a delivery keeps: three rounds of them.
const LOGGED_MAX: usize = 24;

/// The most of an error that is kept, in characters.
const ERROR_MAX: usize = 200;

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is, or will be, tried.
    Pending,
    /// The endpoint answered with 2xx.
    Delivered,
    /// It was tried often enough, or its endpoint was disabled.
    Failed,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Failed];

    /// The name as stored and answered.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began, in milliseconds since the epoch.
    pub at: i64,
    /// The HTTP status, if there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Attempt {
    /// An attempt, whose error may be of any length.
    pub fn new(at: Timestamp, status: Option<u16>, duration_ms: u64, error: Option<String>) -> Self {
        let error = error.map(|error| error.chars().take(ERROR_MAX).collect());
        Self { at: at.as_millisecond(), status, duration_ms, error }
    }

    /// Whether the endpoint took the message: any 2xx (Standard Webhooks, "Operational considerations").
    pub fn succeeded(&self) -> bool {
        self.error.is_none() && self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// Whether the endpoint wants no more messages: 410 Gone (same place).
    pub fn is_gone(&self) -> bool {
        self.status == Some(410)
    }
}

/// A message for an endpoint, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Whose endpoint.
    pub tenant: TenantId,
    /// Which endpoint.
    pub endpoint: EndpointId,
    /// Which message: the same for every attempt, and for every endpoint that the event goes to.
    pub message: MessageId,
    /// What happened, such as `order.placed`.
    pub event: String,
    /// What is sent, to the letter.
    pub body: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// Raised with every write: two that read the same version cannot both write.
    pub version: u64,
    /// How often it was tried since it was made, or replayed.
    pub tried: u32,
    /// The attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// When it is tried next, if it is.
    pub next_attempt_at: Option<Timestamp>,
    /// Until when an attempt that is under way keeps others from beginning.
    pub leased_until: Option<Timestamp>,
    /// When the event happened.
    pub created_at: Timestamp,
}

/// What is to be done about a delivery now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// Try it: this is the delivery with the attempt begun, to be written before anything is sent.
    Now(Box<Delivery>),
    /// Nothing before this instant.
    At(Timestamp),
    /// Nothing any more.
    Never,
}

impl Delivery {
    /// A delivery whose first attempt begins at `now`. The body is `{type, timestamp, data}` as the specification
    /// recommends.
    pub fn first(
        (tenant, endpoint): (&TenantId, &EndpointId),
        message: MessageId,
        event: String,
        body: String,
        created_at: Timestamp,
        now: Timestamp,
    ) -> Self {
        Self {
            tenant: tenant.clone(),
            endpoint: endpoint.clone(),
            message,
            event,
            body,
            state: DeliveryState::Pending,
            version: 1,
            tried: 0,
            attempts: Vec::new(),
            next_attempt_at: Some(now),
            leased_until: now.saturating_add(ATTEMPT_LEASE).ok(),
            created_at,
        }
    }

    /// What is to be done at `now`.
    pub fn due(&self, now: Timestamp) -> Due {
        let Some(next) = self.next_attempt_at.filter(|_| self.state == DeliveryState::Pending) else {
            return Due::Never;
        };
        let from = self.leased_until.map_or(next, |leased| leased.max(next));
        match from > now {
            true => Due::At(from),
            false => {
                let leased_until = now.saturating_add(ATTEMPT_LEASE).ok();
                Due::Now(Box::new(Self { leased_until, ..self.next_version() }))
            }
        }
    }

    /// The delivery after an attempt.
    pub fn after(&self, attempt: Attempt, now: Timestamp) -> Self {
        let tried = self.tried + 1;
        let pause = SCHEDULE.get(tried as usize).filter(|_| !attempt.succeeded() && !attempt.is_gone());
        let state = match (attempt.succeeded(), pause) {
            (true, _) => DeliveryState::Delivered,
            (false, Some(_)) => DeliveryState::Pending,
            (false, None) => DeliveryState::Failed,
        };
        let next_attempt_at = pause.and_then(|pause| now.saturating_add(*pause).ok());
        let mut attempts = self.attempts.clone();
        attempts.push(attempt);
        attempts.drain(..attempts.len().saturating_sub(LOGGED_MAX));
        Self { state, tried, attempts, next_attempt_at, leased_until: None, ..self.next_version() }
    }

    /// The delivery when its endpoint wants nothing: it ends without an attempt.
    pub fn given_up(&self) -> Self {
        Self { state: DeliveryState::Failed, next_attempt_at: None, leased_until: None, ..self.next_version() }
    }

    /// The delivery begun anew, whatever became of it, to be tried at once. An attempt that is under way comes first.
    pub fn replayed(&self, now: Timestamp) -> Self {
        Self { state: DeliveryState::Pending, tried: 0, next_attempt_at: Some(now), ..self.next_version() }
    }

    fn next_version(&self) -> Self {
        Self { version: self.version + 1, ..self.clone() }
    }
}
