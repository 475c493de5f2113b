//! What localstripe lacks of the Stripe API: idempotency keys, and faults that a test can order.
//!
//! Stripe saves the status and the body of the first answer to a POST with an `Idempotency-Key`, 500s included, and
//! repeats them. It saves nothing for a request that failed validation or met another one with its key under way.
//! See <https://docs.stripe.com/api/idempotent_requests>.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

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
            faults: Mutex::default(),
        });
        let router = Router::new()
            .route("/_faults", post(order_fault).delete(clear_faults))
            .fallback(forward)
            .with_state(shared);
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
    faults: Mutex<Vec<Fault>>,
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

/// A fault for the next requests whose path, and whose idempotency key, begin with a prefix.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    path_prefix: String,
    /// Holdfast's keys begin with the order's id: a fault can be for one order.
    #[serde(default)]
    key_prefix: String,
    mode: FaultMode,
    /// How many requests it is for.
    #[serde(default = "once")]
    times: u32,
    #[serde(default)]
    delay_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FaultMode {
    /// The connection breaks before the request has any effect.
    Refuse,
    /// The request has its effect, and the connection breaks before the answer.
    DropAfter,
    /// The request waits before it has its effect.
    Delay,
}

fn once() -> u32 {
    1
}

async fn order_fault(State(shared): State<Arc<Shared>>, Json(fault): Json<Fault>) -> StatusCode {
    lock(&shared.faults).push(fault);
    StatusCode::NO_CONTENT
}

async fn clear_faults(State(shared): State<Arc<Shared>>) -> StatusCode {
    lock(&shared.faults).clear();
    StatusCode::NO_CONTENT
}

async fn forward(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let key = request.headers().get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
    let fault = shared.next_fault(request.uri().path(), key);
    let mode = fault.as_ref().map(|fault| fault.mode);
    if mode == Some(FaultMode::Refuse) {
        return broken_connection();
    }
    if let Some(fault) = fault.filter(|fault| fault.mode == FaultMode::Delay) {
        tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
    }
    // A caller that hangs up does not take back a request that was received.
    let response = tokio::spawn(answer(shared, request)).await;
    if mode == Some(FaultMode::DropAfter) {
        return broken_connection();
    }
    response.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
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

/// A response that hyper cannot write: it gives up before the first byte and closes the connection.
fn broken_connection() -> Response {
    let broken = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("ordered fault")) });
    Response::new(Body::from_stream(broken))
}

impl Shared {
    /// The first fault that is due for `path` and `key`, counted down.
    fn next_fault(&self, path: &str, key: &str) -> Option<Fault> {
        let mut faults = lock(&self.faults);
        let for_this = |fault: &Fault| path.starts_with(&fault.path_prefix) && key.starts_with(&fault.key_prefix);
        let due = faults.iter().position(for_this)?;
        faults[due].times = faults[due].times.saturating_sub(1);
        let fault = faults[due].clone();
        if fault.times == 0 {
            faults.remove(due);
        }
        Some(fault)
    }

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
