//! What went wrong, as RFC 9457 problem+json. The one place where errors become HTTP.

use axum::response::{IntoResponse, Response};
use holdfast_domain::invalid::Invalid;
use holdfast_store::StoreError;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The prefix of every problem type. Types are names: nothing is served there yet, and RFC 9457 §3.1.1 asks for no more.
pub const TYPE_PREFIX: &str = "https://holdfast.dev/problems/";

/// An answer that is not a success.
#[derive(Debug, Clone)]
pub struct Problem(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    detail: String,
    errors: Vec<Invalid>,
    more: Map<String, Value>,
    retry_after_seconds: Option<u32>,
    header: Option<(HeaderName, HeaderValue)>,
    cause: Option<Arc<StoreError>>,
}

impl Problem {
    /// A problem of a kind: the slug names it for machines, the title for people.
    pub fn new(status: StatusCode, slug: &'static str, title: &'static str) -> Self {
        Self(Box::new(Parts {
            status,
            slug,
            title,
            detail: String::new(),
            errors: Vec::new(),
            more: Map::new(),
            retry_after_seconds: None,
            header: None,
            cause: None,
        }))
    }

    /// The request itself is wrong, in these fields.
    pub fn invalid(errors: Vec<Invalid>) -> Self {
        let detail = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let mut problem = Self::new(StatusCode::BAD_REQUEST, "invalid-request", "The request is not valid");
        problem.0.errors = errors;
        problem.detail(detail)
    }

    /// What was asked for is not there, or not for this caller to see.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found").detail(format!("There is no such {what}."))
    }

    /// The caller lacks a right.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed").detail(detail)
    }

    /// The key was used before, for something else.
    pub fn key_reused(detail: impl Into<String>) -> Self {
        let title = "The Idempotency-Key was used for another request";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", title).detail(detail)
    }

    /// Too much is going on at one place; the same request may succeed shortly.
    pub fn busy() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Too busy")
            .detail("Too many are at the same items. Repeat the request, with the same Idempotency-Key if it had one.")
            .retry_after(1)
    }

    /// Something that the answer depends on gave none in time.
    pub fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Temporarily unavailable")
            .detail("It is not known whether the request took effect. Repeat it with the same Idempotency-Key.")
            .retry_after(1)
    }

    /// In other words, for this occurrence.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = detail.into();
        self
    }

    /// A field of the request that the problem is about.
    pub fn error(mut self, error: Invalid) -> Self {
        self.0.errors.push(error);
        self
    }

    /// One more member of the body.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.more.insert(name.to_owned(), value.into());
        self
    }

    /// A header of the answer.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.header = Some((name, value));
        self
    }

    /// When to try again.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after_seconds = Some(seconds);
        self
    }

    /// The machine's name of the kind.
    pub fn slug(&self) -> &'static str {
        self.0.slug
    }

    /// What caused it, where that is more than the request.
    pub(super) fn cause(&self) -> Option<&StoreError> {
        self.0.cause.as_deref()
    }

    /// The problem of a status that the router itself gave.
    pub(super) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::not_found("resource"),
            StatusCode::METHOD_NOT_ALLOWED => Self::new(status, "method-not-allowed", "Method not allowed"),
            status if status.is_client_error() => Self::new(status, "invalid-request", "The request is not valid"),
            status => Self::new(status, "internal", "Something went wrong here"),
        }
    }

    /// The answer, with the id under which the log tells more.
    pub(super) fn response(&self, correlation_id: &str) -> Response {
        let mut body = self.0.more.clone();
        body.insert("type".to_owned(), json!(format!("{TYPE_PREFIX}{}", self.0.slug)));
        body.insert("title".to_owned(), json!(self.0.title));
        body.insert("status".to_owned(), json!(self.0.status.as_u16()));
        if !self.0.detail.is_empty() {
            body.insert("detail".to_owned(), json!(self.0.detail));
        }
        if !self.0.errors.is_empty() {
            body.insert("errors".to_owned(), json!(self.0.errors));
        }
        body.insert("correlation_id".to_owned(), json!(correlation_id));
        let mut response = (self.0.status, Value::Object(body).to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.0.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some((name, value)) = &self.0.header {
            headers.insert(name.clone(), value.clone());
        }
        if let Some(seconds) = self.0.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::shared(Arc::new(error))
    }
}

impl Problem {
    /// The problem of an error of the table that several requests may have waited for.
    pub fn shared(error: Arc<StoreError>) -> Self {
        let mut problem = match &*error {
            StoreError::Throttled | StoreError::Conflict => Self::busy(),
            StoreError::Unavailable(_) => Self::unavailable(),
            StoreError::Rejected(_) | StoreError::Corrupt { .. } | StoreError::StripeMissing => {
                Self::of_status(StatusCode::INTERNAL_SERVER_ERROR)
            }
        };
        problem.0.cause = Some(error);
        problem
    }
}

/// The body is written by the middleware, which knows the correlation id.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
