//! The timer of a delivery, on its way through the queue of notifications (CloudEvents 1.0, JSON format).

use crate::event::Trace;
use crate::ids::{EndpointId, MessageId, TenantId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The type of the timer that comes due when a delivery is to be tried.
pub const DELIVERY_TIMER_TYPE: &str = "com.holdfast.timer.webhook_delivery";

/// The timer of a delivery. It tells only where to look: what is to be done is what the delivery says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeliveryTimer {
    /// Always `1.0`.
    pub specversion: String,
    /// `<message>/<endpoint>`.
    pub id: String,
    /// `/tenants/<tenant>/webhooks`.
    pub source: String,
    /// Always [`DELIVERY_TIMER_TYPE`].
    #[serde(rename = "type")]
    pub kind: String,
    /// W3C trace context (the distributed tracing extension).
    pub traceparent: String,
    /// The correlation id (extension).
    pub correlationid: String,
    /// Which delivery, and when.
    pub data: DeliveryNotice,
}

/// Which delivery a timer is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeliveryNotice {
    /// Whose endpoint.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub tenant: TenantId,
    /// Which endpoint.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub endpoint_id: EndpointId,
    /// Which message.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub message_id: MessageId,
    /// When it is due: milliseconds since the epoch.
    pub due_at: i64,
}

impl DeliveryTimer {
    /// The timer that comes due at `due_at`.
    pub fn new(
        tenant: &TenantId,
        endpoint_id: &EndpointId,
        message_id: &MessageId,
        due_at: Timestamp,
        trace: &Trace,
    ) -> Self {
        Self {
            specversion: "1.0".to_owned(),
            id: format!("{message_id}/{endpoint_id}"),
            source: format!("/tenants/{tenant}/webhooks"),
            kind: DELIVERY_TIMER_TYPE.to_owned(),
            traceparent: trace.traceparent.clone(),
            correlationid: trace.correlation_id.clone(),
            data: DeliveryNotice {
                tenant: tenant.clone(),
                endpoint_id: endpoint_id.clone(),
                message_id: message_id.clone(),
                due_at: due_at.as_millisecond(),
            },
        }
    }

    /// Where the delivery came from, to carry on.
    pub fn trace(&self) -> Trace {
        Trace { correlation_id: self.correlationid.clone(), traceparent: self.traceparent.clone() }
    }
}
