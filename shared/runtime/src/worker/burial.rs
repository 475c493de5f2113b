//! Keeping what nobody could handle, where people find it: in the table, by cause. What cannot be kept goes on to the queue's
//! own dead letters, and maintenance takes it from there.

use super::{About, Delivery, Failure};
use crate::telemetry::chain;
use holdfast_domain::dead_letter::DeadLetter;
use holdfast_domain::event::CloudEvent;
use holdfast_domain::ids::TenantId;
use holdfast_store::Store;
use jiff::Timestamp;
use serde_json::Value;

/// The dead letter of a message.
pub(super) fn letter(
    consumer: &str,
    (delivery, body): (&Delivery, &str),
    about: About,
    (failure, error): (&Failure, String),
    now: Timestamp,
) -> DeadLetter {
    let found = About::found_in(body);
    let or = |own: String, found: String| if own.is_empty() { found } else { own };
    let name = or(about.event_id, found.event_id);
    DeadLetter {
        tenant: about.tenant.or(found.tenant),
        queue: Some(delivery.queue),
        consumer: consumer.to_owned(),
        kind: failure.kind.to_owned(),
        event_type: or(about.event_type, found.event_type),
        name: or(name, delivery.message_id.clone()),
        error,
        body: body.to_owned(),
        is_whole: true,
        deliveries: delivery.received,
        replays: delivery.replays,
        died_at: now,
        correlation_id: or(about.correlation_id, found.correlation_id),
    }
    .kept()
}

/// Keeps a dead letter; whether that succeeded.
pub(super) async fn bury(store: &Store, letter: &DeadLetter) -> bool {
    let kept = store.dead_letter_put(letter).await;
    let tenant = letter.tenant.as_ref().map(TenantId::as_str).unwrap_or_default();
    let (event_id, correlation_id) = (letter.name.as_str(), letter.correlation_id.as_str());
    match &kept {
        Ok(()) => tracing::error!(
            fingerprint = letter.fingerprint(),
            event_id,
            correlation_id,
            tenant,
            error = letter.error,
            "dead_letter"
        ),
        Err(error) => {
            tracing::error!(event_id, correlation_id, tenant, error = chain(error), "dead_letter_not_kept");
        }
    }
    kept.is_ok()
}

impl About {
    /// What an event of an order tells of itself.
    pub fn of_event(event: &CloudEvent) -> Self {
        Self {
            event_id: event.id.clone(),
            event_type: event.kind.clone(),
            tenant: Some(event.data.tenant.clone()),
            subject: event.data.order_id.to_string(),
            correlation_id: event.correlationid.clone(),
            traceparent: event.traceparent.clone(),
        }
    }

    /// What can be read of a message that is nothing we know: it may be of a later release.
    pub fn found_in(body: &str) -> Self {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let tenant = [&body["data"]["tenant"], &body["tenant"]].into_iter().find_map(Value::as_str);
        Self {
            event_id: text("id"),
            event_type: text("type"),
            tenant: tenant.and_then(|tenant| TenantId::parse(tenant).ok()),
            subject: text("subject"),
            correlation_id: text("correlationid"),
            traceparent: text("traceparent"),
        }
    }
}
