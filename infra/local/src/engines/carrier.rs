//! The carrier: a sandbox that answers the API of `infra/carrier-api.md`, in this process.
//!
//! Besides, for tests: `GET /_shipments` lists what is booked and counts the requests to the API, `POST /_limits`
//! sets the rate limit and `DELETE /_limits` lifts it, `POST /_shipments/{id}/collect` fetches a parcel, and `/_faults`
//! orders faults. It does not deliver to Antarctica (`AQ`).

mod limit;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use holdfast_domain::address::Address;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::limit::{Bucket, Limit};
use crate::engines::faults::{Faults, under};
use crate::engines::server::Server;

/// The key that local calls are made with, and the only one that is accepted.
pub const API_KEY: &str = "carrier_test_holdfast";

/// The country that is not served.
const NOT_SERVED: &str = "AQ";
/// The longest idempotency key, in characters.
const KEY_LENGTH_MAX: usize = 255;

/// The sandbox. It stops when it is dropped.
pub struct CarrierSandbox {
    server: Server,
}

#[derive(Default)]
struct Shared {
    books: Mutex<Books>,
    faults: Faults,
}

#[derive(Default)]
struct Books {
    bucket: Option<Bucket>,
    /// Requests to the API, those that met a fault included.
    requests: u64,
    shipments: Vec<Shipment>,
    /// By idempotency key.
    saved: HashMap<String, Saved>,
}

struct Saved {
    body: Bytes,
    status: StatusCode,
    answer: Value,
}

/// A shipment as `GET /_shipments` shows it; the API itself shows less.
#[derive(Clone, Debug, Serialize)]
struct Shipment {
    id: String,
    tracking: String,
    status: Status,
    idempotency_key: String,
    booked: Booking,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Booked,
    Collected,
    Cancelled,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Booking {
    account: String,
    order: String,
    shipment: u16,
    warehouse: String,
    address: Address,
    lines: Vec<Line>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    product: String,
    units: u32,
}

impl CarrierSandbox {
    /// Starts a sandbox that has booked nothing.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> anyhow::Result<Self> {
        let shared = Arc::new(Shared::default());
        let api = Router::new()
            .route("/v1/shipments", post(book))
            .route("/v1/shipments/{id}", get(read))
            .route("/v1/shipments/{id}/cancel", post(cancel))
            .layer(from_fn_with_state(Arc::clone(&shared), let_through));
        let control = Router::new()
            .route("/_shipments", get(list))
            .route("/_shipments/{id}/collect", post(collect))
            .route("/_limits", post(set_limit).delete(lift_limit));
        let router = api.merge(control).with_state(Arc::clone(&shared)).merge(shared.faults.routes());
        Ok(Self { server: Server::start(|_| Ok(router)).await? })
    }

    /// The base URL of the API.
    pub fn url(&self) -> &str {
        self.server.url()
    }
}

/// Lets a request of the API through faults, the check of its key, and the rate limit.
async fn let_through(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    shared.books().requests += 1;
    let fault = shared.faults.next(request.uri().path(), idempotency_key(request.headers()));
    let answer = async move {
        let expected = format!("Bearer {API_KEY}");
        let authorised = request.headers().get(header::AUTHORIZATION).is_some_and(|given| *given == *expected);
        let wait = shared.books().bucket.as_mut().and_then(|bucket| bucket.take(Instant::now()));
        match wait {
            _ if !authorised => refusal(StatusCode::UNAUTHORIZED, "unauthorized", "The API key is not accepted."),
            Some(seconds) => {
                let mut response = refusal(StatusCode::TOO_MANY_REQUESTS, "rate-limited", "Too many requests.");
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                response
            }
            None => next.run(request).await,
        }
    };
    under(fault, answer).await
}

