//! Stock over HTTP: receive, read and reshape.

mod api;
mod stripes;

use axum::Router;
use axum::routing::{get, post, put};
use holdfast_runtime::clock::Clock;
use holdfast_store::Store;
use std::sync::Arc;

/// What this function serves: method and path, as in the template.
pub const ROUTES: &[(&str, &str)] =
    &[("GET", "/stock/{product_id}"), ("POST", "/stock/{product_id}/receipts"), ("PUT", "/stock/{product_id}/stripes")];

/// The description of these routes.
#[derive(utoipa::OpenApi)]
#[openapi(paths(api::receive, api::read, stripes::reshape))]
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
        .route("/stock/{product_id}/stripes", put(stripes::reshape))
        .with_state(Arc::new(App { store, clock }))
}
