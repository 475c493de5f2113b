//! Products over HTTP: write and read.

mod api;

use axum::Router;
use axum::routing::{get, put};
use holdfast_store::Store;
use std::sync::Arc;

/// What this function serves: method and path, as in the template.
pub const ROUTES: &[(&str, &str)] =
    &[("PUT", "/products/{product_id}"), ("GET", "/products/{product_id}"), ("GET", "/openapi.json")];

/// The description of these routes.
#[derive(utoipa::OpenApi)]
#[openapi(paths(api::put, api::read, api::describe))]
pub struct Description;

/// The routes of this function over a store.
pub fn router(store: Store) -> Router {
    Router::new()
        .route("/products/{product_id}", put(api::put).get(api::read))
        .route("/openapi.json", get(api::describe))
        .with_state(Arc::new(store))
}