async fn book(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let key = idempotency_key(&headers).to_owned();
    if key.is_empty() || key.len() > KEY_LENGTH_MAX {
        return invalid("Idempotency-Key is missing or too long.");
    }
    let booking = match serde_json::from_slice::<Booking>(&body) {
        Ok(booking) if booking.lines.is_empty() || booking.lines.iter().any(|line| line.units == 0) => {
            return invalid("lines: at least one, of one unit or more.");
        }
        Ok(booking) if booking.shipment == 0 => return invalid("shipment: counted from 1."),
        Ok(booking) => booking,
        Err(error) => return invalid(&error.to_string()),
    };
    // One lock for all of it: of two requests with one key the second finds what the first did.
    let mut books = shared.books();
    let Books { shipments, saved, .. } = &mut *books;
    let vacant = match saved.entry(key.clone()) {
        Entry::Occupied(saved) if saved.get().body != body => {
            return refusal(StatusCode::UNPROCESSABLE_ENTITY, "key-reused", "The key was used with another body.");
        }
        Entry::Occupied(saved) => {
            let mut response = (saved.get().status, Json(saved.get().answer.clone())).into_response();
            response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
            return response;
        }
        Entry::Vacant(vacant) => vacant,
    };
    let (status, answer) = match booking.address.country.as_str() {
        NOT_SERVED => {
            (StatusCode::UNPROCESSABLE_ENTITY, error("address-not-served", "We do not deliver to Antarctica."))
        }
        _ => {
            let number = shipments.len() + 1;
            let (id, tracking) = (format!("shp_{number}"), format!("HF{number:010}"));
            let shipment = Shipment { id, tracking, status: Status::Booked, idempotency_key: key, booked: booking };
            let answer = shipment.shown();
            shipments.push(shipment);
            (StatusCode::CREATED, answer)
        }
    };
    vacant.insert(Saved { body, status, answer: answer.clone() });
    (status, Json(answer)).into_response()
}

async fn read(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    change(&shared, &id, Some)
}

async fn cancel(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    change(&shared, &id, |status| (status != Status::Collected).then_some(Status::Cancelled))
}

async fn collect(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    change(&shared, &id, |status| (status != Status::Cancelled).then_some(Status::Collected))
}

/// Gives a shipment the status that comes after the one it has, if it may.
fn change(shared: &Shared, id: &str, next: impl Fn(Status) -> Option<Status>) -> Response {
    let mut books = shared.books();
    let Some(shipment) = books.shipments.iter_mut().find(|shipment| shipment.id == id) else {
        return refusal(StatusCode::NOT_FOUND, "not-found", "There is no such shipment.");
    };
    match (next(shipment.status), shipment.status) {
        (Some(status), _) => {
            shipment.status = status;
            Json(shipment.shown()).into_response()
        }
        (None, Status::Collected) => refusal(StatusCode::CONFLICT, "already-collected", "It is on its way."),
        (None, _) => refusal(StatusCode::CONFLICT, "cancelled", "It was called off."),
    }
}

async fn list(State(shared): State<Arc<Shared>>) -> Response {
    let books = shared.books();
    Json(json!({ "requests": books.requests, "shipments": books.shipments })).into_response()
}

async fn set_limit(State(shared): State<Arc<Shared>>, Json(limit): Json<Limit>) -> StatusCode {
    shared.books().bucket = Some(Bucket::new(limit, Instant::now()));
    StatusCode::NO_CONTENT
}

async fn lift_limit(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.books().bucket = None;
    StatusCode::NO_CONTENT
}

impl Shared {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shipment {
    fn shown(&self) -> Value {
        json!({ "id": self.id, "tracking": self.tracking, "status": self.status })
    }
}

fn idempotency_key(headers: &HeaderMap) -> &str {
    headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default()
}

fn error(code: &str, message: &str) -> Value {
    json!({ "error": { "code": code, "message": message } })
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(error(code, message))).into_response()
}

fn invalid(message: &str) -> Response {
    refusal(StatusCode::BAD_REQUEST, "invalid-request", message)
}

#[cfg(test)]
mod tests;
