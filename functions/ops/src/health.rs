//! `GET /health`

use crate::App;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use holdfast_runtime::heartbeat::{Health, Vital, vitals};
use holdfast_runtime::http::{OpenScope, OwnBody};
use holdfast_runtime::telemetry::chain;
use http::StatusCode;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// How the installation is.
#[derive(Serialize, ToSchema)]
#[schema(as = Health)]
pub struct HealthView {
    /// The worst of the checks.
    status: Health,
    /// By the names of the table, the relay, and the jobs of maintenance.
    checks: BTreeMap<&'static str, CheckView>,
}

/// How one part is.
#[derive(Serialize, ToSchema)]
#[schema(as = HealthCheck)]
pub struct CheckView {
    status: Health,
    /// How many seconds ago it last succeeded; null if it never did, or for the table.
    silent_seconds: Option<i64>,
    /// After how many it counts as silent.
    silent_seconds_max: Option<i64>,
}

/// Tells how the installation is, to anybody: nothing in it is about a tenant.
///
/// `degraded`: a safety net is missing, orders go on. `unhealthy`: the table gives no answer, or nothing was relayed for five
/// minutes, so that orders are taken and nothing follows from them.
#[utoipa::path(get, path = "/health", operation_id = "readHealth", tag = "operations", security(()),
    responses(
        (status = 200, description = "healthy or degraded", body = HealthView),
        (status = 503, description = "unhealthy", body = HealthView),
    ))]
pub async fn health(State(app): State<Arc<App>>, scope: OpenScope) -> Response {
    let mut checks = BTreeMap::new();
    let table = match app.store.heartbeats().await {
        Ok(heartbeats) => {
            checks.extend(vitals(&heartbeats, app.clock.now()).iter().map(|vital| (vital.beat, check(vital))));
            Health::Healthy
        }
        Err(error) => {
            tracing::error!(correlation_id = scope.trace.correlation_id, error = chain(&error), "table_unhealthy");
            Health::Unhealthy
        }
    };
    checks.insert("table", CheckView { status: table, silent_seconds: None, silent_seconds_max: None });
    let status = checks.values().map(|check| check.status).max().unwrap_or(Health::Unhealthy);
    let code = if status == Health::Unhealthy { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let mut response = axum::Json(HealthView { status, checks }).into_response();
    *response.status_mut() = code;
    response.extensions_mut().insert(OwnBody);
    response
}

fn check(vital: &Vital) -> CheckView {
    CheckView {
        status: vital.health,
        silent_seconds: vital.silence.map(|silence| silence.as_secs()),
        silent_seconds_max: Some(vital.silence_max.as_secs()),
    }
}
