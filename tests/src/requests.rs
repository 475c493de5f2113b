//! Requests as API Gateway sends them, to a function's router in this process or to a running stack.

use axum::Router;
use axum::body::to_bytes;
use http::HeaderMap;
use serde_json::{Value, json};
use tower::ServiceExt;

/// Who calls: the claims that an authorizer verified.
#[derive(Debug, Clone)]
pub struct Who {
    /// The `tenant` claim.
    pub tenant: String,
    /// The `sub` claim.
    pub sub: String,
    /// The `scope` claim.
    pub scope: String,
    /// The `guest` claim.
    pub guest: bool,
}

impl Who {
    /// A customer of the shop `acme`.
    pub fn customer(sub: &str) -> Self {
        Self { tenant: "acme".to_owned(), sub: sub.to_owned(), scope: "orders".to_owned(), guest: false }
    }

    /// A person of the shop `acme` who may do everything.
    pub fn staff() -> Self {
        Self { scope: "orders stock catalog staff".to_owned(), ..Self::customer("staff-1") }
    }

    /// The same of another shop.
    pub fn of(self, tenant: &str) -> Self {
        Self { tenant: tenant.to_owned(), ..self }
    }
}

/// A request before it is sent.
#[derive(Debug, Clone)]
pub struct Request {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, null if it is not JSON.
    pub body: Value,
}

impl Answer {
    /// The slug of a problem's type.
    pub fn slug(&self) -> &str {
        self.body["type"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default()
    }

    /// The fields that a problem names.
    pub fn fields(&self) -> Vec<&str> {
        self.body["errors"].as_array().into_iter().flatten().filter_map(|error| error["field"].as_str()).collect()
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Request {
    /// A GET.
    pub fn get(path: &str) -> Self {
        Self { method: "GET", path: path.to_owned(), headers: Vec::new(), body: String::new() }
    }

    /// A POST.
    pub fn post(path: &str, body: &Value) -> Self {
        Self { method: "POST", body: body.to_string(), ..Self::get(path) }
    }

    /// A PUT.
    pub fn put(path: &str, body: &Value) -> Self {
        Self { method: "PUT", body: body.to_string(), ..Self::get(path) }
    }

    /// A PATCH.
    pub fn patch(path: &str, body: &Value) -> Self {
        Self { method: "PATCH", body: body.to_string(), ..Self::get(path) }
    }

    /// A PATCH of the version that an answer has.
    pub fn patch_of(path: &str, body: &Value, of: &Answer) -> Self {
        Self { method: "PATCH", ..Self::post(path, body) }.header("if-match", of.header("etag"))
    }

    /// A DELETE.
    pub fn delete(path: &str) -> Self {
        Self { method: "DELETE", ..Self::get(path) }
    }

    /// With another method.
    pub fn method(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    /// With a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// With an idempotency key.
    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// With these bytes as the body, whatever they are.
    pub fn raw(self, body: &str) -> Self {
        Self { body: body.to_owned(), ..self }
    }

    /// The event that API Gateway invokes a function with (payload format 2.0).
    pub fn event(&self, who: Option<&Who>) -> Value {
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        // HTTP APIs decode the path.
        let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
        let headers: serde_json::Map<_, _> =
            self.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let mut event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": decoded, "rawQueryString": query,
            "headers": headers, "isBase64Encoded": false, "body": self.body,
            "requestContext": {
                "stage": "$default", "timeEpoch": 0, "domainName": "api.test",
                "http": {"method": self.method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"},
            },
        });
        if let Some(who) = who {
            let mut claims = json!({"tenant": who.tenant, "sub": who.sub, "scope": who.scope});
            if who.guest {
                claims["guest"] = json!("true");
            }
            event["requestContext"]["authorizer"] = json!({"jwt": {"claims": claims, "scopes": []}});
        }
        event
    }

    /// Sends the request to a router, through the same decoding as in Lambda.
    pub async fn send(&self, router: &Router, who: Option<&Who>) -> Answer {
        let event = self.event(who).to_string();
        let request = lambda_http::request::from_str(&event).expect("the event is one of API Gateway");
        let response = Box::pin(router.clone().oneshot(request)).await.expect("routers do not fail");
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.expect("bodies are in memory");
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Sends the request to a running API with a token.
    ///
    /// # Panics
    /// When the API does not answer.
    pub async fn send_to(&self, api_url: &str, token: &str) -> Answer {
        let method = self.method.parse().expect("methods of this file are valid");
        let mut request = reqwest::Client::new().request(method, format!("{api_url}{}", self.path)).bearer_auth(token);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let answer = request.body(self.body.clone()).send().await.expect("the API answers");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let bytes = answer.bytes().await.expect("the API answers to the end");
        Answer { status, headers, body: serde_json::from_slice(&bytes).unwrap_or_default() }
    }
}

/// An order of one line.
pub fn order_of(product: &str, quantity: i64) -> Value {
    json!({
        "currency": "EUR",
        "lines": [{"product_id": product, "quantity": quantity}],
        "shipping_address": {
            "name": "Zoë Müller", "line1": "Torstraße 1", "city": "Berlin", "postal_code": "10119", "country": "DE",
        },
        "payment_method": "pm_card_visa",
    })
}
