//! `GET /orders/{order_id}`

use super::view::OrderView;
use super::{view, visible};
use crate::App;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use holdfast_runtime::http::schemas::ProblemSchema;
use holdfast_runtime::http::{Problem, Right, Scope, has_version};
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
    match has_version(&headers, &etag) {
        true => Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response()),
        false => Ok(view::answer(StatusCode::OK, &order)),
    }
}
