//! `PATCH /orders/{order_id}`: an order that is not paid.

use super::lines::{self, LineBody};
use super::view::{self, OrderView};
use super::{actor, visible};
use crate::changing::Revised;
use crate::{App, problems};
use axum::extract::{Path, State};
use axum::response::Response;
use holdfast_domain::address::Address;
use holdfast_domain::invalid::{Invalid, Problems};
use holdfast_domain::order::{LINES_MAX, NotChanged, Order, RequestedLine, Revision};
use holdfast_domain::payment::PaymentMethod;
use holdfast_runtime::http::schemas::{AddressSchema, ProblemSchema};
use holdfast_runtime::http::{IfMatch, Json, Problem, Right, Scope};
use holdfast_store::Changed;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// What is to be otherwise: at least one of these.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChangeOrder)]
pub struct ChangeBody {
    /// All lines as they are to be. The order is priced anew as a whole, its coupon included.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 400)]
    lines: Option<Vec<LineBody>>,
    /// Where it is to go.
    #[serde(default)]
    #[schema(value_type = Option<AddressSchema>)]
    shipping_address: Option<Address>,
    /// How it is to be paid: the provider's token, never a card number. With it the payment begins.
    #[serde(default)]
    #[schema(example = "pm_card_visa")]
    payment_method: Option<String>,
}

/// Changes an order before its payment begins: 200 with the order. Of its stock, its coupon's use and its allowances, only
/// the difference is claimed or given back, together with the change; a refusal changes nothing.
///
/// `If-Match` names the version that is changed. A repeat of a change that was made gets 412 with the ETag of what it made.
#[utoipa::path(patch, path = "/orders/{order_id}", operation_id = "changeOrder", tag = "orders", security(("jwt" = ["orders"])),
    params(("order_id" = String, Path, description = "The order"),
        ("If-Match" = String, Header, description = "The ETag of the version that is to be changed; neither `*` nor weak")),
    request_body = ChangeBody,
    responses(
        (status = 200, description = "Changed; its ETag is the new version", body = OrderView),
        (status = 400, description = "invalid-request", body = ProblemSchema),
        (status = 404, description = "not-found, also for somebody else's order", body = ProblemSchema),
        (status = 409, description = "illegal-transition, payment-started, hold-ended, order-too-large; and as for placing: out-of-stock, price-changed, rate-unavailable, coupon-not-applicable, limit-reached", body = ProblemSchema),
        (status = 412, description = "precondition-failed: it has another version, which the ETag names", body = ProblemSchema),
        (status = 422, description = "unknown-product, unknown-coupon, too-many-lines", body = ProblemSchema),
        (status = 428, description = "precondition-required", body = ProblemSchema),
        (status = 503, description = "busy, unavailable: repeat it", body = ProblemSchema),
    ))]
pub async fn change(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(order_id): Path<String>,
    headers: HeaderMap,
    Json(body): Json<ChangeBody>,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Orders)?;
    let known = IfMatch::of(&headers)?;
    if body.lines.as_ref().is_some_and(|lines| lines.len() > LINES_MAX) {
        return Err(problems::too_many_lines(LINES_MAX));
    }
    let (lines, revision) = checked(body).map_err(Problem::invalid)?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    let order = visible(&store, &scope, &order_id).await?;
    known.insist(&view::etag(&order))?;
    let change = order.change(&revision, &actor(&scope, &order), app.clock.now());
    let mut change = change.map_err(|refused| problems::not_changed(&refused))?;
    let country = |order: &Order| order.address.as_ref().map(|address| address.country.clone());
    if let Some(to) = country(&change.order).filter(|to| lines.is_none() && country(&order).as_ref() != Some(to)) {
        // Another country may tax it otherwise.
        let taxed = app.taxed(&store, &change.order, &to).await?;
        if taxed.total != change.order.total || taxed.tax != change.order.tax {
            if taxed.parts.is_some() {
                return Err(problems::not_changed(&NotChanged::TooLarge));
            }
            change = change.with_tax(taxed);
        }
    }
    let revised = match lines {
        Some(lines) => app.change_lines(&store, change, lines, &scope.trace).await?,
        None => match store.order_change(&change, &scope.trace).await? {
            Changed::Done => Revised::Done(change.order),
            Changed::Stale(current) => Revised::Stale(current.order),
        },
    };
    match revised {
        Revised::Done(order) => {
            scope.notes.outcome("changed");
            Ok(view::answer(StatusCode::OK, &order))
        }
        Revised::Stale(current) => {
            known.insist(&view::etag(&current))?;
            Err(Problem::busy())
        }
        Revised::Not(refused) => Err(problems::not_changed(&refused)),
    }
}

/// Checks every field, and tells all that is wrong at once.
fn checked(body: ChangeBody) -> Result<(Option<Vec<RequestedLine>>, Revision), Vec<Invalid>> {
    let mut problems = Problems::new();
    if body.lines.is_none() && body.shipping_address.is_none() && body.payment_method.is_none() {
        problems.push(Invalid::new("body", "must have lines, shipping_address or payment_method"));
    }
    let lines = body.lines.map(|lines| lines::checked(lines, &mut problems));
    let address = body.shipping_address.map(Address::checked).transpose();
    let address = problems.keep_all("shipping_address", address).flatten();
    let method = problems.keep("", body.payment_method.map(PaymentMethod::parse).transpose()).flatten();
    problems.finish(Some((lines, Revision { address, method })))
}
