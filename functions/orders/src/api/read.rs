//! `GET /orders/{order_id}`

use super::view::OrderView;
use super::{view, visible};
use crate::App;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use holdfast_runtime::http::schemas::ProblemSchema;
use holdfast_runtime::http::{Problem, Right, Scope};
use http::{HeaderMap, StatusCode, header};
use std::sync::Arc;

/// Reads an order: 200 with its ETag, or 304 when the caller has this version already.
#[utoipa::path(get, path = "/orders/{order_id}", operation_id = "readOrder", tag = "orders", security(("jwt" = ["orders"])),
    params(
        ("order_id" = String, Path, description = "The order"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of the version that the caller has"),
    ),
    responses(
        (status = 200, description = "The order; its ETag is the version", body = OrderView),
        (status = 304, description = "The caller has this version"),
        (status = 404, description = "not-found, also for somebody else's order", body = ProblemSchema),
    ))]
pub async fn read(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(order_id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Orders)?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    let order = visible(&store, &scope, &order_id).await?;
    let etag = view::etag(&order);
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let tags: Vec<_> = known.flat_map(|value| value.split(',')).map(str::trim).collect();
    let etag_text = etag.to_str().unwrap_or_default();
    // Weak comparison (RFC 9110 §13.1.2): caches on the way may have weakened the tag.
    match tags.iter().any(|tag| *tag == "*" || tag.trim_start_matches("W/") == etag_text) {
        true => Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response()),
        false => Ok(view::answer(StatusCode::OK, &order)),
    }
}
