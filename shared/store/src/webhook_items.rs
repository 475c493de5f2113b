//! The items of endpoints and deliveries.
//!
//! A secret stands in its endpoint's item as it is: every delivery signs with it, so a digest would not do. The table is
//! encrypted with a KMS key (template.yaml, `SSESpecification`), no answer but that of its making shows a secret, and its
//! type hides it from logs.

use crate::item::{self, Item};
use crate::{StoreError, keys};
use holdfast_domain::ids::{EndpointId, Fingerprint, MessageId, TenantId};
use holdfast_domain::webhook::{
    Attempt, Delivery, DeliveryState, DisabledWhy, Endpoint, EndpointState, EventType, Health, Secrets,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How long a delivery is kept for people to look at and to replay.
const DELIVERY_KEPT: SignedDuration = SignedDuration::from_hours(24 * 30);

#[derive(Serialize, Deserialize)]
struct EndpointItem {
    pk: String,
    sk: String,
    url: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    events: Vec<EventType>,
    secrets: Secrets,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disabled_why: Option<DisabledWhy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disabled_at: Option<i64>,
    #[serde(default, skip_serializing_if = "is_zero")]
    failures: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failing_since: Option<i64>,
    created_at: i64,
    version: u64,
    fingerprint: String,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[derive(Serialize, Deserialize)]
struct DeliveryItem {
    pk: String,
    sk: String,
    event: String,
    body: String,
    state: DeliveryState,
    version: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    tried: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<Attempt>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    leased_until: Option<i64>,
    created_at: i64,
    ttl: i64,
}

/// The item of a new endpoint.
pub(crate) fn endpoint_item(endpoint: &Endpoint) -> Item {
    let keys::Key { pk, sk } = keys::endpoint(&endpoint.tenant, &endpoint.id);
    let (disabled_why, disabled_at) = match endpoint.state {
        EndpointState::Enabled => (None, None),
        EndpointState::Disabled { why, at } => (Some(why), Some(at.as_millisecond())),
    };
    item::written(&EndpointItem {
        pk,
        sk,
        url: endpoint.url.clone(),
        events: endpoint.events.clone(),
        secrets: endpoint.secrets.clone(),
        disabled_why,
        disabled_at,
        failures: endpoint.health.failures,
        failing_since: endpoint.health.failing_since.map(Timestamp::as_millisecond),
        created_at: endpoint.created_at.as_millisecond(),
        version: endpoint.version,
        fingerprint: endpoint.fingerprint.to_string(),
    })
}

/// Reads an endpoint's item.
pub(crate) fn endpoint_of(tenant: &TenantId, item: Item) -> Result<Endpoint, StoreError> {
    let item: EndpointItem = item::read(item)?;
    let key = format!("{}/{}", item.pk, item.sk);
    let read = || -> Result<Endpoint, String> {
        let id = item.sk.strip_prefix(keys::ENDPOINT_PREFIX).unwrap_or_default();
        let state = match item.disabled_why {
            None => EndpointState::Enabled,
            Some(why) => EndpointState::Disabled { why, at: instant(item.disabled_at.unwrap_or_default())? },
        };
        let fingerprint = u128::from_str_radix(&item.fingerprint, 16).map_err(|error| error.to_string())?;
        Ok(Endpoint {
            tenant: tenant.clone(),
            id: EndpointId::parse(id).map_err(|invalid| invalid.to_string())?,
            url: item.url,
            events: item.events,
            secrets: item.secrets,
            state,
            health: Health { failures: item.failures, failing_since: item.failing_since.map(instant).transpose()? },
            created_at: instant(item.created_at)?,
            version: item.version,
            fingerprint: Fingerprint::from(fingerprint.to_be_bytes()),
        })
    };
    read().map_err(|problem| StoreError::Corrupt { key, problem })
}

/// The item of a delivery.
pub(crate) fn delivery_item(delivery: &Delivery) -> Item {
    let keys::Key { pk, sk } = keys::delivery(&delivery.tenant, &delivery.endpoint, &delivery.message);
    item::written(&DeliveryItem {
        pk,
        sk,
        event: delivery.event.clone(),
        body: delivery.body.clone(),
        state: delivery.state,
        version: delivery.version,
        tried: delivery.tried,
        attempts: delivery.attempts.clone(),
        next_attempt_at: delivery.next_attempt_at.map(Timestamp::as_millisecond),
        leased_until: delivery.leased_until.map(Timestamp::as_millisecond),
        created_at: delivery.created_at.as_millisecond(),
        ttl: delivery.created_at.saturating_add(DELIVERY_KEPT).unwrap_or(Timestamp::MAX).as_second(),
    })
}

/// Reads a delivery's item.
pub(crate) fn delivery_of(tenant: &TenantId, endpoint: &EndpointId, item: Item) -> Result<Delivery, StoreError> {
    let item: DeliveryItem = item::read(item)?;
    let key = format!("{}/{}", item.pk, item.sk);
    let read = || -> Result<Delivery, String> {
        let message = item.sk.strip_prefix(keys::DELIVERY_PREFIX).unwrap_or_default();
        Ok(Delivery {
            tenant: tenant.clone(),
            endpoint: endpoint.clone(),
            message: MessageId::parse(message).map_err(|invalid| invalid.to_string())?,
            event: item.event,
            body: item.body,
            state: item.state,
            version: item.version,
            tried: item.tried,
            attempts: item.attempts,
            next_attempt_at: item.next_attempt_at.map(instant).transpose()?,
            leased_until: item.leased_until.map(instant).transpose()?,
            created_at: instant(item.created_at)?,
        })
    };
    read().map_err(|problem| StoreError::Corrupt { key, problem })
}

fn instant(millisecond: i64) -> Result<Timestamp, String> {
    Timestamp::from_millisecond(millisecond).map_err(|error| error.to_string())
}
