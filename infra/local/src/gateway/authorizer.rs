//! The JWT authorizer of an HTTP API.

use axum::http::{HeaderMap, header};
use serde_json::{Map, Value};

use super::Caller;
use crate::token::Verifier;

/// Why a request goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no token.
    NoToken,
    /// The token is forged, outlived, or not for this API.
    BadToken,
    /// The token has none of the scopes that the route asks for.
    NoScope,
}

/// Checks tokens and scopes.
pub struct Authorizer {
    verifier: Verifier,
}

impl Authorizer {
    /// An authorizer with the local key.
    ///
    /// # Errors
    /// When the key cannot be read or made.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self { verifier: Verifier::new()? })
    }

    /// Who sent `headers`, if the token is good and has one of `scopes`. No scopes ask for none.
    pub fn check(&self, headers: &HeaderMap, scopes: &[String]) -> Result<Caller, Refusal> {
        let value = headers.get(header::AUTHORIZATION).ok_or(Refusal::NoToken)?;
        let value = value.to_str().map_err(|_| Refusal::BadToken)?;
        // API Gateway takes a token with or without the name of the scheme.
        let token = match value.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token,
            _ => value,
        };
        let claims = self.verifier.verify(token.trim()).ok_or(Refusal::BadToken)?;
        let granted = granted(&claims);
        if !scopes.is_empty() && !scopes.iter().any(|scope| granted.contains(scope)) {
            return Err(Refusal::NoScope);
        }
        Ok(Caller { claims: claims.into_iter().map(|(name, value)| (name, as_text(value))).collect(), scopes: granted })
    }
}

/// The scopes of a token, from `scope` or else `scp`.
fn granted(claims: &Map<String, Value>) -> Vec<String> {
    match claims.get("scope").or_else(|| claims.get("scp")) {
        Some(Value::String(scopes)) => scopes.split_whitespace().map(str::to_owned).collect(),
        Some(Value::Array(scopes)) => scopes.iter().filter_map(|scope| scope.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

/// A claim as a Lambda integration gets it: everything is text, a list as in `[a b]`.
fn as_text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Array(items) => {
            let items: Vec<String> = items.into_iter().map(as_text).collect();
            format!("[{}]", items.join(" "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::token::{Claims, sign};

    fn headers(scope: &str) -> HeaderMap {
        let claims = Claims { tenant: "acme".into(), sub: "c-1".into(), scope: scope.into(), guest: false };
        let token = format!("Bearer {}", sign(&claims).unwrap());
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(&token).unwrap())])
    }

    #[test]
    fn one_of_the_scopes_of_a_route_is_enough() {
        let authorizer = Authorizer::new().unwrap();
        let wanted = ["orders".to_owned(), "catalog".to_owned()];
        let caller = authorizer.check(&headers("stock catalog"), &wanted).unwrap();
        assert_eq!(caller.scopes, ["stock", "catalog"]);
        assert!(caller.claims.contains(&("tenant".to_owned(), "acme".to_owned())));
        assert!(caller.claims.iter().any(|(name, value)| name == "exp" && value.parse::<u64>().is_ok()));
        assert_eq!(authorizer.check(&headers("stock"), &wanted).unwrap_err(), Refusal::NoScope);
        assert!(authorizer.check(&headers(""), &[]).is_ok());
    }

    #[test]
    fn without_a_good_token_nobody_passes() {
        let authorizer = Authorizer::new().unwrap();
        assert_eq!(authorizer.check(&HeaderMap::new(), &[]).unwrap_err(), Refusal::NoToken);
        for value in ["Bearer", "Bearer x.y.z", "Basic abc"] {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))]);
            assert_eq!(authorizer.check(&headers, &[]).unwrap_err(), Refusal::BadToken);
        }
    }
}
