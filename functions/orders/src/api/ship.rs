//! `POST /orders/{order_id}/shipments` and `POST /shipments/{shipment_id}/delivered`: for the staff of the shop.

use super::view::{self, OrderView};
use super::{RequestKey, staff, visible};
use crate::{App, problems};
use axum::extract::{Path, State};
use axum::response::Response;
use holdfast_domain::ids::WarehouseId;
use holdfast_domain::invalid::{Invalid, Problems};
use holdfast_domain::order::{LINES_MAX, ShippedLine, Wish};
use holdfast_domain::payment::PaymentStatus;
use holdfast_runtime::http::schemas::ProblemSchema;
use holdfast_runtime::http::{Json, Problem, Right, Scope};
use holdfast_store::Changed;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// How often a change is tried when others change the order at the same time.
const ATTEMPTS_MAX: usize = 5;

/// What is to be shipped: without lines, all that waits.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ShipOrder)]
pub struct ShipBody {
    /// Only these units.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 5_000)]
    lines: Option<Vec<ShipLineBody>>,
    /// Only from this warehouse.
    #[serde(default)]
    #[schema(max_length = 32, example = "main")]
    warehouse: Option<String>,
}

/// Some units of a line.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ShipLine)]
struct ShipLineBody {
    /// The position of the line in the order, from 0.
    line: usize,
    /// How many.
    #[schema(minimum = 1, maximum = 10_000)]
    quantity: i64,
}

/// Asks the carrier to take what waits, one shipment a warehouse: 202 with the order, also when a request with this key
/// asked before. From here on the order cannot be called off: of shipping and cancelling, one wins.
#[utoipa::path(post, path = "/orders/{order_id}/shipments", operation_id = "shipOrder", tag = "fulfilment", security(("jwt" = ["orders", "staff"])),
    params(("order_id" = String, Path, description = "The order"),
        ("Idempotency-Key" = String, Header, description = "The caller's name for this request, the same on every retry")),
    request_body = ShipBody,
    responses(
        (status = 202, description = "Asked for, now or before", body = OrderView),
        (status = 400, description = "invalid-request, idempotency-key-missing", body = ProblemSchema),
        (status = 403, description = "forbidden: it takes the scope staff", body = ProblemSchema),
        (status = 404, description = "not-found", body = ProblemSchema),
        (status = 409, description = "illegal-transition, payment-failed", body = ProblemSchema),
        (status = 422, description = "not-shippable: more than what waits, or nothing", body = ProblemSchema),
    ))]
pub async fn ship(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(order_id): Path<String>,
    headers: HeaderMap,
    Json(body): Json<ShipBody>,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Staff)?;
    let request = RequestKey::of(&headers, "shipments")?;
    let wish = checked(body).map_err(Problem::invalid)?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    let mut order = visible(&store, &scope, &order_id).await?;
    for _ in 0..ATTEMPTS_MAX {
        if order.shipments.iter().any(|shipment| shipment.request == request.mark()) {
            scope.notes.outcome("replayed");
            return Ok(request.replayed(view::answer(StatusCode::ACCEPTED, &order)));
        }
        if matches!(order.payment.status, PaymentStatus::CaptureFailed { .. }) {
            return Err(problems::unpaid());
        }
        let change = order.ship(&wish, request.mark(), &staff(&scope), app.clock.now());
        let change = change.map_err(|refused| problems::not_fulfilled(&refused))?;
        match store.order_change(&change, &scope.trace).await? {
            Changed::Done => {
                scope.notes.outcome("shipping");
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

/// Notes that a shipment arrived: 200 with the order, also when that was noted before.
#[utoipa::path(post, path = "/shipments/{shipment_id}/delivered", operation_id = "noteDelivery", tag = "fulfilment", security(("jwt" = ["orders", "staff"])),
    params(("shipment_id" = String, Path, description = "The order's id and the number of the shipment")),
    responses(
        (status = 200, description = "Noted, now or before", body = OrderView),
        (status = 403, description = "forbidden: it takes the scope staff", body = ProblemSchema),
        (status = 404, description = "not-found", body = ProblemSchema),
        (status = 409, description = "not-shipped: the carrier does not have it", body = ProblemSchema),
    ))]
pub async fn delivered(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(shipment_id): Path<String>,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Staff)?;
    let unreadable = || Problem::invalid(vec![Invalid::new("shipment_id", "must be an order's id and a number")]);
    let (order_id, number) = shipment_id.rsplit_once('-').ok_or_else(unreadable)?;
    let number: u16 = number.parse().map_err(|_| unreadable())?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    let mut order = visible(&store, &scope, order_id).await?;
    for _ in 0..ATTEMPTS_MAX {
        if !order.shipments.iter().any(|shipment| shipment.number == number) {
            return Err(Problem::not_found("shipment"));
        }
        let change = order.delivered(number, &staff(&scope), app.clock.now());
        let Some(change) = change.map_err(|refused| problems::not_fulfilled(&refused))? else {
            return Ok(view::answer(StatusCode::OK, &order));
        };
        match store.order_change(&change, &scope.trace).await? {
            Changed::Done => {
                scope.notes.outcome("delivered");
                return Ok(view::answer(StatusCode::OK, &change.order));
            }
            Changed::Stale(current) => {
                order = current.order;
                store.order_lines_read(&mut order).await?;
            }
        }
    }
    Err(Problem::busy())
}

fn checked(body: ShipBody) -> Result<Wish, Vec<Invalid>> {
    let mut problems = Problems::new();
    let warehouse = problems.keep("", body.warehouse.map(WarehouseId::parse).transpose()).flatten();
    let Some(bodies) = body.lines else {
        return problems.finish(Some(warehouse.map_or(Wish::Rest, Wish::RestOf)));
    };
    if bodies.is_empty() || bodies.len() > LINES_MAX {
        problems.push(Invalid::new("lines", format!("must be 1 to {LINES_MAX}")));
    }
    let mut lines = Vec::with_capacity(bodies.len());
    for (index, line) in bodies.into_iter().enumerate() {
        let quantity = problems.keep(&format!("lines[{index}]"), super::lines::units(line.quantity));
        lines.extend(quantity.map(|quantity| ShippedLine { line: line.line, quantity }));
    }
    problems.finish(Some(Wish::Lines(lines, warehouse)))
}
