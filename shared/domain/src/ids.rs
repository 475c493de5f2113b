//! Ids, each its own type, checked where they enter.

use crate::invalid::Invalid;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Declares an id made of text: its field name in problems, its greatest length in bytes, and which bytes it may hold.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $field:literal, $max:literal, $allowed:expr, $words:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The greatest length, in bytes.
            pub const LENGTH_MAX: usize = $max;

            /// Reads an id.
            ///
            /// # Errors
            /// Names the field and says what an id of this kind may hold.
            pub fn parse(text: impl Into<String>) -> Result<Self, Invalid> {
                let text = text.into();
                let allowed: fn(u8) -> bool = $allowed;
                let fits = (1..=$max).contains(&text.len()) && text.bytes().all(allowed);
                match fits && text.trim() == text {
                    true => Ok(Self(text)),
                    false => Err(Invalid::new($field, concat!("must be 1 to ", $max, " characters: ", $words))),
                }
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;
            fn try_from(text: String) -> Result<Self, Invalid> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

text_id!(
    /// A shop. It comes from verified claims only, never from a path or a body.
    TenantId, "tenant", 64, |b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_', "letters, digits, - and _"
);
text_id!(
    /// A person within a tenant: the `sub` claim, or for a guest the id of the session.
    CustomerId, "customer", 128, |b| b.is_ascii_graphic() && b != b'#', "printable ASCII without # and spaces"
);
text_id!(
    /// A product within a tenant. Letter case counts, and stock codes such as `BANK CHARGES` have spaces inside.
    ProductId,
    "product_id",
    64,
    |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b' '),
    "letters, digits, - _ . and inner spaces"
);
text_id!(
    /// A place that keeps stock.
    WarehouseId, "warehouse", 32, |b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_', "letters, digits, - and _"
);
text_id!(
    /// A coupon, as the buyer types it. Letter case counts.
    CouponCode, "code", 32, |b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_', "letters, digits, - and _"
);
text_id!(
    /// A class of products that are taxed alike, such as `standard`, `reduced` or `books`. Letter case counts.
    TaxClass, "class", 32, |b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_', "letters, digits, - and _"
);
text_id!(
    /// The caller's name for one attempt to do something, repeated on retries
    /// (IETF draft-ietf-httpapi-idempotency-key-header; the length is Stripe's).
    IdempotencyKey, "Idempotency-Key", 255, |b| b.is_ascii_graphic(), "printable ASCII without spaces"
);

text_id!(
    /// An endpoint of a tenant that webhooks are sent to.
    EndpointId, "endpoint_id", 64, |b| b.is_ascii_alphanumeric() || b == b'_', "letters, digits and _"
);
text_id!(
    /// A message to endpoints: the `webhook-id` of Standard Webhooks, which is the same for every attempt. It begins with
    /// the instant of its event, so that messages sort by time, and has no full stop, which ends it in what is signed.
    MessageId, "event_id", 100, |b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_', "letters, digits, - and _"
);

impl EndpointId {
    /// The id of the endpoint that a tenant makes under this key, so that a retry arrives at the same item.
    pub fn derive(tenant: &TenantId, key: &IdempotencyKey) -> Self {
        Self(format!("ep_{}", OrderId::of_parts(tenant, &[tenant.as_str(), key.as_str(), "endpoint"]).0.simple()))
    }
}

impl MessageId {
    /// The id of the message about a version of an order that was written at an instant: the same for every delivery of
    /// the event.
    pub fn of_change(at: Timestamp, order: OrderId, version: u64) -> Self {
        Self(format!("msg_{:013}_{order}_{version}", at.as_millisecond().max(0)))
    }

    /// The id of a message that is sent to try an endpoint; `random` tells it from others of the same millisecond.
    pub fn of_test(at: Timestamp, random: u64) -> Self {
        Self(format!("msg_{:013}_test_{random:016x}", at.as_millisecond().max(0)))
    }
}

impl TenantId {
    fn tag(&self) -> [u8; 2] {
        let hash = Sha256::digest(self.0.as_bytes());
        [hash[0], hash[1]]
    }
}

/// An order. Derived from what makes it one order, so that a retry arrives at the same item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderId(Uuid);

impl OrderId {
    /// The id of the order that this customer of this tenant places under this key: a version 8 UUID (RFC 9562 §5.8).
    /// Its first two bytes tag the tenant; the rest is a SHA-256 over the three parts, each preceded by its length so
    /// that no two triples read alike.
    pub fn derive(tenant: &TenantId, customer: &CustomerId, key: &IdempotencyKey) -> Self {
        Self::of_parts(tenant, &[tenant.as_str(), customer.as_str(), key.as_str()])
    }

    /// The id of the reservation that this customer makes under this key, and of the order that it becomes. A key that
    /// was used for an order is not taken up by a reservation.
    pub fn derive_reserved(tenant: &TenantId, customer: &CustomerId, key: &IdempotencyKey) -> Self {
        Self::of_parts(tenant, &[tenant.as_str(), customer.as_str(), key.as_str(), "reservation"])
    }

    /// The id of the order that is split off this one under this key, whoever of those who may do so asks.
    pub fn derive_split(&self, tenant: &TenantId, key: &IdempotencyKey) -> Self {
        Self::of_parts(tenant, &[tenant.as_str(), &self.to_string(), key.as_str(), "split"])
    }

    fn of_parts(tenant: &TenantId, parts: &[&str]) -> Self {
        Self(derived(tenant, parts))
    }

