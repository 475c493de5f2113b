//! Secrets and signatures by the Standard Webhooks specification
//! (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).

use super::SECRET_OVERLAP;
use crate::ids::MessageId;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// What a symmetric secret begins with.
const PREFIX: &str = "whsec_";

/// How many bytes a new secret has; the specification asks for 24 to 64.
pub const SECRET_BYTES: usize = 32;

/// How many replaced secrets are kept: more rotations within their time end the oldest early.
const REPLACED_MAX: usize = 3;

/// The key that an endpoint's signatures are made with. Its `Debug` form hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Secret(Vec<u8>);

impl Secret {
    /// A secret of random bytes.
    pub fn of(random: [u8; SECRET_BYTES]) -> Self {
        Self(random.to_vec())
    }

    /// The text that a receiver configures. It is handed out once.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// The signature of a message that is sent at an instant: of its id, the seconds since the epoch, and the body, with
    /// full stops between them.
    pub fn sign(&self, message: &MessageId, at: Timestamp, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length (RFC 2104)");
        mac.update(format!("{message}.{}.{body}", at.as_second()).as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl TryFrom<String> for Secret {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = text.strip_prefix(PREFIX).and_then(|text| STANDARD.decode(text).ok());
        bytes.map(Self).ok_or("a secret is whsec_ and base64")
    }
}

impl From<Secret> for String {
    fn from(secret: Secret) -> String {
        secret.reveal()
    }
}

/// The secrets of an endpoint: the current one, and those that it replaced a short while ago.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets {
    /// Signs everything.
    current: Secret,
    /// Newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    replaced: Vec<Replaced>,
}

/// A secret that still signs, beside the current one, until its receiver knows that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Replaced {
    secret: Secret,
    /// Milliseconds since the epoch.
    until: i64,
}

impl Secrets {
    /// Those of a new endpoint.
    pub fn new(secret: Secret) -> Self {
        Self { current: secret, replaced: Vec::new() }
    }

    /// With a new secret; the one before it signs for [`SECRET_OVERLAP`] more.
    pub fn rotated(&self, secret: Secret, now: Timestamp) -> Self {
        let until = now.saturating_add(SECRET_OVERLAP).unwrap_or(Timestamp::MAX).as_millisecond();
        let before = Replaced { secret: self.current.clone(), until };
        let still = self.replaced.iter().filter(|each| each.until > now.as_millisecond()).cloned();
        Self { current: secret, replaced: std::iter::once(before).chain(still).take(REPLACED_MAX).collect() }
    }

    /// The value of `webhook-signature`: a signature by each secret that is valid at `now`, the current one's first.
    pub fn signatures(&self, message: &MessageId, now: Timestamp, body: &str) -> String {
        let still = self.replaced.iter().filter(|each| each.until > now.as_millisecond()).map(|each| &each.secret);
        let signatures = std::iter::once(&self.current).chain(still).map(|secret| secret.sign(message, now, body));
        signatures.collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    #[test]
    fn note_1_the_specifications_test_vectors_are_met() {
        let vectors = [
            (
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                r#"{"test": 2432232314}"#,
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
            (
                "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
                "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
                1_649_367_553,
                r#"{"email":"test@example.com","username":"test_user"}"#,
                "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
            ),
        ];
        for (secret, id, at, body, signature) in vectors {
            let (secret, id) = (Secret::try_from(secret.to_owned()).unwrap(), MessageId::parse(id).unwrap());
            assert_eq!(secret.sign(&id, Timestamp::from_second(at).unwrap(), body), signature);
        }
    }

    #[test]
    fn note_1_a_replaced_secret_signs_for_a_day_more() {
        let (a, b) = (Secret::of([1; SECRET_BYTES]), Secret::of([2; SECRET_BYTES]));
        let (id, now) = (MessageId::parse("msg_1").unwrap(), Timestamp::from_second(1_700_000_000).unwrap());
        let secrets = Secrets::new(a.clone()).rotated(b.clone(), now);
        let later = |hours| now + SignedDuration::from_hours(hours);
        let both = |at| format!("{} {}", b.sign(&id, at, "{}"), a.sign(&id, at, "{}"));
        assert_eq!(secrets.signatures(&id, later(23), "{}"), both(later(23)));
        assert_eq!(secrets.signatures(&id, later(24), "{}"), b.sign(&id, later(24), "{}"));
        let many = (0..9).fold(secrets, |secrets, n| secrets.rotated(Secret::of([n; SECRET_BYTES]), now));
        assert_eq!(many.signatures(&id, now, "{}").split(' ').count(), 1 + REPLACED_MAX);
        assert!(!format!("{many:?}").contains("whsec_") && !format!("{a:?}").contains('1'));
    }
}
