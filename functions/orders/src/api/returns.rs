//! `POST /orders/{order_id}/returns` and `POST /orders/{order_id}/refunds`: for the staff of the shop.

use super::view::{self, OrderView};
use super::{RequestKey, staff, visible};
use crate::{App, problems};
use axum::extract::{Path, State};
use axum::response::Response;
use holdfast_domain::invalid::{Invalid, Problems};
use holdfast_domain::money::{AMOUNT_MAX, Money};
use holdfast_domain::order::{RETURNED_LINES_MAX, ReturnedLine};
use holdfast_domain::text;
use holdfast_runtime::http::schemas::ProblemSchema;
use holdfast_runtime::http::{Json, Problem, Right, Scope};
use holdfast_store::Changed;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// The greatest length of a reason, in characters.
const REASON_MAX: usize = 500;
/// How often a change is tried when others change the order at the same time.
const ATTEMPTS_MAX: usize = 5;

/// What came back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReturnUnits)]
pub struct ReturnBody {
    /// The units.
    #[schema(min_items = 1, max_items = 25)]
    lines: Vec<ReturnLineBody>,
    /// Kept in the order's history.
    #[serde(default)]
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// Some units of a line.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReturnLine)]
struct ReturnLineBody {
    /// The position of the line in the order, from 0.
    line: usize,
    /// How many.
    #[schema(minimum = 1, maximum = 10_000)]
    quantity: i64,
    /// Whether they can be sold again, rather than being written off.
    restock: bool,
}

/// Money to go back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RefundOrder)]
pub struct RefundBody {
    /// In minor units of the order's currency.
    #[schema(minimum = 1)]
    amount: i64,
    /// Kept in the order's history.
    #[serde(default)]
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// Notes that units came back: 201 with the order, or 200 when a request with this key noted it before. Units to be sold
/// again are in stock when the answer is there; what the units cost is refunded afterwards.
#[utoipa::path(post, path = "/orders/{order_id}/returns", operation_id = "returnUnits", tag = "fulfilment", security(("jwt" = ["orders", "staff"])),
    params(("order_id" = String, Path, description = "The order"),
        ("Idempotency-Key" = String, Header, description = "The caller's name for this request, the same on every retry")),
    request_body = ReturnBody,
    responses(
        (status = 201, description = "Noted", body = OrderView),
        (status = 200, description = "Noted before", body = OrderView),
        (status = 400, description = "invalid-request, idempotency-key-missing", body = ProblemSchema),
        (status = 403, description = "forbidden: it takes the scope staff", body = ProblemSchema),
        (status = 404, description = "not-found", body = ProblemSchema),
        (status = 409, description = "illegal-transition, return-window-over", body = ProblemSchema),
        (status = 422, description = "not-returnable: more than what arrived, or too much at once", body = ProblemSchema),
    ))]
pub async fn take_back(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(order_id): Path<String>,
    headers: HeaderMap,
    Json(body): Json<ReturnBody>,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Staff)?;
    let request = RequestKey::of(&headers, "returns")?;
    let (lines, reason) = returned(body).map_err(Problem::invalid)?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    let mut order = visible(&store, &scope, &order_id).await?;
    let policy = store.order_policy_read(&scope.caller.tenant).await?;
    for _ in 0..ATTEMPTS_MAX {
        if order.returns.iter().any(|returned| returned.request == request.mark()) {
            scope.notes.outcome("replayed");
            return Ok(request.replayed(view::answer(StatusCode::OK, &order)));
        }
        let until = order.delivered_at().map_or(Timestamp::MAX, |at| policy.returns_until(at));
        let (by, now) = (staff(&scope), app.clock.now());
        let change = order.take_back(&lines, request.mark(), until, &by, now, reason.clone());
        let change = change.map_err(|refused| problems::not_fulfilled(&refused))?;
        match store.order_change(&change, &scope.trace).await? {
            Changed::Done => {
                scope.notes.outcome("returned");
                return Ok(view::answer(StatusCode::CREATED, &change.order));
            }
            Changed::Stale(current) => {
                order = current.order;
                store.order_lines_read(&mut order).await?;
            }
        }
    }
    Err(Problem::busy())
}

