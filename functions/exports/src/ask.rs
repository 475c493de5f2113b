//! `POST /exports`

use crate::App;
use crate::view::ExportView;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use holdfast_domain::export::{Compression, Export, ExportSpan, ExportState, Progress};
use holdfast_domain::ids::{ExportId, Fingerprint, IdempotencyKey};
use holdfast_domain::invalid::{Invalid, Problems};
use holdfast_domain::order::OrderState;
use holdfast_runtime::http::schemas::ProblemSchema;
use holdfast_runtime::http::{Json, Problem, Right, Scope, idempotency_key, instant};
use holdfast_store::ExportPut;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Says that the answer is that of an earlier request, as Stripe names it.
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The index of orders is eventually consistent: a span that reaches so near to the present is read a moment later, so
/// that all orders placed before are in it.
const NEAR: SignedDuration = SignedDuration::from_mins(1);
/// That moment, in seconds.
const SETTLING_SECONDS: i32 = 5;

/// What to export. Its canonical form, with the fields in this order, is what a key is bound to.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AskExport)]
pub struct AskBody {
    /// Orders placed from this instant (RFC 3339) or date (UTC) on.
    #[schema(example = "2026-03-01")]
    from: String,
    /// Until before this instant or date: after `from`, and at most 366 days.
    #[schema(example = "2026-04-01")]
    to: String,
    /// Only orders that are in one of these states when they are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1)]
    states: Option<Vec<String>>,
    /// `gzip`, or `none` for lines as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^(gzip|none)$", default = "gzip")]
    compression: Option<String>,
}

/// Asks for an export of the tenant's orders between two instants.
///
/// It is written in the background, to parts that are listed as soon as they are there: NDJSON, one line an order,
/// exactly what `GET /orders/{order_id}` shows, oldest first. Every order that was placed in the span before the export
/// was asked for is in exactly one line, in its state of the moment when it was read.
#[utoipa::path(post, path = "/exports", operation_id = "askExport", tag = "exports", security(("jwt" = ["staff"])), request_body = AskBody,
    params(("Idempotency-Key" = String, Header, description = "The caller's name for this export, the same on every retry")),
    responses(
        (status = 202, description = "Accepted, now or by an earlier request with this key; Location tells where to follow it", body = ExportView),
        (status = 400, description = "invalid-request, idempotency-key-missing", body = ProblemSchema),
        (status = 422, description = "idempotency-key-reused", body = ProblemSchema),
        (status = 503, description = "busy, unavailable: repeat with the same key", body = ProblemSchema),
    ))]
pub async fn ask(
    State(app): State<Arc<App>>,
    scope: Scope,
    headers: HeaderMap,
    Json(body): Json<AskBody>,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Staff)?;
    let key = idempotency_key(&headers)?;
    let now = app.clock.now();
    let export = checked(body, &scope, &key, now).map_err(Problem::invalid)?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    let (export, is_new) = match store.export_put(&export).await? {
        ExportPut::Created => (export, true),
        ExportPut::Existing(existing) if existing.fingerprint != export.fingerprint => {
            return Err(Problem::key_reused("An earlier request with this key asked for another export."));
        }
        ExportPut::Existing(existing) => (*existing, false),
    };
    if is_new {
        let is_near = now.duration_since(export.span.to()) < NEAR;
        let delay_seconds = if is_near { SETTLING_SECONDS } else { 0 };
        // The export is kept: maintenance sends the message if this one is lost.
        if let Err(error) = app.settings.queue.send_task(&export.task(), delay_seconds).await {
            tracing::warn!(tenant = export.tenant.as_str(), export_id = %export.id, %error, "export_not_sent");
        }
    }
    let mut response = (StatusCode::ACCEPTED, axum::Json(ExportView::at(&export, now))).into_response();
    let location = HeaderValue::try_from(format!("/exports/{}", export.id)).expect("a UUID is a header value");
    response.headers_mut().insert(header::LOCATION, location);
    if !is_new {
        response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Checks every field, and tells all that is wrong at once.
fn checked(body: AskBody, scope: &Scope, key: &IdempotencyKey, now: Timestamp) -> Result<Export, Vec<Invalid>> {
    let canonical = serde_json::to_vec(&body).expect("a body that was read can be written");
    let mut problems = Problems::new();
    let from = problems.keep("", stored_instant("from", &body.from));
    let to = problems.keep("", stored_instant("to", &body.to));
    let span = from.zip(to).and_then(|(from, to)| problems.keep("", ExportSpan::new(from, to)));
    let mut states = Vec::new();
    for (index, name) in body.states.iter().flatten().enumerate() {
        let state = name.parse::<OrderState>();
        let state = state.map_err(|invalid| Invalid::new(format!("states[{index}]"), invalid.problem));
        states.extend(problems.keep("", state).filter(|state| !states.contains(state)));
    }
    if body.states.is_some_and(|states| states.is_empty()) {
        problems.push(Invalid::new("states", "must not be empty; without it all states are exported"));
    }
    let compression = Compression::parse(body.compression.as_deref().unwrap_or("gzip"));
    let compression = problems.keep("", compression);
    let caller = &scope.caller;
    let export = span.zip(compression).map(|(span, compression)| Export {
        id: ExportId::derive(&caller.tenant, &caller.customer.id, key),
        tenant: caller.tenant.clone(),
        requested_by: caller.customer.id.clone(),
        fingerprint: Fingerprint::of(&canonical),
        span,
        states,
        compression,
        requested_at: now,
        trace: scope.trace.clone(),
        state: ExportState::Requested,
        step: 0,
        moved_at: now,
        progress: Progress::default(),
        idle_runs: 0,
        lease: None,
        ended_at: None,
        failure: None,
    });
    problems.finish(export)
}

/// An instant to the millisecond: what is stored and what is answered must not differ.
fn stored_instant(field: &str, text: &str) -> Result<Timestamp, Invalid> {
    let at = instant(text).map_err(|problem| Invalid::new(field, problem))?;
    Timestamp::from_millisecond(at.as_millisecond()).map_err(|error| Invalid::new(field, error.to_string()))
}
