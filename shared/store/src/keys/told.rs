//! Keys of what the outside is told: endpoints of webhooks, deliveries to them, settings of mails, and fences.

use super::Key;
use holdfast_domain::ids::{EndpointId, MessageId, TenantId};

/// How a tenant's mails are sent.
pub fn mail_settings(tenant: &TenantId) -> Key {
    Key::new(format!("{tenant}#config"), "mail")
}

/// The fence around what a consumer does for an event.
pub fn fence(tenant: &TenantId, consumer: &str, event_id: &str) -> Key {
    Key::new(format!("{tenant}#fence#{event_id}"), consumer)
}

/// The prefix of the sort keys of endpoints.
pub const ENDPOINT_PREFIX: &str = "endpoint#";

/// The partition of a tenant's endpoints of webhooks.
pub fn endpoints(tenant: &TenantId) -> String {
    format!("{tenant}#webhooks")
}

/// An endpoint of webhooks.
pub fn endpoint(tenant: &TenantId, id: &EndpointId) -> Key {
    Key::new(endpoints(tenant), format!("{ENDPOINT_PREFIX}{id}"))
}

/// How many endpoints a tenant has.
pub fn endpoint_count(tenant: &TenantId) -> Key {
    Key::new(endpoints(tenant), "count")
}

/// The prefix of the sort keys of deliveries.
pub const DELIVERY_PREFIX: &str = "delivery#";

/// The delivery of a message to an endpoint. Messages begin with their instant, so that deliveries sort by time.
pub fn delivery(tenant: &TenantId, endpoint: &EndpointId, message: &MessageId) -> Key {
    Key::new(deliveries(tenant, endpoint), format!("{DELIVERY_PREFIX}{message}"))
}

/// The partition of an endpoint's deliveries.
pub fn deliveries(tenant: &TenantId, endpoint: &EndpointId) -> String {
    format!("{tenant}#webhook#{endpoint}")
}

/// The message in the sort key of a delivery.
pub fn parse_delivery_sk(sk: &str) -> Option<MessageId> {
    MessageId::parse(sk.strip_prefix(DELIVERY_PREFIX)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_domain::ids::OrderId;

    #[test]
    fn note_1_deliveries_sort_by_the_instant_of_their_event_and_are_found_by_their_key() {
        let (tenant, endpoint) = (TenantId::parse("t").unwrap(), EndpointId::parse("ep_1").unwrap());
        let order = OrderId::parse("6ba7b810-9dad-81d1-80b4-00c04fd430c8").unwrap();
        let at = |ms| MessageId::of_change(jiff::Timestamp::from_millisecond(ms).unwrap(), order, 1);
        let key = |ms| delivery(&tenant, &endpoint, &at(ms));
        assert!(key(999_999_999_999).sk < key(1_000_000_000_000).sk);
        assert_eq!(parse_delivery_sk(&key(5).sk), Some(at(5)));
    }
}
