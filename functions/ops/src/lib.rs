//! What people need to see how the installation does, and to mend it: dead letters, health, and the schemas of events.

mod act;
mod acting;
mod health;
mod letters;
mod schemas;
mod view;

use axum::Router;
use axum::routing::{get, post};
use holdfast_runtime::clock::Clock;
use holdfast_runtime::http::CursorKey;
use holdfast_runtime::routing::Queues;
use holdfast_store::Store;
use jiff::SignedDuration;
use std::sync::Arc;

/// What this function serves: method and path, as in the template.
pub const ROUTES: &[(&str, &str)] = &[
    ("GET", "/ops/dead-letters"),
    ("GET", "/ops/dead-letters/{fingerprint}"),
    ("POST", "/ops/dead-letters/replay"),
    ("POST", "/ops/dead-letters/discard"),
    ("GET", "/ops/dead-letter-actions"),
    ("GET", "/health"),
    ("GET", "/events/schema"),
    ("GET", "/events/schema/{type}"),
];

/// The description of these routes.
#[derive(utoipa::OpenApi)]
#[openapi(paths(
    letters::groups,
    letters::list,
    act::replay,
    act::discard,
    act::actions,
    health::health,
    schemas::list,
    schemas::read
))]
pub struct Description;

/// What the handlers share.
pub struct App {
    /// Dead letters and signs of life.
    pub store: Store,
    /// Where replayed messages go.
    pub queues: Queues,
    /// How long somebody has to come back to an order, as the relay counts it.
    pub recovery_after: SignedDuration,
    /// Signs the cursors of lists.
    pub cursor_key: CursorKey,
    /// When things happen.
    pub clock: Clock,
}

/// The routes of this function.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/ops/dead-letters", get(letters::groups))
        .route("/ops/dead-letters/{fingerprint}", get(letters::list))
        .route("/ops/dead-letters/replay", post(act::replay))
        .route("/ops/dead-letters/discard", post(act::discard))
        .route("/ops/dead-letter-actions", get(act::actions))
        .route("/health", get(health::health))
        .route("/events/schema", get(schemas::list))
        .route("/events/schema/{type}", get(schemas::read))
        .with_state(Arc::new(app))
}
