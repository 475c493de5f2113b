//! Exports of orders over HTTP: ask for one, follow it, fetch its parts, call it off. `exporter` writes them.

mod ask;
mod links;
mod manage;
mod view;

pub use links::{LINK_VALIDITY, Links};

use axum::Router;
use axum::routing::{get, post};
use holdfast_runtime::clock::Clock;
use holdfast_runtime::http::CursorKey;
use holdfast_runtime::message::Publisher;
use holdfast_store::Store;
use std::sync::Arc;

/// What this function serves: method and path, as in the template.
pub const ROUTES: &[(&str, &str)] =
    &[("POST", "/exports"), ("GET", "/exports"), ("GET", "/exports/{export_id}"), ("DELETE", "/exports/{export_id}")];

/// The description of these routes.
#[derive(utoipa::OpenApi)]
#[openapi(paths(ask::ask, manage::list, manage::read, manage::cancel))]
pub struct Description;

/// What this function needs beside the table.
pub struct Settings {
    /// Where the exporter is told.
    pub queue: Publisher,
    /// Links to parts.
    pub links: Links,
    /// The key that signs cursors.
    pub cursor_key: CursorKey,
}

/// What the handlers share.
struct App {
    store: Store,
    clock: Clock,
    settings: Settings,
}

/// The routes of this function over a store.
pub fn router(store: Store, clock: Clock, settings: Settings) -> Router {
    Router::new()
        .route("/exports", post(ask::ask).get(manage::list))
        .route("/exports/{export_id}", get(manage::read).delete(manage::cancel))
        .with_state(Arc::new(App { store, clock, settings }))
}
