//! Faults that a test orders for the next requests to an engine: `POST /_faults`; `DELETE /_faults` takes all of them back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;

/// The faults that were ordered and are not used up.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Vec<Fault>>>);

/// A fault for the next requests whose path, and whose idempotency key, begin with a prefix.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Such as `/v1/payment_intents`.
    path_prefix: String,
    /// How the path ends, such as `/capture`.
    #[serde(default)]
    path_suffix: String,
    /// Holdfast's keys begin with the order's id: a fault can be for one order.
    #[serde(default)]
    key_prefix: String,
    /// What goes wrong.
    pub mode: FaultMode,
    /// How many requests it is for.
    #[serde(default = "once")]
    times: u32,
    /// For `delay`: how long.
    #[serde(default)]
    pub delay_ms: u64,
    /// For `tamper`: the amount in place of the one that was asked for, in the currency's minor unit.
    #[serde(default)]
    pub amount: i64,
    /// For `reject`: the code of the error.
    #[serde(default)]
    pub code: String,
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultMode {
    /// The connection breaks before the request has any effect.
    Refuse,
    /// The request has its effect, and the connection breaks before the answer.
    DropAfter,
    /// The request waits before it has its effect.
    Delay,
    /// The answer is 503, and the request has no effect.
    Unavailable,
    /// The request has its effect with another amount.
    Tamper,
    /// The request is refused for good.
    Reject,
    /// The payment that the request makes can be captured only once.
    CapturedOnce,
    /// The idempotency key goes unread.
    Keyless,
    /// The idempotency key goes unread, and the connection breaks before the answer.
    DropAfterKeyless,
}

impl FaultMode {
    /// Whether the answer is lost.
    pub fn drops_answer(self) -> bool {
        matches!(self, Self::DropAfter | Self::DropAfterKeyless)
    }

    /// Whether the idempotency key is not read.
    pub fn is_keyless(self) -> bool {
        matches!(self, Self::Keyless | Self::DropAfterKeyless)
    }
}

fn once() -> u32 {
    1
}

impl Faults {
    /// Where they are ordered and taken back.
    pub fn routes(&self) -> Router {
        Router::new().route("/_faults", post(order).delete(clear)).with_state(self.clone())
    }

    /// The first fault that is due for `path` and `key`, counted down.
    pub fn next(&self, path: &str, key: &str) -> Option<Fault> {
        let mut faults = self.due();
        let due = faults.iter().position(|fault| {
            let is_path = path.starts_with(&fault.path_prefix) && path.ends_with(&fault.path_suffix);
            is_path && key.starts_with(&fault.key_prefix)
        })?;
        faults[due].times = faults[due].times.saturating_sub(1);
        let fault = faults[due].clone();
        if fault.times == 0 {
            faults.remove(due);
        }
        Some(fault)
    }

    fn due(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers a request, with a fault if there is one for it.
pub async fn under(fault: Option<Fault>, answer: impl Future<Output = Response> + Send + 'static) -> Response {
    let mode = fault.as_ref().map(|fault| fault.mode);
    match mode {
        Some(FaultMode::Refuse) => return broken_connection(),
        Some(FaultMode::Unavailable) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        _ => {}
    }
    if let Some(fault) = fault.filter(|fault| fault.mode == FaultMode::Delay) {
        tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
    }
    // A caller that hangs up does not take back a request that was received.
    let response = tokio::spawn(answer).await;
    if mode.is_some_and(FaultMode::drops_answer) {
        return broken_connection();
    }
    response.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn order(State(faults): State<Faults>, Json(fault): Json<Fault>) -> StatusCode {
    faults.due().push(fault);
    StatusCode::NO_CONTENT
}

async fn clear(State(faults): State<Faults>) -> StatusCode {
    faults.due().clear();
    StatusCode::NO_CONTENT
}

/// A response that hyper cannot write: it gives up before the first byte and closes the connection.
fn broken_connection() -> Response {
    let broken = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("ordered fault")) });
    Response::new(Body::from_stream(broken))
}
