//! Stock over HTTP: receive and read.

mod api;

use axum::Router;
use axum::routing::{get, post};
use holdfast_runtime::clock::Clock;
use holdfast_store::Store;
use std::sync::Arc;

/// What this function serves: method and path, as in the template.
pub const ROUTES: &[(&str, &str)] = &[("GET", "/stock/{product_id}"), ("POST", "/stock/{product_id}/receipts")];

/// The description of these routes.
#[derive(utoipa::OpenApi)]
#[openapi(paths(api::receive, api::read))]
pub struct Description;

/// What the handlers share.
struct App {
    store: Store,
    clock: Clock,
}

/// The routes of this function over a store.
pub fn router(store: Store, clock: Clock) -> Router {
    Router::new()
        .route("/stock/{product_id}", get(api::read))
        .route("/stock/{product_id}/receipts", post(api::receive))
        .with_state(Arc::new(App { store, clock }))
}
