//! The handlers, and what orders look like from outside.

pub mod cancel;
pub mod change;
mod lines;
pub mod list;
pub mod merge;
pub mod place;
pub mod read;
pub mod reservation;
pub mod reserve;
pub mod returns;
pub mod ship;
pub mod split;

use axum::response::Response;
use holdfast_domain::ids::{Fingerprint, OrderId};
use holdfast_domain::invalid::Invalid;
use holdfast_domain::order::{Actor, Order, RequestMark};
use holdfast_runtime::http::{Caller, Problem, Right, Scope, idempotency_key};
use holdfast_runtime::view;
use holdfast_store::Store;
use http::{HeaderMap, HeaderValue};
use place::IDEMPOTENT_REPLAYED;

/// An order that the caller may see, with all its lines. A reservation, or an attempt to place an order, is none.
///
/// # Errors
/// 404 for an order that does not exist, is somebody else's, or another tenant's; the last is counted (SEC-1).
async fn visible(store: &Store, scope: &Scope, order_id: &str) -> Result<Order, Problem> {
    let id = OrderId::parse(order_id).map_err(|invalid| Problem::invalid(vec![invalid]))?;
    let found = owned(store, scope, id).await?.filter(Order::was_placed);
    found.ok_or_else(|| Problem::not_found("order"))
}

/// A reservation that the caller may see, whatever became of it.
///
/// # Errors
/// As [`visible`].
async fn visible_reservation(store: &Store, scope: &Scope, id: &str) -> Result<Order, Problem> {
    let named = |_| Problem::invalid(vec![Invalid::new("reservation_id", "must be a UUID")]);
    let id = OrderId::parse(id).map_err(named)?;
    let found = owned(store, scope, id).await?.filter(Order::was_reserved);
    found.ok_or_else(|| Problem::not_found("reservation"))
}

async fn owned(store: &Store, scope: &Scope, id: OrderId) -> Result<Option<Order>, Problem> {
    let caller = &scope.caller;
    scope.notes.order(id);
    if !id.may_be_of(&caller.tenant) {
        tracing::warn!(
            count = 1,
            tenant = caller.tenant.as_str(),
            correlation_id = scope.trace.correlation_id,
            "cross_tenant_refused"
        );
        return Ok(None);
    }
    let stored = store.order_read(&caller.tenant, id).await?;
    Ok(stored.map(|stored| stored.order).filter(|order| may_see(caller, order)))
}

/// Who acts on an order. Staff who act on one of their own do so as the customer.
fn actor(scope: &Scope, order: &Order) -> Actor {
    let id = scope.caller.customer.id.clone();
    match order.customer == id {
        true => Actor::Customer(id),
        false => Actor::Staff(id),
    }
}

/// A person of the shop, acting as one.
fn staff(scope: &Scope) -> Actor {
    Actor::Staff(scope.caller.customer.id.clone())
}

/// The `Idempotency-Key` of a request that changes an order: the order keeps a mark of it instead of the key.
struct RequestKey(RequestMark);

impl RequestKey {
    /// The key of a request for `what`: the same key may be used once for each kind of request.
    fn of(headers: &HeaderMap, what: &str) -> Result<Self, Problem> {
        let key = idempotency_key(headers)?;
        let hash = Fingerprint::of(format!("{what}#{key}").as_bytes()).to_string();
        // Half of the digits of a hash: an order has few requests to tell apart.
        let mark = u64::from_str_radix(&hash[..15], 16).expect("a fingerprint is written in hexadecimal digits");
        Ok(Self(mark))
    }

    fn mark(&self) -> RequestMark {
        self.0
    }

    /// The answer to a request that was made before.
    fn replayed(&self, mut response: Response) -> Response {
        response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
        response
    }
}

fn may_see(caller: &Caller, order: &Order) -> bool {
    order.customer == caller.customer.id || caller.may(Right::Staff)
}
