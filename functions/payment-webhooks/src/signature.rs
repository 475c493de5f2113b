//! Stripe's signatures (<https://docs.stripe.com/webhooks#verify-manually>).

use hmac::{Hmac, Mac};
use http::HeaderMap;
use jiff::Timestamp;
use sha2::Sha256;

/// The header that a signature stands in.
pub const SIGNATURE_HEADER: &str = "stripe-signature";

/// How far the instant of a signature may be from now, in seconds: within this time a recorded request can be sent again,
/// which does no harm. It is what Stripe's own libraries take.
pub const TOLERANCE_SECONDS: i64 = 300;

/// The secrets of an endpoint: more than one while they are rotated.
pub struct Secrets(Vec<String>);

/// Why a request is not taken for Stripe's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsigned {
    /// The signature is missing, malformed, or made with another secret or for another body.
    Invalid,
    /// It is Stripe's, but of another time.
    Stale,
}

impl std::fmt::Display for Unsigned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Invalid => write!(f, "No signature in {SIGNATURE_HEADER} is of this body and a secret of this shop."),
            Self::Stale => write!(f, "The signature may be at most {TOLERANCE_SECONDS} s from now."),
        }
    }
}

impl Secrets {
    /// Reads secrets that are separated by commas or spaces. None of them is empty.
    pub fn parse(text: &str) -> Self {
        let secrets = text.split([',', ' ']).filter(|secret| !secret.is_empty());
        Self(secrets.map(str::to_owned).collect())
    }

    /// Checks that a body was signed with one of the secrets, about now.
    ///
    /// # Errors
    /// [`Unsigned`] when it was not.
    pub fn verify(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<(), Unsigned> {
        let header = headers.get(SIGNATURE_HEADER).and_then(|value| value.to_str().ok()).ok_or(Unsigned::Invalid)?;
        let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
        let mut instants = parts().filter(|(scheme, _)| *scheme == "t").map(|(_, value)| value);
        // Two instants would leave open which of them was signed.
        let (Some(at), None) = (instants.next(), instants.next()) else { return Err(Unsigned::Invalid) };
        let digests = parts().filter(|(scheme, _)| *scheme == "v1").filter_map(|(_, value)| bytes(value));
        let is_signed = digests.into_iter().any(|digest| self.0.iter().any(|secret| is_of(&digest, secret, at, body)));
        if !is_signed {
            return Err(Unsigned::Invalid);
        }
        let at: i64 = at.parse().map_err(|_| Unsigned::Invalid)?;
        match now.as_second().abs_diff(at) <= TOLERANCE_SECONDS.unsigned_abs() {
            true => Ok(()),
            false => Err(Unsigned::Stale),
        }
    }
}

/// Whether a digest is that of a body, in a time that does not tell how much of it is right.
fn is_of(digest: &[u8], secret: &str, at: &str, body: &[u8]) -> bool {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length (RFC 2104)");
    mac.update(at.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.verify_slice(digest).is_ok()
}

/// The bytes that hexadecimal digits stand for.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = digits.chars().map(|digit| digit.to_digit(16).map(|value| value as u8)).collect();
    let digits = digits.filter(|digits| digits.len() == 64)?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"id":"evt_1"}"#;
    const AT: i64 = 1_700_000_000;

    fn digest(secret: &str, at: &str, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(at.as_bytes());
        mac.update(b".");
        mac.update(body);
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn verified(header: &str, now: i64) -> Result<(), Unsigned> {
        let headers =
            HeaderMap::from_iter([(http::HeaderName::from_static(SIGNATURE_HEADER), header.parse().unwrap())]);
        Secrets::parse("whsec_new, whsec_old").verify(&headers, BODY, Timestamp::from_second(now).unwrap())
    }

    #[test]
    fn pay_1_a_signature_of_either_secret_is_taken() {
        for secret in ["whsec_new", "whsec_old"] {
            let right = digest(secret, &AT.to_string(), BODY);
            assert_eq!(verified(&format!("t={AT},v1={right}"), AT), Ok(()));
            // While Stripe rotates a secret, it signs with both; `v0` is of no account.
            let other = "0".repeat(64);
            assert_eq!(verified(&format!("t={AT},v1={other},v1={right},v0={other}"), AT + 300), Ok(()));
        }
    }

    #[test]
    fn pay_1_what_is_not_signed_for_this_body_now_is_refused() {
        let right = digest("whsec_new", &AT.to_string(), BODY);
        let later = AT + 1;
        for forged in [
            format!("t={AT},v1={}", digest("whsec_other", &AT.to_string(), BODY)),
            format!("t={AT},v1={}", digest("whsec_new", &AT.to_string(), b"{}")),
            format!("t={AT},v1={}", digest("", &AT.to_string(), BODY)),
            format!("t={later},v1={right}"),
            format!("t={AT},t={AT},v1={right}"),
            format!("t={AT},v0={right}"),
            format!("t={AT},v1={}", &right[..62]),
            format!("t={AT},v1=é"),
            format!("t={AT}"),
            format!("v1={right}"),
            "nonsense".to_owned(),
        ] {
            let headers = http::HeaderValue::from_bytes(forged.as_bytes()).unwrap();
            let headers = HeaderMap::from_iter([(http::HeaderName::from_static(SIGNATURE_HEADER), headers)]);
            let now = Timestamp::from_second(AT).unwrap();
            let secrets = Secrets::parse("whsec_new,whsec_old");
            assert_eq!(secrets.verify(&headers, BODY, now), Err(Unsigned::Invalid), "{forged}");
        }
        assert_eq!(Secrets::parse("").verify(&HeaderMap::new(), BODY, Timestamp::UNIX_EPOCH), Err(Unsigned::Invalid));
        for now in [AT - 301, AT + 301] {
            assert_eq!(verified(&format!("t={AT},v1={right}"), now), Err(Unsigned::Stale));
        }
    }
}
