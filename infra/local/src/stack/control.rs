//! Answers what only the stack knows, for tests that run in other processes.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::idle::Watch;
use crate::engines::server::Server;
use crate::sources::deliveries::{Deliveries, Delivery};

/// The control endpoint. It stops when it is dropped.
pub struct Control {
    server: Server,
}

struct Shared {
    watch: Arc<Watch>,
    deliveries: Arc<Deliveries>,
}

impl Control {
    /// Starts the endpoint.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(watch: Arc<Watch>, deliveries: Arc<Deliveries>) -> anyhow::Result<Self> {
        let router = Router::new()
            .route("/idle", get(idle))
            .route("/queues", get(queues))
            .route("/deliveries", get(delivered))
            .with_state(Arc::new(Shared { watch, deliveries }));
        Ok(Self { server: Server::start(|_| Ok(router)).await? })
    }

    /// The base URL.
    pub fn url(&self) -> &str {
        self.server.url()
    }
}

/// `{"busy": null}`, or what is under way.
async fn idle(State(shared): State<Arc<Shared>>) -> Response {
    match shared.watch.idle().await {
        Ok(busy) => Json(json!({ "busy": busy })).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    }
}

/// The depth of every queue.
async fn queues(State(shared): State<Arc<Shared>>) -> Response {
    match shared.watch.queue_depths().await {
        Ok(depths) => Json(depths).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    }
}

#[derive(Deserialize)]
struct Wanted {
    event_id: Option<String>,
}

/// All deliveries by event id, or those of `?event_id=`.
async fn delivered(State(shared): State<Arc<Shared>>, Query(wanted): Query<Wanted>) -> Response {
    match wanted.event_id {
        Some(id) => Json(Delivery {
            delivered: shared.deliveries.delivered(&id),
            acknowledged: shared.deliveries.acknowledged(&id),
        })
        .into_response(),
        None => Json(shared.deliveries.snapshot()).into_response(),
    }
}
