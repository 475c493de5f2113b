//! Endpoints and deliveries as staff see them.

use holdfast_domain::ids::{EndpointId, MessageId};
use holdfast_domain::webhook::{Attempt, Delivery, Endpoint, EndpointState, EventType};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// An endpoint of webhooks. Its secret is not shown.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookEndpoint)]
pub struct EndpointView {
    /// Its id.
    #[schema(value_type = String, example = "ep_822b822407ef8495880ef8b7b79d9970")]
    endpoint_id: EndpointId,
    /// Where it is.
    url: String,
    /// Of what it is told; of everything if this is empty.
    #[schema(value_type = Vec<String>)]
    events: Vec<EventType>,
    /// Whether anything is sent to it.
    enabled: bool,
    /// Why it is disabled: `staff`, `failing` or `gone`.
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_why: Option<&'static str>,
    /// Since when it is disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_at: Option<Timestamp>,
    /// How many attempts failed since the last success.
    failures: u32,
    /// When the first of them was.
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<Timestamp>,
    /// When it was made.
    created_at: Timestamp,
    /// Raised with every change by people.
    version: u64,
}

impl From<&Endpoint> for EndpointView {
    fn from(endpoint: &Endpoint) -> Self {
        let disabled = match endpoint.state {
            EndpointState::Enabled => None,
            EndpointState::Disabled { why, at } => Some((why.name(), at)),
        };
        Self {
            endpoint_id: endpoint.id.clone(),
            url: endpoint.url.clone(),
            events: endpoint.events.clone(),
            enabled: disabled.is_none(),
            disabled_why: disabled.map(|(why, _)| why),
            disabled_at: disabled.map(|(_, at)| at),
            failures: endpoint.health.failures,
            failing_since: endpoint.health.failing_since,
            created_at: endpoint.created_at,
            version: endpoint.version,
        }
    }
}

/// An endpoint with its new secret, which is shown this once.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookEndpointWithSecret)]
pub struct SecretView {
    /// The endpoint.
    #[serde(flatten)]
    pub endpoint: EndpointView,
    /// What receivers verify signatures with (Standard Webhooks). It is never shown again.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    pub secret: String,
}

/// All endpoints of a shop.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookEndpoints)]
pub struct EndpointsView {
    /// By id; at most 10.
    pub endpoints: Vec<EndpointView>,
}

/// A message to an endpoint, and what came of it.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
pub struct DeliveryView {
    /// The `webhook-id` that the endpoint sees, the same with every attempt.
    #[schema(value_type = String, example = "msg_1763740000000_822b8224-07ef-8495-88e0-f8b7b79d9970_1")]
    event_id: MessageId,
    /// What happened.
    #[serde(rename = "type")]
    #[schema(example = "order.placed")]
    kind: String,
    /// `pending`, `delivered` or `failed`.
    state: &'static str,
    /// What is sent, to the letter.
    body: String,
    /// The attempts, oldest first; the last 24 of them.
    attempts: Vec<AttemptView>,
    /// When it is tried next.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<Timestamp>,
    /// When the event happened.
    created_at: Timestamp,
}

/// One attempt.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookAttempt)]
struct AttemptView {
    /// When it began.
    at: Timestamp,
    /// The HTTP status, if there was an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// How long it took, in milliseconds.
    duration_ms: u64,
    /// Why it failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// A page of deliveries.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookDeliveries)]
pub struct DeliveriesView {
    /// Newest first. A page may be short, or empty, although more follow.
    pub deliveries: Vec<DeliveryView>,
    /// To be passed as `cursor` for the next page, with the same filter; null at the end.
    pub next_cursor: Option<String>,
}

impl From<&Delivery> for DeliveryView {
    fn from(delivery: &Delivery) -> Self {
        Self {
            event_id: delivery.message.clone(),
            kind: delivery.event.clone(),
            state: delivery.state.name(),
            body: delivery.body.clone(),
            attempts: delivery.attempts.iter().map(AttemptView::from).collect(),
            next_attempt_at: delivery.next_attempt_at,
            created_at: delivery.created_at,
        }
    }
}

impl From<&Attempt> for AttemptView {
    fn from(attempt: &Attempt) -> Self {
        Self {
            at: Timestamp::from_millisecond(attempt.at).unwrap_or(Timestamp::UNIX_EPOCH),
            status: attempt.status,
            duration_ms: attempt.duration_ms,
            error: attempt.error.clone(),
        }
    }
}
