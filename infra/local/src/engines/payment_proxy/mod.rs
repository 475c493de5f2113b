//! What localstripe lacks of the Stripe API: idempotency keys, several captures of a payment, checked refunds, reasons of
//! declines, search, events, and faults that a test can order.
//!
//! `POST` and `DELETE /_faults` order and clear faults; `POST /_expire` lets the authorisations of an order expire;
//! `POST /_forget` forgets idempotency keys, as Stripe does after a day; `PUT /_webhooks` names the endpoint of events;
//! `POST /_webhooks/deliver` sends those of one order, and `GET /_webhooks/{order_id}` shows them.

mod books;
mod declines;
mod form;
mod idempotency;
mod payments;
mod search;
pub mod webhooks;

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::Value;

use crate::engines::faults::{Fault, FaultMode, Faults, under};
use crate::engines::server::Server;
use books::Books;
use idempotency::Answers;
use search::Tried;
use webhooks::{Delivery, Endpoint, Webhooks};

/// The longest body that is passed on, in bytes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// The proxy. It stops when it is dropped.
pub struct PaymentProxy {
    server: Server,
    shared: Arc<Shared>,
}

impl PaymentProxy {
    /// Starts a proxy before the Stripe API server at `upstream`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(upstream: &str) -> anyhow::Result<Self> {
        let faults = Faults::default();
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            client: reqwest::Client::new(),
            answers: Answers::default(),
            faults: faults.clone(),
            books: Books::default(),
            tried: Tried::default(),
            webhooks: Webhooks::default(),
        });
        let router = Router::new()
            .route("/_expire", post(expire))
            .route("/_forget", post(forget))
            .route("/_webhooks", put(send_events_to))
            .route("/_webhooks/deliver", post(deliver))
            .route("/_webhooks/{order_id}", get(events))
            .fallback(forward)
            .with_state(Arc::clone(&shared))
            .merge(faults.routes());
        Ok(Self { server: Server::start(|_| Ok(router)).await?, shared })
    }

    /// The base URL of the API.
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// From here on, events go to this URL, signed with this secret.
    pub fn send_events_to(&self, url: String, secret: &str) {
        self.shared.webhooks.send_to(Some(Endpoint { url, secret: secret.to_owned() }));
    }
}

struct Shared {
    upstream: String,
    client: reqwest::Client,
    answers: Answers,
    faults: Faults,
    books: Books,
    tried: Tried,
    webhooks: Webhooks,
}

#[derive(Clone)]
struct Answer {
    status: StatusCode,
    body: Bytes,
}

/// The authorisations that are to expire.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expiry {
    order_id: String,
    /// Whether Stripe has noticed: it cancels the payment then, and says so in events.
    #[serde(default)]
    noticed: bool,
}

/// The keys that are to be forgotten.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Forgotten {
    key_prefix: String,
}

async fn expire(State(shared): State<Arc<Shared>>, headers: HeaderMap, Json(expiry): Json<Expiry>) -> StatusCode {
    for id in shared.books.of_order(&expiry.order_id) {
        shared.books.expire(&id);
        if expiry.noticed {
            shared.lapse(&id, &headers).await;
        }
    }
    StatusCode::NO_CONTENT
}

async fn forget(State(shared): State<Arc<Shared>>, Json(forgotten): Json<Forgotten>) -> StatusCode {
    shared.answers.forget(&forgotten.key_prefix);
    StatusCode::NO_CONTENT
}

async fn send_events_to(State(shared): State<Arc<Shared>>, Json(endpoint): Json<Endpoint>) -> StatusCode {
    shared.webhooks.send_to(Some(endpoint));
    StatusCode::NO_CONTENT
}

async fn deliver(State(shared): State<Arc<Shared>>, Json(delivery): Json<Delivery>) -> Json<Vec<u16>> {
    let events = shared.webhooks.of_order(&delivery.order_id);
    Json(webhooks::deliver(&shared.client, &delivery, events).await)
}

async fn events(State(shared): State<Arc<Shared>>, Path(order_id): Path<String>) -> Json<Vec<Value>> {
    Json(shared.webhooks.of_order(&order_id))
}

async fn forward(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let key = request.headers().get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
    let fault = shared.faults.next(request.uri().path(), key);
    if let Some(fault) = fault.as_ref().filter(|fault| fault.mode == FaultMode::Reject) {
        return books::refusal(&fault.code, "", "This was ordered to be refused.").into_response();
    }
    under(fault.clone(), answer(shared, request, fault)).await
}

async fn answer(shared: Arc<Shared>, request: Request, fault: Option<Fault>) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let path = path_of(&head);
    let is_keyless = fault.as_ref().is_some_and(|fault| fault.mode.is_keyless());
    let key = head.headers.get("idempotency-key").filter(|_| head.method == Method::POST && !is_keyless);
    let work = shared.perform(&head, body.clone(), fault.as_ref());
    match key {
        Some(key) => shared.answers.once(key, &head.headers, &path, &body, work).await,
        None => work.await.into_response(),
    }
}

fn path_of(head: &Parts) -> String {
    head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned()
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
    fn json(status: StatusCode, body: &Value) -> Self {
        Self { status, body: Bytes::from(body.to_string()) }
    }

    /// What it says, if it is a success.
    fn success(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok().filter(|_| self.status.is_success())
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
