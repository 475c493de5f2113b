//! How a customer is reached.

use crate::invalid::Invalid;
use serde::{Deserialize, Serialize};

/// The greatest length of an address (RFC 5321 §4.5.3.1.3: a path has 256 octets, two of them its angle brackets).
const LENGTH_MAX: usize = 254;
/// The greatest length of the part before the `@` (RFC 5321 §4.5.3.1.1).
const LOCAL_MAX: usize = 64;
/// The greatest length of a label of a domain (RFC 1035 §2.3.4).
const LABEL_MAX: usize = 63;

/// An e-mail address, as its owner wrote it. It is personal: it never enters an event or a log line, and its `Debug` form
/// hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

impl Email {
    /// Reads an address by its form: a dot-atom, `@`, and a domain of at least two labels. Quoted local parts and address
    /// literals are refused although RFC 5321 has them, since nobody's customers do; an internationalised domain is
    /// written in its ASCII form, as the mail service asks for. Nothing in it can end a header line.
    ///
    /// # Errors
    /// When it has another form.
    pub fn parse(text: impl Into<String>) -> Result<Self, Invalid> {
        let text = text.into();
        let parts = text.rsplit_once('@').filter(|_| text.len() <= LENGTH_MAX);
        match parts.is_some_and(|(local, domain)| is_dot_atom(local) && is_domain(domain)) {
            true => Ok(Self(text)),
            false => Err(Invalid::new("email", "must be an e-mail address such as ada@example.com, in ASCII")),
        }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Atoms with dots between them (RFC 5322 §3.2.3).
fn is_dot_atom(local: &str) -> bool {
    let is_atext = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
    local.len() <= LOCAL_MAX && local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
}

/// At least two labels of letters, digits and inner hyphens, the last of which is no number.
fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LABEL_MAX).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = domain.rsplit_once('.').map(|(_, last)| last);
    last.is_some_and(|last| !last.bytes().all(|b| b.is_ascii_digit())) && domain.split('.').all(is_label)
}

impl std::fmt::Debug for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Email(…)")
    }
}

impl TryFrom<String> for Email {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(text)
    }
}

impl From<Email> for String {
    fn from(email: Email) -> String {
        email.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn note_1_addresses_that_people_have_are_taken_as_they_are() {
        for good in
            ["ada@example.com", "Ada.Lovelace+shop@mail.example.co.uk", "o'neill@x-y.example", "a@xn--bcher-kva.de"]
        {
            assert_eq!(Email::parse(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn note_1_what_could_be_no_address_or_more_than_one_is_refused() {
        let long = format!("{}@example.com", "a".repeat(65));
        let longer = format!("a@{}.com", ["a"; 130].join("."));
        let cases = [
            "",
            "ada",
            "@example.com",
            "ada@",
            "ada@localhost",
            "ada@1.2.3.4",
            "ada@[127.0.0.1]",
            "a b@example.com",
            "ada@example.com\r\nBcc: x@y.z",
            "ada@exam ple.com",
            "a..b@example.com",
            ".a@example.com",
            "a.@example.com",
            "ada@-x.com",
            "ada@x-.com",
            "ada@.com",
            "ada@x..com",
            "ada@example.com,eve@example.com",
            "a@b@example.com",
            "ädä@example.com",
            "ada@bücher.de",
            "<ada@example.com>",
            &long,
            &longer,
        ];
        for bad in cases {
            assert_eq!(Email::parse(bad).unwrap_err().field, "email", "{bad:?}");
        }
    }

    #[test]
    fn note_1_an_address_is_not_shown_by_accident() {
        assert!(!format!("{:?}", Email::parse("ada@example.com").unwrap()).contains("ada"));
    }
}
