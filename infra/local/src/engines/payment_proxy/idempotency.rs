//! Idempotency keys, as Stripe documents them.
//!
//! Stripe saves the status and the body of the first answer to a POST with an `Idempotency-Key`, 500s included, and
//! repeats them. It saves nothing for a request that failed validation or met another one with its key under way.
//! See <https://docs.stripe.com/api/idempotent_requests>.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Mutex;

use axum::Json;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::{Answer, lock};

/// The longest key that Stripe takes, in characters.
const KEY_LENGTH_MAX: usize = 255;

/// What was answered before.
#[derive(Default)]
pub struct Answers(Mutex<HashMap<SavedKey, Saved>>);

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

impl Answers {
    /// Does `work` if the key was not used before, and otherwise repeats what came of it.
    pub async fn once(
        &self,
        key: &HeaderValue,
        headers: &HeaderMap,
        path: &str,
        parameters: &Bytes,
        work: impl Future<Output = Answer>,
    ) -> Response {
        if key.len() > KEY_LENGTH_MAX {
            let message = "Idempotency keys may be at most 255 characters long.";
            return refusal(StatusCode::BAD_REQUEST, None, message);
        }
        let saved_key = SavedKey {
            authorization: headers.get(header::AUTHORIZATION).map_or(Vec::new(), |value| value.as_bytes().to_vec()),
            key: key.as_bytes().to_vec(),
        };
        let shown_key = String::from_utf8_lossy(key.as_bytes()).into_owned();
        match lock(&self.0).entry(saved_key.clone()) {
            Entry::Vacant(vacant) => {
                vacant.insert(Saved { path: path.to_owned(), parameters: parameters.clone(), answer: None });
            }
            Entry::Occupied(occupied) => return repeated(occupied.get(), path, parameters, &shown_key),
        }
        let answer = work.await;
        let mut saved = lock(&self.0);
        if is_saved(&answer) {
            if let Some(saved) = saved.get_mut(&saved_key) {
                saved.answer = Some(answer.clone());
            }
        } else {
            saved.remove(&saved_key);
        }
        answer.into_response()
    }

    /// Forgets the keys that begin with `prefix`, as Stripe does after a day.
    pub fn forget(&self, prefix: &str) {
        lock(&self.0).retain(|saved, _| !saved.key.starts_with(prefix.as_bytes()));
    }
}

/// Whether a request came far enough to be repeated rather than done again.
fn is_saved(answer: &Answer) -> bool {
    !matches!(answer.status.as_u16(), 400 | 401 | 403 | 404 | 409 | 429 | 502)
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
