//! `GET /orders`

use super::view::{FIELDS, OrderView};
use crate::App;
use axum::extract::State;
use holdfast_domain::ids::CustomerId;
use holdfast_domain::invalid::Invalid;
use holdfast_domain::order::{Order, OrderState};
use holdfast_runtime::http::schemas::ProblemSchema;
use holdfast_runtime::http::{Params, Problem, Right, Scope, instant};
use holdfast_store::keys::order_position;
use holdfast_store::{ListRange, Page, Store};
use http::Uri;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;

/// The most orders of a page.
pub const LIMIT_MAX: usize = 100;
/// The orders of a page unless asked otherwise.
pub const LIMIT_DEFAULT: usize = 20;

/// A page ends with the order that takes it beyond so many lines: some 2 MB at 130 bytes a line. A response has at most
/// 6 MB (AWS Lambda, invocation payload).
const PAGE_LINES_MAX: usize = 15_000;

/// How far back a tenant's list goes without `from`.
const STAFF_RANGE: SignedDuration = SignedDuration::from_hours(24 * 7);

const PARAMS: &[&str] = &["state", "from", "to", "limit", "cursor", "customer", "fields"];

/// A page of orders.
#[derive(utoipa::ToSchema)]
#[schema(as = Orders)]
#[allow(dead_code, reason = "only its form is used")]
pub struct OrdersSchema {
    /// Newest first. A page may be short, or empty, although more follow.
    orders: Vec<OrderView>,
    /// To be passed as `cursor` for the next page, with the same filters; null at the end.
    next_cursor: Option<String>,
}

/// Lists orders, newest first: a customer's own, and for staff the tenant's, or with `customer` that customer's.
#[utoipa::path(get, path = "/orders", operation_id = "listOrders", tag = "orders", security(("jwt" = ["orders"])),
    params(
        ("state" = Option<String>, Query, description = "Only orders in this state"),
        ("from" = Option<String>, Query, description = "From this instant (RFC 3339) or date (UTC) on. Without it a customer's list has no beginning, and a tenant's begins 7 days before its end"),
        ("to" = Option<String>, Query, description = "Until before this instant or date"),
        ("limit" = Option<u32>, Query, description = "1 to 100 orders a page; 20 without it"),
        ("cursor" = Option<String>, Query, description = "The next_cursor of the page before"),
        ("customer" = Option<String>, Query, description = "For staff: only this customer's"),
        ("fields" = Option<String>, Query, description = "Only these members of each order, separated by commas"),
    ),
    responses(
        (status = 200, description = "A page", body = OrdersSchema),
        (status = 400, description = "invalid-request", body = ProblemSchema),
    ))]
pub async fn list(State(app): State<Arc<App>>, scope: Scope, uri: Uri) -> Result<axum::Json<Value>, Problem> {
    scope.caller.require(Right::Orders)?;
    let caller = &scope.caller;
    let staff = caller.may(Right::Staff);
    let mut params = Params::of(&uri, PARAMS)?;
    let customer = params.read("customer", |text| match staff {
        true => CustomerId::parse(text).map_err(|invalid| invalid.problem),
        false => Err("is for staff; without it you see your own orders".to_owned()),
    });
    let owner = customer.or_else(|| (!staff).then(|| caller.customer.id.clone()));
    let from = params.read("from", query_instant);
    let to = params.read("to", query_instant);
    let state = params.read("state", |text| text.parse::<OrderState>().map_err(|invalid| invalid.problem));
    let limit = params.read("limit", limit).unwrap_or(LIMIT_DEFAULT);
    let fields = params.read("fields", fields);
    // A cursor is bound to the list it was made for: whose, and with which filters.
    let name = json!([caller.tenant, owner, from, to, state]).to_string();
    let after = params.read("cursor", |text| app.settings.cursor_key.open(&name, text));
    params.finish()?;
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return Err(Problem::invalid(vec![Invalid::new("from", "must not be after to")]));
    }

    let to =
        to.unwrap_or_else(|| app.clock.now().saturating_add(SignedDuration::from_secs(1)).unwrap_or(Timestamp::MAX));
    let store = app.store.metered(Arc::clone(&scope.meter));
    let mut page = match &owner {
        Some(owner) => {
            let range = ListRange { from: from.unwrap_or(Timestamp::UNIX_EPOCH), to, state, limit, after };
            store.orders_of_customer(&caller.tenant, owner, &range).await?
        }
        None => {
            let earliest = to.saturating_sub(STAFF_RANGE).unwrap_or(Timestamp::UNIX_EPOCH);
            let range = ListRange { from: from.unwrap_or(earliest), to, state, limit, after };
            store.orders_of_tenant(&caller.tenant, &range).await?
        }
    };
    // Lines that are kept apart are read only if they are wanted: a query for each large order of the page.
    let wants_lines = fields.as_ref().is_none_or(|fields| fields.iter().any(|field| field == "lines"));
    if wants_lines {
        add_lines(&store, &mut page).await?;
    }
    let orders: Vec<_> = page.orders.iter().map(|stored| projected(&stored.order, fields.as_deref())).collect();
    let next = page.next.map(|position| app.settings.cursor_key.seal(&name, &position));
    Ok(axum::Json(json!({"orders": orders, "next_cursor": next})))
}

/// Adds the lines that are kept apart. A page that has enough of them ends early, so that it stays within what a response
/// may hold.
async fn add_lines(store: &Store, page: &mut Page) -> Result<(), Problem> {
    let mut lines = 0;
    let mut end = None;
    let last = page.orders.len().saturating_sub(1);
    for (index, stored) in page.orders.iter_mut().enumerate() {
        store.order_lines_read(&mut stored.order).await?;
        lines += stored.order.lines.len();
        if lines > PAGE_LINES_MAX && index < last {
            end = Some((index + 1, order_position(stored.order.placed_at, stored.order.id)));
            break;
        }
    }
    if let Some((count, position)) = end {
        page.orders.truncate(count);
        page.next = Some(position);
    }
    Ok(())
}

/// A plus sign that was not percent-encoded arrives as a space.
fn query_instant(text: &str) -> Result<Timestamp, String> {
    instant(&text.replace(' ', "+"))
}

fn limit(text: &str) -> Result<usize, String> {
    let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| format!("must be 1 to {LIMIT_MAX}"))
}

fn fields(text: &str) -> Result<Vec<String>, String> {
    let names: Vec<_> = text.split(',').map(str::to_owned).collect();
    match names.iter().find(|name| !FIELDS.contains(&name.as_str())) {
        Some(unknown) => Err(format!("{unknown:?} is not a field; known are {}", FIELDS.join(", "))),
        None => Ok(names),
    }
}

fn projected(order: &Order, fields: Option<&[String]>) -> Value {
    let mut view = serde_json::to_value(OrderView::from(order)).expect("views are JSON objects with text keys");
    if let (Some(fields), Value::Object(members)) = (fields, &mut view) {
        members.retain(|name, _| fields.contains(name));
    }
    view
}
