//! `POST /orders/{order_id}/split`: an order that is not paid becomes two.

use super::place::IDEMPOTENT_REPLAYED;
use super::view::{self, OrderView};
use super::{actor, visible};
use crate::{App, problems};
use axum::extract::{Path, State};
use axum::response::Response;
use holdfast_domain::ids::Fingerprint;
use holdfast_domain::invalid::{Invalid, Problems};
use holdfast_domain::order::{LINES_AT_ONCE_MAX, NotSplit, Order, ShippedLine, SplitAs};
use holdfast_runtime::http::schemas::ProblemSchema;
use holdfast_runtime::http::{Json, Problem, Right, Scope, idempotency_key};
use holdfast_store::Splitting;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// How often an order is split when others change it at the same time.
const ATTEMPTS_MAX: usize = 5;

/// What becomes an order of its own.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SplitOrder)]
pub struct SplitBody {
    /// The units.
    #[schema(min_items = 1, max_items = 400)]
    lines: Vec<SplitLineBody>,
}

/// Some units of a line.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SplitLine)]
struct SplitLineBody {
    /// The position of the line in the order, from 0.
    line: usize,
    /// How many.
    #[schema(minimum = 1, maximum = 10_000)]
    quantity: i64,
}

/// Cuts units off an order before its payment begins: 201 with the order that they become, or 200 when a request with this
/// key cut them off before. Prices and discounts go with the units, so both totals add up to what there was; the new order
/// expires when the old one does. The coupon's use stays with the old one.
#[utoipa::path(post, path = "/orders/{order_id}/split", operation_id = "splitOrder", tag = "orders", security(("jwt" = ["orders"])),
    params(("order_id" = String, Path, description = "The order"),
        ("Idempotency-Key" = String, Header, description = "The caller's name for this request, the same on every retry")),
    request_body = SplitBody,
    responses(
        (status = 201, description = "The new order", body = OrderView),
        (status = 200, description = "Split off before, by a request with this key", body = OrderView),
        (status = 400, description = "invalid-request, idempotency-key-missing", body = ProblemSchema),
        (status = 404, description = "not-found, also for somebody else's order", body = ProblemSchema),
        (status = 409, description = "illegal-transition, payment-started, hold-ended, order-too-large", body = ProblemSchema),
        (status = 422, description = "not-splittable: not its units, or all of them; idempotency-key-reused", body = ProblemSchema),
        (status = 503, description = "busy, unavailable: repeat with the same key", body = ProblemSchema),
    ))]
pub async fn split(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(order_id): Path<String>,
    headers: HeaderMap,
    Json(body): Json<SplitBody>,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Orders)?;
    let key = idempotency_key(&headers)?;
    let fingerprint = Fingerprint::of(&serde_json::to_vec(&body).expect("a body that was read can be written"));
    let units = checked(body).map_err(Problem::invalid)?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    let mut order = visible(&store, &scope, &order_id).await?;
    let new = SplitAs { id: order.id.derive_split(&scope.caller.tenant, &key), fingerprint };
    let by = actor(&scope, &order);
    for _ in 0..ATTEMPTS_MAX {
        let split = match order.discount {
            Some(_) => Err(NotSplit::Discounted),
            None => order.split_off(&units, new, &by, app.clock.now()),
        };
        let (change, split_off) = match split {
            Ok(split) => split,
            // Nothing is refused to a retry before its order was looked for.
            Err(refused) => match store.order_read(&scope.caller.tenant, new.id).await? {
                Some(existing) => return replayed(&scope, &existing.order, fingerprint),
                None => return Err(problems::not_split(&refused)),
            },
        };
        match store.order_split(&change, &split_off, &scope.trace).await? {
            Splitting::Done => {
                scope.notes.outcome("split");
                let mut response = view::answer(StatusCode::CREATED, &split_off);
                let location = HeaderValue::from_str(&format!("/orders/{}", new.id));
                response.headers_mut().insert(header::LOCATION, location.expect("ids are header values"));
                return Ok(response);
            }
            Splitting::Existing(existing) => return replayed(&scope, &existing.order, fingerprint),
            Splitting::Stale(current) => order = current.order,
        }
    }
    Err(Problem::busy())
}

/// The answer to a retry: the new order as it is now.
fn replayed(scope: &Scope, existing: &Order, fingerprint: Fingerprint) -> Result<Response, Problem> {
    if existing.fingerprint != fingerprint {
        return Err(Problem::key_reused("An order was split off with this key and another body. Use a new key."));
    }
    scope.notes.outcome("replayed");
    let mut response = view::answer(StatusCode::OK, existing);
    response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

fn checked(body: SplitBody) -> Result<Vec<ShippedLine>, Vec<Invalid>> {
    let mut problems = Problems::new();
    if body.lines.is_empty() || body.lines.len() > LINES_AT_ONCE_MAX {
        problems.push(Invalid::new("lines", format!("must be 1 to {LINES_AT_ONCE_MAX}")));
    }
    let mut units = Vec::with_capacity(body.lines.len());
    for (index, line) in body.lines.into_iter().enumerate() {
        let quantity = problems.keep(&format!("lines[{index}]"), super::lines::units(line.quantity));
        units.extend(quantity.map(|quantity| ShippedLine { line: line.line, quantity }));
    }
    problems.finish(Some(units))
}
