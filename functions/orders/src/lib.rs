//! Orders over HTTP: place, read, list, cancel.

mod api;
mod catalogue;
mod placing;
mod problems;

use axum::Router;
use axum::routing::{get, post};
use catalogue::Catalogue;
use holdfast_runtime::clock::Clock;
use holdfast_runtime::http::CursorKey;
use holdfast_store::Store;
use holdfast_store::claiming::StripeMemory;
use jiff::SignedDuration;
use std::sync::Arc;

/// What this function serves: method and path, as in the template.
pub const ROUTES: &[(&str, &str)] =
    &[("POST", "/orders"), ("GET", "/orders"), ("GET", "/orders/{order_id}"), ("POST", "/orders/{order_id}/cancel")];

/// The description of these routes.
#[derive(utoipa::OpenApi)]
#[openapi(paths(api::place::place, api::read::read, api::list::list, api::cancel::cancel))]
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
    catalogue: Catalogue,
    stripes: StripeMemory,
}

/// The routes of this function over a store.
pub fn router(store: Store, clock: Clock, settings: Settings) -> Router {
    let app = App { store, clock, settings, catalogue: Catalogue::default(), stripes: StripeMemory::default() };
    Router::new()
        .route("/orders", post(api::place::place).get(api::list::list))
        .route("/orders/{order_id}", get(api::read::read))
        .route("/orders/{order_id}/cancel", post(api::cancel::cancel))
        .with_state(Arc::new(app))
}
