//! `POST /orders/{order_id}/merge`: two orders that are not paid become one.

use super::place::IDEMPOTENT_REPLAYED;
use super::view::{self, OrderView};
use super::{actor, visible};
use crate::{App, problems};
use axum::extract::{Path, State};
use axum::response::Response;
use holdfast_domain::ids::OrderId;
use holdfast_domain::invalid::Invalid;
use holdfast_runtime::http::schemas::ProblemSchema;
use holdfast_runtime::http::{Json, Problem, Right, Scope, idempotency_key};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// How often orders are merged when others change them at the same time.
const ATTEMPTS_MAX: usize = 5;

/// Which order is to go over.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MergeOrder)]
pub struct MergeBody {
    /// An order of the same customer. Its lines go over; it is `merged` from then on.
    #[schema(example = "822b8224-07ef-8495-88e0-f8b7b79d9970")]
    order_id: String,
}

/// Takes another order's lines into this one before the payment of either begins: 200 with this order, also when they went
/// over before. Prices and discounts stay as they are; the order expires when the first of the two would have.
#[utoipa::path(post, path = "/orders/{order_id}/merge", operation_id = "mergeOrders", tag = "orders", security(("jwt" = ["orders"])),
    params(("order_id" = String, Path, description = "The order that takes in the other"),
        ("Idempotency-Key" = String, Header, description = "The caller's name for this request, the same on every retry")),
    request_body = MergeBody,
    responses(
        (status = 200, description = "Merged, now or before", body = OrderView),
        (status = 400, description = "invalid-request, idempotency-key-missing", body = ProblemSchema),
        (status = 404, description = "not-found, also for somebody else's order", body = ProblemSchema),
        (status = 409, description = "illegal-transition, payment-started, hold-ended, order-too-large: of the order `order_id`; not-mergeable with the `reason`", body = ProblemSchema),
        (status = 503, description = "busy, unavailable: repeat with the same key", body = ProblemSchema),
    ))]
pub async fn merge(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(order_id): Path<String>,
    headers: HeaderMap,
    Json(body): Json<MergeBody>,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Orders)?;
    // What tells a retry is that the other order went over into this one: the key need not be kept.
    idempotency_key(&headers)?;
    let other_id = OrderId::parse(&body.order_id).map_err(|invalid| Problem::invalid(vec![invalid]))?;
    if OrderId::parse(&order_id).is_ok_and(|id| id == other_id) {
        return Err(Problem::invalid(vec![Invalid::new("order_id", "must be another order")]));
    }
    let store = app.store.metered(Arc::clone(&scope.meter));
    for _ in 0..ATTEMPTS_MAX {
        let other = visible(&store, &scope, &body.order_id).await?;
        let target = visible(&store, &scope, &order_id).await?;
        if other.was_merged_into(target.id) {
            scope.notes.outcome("replayed");
            let mut response = view::answer(StatusCode::OK, &target);
            response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
            return Ok(response);
        }
        let merged = target.absorb(&other, &actor(&scope, &target), app.clock.now());
        let (target, source) = merged.map_err(|refused| problems::not_merged(&refused))?;
        if store.orders_merge(&target, &source, &scope.trace).await? {
            scope.notes.outcome("merged");
            return Ok(view::answer(StatusCode::OK, &target.order));
        }
    }
    Err(Problem::busy())
}