    /// Whether the id may be of an order of this tenant. One that may not is another tenant's, or made up: it is
    /// refused and counted without a read (SEC-1).
    pub fn may_be_of(&self, tenant: &TenantId) -> bool {
        self.as_bytes()[..2] == tenant.tag()
    }

    /// Reads an id from a path or a message.
    ///
    /// # Errors
    /// When the text is not a hyphenated UUID.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let hyphenated = text.len() == 36;
        let parsed = Uuid::try_parse(text).ok().filter(|_| hyphenated);
        parsed.map(Self).ok_or_else(|| Invalid::new("order_id", "must be a UUID"))
    }

    /// Sixteen bytes. All but the tenant's two at the front and the version's are spread evenly.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl std::fmt::Display for OrderId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// An export of orders. Derived like an order, so that a retry arrives at the same item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExportId(Uuid);

impl ExportId {
    /// The id of the export that this person asks for under this key. No order has it, whatever its key.
    pub fn derive(tenant: &TenantId, person: &CustomerId, key: &IdempotencyKey) -> Self {
        Self(derived(tenant, &[tenant.as_str(), person.as_str(), key.as_str(), "export"]))
    }

    /// Whether the id may be of an export of this tenant: as with orders, another one is refused without a read.
    pub fn may_be_of(&self, tenant: &TenantId) -> bool {
        self.0.as_bytes()[..2] == tenant.tag()
    }

    /// Reads an id from a path or a message.
    ///
    /// # Errors
    /// When the text is not a hyphenated UUID.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let hyphenated = text.len() == 36;
        let parsed = Uuid::try_parse(text).ok().filter(|_| hyphenated);
        parsed.map(Self).ok_or_else(|| Invalid::new("export_id", "must be a UUID"))
    }
}

impl std::fmt::Display for ExportId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A version 8 UUID (RFC 9562 §5.8): two bytes tag the tenant, the rest is a SHA-256 over the parts, each preceded by its
/// length so that no two lists of parts read alike.
fn derived(tenant: &TenantId, parts: &[&str]) -> Uuid {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&tenant.tag());
    bytes[2..].copy_from_slice(&hash.finalize()[..14]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// What a request asked for, as a digest: the same key with another one is a mistake of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// Half a SHA-256 of the canonical form of a request.
    pub fn of(canonical: &[u8]) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&Sha256::digest(canonical)[..16]);
        Self(bytes)
    }
}

/// Thirty-two hexadecimal digits: the form in which it is stored.
impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl From<[u8; 16]> for Fingerprint {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(tenant: &str, customer: &str, key: &str) -> OrderId {
        let tenant = TenantId::parse(tenant).unwrap();
        OrderId::derive(&tenant, &CustomerId::parse(customer).unwrap(), &IdempotencyKey::parse(key).unwrap())
    }

    #[test]
    fn ids_refuse_what_would_break_a_key() {
        for bad in ["", "a#b", "a/b", "a@b", " a", "a ", "é", "a\n", &"x".repeat(65)] {
            let problem = ProductId::parse(bad).unwrap_err();
            assert_eq!(problem.field, "product_id", "{bad:?}");
        }
        assert_eq!(ProductId::parse("BANK CHARGES").unwrap().as_str(), "BANK CHARGES");
        assert!(CustomerId::parse("auth0|42").is_ok());
        assert!(OrderId::parse("{6ba7b810-9dad-11d1-80b4-00c04fd430c8}").is_err());
    }

    #[test]
    fn case_of_a_product_id_counts() {
        assert_ne!(ProductId::parse("15056BL").unwrap(), ProductId::parse("15056bl").unwrap());
    }

    #[test]
    fn sec_1_an_id_may_be_of_its_own_tenant_only() {
        let (acme, other) = (TenantId::parse("acme").unwrap(), TenantId::parse("other").unwrap());
        for key in ["k-1", "k-2", "k-3"] {
            assert!(id("acme", "c-1", key).may_be_of(&acme));
            assert!(!id("acme", "c-1", key).may_be_of(&other));
        }
    }

    #[test]
    fn ord_1_derived_id_is_stable_across_releases() {
        // A change here would turn every retry in flight into a second order.
        assert_eq!(id("acme", "c-1", "k-1").to_string(), "822b8224-07ef-8495-88e0-f8b7b79d9970");
        let (tenant, customer) = (TenantId::parse("acme").unwrap(), CustomerId::parse("c-1").unwrap());
        let reserved = OrderId::derive_reserved(&tenant, &customer, &IdempotencyKey::parse("k-1").unwrap());
        assert_eq!(reserved.to_string(), "822bd65a-9198-8614-8b4b-ca330146486f");
        let split = reserved.derive_split(&tenant, &IdempotencyKey::parse("k-1").unwrap());
        assert_eq!(split.to_string(), "822b6240-c5eb-8a41-b968-3abb0c22700e");
    }

    proptest! {
        #[test]
        fn ord_1_derived_ids_differ_wherever_a_part_does(
            a in "[a-z]{1,3}", b in "[a-z]{1,3}", c in "[a-z]{1,3}",
            x in "[a-z]{1,3}", y in "[a-z]{1,3}", z in "[a-z]{1,3}",
        ) {
            prop_assert_eq!((&a, &b, &c) == (&x, &y, &z), id(&a, &b, &c) == id(&x, &y, &z));
        }
    }
}
