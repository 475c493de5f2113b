//! `GET /exports`, `GET` and `DELETE /exports/{export_id}`

use crate::App;
use crate::view::{ExportView, ExportWithParts};
use axum::extract::{Path, State};
use holdfast_domain::export::{Export, ExportState};
use holdfast_domain::ids::ExportId;
use holdfast_runtime::http::schemas::ProblemSchema;
use holdfast_runtime::http::{Params, Problem, Right, Scope};
use holdfast_store::Store;
use http::{StatusCode, Uri};
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;
use utoipa::ToSchema;

/// The most exports of a page.
const LIMIT_MAX: usize = 100;
/// The exports of a page unless asked otherwise.
const LIMIT_DEFAULT: usize = 20;
/// How often a cancellation is tried while a run moves the export on.
const ATTEMPTS_MAX: usize = 8;

/// A page of exports.
#[derive(Serialize, ToSchema)]
#[schema(as = Exports)]
pub struct ExportsPage {
    /// The latest first.
    exports: Vec<ExportView>,
    /// To be passed as `cursor` for the next page; null at the end.
    next_cursor: Option<String>,
}

/// Lists the tenant's exports of the last 30 days, the latest first.
#[utoipa::path(get, path = "/exports", operation_id = "listExports", tag = "exports", security(("jwt" = ["staff"])),
    params(
        ("limit" = Option<u32>, Query, description = "1 to 100 exports a page; 20 without it"),
        ("cursor" = Option<String>, Query, description = "The next_cursor of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = ExportsPage),
        (status = 400, description = "invalid-request", body = ProblemSchema),
    ))]
pub async fn list(State(app): State<Arc<App>>, scope: Scope, uri: Uri) -> Result<axum::Json<ExportsPage>, Problem> {
    scope.caller.require(Right::Staff)?;
    let tenant = &scope.caller.tenant;
    let name = json!([tenant, "exports"]).to_string();
    let mut params = Params::of(&uri, &["limit", "cursor"])?;
    let limit = params.read("limit", |text| {
        let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
        limit.ok_or_else(|| format!("must be 1 to {LIMIT_MAX}"))
    });
    let after = params.read("cursor", |text| app.settings.cursor_key.open(&name, text));
    params.finish()?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    let page = store.exports_of_tenant(tenant, limit.unwrap_or(LIMIT_DEFAULT), after.as_deref()).await?;
    let now = app.clock.now();
    Ok(axum::Json(ExportsPage {
        exports: page.exports.iter().map(|export| ExportView::at(export, now)).collect(),
        next_cursor: page.next.map(|position| app.settings.cursor_key.seal(&name, &position)),
    }))
}

/// Tells how far an export has come, with links to its parts that are good for an hour.
#[utoipa::path(get, path = "/exports/{export_id}", operation_id = "readExport", tag = "exports", security(("jwt" = ["staff"])),
    params(
        ("export_id" = String, Path, description = "The export"),
        ("first_part" = Option<u32>, Query, description = "The first part to link to; 1 without it. An answer has at most 1,000 links"),
    ),
    responses(
        (status = 200, description = "The export", body = ExportWithParts),
        (status = 400, description = "invalid-request", body = ProblemSchema),
        (status = 404, description = "not-found, also for another tenant's export", body = ProblemSchema),
    ))]
pub async fn read(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(export_id): Path<String>,
    uri: Uri,
) -> Result<axum::Json<ExportWithParts>, Problem> {
    scope.caller.require(Right::Staff)?;
    let mut params = Params::of(&uri, &["first_part"])?;
    let first = params.read("first_part", |text| {
        text.parse().ok().filter(|first| *first > 0).ok_or_else(|| "must be the number of a part, from 1".to_owned())
    });
    params.finish()?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    let export = visible(&store, &scope, &export_id).await?;
    let view = ExportWithParts::at(&export, app.clock.now(), first.unwrap_or(1), &app.settings.links).await?;
    Ok(axum::Json(view))
}

/// Calls an export off: 200 with the export, also when it was called off before. A part that is being written may still be
/// stored, but is listed nowhere.
#[utoipa::path(delete, path = "/exports/{export_id}", operation_id = "cancelExport", tag = "exports", security(("jwt" = ["staff"])),
    params(("export_id" = String, Path, description = "The export")),
    responses(
        (status = 200, description = "Called off", body = ExportView),
        (status = 404, description = "not-found, also for another tenant's export", body = ProblemSchema),
        (status = 409, description = "illegal-transition: it ended before", body = ProblemSchema),
        (status = 503, description = "busy, unavailable: repeat the request", body = ProblemSchema),
    ))]
pub async fn cancel(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(export_id): Path<String>,
) -> Result<axum::Json<ExportView>, Problem> {
    scope.caller.require(Right::Staff)?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    for _ in 0..ATTEMPTS_MAX {
        let export = visible(&store, &scope, &export_id).await?;
        let now = app.clock.now();
        let Some(cancelled) = export.cancelled(now).map_err(ended)? else {
            return Ok(axum::Json(ExportView::at(&export, now)));
        };
        if store.export_step(&cancelled).await? {
            return Ok(axum::Json(ExportView::at(&cancelled, now)));
        }
    }
    Err(Problem::busy())
}

/// An export of the caller's tenant.
///
/// # Errors
/// 404 for one that does not exist or is another tenant's; the latter is counted (SEC-1).
async fn visible(store: &Store, scope: &Scope, export_id: &str) -> Result<Export, Problem> {
    let id = ExportId::parse(export_id).map_err(|invalid| Problem::invalid(vec![invalid]))?;
    let tenant = &scope.caller.tenant;
    let not_found = || Problem::not_found("export");
    if !id.may_be_of(tenant) {
        let correlation_id = &scope.trace.correlation_id;
        tracing::warn!(count = 1, tenant = tenant.as_str(), correlation_id, "cross_tenant_refused");
        return Err(not_found());
    }
    store.export_read(tenant, id).await?.ok_or_else(not_found)
}

fn ended(state: ExportState) -> Problem {
    Problem::new(StatusCode::CONFLICT, "illegal-transition", "The export has ended")
        .detail("Only an export that is not over can be called off.")
        .with("from", json!(state))
        .with("to", json!(ExportState::Cancelled))
        .with("allowed", json!([]))
}
