//! Where webhooks may be sent: to public addresses, over TLS.
//!
//! A shop chooses the address that this system then calls. Without these rules it could make it call what only this
//! system reaches: its own services, its network, or the credentials at 169.254.169.254 (server-side request forgery;
//! OWASP, "Server Side Request Forgery Prevention"). Text alone cannot tell, since a name may resolve to anything: the
//! same rule is applied to every address that a name has, when the endpoint is written and before every delivery.

use crate::invalid::Invalid;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// The greatest length of a URL, in bytes.
const LENGTH_MAX: usize = 2_048;

/// Names that mean this machine or its network wherever they are asked for (RFC 6761, RFC 6762, RFC 8375, and the one that
/// clouds use).
const LOCAL_NAMES: [&str; 5] = ["localhost", "local", "internal", "home.arpa", "localdomain"];

/// Whether endpoints on this machine are allowed: for trying things out, never where others can write endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loopback {
    /// They are refused, as everything that is not public.
    Refused,
    /// They are allowed, also without TLS.
    Allowed,
}

/// The URL of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookUrl(Url);

impl WebhookUrl {
    /// Reads a URL that webhooks may be sent to, as far as its text tells.
    ///
    /// # Errors
    /// When it is not absolute, not https, has credentials or a fragment, or leads to a place that is not public.
    pub fn parse(text: &str, loopback: Loopback) -> Result<Self, Invalid> {
        let wrong = |problem: &str| Invalid::new("url", problem);
        if text.len() > LENGTH_MAX {
            return Err(wrong("must be at most 2048 bytes"));
        }
        let url = Url::parse(text).map_err(|_| wrong("must be an absolute URL such as https://shop.example/hooks"))?;
        let local = Self(url.clone()).is_loopback() && loopback == Loopback::Allowed;
        if url.scheme() != "https" && !(local && url.scheme() == "http") {
            return Err(wrong("must be https"));
        }
        // They would be in the list of endpoints, and in logs of others.
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(wrong("must have neither credentials nor a fragment"));
        }
        let public = match url.host() {
            Some(Host::Domain(name)) => !is_local_name(name) && name.trim_end_matches('.').contains('.'),
            Some(Host::Ipv4(address)) => is_public(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => is_public(IpAddr::V6(address)),
            None => false,
        };
        match public || local {
            true => Ok(Self(url)),
            false => Err(wrong("must lead to a public address")),
        }
    }

    /// The text of the URL.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The address, if the URL has one instead of a name.
    pub fn address(&self) -> Option<IpAddr> {
        match self.0.host()? {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
        }
    }

    /// The name, or the address as text.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }
}

/// Whether webhooks may be sent to an address that a name resolved to.
pub fn may_be_called(address: IpAddr, loopback: Loopback) -> bool {
    is_public(address) || (loopback == Loopback::Allowed && address.is_loopback())
}

fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    LOCAL_NAMES.iter().any(|local| name == *local || name.ends_with(&format!(".{local}")))
}

/// Whether an address is one that the internet routes (IANA's special-purpose registries, RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127, ..)              // this network, private, loopback
            | (100, 64..=127, _)        // shared by carriers (RFC 6598)
            | (169, 254, _)             // link-local, and the metadata of clouds
            | (172, 16..=31, _)         // private
            | (192, 0, 0 | 2)           // protocol assignments, documentation
            | (192, 88, 99)             // relays of 6to4
            | (192, 168, _)             // private
            | (198, 18 | 19, _)         // benchmarks
            | (198, 51, 100)            // documentation
            | (203, 0, 113)             // documentation
            | (224..=255, ..) // multicast, reserved, broadcast
    );
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let [high, low] = [segments[6], segments[7]].map(u16::to_be_bytes);
    let within = Ipv4Addr::new(high[0], high[1], low[0], low[1]);
    match segments {
        // An address of the other family inside (RFC 4291, RFC 6052): that one counts.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => is_public_v4(within),
        // Tunnels, whose ends are addresses of the other family, and what is set aside in the global range.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Only this range is routed (RFC 4291 §2.4; IANA has assigned no other).
        [0x2000..=0x3fff, ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn note_1_public_https_urls_are_taken() {
        for good in ["https://shop.example/hooks?key=1", "https://1.1.1.1/", "https://[2606:4700::1111]:8443/x"] {
            assert_eq!(WebhookUrl::parse(good, Loopback::Refused).unwrap().as_str(), good);
        }
    }

    #[test]
    fn note_1_urls_that_lead_inside_are_refused_in_every_spelling() {
        let hosts = [
            "10.0.0.1",
            "169.254.169.254",
            "localhost",
            "[::1]",
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "0.0.0.0",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:a9fe:a9fe]",
            "[64:ff9b::10.0.0.1]",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "[2002:7f00:1::]",
            "[2001::1]",
            "[2001:db8::1]",
            "[ff02::1]",
            "[fec0::1]",
            "LOCALHOST",
            "localhost.",
            "a.localhost",
            "db.internal",
            "metadata.google.internal",
            "printer.local",
            "intranet",
            "１２７.0.0.1",
        ];
        for host in hosts {
            for loopback in [Loopback::Refused, Loopback::Allowed] {
                let url = format!("https://{host}/hooks");
                let parsed = WebhookUrl::parse(&url, loopback);
                let is_loopback = parsed.as_ref().is_ok_and(WebhookUrl::is_loopback);
                assert!(parsed.is_err() || (is_loopback && loopback == Loopback::Allowed), "{url} {loopback:?}");
            }
        }
    }

    #[test]
    fn note_1_urls_of_another_form_are_refused() {
        let long = format!("https://shop.example/{}", "a".repeat(2_048));
        for bad in [
            "",
            "hooks",
            "//shop.example",
            "http://shop.example",
            "ftp://shop.example",
            "file:///etc/passwd",
            "https://",
            "https://u:p@shop.example/",
            "https://u@shop.example/",
            "https://shop.example/#a",
            &long,
        ] {
            assert_eq!(WebhookUrl::parse(bad, Loopback::Allowed).unwrap_err().field, "url", "{bad}");
        }
    }

    #[test]
    fn note_1_loopback_is_allowed_only_where_it_is_said() {
        for local in ["http://127.0.0.1:8080/", "http://localhost:1/", "http://[::1]:1/"] {
            assert!(WebhookUrl::parse(local, Loopback::Allowed).is_ok(), "{local}");
            assert!(WebhookUrl::parse(local, Loopback::Refused).is_err(), "{local}");
        }
        let (loopback, private) = ("127.0.0.1".parse().unwrap(), "10.0.0.1".parse().unwrap());
        assert!(may_be_called(loopback, Loopback::Allowed) && !may_be_called(loopback, Loopback::Refused));
        assert!(!may_be_called(private, Loopback::Allowed));
    }
}
