//! What a shop sells and on which terms, over HTTP: products, coupons, rates, the choice of warehouses,
//! and taxes.

mod allocation;
mod api;
mod body;
mod coupons;
mod order_policy;
mod rates;
mod taxes;

use axum::Router;
use axum::routing::{get, put};
use holdfast_cache::Cache;
use holdfast_runtime::cached::ProductKey;
use holdfast_runtime::clock::Clock;
use holdfast_store::Store;
use std::sync::Arc;

/// What this function serves: method and path, as in the template.
pub const ROUTES: &[(&str, &str)] = &[
    ("PUT", "/products/{product_id}"),
    ("GET", "/products/{product_id}"),
    ("PUT", "/coupons/{code}"),
    ("GET", "/coupons/{code}"),
    ("PUT", "/rates/{from}/{to}"),
    ("GET", "/rates/{from}/{to}"),
    ("PUT", "/allocation"),
    ("GET", "/allocation"),
    ("PUT", "/order-policy"),
    ("GET", "/order-policy"),
    ("PUT", "/tax"),
    ("GET", "/tax"),
    ("GET", "/tax/{country}"),
    ("PUT", "/tax/{country}/{class}"),
    ("GET", "/tax/{country}/{class}"),
    ("GET", "/openapi.json"),
];

/// The description of these routes.
#[derive(utoipa::OpenApi)]
#[openapi(paths(
    api::put,
    api::read,
    coupons::put,
    coupons::read,
    rates::put,
    rates::read,
    allocation::put,
    allocation::read,
    order_policy::put,
    order_policy::read,
    taxes::put,
    taxes::read,
    taxes::list_rates,
    taxes::put_rate,
    taxes::read_rate,
    api::describe
))]
pub struct Description;

/// What the handlers share.
struct App {
    store: Store,
    clock: Clock,
    products: Cache<ProductKey>,
}

/// The routes of this function over a store, and products as this environment remembers them.
pub fn router(store: Store, clock: Clock, products: Cache<ProductKey>) -> Router {
    Router::new()
        .route("/products/{product_id}", put(api::put).get(api::read))
        .route("/coupons/{code}", put(coupons::put).get(coupons::read))
        .route("/rates/{from}/{to}", put(rates::put).get(rates::read))
        .route("/allocation", put(allocation::put).get(allocation::read))
        .route("/order-policy", put(order_policy::put).get(order_policy::read))
        .route("/tax", put(taxes::put).get(taxes::read))
        .route("/tax/{country}", get(taxes::list_rates))
        .route("/tax/{country}/{class}", put(taxes::put_rate).get(taxes::read_rate))
        .route("/openapi.json", get(api::describe))
        .with_state(Arc::new(App { store, clock, products }))
}
