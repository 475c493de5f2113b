//! `/order-policy`

use crate::App;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use holdfast_domain::invalid::{Invalid, Problems};
use holdfast_domain::payment::CapturePolicy;
use holdfast_domain::terms::orders::OrderPolicy;
use holdfast_runtime::http::schemas::ProblemSchema;
use holdfast_runtime::http::{Json, Problem, Right, Scope};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// How orders are paid and taken back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PutOrderPolicy)]
pub struct OrderPolicyBody {
    /// `when-shipped`: a share of the amount with each shipment, or all of it with the first one when the provider
    /// captures the payment only once. `with-first-shipment`: always all of it with the first one. `at-once`: all of it
    /// as soon as it is authorised.
    #[schema(pattern = "^(when-shipped|with-first-shipment|at-once)$", example = "when-shipped")]
    capture: String,
    /// For how many days after the last shipment arrived units may come back.
    #[schema(minimum = 0, maximum = 3650, example = 30)]
    return_days: i64,
}

/// How orders are paid and taken back.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderPolicy)]
struct OrderPolicyView {
    /// `when-shipped`, `with-first-shipment` or `at-once`.
    capture: &'static str,
    /// Days.
    return_days: u16,
}

/// Says how orders are paid and taken back: 201 for the first time, then 200. What is captured when holds for orders placed
/// from a minute later on; the days hold at once.
#[utoipa::path(put, path = "/order-policy", operation_id = "putOrderPolicy", tag = "order-policy", security(("jwt" = ["catalog"])),
    request_body = OrderPolicyBody,
    responses(
        (status = 201, description = "Created", body = OrderPolicyView),
        (status = 200, description = "Replaced", body = OrderPolicyView),
        (status = 400, description = "invalid-request", body = ProblemSchema),
    ))]
pub async fn put(
    State(app): State<Arc<App>>,
    scope: Scope,
    Json(body): Json<OrderPolicyBody>,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Catalog)?;
    let policy = checked(&body).map_err(Problem::invalid)?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    let is_new = store.order_policy_put(&scope.caller.tenant, policy).await?;
    Ok(answer(if is_new { StatusCode::CREATED } else { StatusCode::OK }, policy))
}

/// Reads how orders are paid and taken back.
#[utoipa::path(get, path = "/order-policy", operation_id = "readOrderPolicy", tag = "order-policy", security(("jwt" = ["catalog"])),
    responses((status = 200, description = "As it is", body = OrderPolicyView)))]
pub async fn read(State(app): State<Arc<App>>, scope: Scope) -> Result<Response, Problem> {
    scope.caller.require(Right::Catalog)?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    Ok(answer(StatusCode::OK, store.order_policy_read(&scope.caller.tenant).await?))
}

fn checked(body: &OrderPolicyBody) -> Result<OrderPolicy, Vec<Invalid>> {
    let mut problems = Problems::new();
    let capture = match body.capture.as_str() {
        "when-shipped" => Ok(CapturePolicy::WhenShipped),
        "at-once" => Ok(CapturePolicy::AtOnce),
        "with-first-shipment" => Ok(CapturePolicy::WithFirstShipment),
        _ => Err(Invalid::new("capture", "must be when-shipped, with-first-shipment or at-once")),
    };
    let capture = problems.keep("", capture);
    let policy = problems.keep("", OrderPolicy::new(capture.unwrap_or_default(), body.return_days));
    problems.finish(policy)
}

fn answer(status: StatusCode, policy: OrderPolicy) -> Response {
    let capture = match policy.capture {
        CapturePolicy::WhenShipped => "when-shipped",
        CapturePolicy::AtOnce => "at-once",
        CapturePolicy::WithFirstShipment => "with-first-shipment",
    };
    (status, axum::Json(OrderPolicyView { capture, return_days: policy.return_days })).into_response()
}
