//! What a shop is told of and where, over HTTP: endpoints of webhooks, the log of their deliveries, and how mails to its
//! customers are sent. All of it is for staff.

mod api;
mod deliveries;
mod mail;
mod view;

use axum::Router;
use axum::routing::{get, post, put};
use holdfast_domain::webhook::Loopback;
use holdfast_runtime::clock::Clock;
use holdfast_runtime::http::CursorKey;
use holdfast_runtime::message::Publisher;
use holdfast_runtime::names::Names;
use holdfast_store::Store;
use std::sync::Arc;

/// What this function serves: method and path, as in the template.
pub const ROUTES: &[(&str, &str)] = &[
    ("POST", "/webhooks/endpoints"),
    ("GET", "/webhooks/endpoints"),
    ("GET", "/webhooks/endpoints/{endpoint_id}"),
    ("PATCH", "/webhooks/endpoints/{endpoint_id}"),
    ("DELETE", "/webhooks/endpoints/{endpoint_id}"),
    ("POST", "/webhooks/endpoints/{endpoint_id}/secret"),
    ("POST", "/webhooks/endpoints/{endpoint_id}/test"),
    ("GET", "/webhooks/endpoints/{endpoint_id}/deliveries"),
    ("POST", "/webhooks/endpoints/{endpoint_id}/deliveries/{event_id}/replay"),
    ("PUT", "/notifications/mail"),
    ("GET", "/notifications/mail"),
    ("DELETE", "/notifications/mail"),
];

/// The description of these routes.
#[derive(utoipa::OpenApi)]
#[openapi(paths(
    api::create,
    api::list,
    api::read,
    api::change,
    api::remove,
    api::rotate,
    deliveries::test,
    deliveries::list,
    deliveries::replay,
    mail::put,
    mail::read,
    mail::remove
))]
pub struct Description;

/// What the handlers share.
pub struct App {
    /// Endpoints and deliveries.
    pub store: Store,
    /// The queue of notifications: what is tested or replayed is due at once.
    pub publisher: Publisher,
    /// What the name in a URL leads to.
    pub names: Arc<dyn Names>,
    /// Whether endpoints on this machine are allowed.
    pub loopback: Loopback,
    /// Signs the cursors of lists.
    pub cursor_key: CursorKey,
    /// When things happen.
    pub clock: Clock,
}

/// The routes of this function.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/webhooks/endpoints", post(api::create).get(api::list))
        .route("/webhooks/endpoints/{endpoint_id}", get(api::read).patch(api::change).delete(api::remove))
        .route("/webhooks/endpoints/{endpoint_id}/secret", post(api::rotate))
        .route("/webhooks/endpoints/{endpoint_id}/test", post(deliveries::test))
        .route("/webhooks/endpoints/{endpoint_id}/deliveries", get(deliveries::list))
        .route("/webhooks/endpoints/{endpoint_id}/deliveries/{event_id}/replay", post(deliveries::replay))
        .route("/notifications/mail", put(mail::put).get(mail::read).delete(mail::remove))
        .with_state(Arc::new(app))
}