/// Gives money back beyond what returns give back: 202 with the order, also when a request with this key asked before.
#[utoipa::path(post, path = "/orders/{order_id}/refunds", operation_id = "refundOrder", tag = "fulfilment", security(("jwt" = ["orders", "staff"])),
    params(("order_id" = String, Path, description = "The order"),
        ("Idempotency-Key" = String, Header, description = "The caller's name for this request, the same on every retry")),
    request_body = RefundBody,
    responses(
        (status = 202, description = "Asked for, now or before", body = OrderView),
        (status = 400, description = "invalid-request, idempotency-key-missing", body = ProblemSchema),
        (status = 403, description = "forbidden: it takes the scope staff", body = ProblemSchema),
        (status = 404, description = "not-found", body = ProblemSchema),
        (status = 409, description = "over-refund: more than was captured and is not going back already", body = ProblemSchema),
    ))]
pub async fn refund(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(order_id): Path<String>,
    headers: HeaderMap,
    Json(body): Json<RefundBody>,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Staff)?;
    let request = RequestKey::of(&headers, "refunds")?;
    let mut wrong = Problems::new();
    let amount = match (1..=AMOUNT_MAX).contains(&body.amount) {
        true => Ok(body.amount),
        false => Err(Invalid::new("amount", format!("must be 1 to {AMOUNT_MAX} minor units"))),
    };
    let amount = wrong.keep("", amount);
    let reason = wrong.keep("", reason(body.reason));
    let (amount, reason) = wrong.finish(amount.zip(reason)).map_err(Problem::invalid)?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    let mut order = visible(&store, &scope, &order_id).await?;
    for _ in 0..ATTEMPTS_MAX {
        if order.refunds.iter().any(|refund| refund.request == request.mark()) {
            scope.notes.outcome("replayed");
            return Ok(request.replayed(view::answer(StatusCode::ACCEPTED, &order)));
        }
        let amount = Money::new(amount, order.total.currency()).map_err(|invalid| Problem::invalid(vec![invalid]))?;
        let change = order.refund(amount, request.mark(), &staff(&scope), app.clock.now(), reason.clone());
        let change = change.map_err(|refused| problems::not_refunded(&refused))?;
        match store.order_change(&change, &scope.trace).await? {
            Changed::Done => {
                scope.notes.outcome("refunding");
                return Ok(view::answer(StatusCode::ACCEPTED, &change.order));
            }
            Changed::Stale(current) => {
                order = current.order;
                store.order_lines_read(&mut order).await?;
            }
        }
    }
    Err(Problem::busy())
}

fn returned(body: ReturnBody) -> Result<(Vec<ReturnedLine>, Option<String>), Vec<Invalid>> {
    let mut problems = Problems::new();
    if body.lines.is_empty() || body.lines.len() > RETURNED_LINES_MAX {
        problems.push(Invalid::new("lines", format!("must be 1 to {RETURNED_LINES_MAX}")));
    }
    let mut lines = Vec::with_capacity(body.lines.len());
    for (index, line) in body.lines.into_iter().enumerate() {
        let quantity = problems.keep(&format!("lines[{index}]"), super::lines::units(line.quantity));
        lines.extend(quantity.map(|quantity| ReturnedLine { line: line.line, quantity, restock: line.restock }));
    }
    let reason = problems.keep("", reason(body.reason)).flatten();
    problems.finish(Some((lines, reason)))
}

fn reason(reason: Option<String>) -> Result<Option<String>, Invalid> {
    reason.map(|reason| text::checked("reason", REASON_MAX, reason)).transpose()
}
