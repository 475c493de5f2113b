//! Orders over HTTP, from placing to returns; and reservations of their stock.

mod api;
mod changing;
mod claiming;
mod memory;
mod placing;
mod placing_parts;
mod problems;
mod taxing;
mod terms;

use axum::Router;
use axum::routing::{get, post};
use holdfast_domain::terms::orders::OrderPolicy;
use holdfast_runtime::clock::Clock;
use holdfast_runtime::http::{CursorKey, Problem, Scope};
use holdfast_store::Store;
use jiff::SignedDuration;
use memory::Memory;
use std::sync::Arc;
use terms::KnownTerms;

/// What this function serves: method and path, as in the template.
pub const ROUTES: &[(&str, &str)] = &[
    ("POST", "/orders"),
    ("GET", "/orders"),
    ("GET", "/orders/{order_id}"),
    ("PATCH", "/orders/{order_id}"),
    ("POST", "/orders/{order_id}/cancel"),
    ("POST", "/orders/{order_id}/split"),
    ("POST", "/orders/{order_id}/merge"),
    ("POST", "/orders/{order_id}/shipments"),
    ("POST", "/shipments/{shipment_id}/delivered"),
    ("POST", "/orders/{order_id}/returns"),
    ("POST", "/orders/{order_id}/refunds"),
    ("POST", "/reservations"),
    ("GET", "/reservations/{reservation_id}"),
    ("DELETE", "/reservations/{reservation_id}"),
    ("POST", "/reservations/{reservation_id}/confirm"),
];

/// The description of these routes.
#[derive(utoipa::OpenApi)]
#[openapi(paths(
    api::place::place,
    api::read::read,
    api::list::list,
    api::change::change,
    api::cancel::cancel,
    api::split::split,
    api::merge::merge,
    api::ship::ship,
    api::ship::delivered,
    api::returns::take_back,
    api::returns::refund,
    api::reserve::reserve,
    api::reservation::read,
    api::reservation::release,
    api::reservation::confirm
))]
pub struct Description;

/// What may be set from outside.
pub struct Settings {
    /// How long an order waits to be paid.
    pub expires_in: SignedDuration,
    /// The key that signs cursors.
    pub cursor_key: CursorKey,
}

/// What the handlers share.
struct App {
    store: Store,
    clock: Clock,
    settings: Settings,
    terms: KnownTerms,
    memory: Memory,
}

impl App {
    /// How orders of the caller's tenant are paid.
    async fn order_policy(&self, store: &Store, scope: &Scope) -> Result<OrderPolicy, Problem> {
        self.terms.order_policy(store, &scope.caller.tenant).await.map_err(Problem::shared)
    }
}

/// The routes of this function over a store.
pub fn router(store: Store, clock: Clock, settings: Settings) -> Router {
    let app = App { store, clock, settings, terms: KnownTerms::default(), memory: Memory::default() };
    Router::new()
        .route("/orders", post(api::place::place).get(api::list::list))
        .route("/orders/{order_id}", get(api::read::read).patch(api::change::change))
        .route("/orders/{order_id}/cancel", post(api::cancel::cancel))
        .route("/orders/{order_id}/split", post(api::split::split))
        .route("/orders/{order_id}/merge", post(api::merge::merge))
        .route("/orders/{order_id}/shipments", post(api::ship::ship))
        .route("/shipments/{shipment_id}/delivered", post(api::ship::delivered))
        .route("/orders/{order_id}/returns", post(api::returns::take_back))
        .route("/orders/{order_id}/refunds", post(api::returns::refund))
        .route("/reservations", post(api::reserve::reserve))
        .route("/reservations/{reservation_id}", get(api::reservation::read).delete(api::reservation::release))
        .route("/reservations/{reservation_id}/confirm", post(api::reservation::confirm))
        .with_state(Arc::new(app))
}
