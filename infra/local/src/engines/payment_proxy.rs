//! What localstripe lacks of the Stripe API: idempotency keys, and faults that a test can order.
//!
//! Stripe saves the status and the body of the first answer to a POST with an `Idempotency-Key`, 500s included, and
//! repeats them. It saves nothing for a request that failed validation or met another one with its key under way.
//! See <https://docs.stripe.com/api/idempotent_requests>.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::engines::faults::{Faults, under};
use crate::engines::server::Server;

/// The longest body that is passed on, in bytes.
const BODY_BYTES_MAX: usize = 1 << 20;
/// The longest key that Stripe takes, in characters.
const KEY_LENGTH_MAX: usize = 255;

/// The proxy. It stops when it is dropped.
pub struct PaymentProxy {
    server: Server,
}

impl PaymentProxy {
    /// Starts a proxy before the Stripe API server at `upstream`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(upstream: &str) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            client: reqwest::Client::new(),
            saved: Mutex::default(),
            faults: Faults::default(),
        });
        let router = shared.faults.routes().merge(Router::new().fallback(forward).with_state(Arc::clone(&shared)));
        Ok(Self { server: Server::start(|_| Ok(router)).await? })
    }

    /// The base URL of the API.
    pub fn url(&self) -> &str {
        self.server.url()
    }
}

struct Shared {
    upstream: String,
    client: reqwest::Client,
    saved: Mutex<HashMap<SavedKey, Saved>>,
    faults: Faults,
}

/// A key counts within one API key.
#[derive(Clone, PartialEq, Eq, Hash)]
struct SavedKey {
    authorization: Vec<u8>,
    key: Vec<u8>,
}

struct Saved {
    path: String,
    parameters: Bytes,
    /// `None` while the first request is under way.
    answer: Option<Answer>,
}

#[derive(Clone)]
struct Answer {
    status: StatusCode,
    body: Bytes,
}

async fn forward(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let key = request.headers().get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
    let fault = shared.faults.next(request.uri().path(), key);
    under(fault, answer(shared, request)).await
}

async fn answer(shared: Arc<Shared>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let key = head.headers.get("idempotency-key").filter(|_| head.method == Method::POST);
    let Some(key) = key else {
        return shared.pass_on(head.method, &path, &head.headers, body).await.into_response();
    };
    if key.len() > KEY_LENGTH_MAX {
        return refusal(StatusCode::BAD_REQUEST, None, "Idempotency keys may be at most 255 characters long.");
    }
    let saved_key = SavedKey {
        authorization: head.headers.get(header::AUTHORIZATION).map_or(Vec::new(), |value| value.as_bytes().to_vec()),
        key: key.as_bytes().to_vec(),
    };
    let shown_key = String::from_utf8_lossy(key.as_bytes()).into_owned();
    match lock(&shared.saved).entry(saved_key.clone()) {
        Entry::Vacant(vacant) => {
            vacant.insert(Saved { path: path.clone(), parameters: body.clone(), answer: None });
        }
        Entry::Occupied(occupied) => return repeated(occupied.get(), &path, &body, &shown_key),
    }
    let answer = shared.pass_on(head.method, &path, &head.headers, body).await;
    let mut saved = lock(&shared.saved);
    if answer.is_saved() {
        if let Some(saved) = saved.get_mut(&saved_key) {
            saved.answer = Some(answer.clone());
        }
    } else {
        saved.remove(&saved_key);
    }
    answer.into_response()
}

/// The answer to a request whose key was used before.
fn repeated(saved: &Saved, path: &str, parameters: &Bytes, key: &str) -> Response {
    if saved.path != path || saved.parameters != parameters {
        let message = format!(
            "Keys for idempotent requests can only be used with the same parameters they were first used with. Try \
             using a key other than '{key}' if you meant to execute a different request."
        );
        return refusal(StatusCode::BAD_REQUEST, None, &message);
    }
    let Some(answer) = &saved.answer else {
        let message = format!("There is currently another in-progress request using this Idempotent Key: {key}.");
        return refusal(StatusCode::CONFLICT, Some("idempotency_key_in_use"), &message);
    };
    let mut response = answer.clone().into_response();
    response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    response
}

fn refusal(status: StatusCode, code: Option<&str>, message: &str) -> Response {
    let mut error = json!({ "type": "idempotency_error", "message": message });
    if let Some(code) = code {
        error["code"] = Value::from(code);
    }
    (status, Json(json!({ "error": error }))).into_response()
}

impl Shared {
    async fn pass_on(&self, method: Method, path: &str, headers: &HeaderMap, body: Bytes) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.upstream)).body(body);
        for name in [header::AUTHORIZATION, header::CONTENT_TYPE] {
            if let Some(value) = headers.get(&name) {
                request = request.header(name, value);
            }
        }
        let unreachable = Answer {
            status: StatusCode::BAD_GATEWAY,
            body: Bytes::from_static(b"{\"error\":{\"type\":\"api_connection_error\"}}"),
        };
        let Ok(answer) = request.send().await else {
            return unreachable;
        };
        let status = answer.status();
        answer.bytes().await.map_or(unreachable, |body| Answer { status, body })
    }
}

impl Answer {
    /// Whether the request came far enough to be repeated rather than done again.
    fn is_saved(&self) -> bool {
        !matches!(self.status.as_u16(), 400 | 401 | 403 | 404 | 409 | 429 | 502)
    }

    fn into_response(self) -> Response {
        (self.status, [(header::CONTENT_TYPE, "application/json")], self.body).into_response()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
