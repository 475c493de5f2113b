//! The handlers, and what orders look like from outside.

pub mod cancel;
pub mod list;
pub mod place;
pub mod read;
pub mod view;

use holdfast_domain::ids::OrderId;
use holdfast_domain::order::Order;
use holdfast_runtime::http::{Caller, Problem, Right, Scope};
use holdfast_store::Store;

/// An order that the caller may see.
///
/// # Errors
/// 404 for an order that does not exist, is somebody else's, or another tenant's; the last is counted (SEC-1).
async fn visible(store: &Store, scope: &Scope, order_id: &str) -> Result<Order, Problem> {
    let caller = &scope.caller;
    let id = OrderId::parse(order_id).map_err(|invalid| Problem::invalid(vec![invalid]))?;
    scope.notes.order(id);
    if !id.may_be_of(&caller.tenant) {
        tracing::warn!(
            count = 1,
            tenant = caller.tenant.as_str(),
            correlation_id = scope.trace.correlation_id,
            "cross_tenant_refused"
        );
        return Err(Problem::not_found("order"));
    }
    let stored = store.order_read(&caller.tenant, id).await?;
    let order = stored.map(|stored| stored.order).filter(|order| may_see(caller, order));
    order.ok_or_else(|| Problem::not_found("order"))
}

fn may_see(caller: &Caller, order: &Order) -> bool {
    order.customer == caller.customer.id || caller.may(Right::Staff)
}
