//! `POST /orders/{order_id}/cancel`

use super::view::OrderView;
use super::{actor, view, visible};
use crate::{App, problems};
use axum::body::HttpBody;
use axum::extract::{FromRequest, Path, Request, State};
use axum::response::Response;
use holdfast_domain::order::OrderState;
use holdfast_domain::text;
use holdfast_runtime::http::schemas::ProblemSchema;
use holdfast_runtime::http::{Json, Problem, Right, Scope};
use holdfast_store::Changed;
use http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;

/// The greatest length of a reason, in characters.
const REASON_MAX: usize = 500;
/// How often the change is tried when others change the order at the same time.
const ATTEMPTS_MAX: usize = 5;

/// The body, which may be left out.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CancelOrder)]
pub struct CancelBody {
    /// Kept in the order's history.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// Calls an order off and gives its stock back: 200 with the order, also when it was cancelled before; 409 when it
/// ended otherwise, or its shipping has begun. What was authorised is let go afterwards, and what was captured goes back.
#[utoipa::path(post, path = "/orders/{order_id}/cancel", operation_id = "cancelOrder", tag = "orders", security(("jwt" = ["orders"])),
    params(("order_id" = String, Path, description = "The order")), request_body = Option<CancelBody>,
    responses(
        (status = 200, description = "Cancelled, now or before", body = OrderView),
        (status = 404, description = "not-found, also for somebody else's order", body = ProblemSchema),
        (status = 409, description = "illegal-transition", body = ProblemSchema),
    ))]
pub async fn cancel(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(order_id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Orders)?;
    let reason = reason(request).await?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    let mut order = visible(&store, &scope, &order_id).await?;
    let by = actor(&scope, &order);
    for _ in 0..ATTEMPTS_MAX {
        if order.state == OrderState::Cancelled {
            return Ok(view::answer(StatusCode::OK, &order));
        }
        let change =
            order.cancel(&by, app.clock.now(), reason.clone()).map_err(|illegal| problems::illegal(&illegal))?;
        match store.order_change(&change, &scope.trace).await {
            Ok(Changed::Done) => {
                scope.notes.outcome("cancelled");
                return Ok(view::answer(StatusCode::OK, &change.order));
            }
            Ok(Changed::Stale(current)) => {
                order = current.order;
                store.order_lines_read(&mut order).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(Problem::busy())
}

async fn reason(request: Request) -> Result<Option<String>, Problem> {
    let body = match request.body().is_end_stream() {
        true => CancelBody::default(),
        false => Json::<CancelBody>::from_request(request, &()).await?.0,
    };
    let checked = body.reason.map(|reason| text::checked("reason", REASON_MAX, reason)).transpose();
    checked.map_err(|invalid| Problem::invalid(vec![invalid]))
}
