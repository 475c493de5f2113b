//! `GET /events/schema` and `GET /events/schema/{type}`

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use holdfast_domain::schema::{VERSION, schema_of, types};
use holdfast_runtime::http::schemas::ProblemSchema;
use holdfast_runtime::http::{OpenScope, Params, Problem};
use http::{HeaderValue, Uri, header};
use serde::Serialize;
use utoipa::ToSchema;

/// The types of events.
#[derive(Serialize, ToSchema)]
#[schema(as = EventTypes)]
pub struct TypesView {
    types: Vec<TypeView>,
}

/// A type of event.
#[derive(Serialize, ToSchema)]
#[schema(as = EventType)]
pub struct TypeView {
    #[serde(rename = "type")]
    #[schema(example = "com.holdfast.order.placed")]
    event_type: String,
    /// The latest version of its schema.
    version: u32,
    /// Where that is.
    schema: String,
}

/// Lists the types of events.
#[utoipa::path(get, path = "/events/schema", operation_id = "listEventTypes", tag = "operations", security(()),
    responses((status = 200, description = "Every type", body = TypesView)))]
pub async fn list() -> axum::Json<TypesView> {
    let view = |event_type: String| {
        let schema = format!("/events/schema/{event_type}?version={VERSION}");
        TypeView { event_type, version: VERSION, schema }
    };
    axum::Json(TypesView { types: types().into_iter().map(view).collect() })
}

/// Gives the JSON schema of a type of event (CloudEvents 1.0, JSON format).
#[utoipa::path(get, path = "/events/schema/{type}", operation_id = "readEventSchema", tag = "operations", security(()),
    params(
        ("type" = String, Path, description = "The type, such as com.holdfast.order.placed"),
        ("version" = Option<u32>, Query, description = "The version of the schema; the latest without it"),
    ),
    responses(
        (status = 200, description = "The schema", content_type = "application/schema+json", body = serde_json::Value),
        (status = 400, description = "invalid-request", body = ProblemSchema),
        (status = 404, description = "not-found", body = ProblemSchema),
    ))]
pub async fn read(_: OpenScope, Path(event_type): Path<String>, uri: Uri) -> Result<Response, Problem> {
    let mut params = Params::of(&uri, &["version"])?;
    let version = params.read("version", |text| {
        text.parse::<u32>().ok().filter(|version| *version > 0).ok_or_else(|| "must be a version, from 1".to_owned())
    });
    params.finish()?;
    let schema = schema_of(&event_type).filter(|_| version.is_none_or(|version| version == VERSION));
    let schema = schema.ok_or_else(|| Problem::not_found("schema"))?;
    let mut response = axum::Json(schema).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/schema+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    Ok(response)
}
