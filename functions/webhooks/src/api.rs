//! `/webhooks/endpoints`

use crate::App;
use crate::view::{EndpointView, EndpointsView, SecretView};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use holdfast_domain::ids::{EndpointId, Fingerprint};
use holdfast_domain::invalid::{Invalid, Problems};
use holdfast_domain::webhook::{
    DisabledWhy, ENDPOINTS_MAX, Endpoint, EndpointState, EventType, Health, Secret, Secrets, WebhookUrl,
};
use holdfast_runtime::http::schemas::ProblemSchema;
use holdfast_runtime::http::{Json, Problem, Right, Scope, idempotency_key};
use holdfast_runtime::names::{Uncallable, callable_addresses};
use holdfast_store::{EndpointCreated, Store};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// How often a change is tried when others change the endpoint at the same time.
const ATTEMPTS_MAX: usize = 5;

/// The most types of events that a filter names.
const EVENTS_MAX: usize = 20;

/// A new endpoint. The canonical form of this is what a key is bound to.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateWebhookEndpoint)]
pub struct CreateBody {
    /// Where webhooks are sent: https, at a public address.
    #[schema(max_length = 2048, example = "https://shop.example/hooks")]
    url: String,
    /// Of what it is told, such as `order.placed`; of everything if this is empty.
    #[serde(default)]
    #[schema(max_items = 20)]
    events: Vec<String>,
}

/// What is to be another of an endpoint. What is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChangeWebhookEndpoint)]
pub struct ChangeBody {
    /// Where webhooks are sent.
    #[serde(default)]
    #[schema(max_length = 2048)]
    url: Option<String>,
    /// Of what it is told.
    #[serde(default)]
    #[schema(max_items = 20)]
    events: Option<Vec<String>>,
    /// Whether anything is sent to it. Enabling one again forgets its failures; what happened meanwhile is not sent.
    #[serde(default)]
    enabled: Option<bool>,
}

/// Makes an endpoint: 201 with its secret, which is never shown again; or 200 without it, if an earlier request with this key
/// made it. Who lost the secret rotates it.
#[utoipa::path(post, path = "/webhooks/endpoints", operation_id = "createWebhookEndpoint", tag = "webhooks", security(("jwt" = ["staff"])),
    request_body = CreateBody,
    params(("Idempotency-Key" = String, Header, description = "The caller's name for this endpoint, the same on every retry")),
    responses(
        (status = 201, description = "Made", body = SecretView),
        (status = 200, description = "Made before, by a request with this key", body = EndpointView),
        (status = 400, description = "invalid-request, idempotency-key-missing", body = ProblemSchema),
        (status = 409, description = "too-many-endpoints: a shop may have 10", body = ProblemSchema),
        (status = 422, description = "idempotency-key-reused", body = ProblemSchema),
    ))]
pub async fn create(
    State(app): State<Arc<App>>,
    scope: Scope,
    headers: HeaderMap,
    Json(body): Json<CreateBody>,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Staff)?;
    let key = idempotency_key(&headers)?;
    let tenant = &scope.caller.tenant;
    let fingerprint = Fingerprint::of(&serde_json::to_vec(&body).expect("a body that was read can be written"));
    let mut problems = Problems::new();
    let url = problems.keep("", app.url(&body.url).await);
    let events = problems.keep("", events(&body.events));
    let (url, events) = problems.finish(url.zip(events)).map_err(Problem::invalid)?;
    let secret = Secret::of(rand::random());
    let endpoint = Endpoint {
        tenant: tenant.clone(),
        id: EndpointId::derive(tenant, &key),
        url,
        events,
        secrets: Secrets::new(secret.clone()),
        state: EndpointState::Enabled,
        health: Health::default(),
        created_at: app.clock.now(),
        version: 1,
        fingerprint,
    };
    match app.metered(&scope).endpoint_create(&endpoint).await? {
        EndpointCreated::Done => {
            scope.notes.outcome("created");
            let view = SecretView { endpoint: EndpointView::from(&endpoint), secret: secret.reveal() };
            let mut response = (StatusCode::CREATED, axum::Json(view)).into_response();
            let location = HeaderValue::from_str(&format!("/webhooks/endpoints/{}", endpoint.id));
            response.headers_mut().insert(header::LOCATION, location.expect("ids are header values"));
            Ok(secret_kept_out_of_caches(response))
        }
        EndpointCreated::Existing(existing) if existing.fingerprint == fingerprint => {
            scope.notes.outcome("replayed");
            let mut response = answer(&existing);
            let replayed = HeaderName::from_static("idempotent-replayed");
            response.headers_mut().insert(replayed, HeaderValue::from_static("true"));
            Ok(response)
        }
        EndpointCreated::Existing(_) => Err(Problem::key_reused(
            "An endpoint with this key and another body exists. Use a new key for a new endpoint.",
        )),
        EndpointCreated::TooMany => {
            Err(Problem::new(StatusCode::CONFLICT, "too-many-endpoints", "There are too many endpoints")
                .detail(format!("A shop may have {ENDPOINTS_MAX}. Delete one that is not needed."))
                .with("limit", ENDPOINTS_MAX))
        }
    }
}

/// Lists the endpoints of the shop.
#[utoipa::path(get, path = "/webhooks/endpoints", operation_id = "listWebhookEndpoints", tag = "webhooks", security(("jwt" = ["staff"])),
    responses((status = 200, description = "All of them", body = EndpointsView)))]
pub async fn list(State(app): State<Arc<App>>, scope: Scope) -> Result<Response, Problem> {
    scope.caller.require(Right::Staff)?;
    let endpoints = app.metered(&scope).endpoints_of(&scope.caller.tenant).await?;
    let endpoints = endpoints.iter().map(EndpointView::from).collect();
    Ok(axum::Json(EndpointsView { endpoints }).into_response())
}

/// Reads an endpoint.
#[utoipa::path(get, path = "/webhooks/endpoints/{endpoint_id}", operation_id = "readWebhookEndpoint", tag = "webhooks", security(("jwt" = ["staff"])),
    params(("endpoint_id" = String, Path, description = "The endpoint")),
    responses(
        (status = 200, description = "As it is", body = EndpointView),
        (status = 404, description = "not-found, also for another shop's", body = ProblemSchema),
    ))]
pub async fn read(State(app): State<Arc<App>>, scope: Scope, Path(id): Path<String>) -> Result<Response, Problem> {
    scope.caller.require(Right::Staff)?;
    Ok(answer(&own(&app.metered(&scope), &scope, id).await?))
}

/// Changes an endpoint, or enables one again that was disabled.
#[utoipa::path(patch, path = "/webhooks/endpoints/{endpoint_id}", operation_id = "changeWebhookEndpoint", tag = "webhooks", security(("jwt" = ["staff"])),
    params(("endpoint_id" = String, Path, description = "The endpoint")), request_body = ChangeBody,
    responses(
        (status = 200, description = "As it is now", body = EndpointView),
        (status = 400, description = "invalid-request", body = ProblemSchema),
        (status = 404, description = "not-found, also for another shop's", body = ProblemSchema),
    ))]
pub async fn change(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(id): Path<String>,
    Json(body): Json<ChangeBody>,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Staff)?;
    let mut problems = Problems::new();
    let url = match &body.url {
        Some(url) => problems.keep("", app.url(url).await),
        None => None,
    };
    let events = problems.keep("", body.events.as_deref().map(events).transpose());
    let events = problems.finish(events).map_err(Problem::invalid)?;
    let now = app.clock.now();
    let changed = app.changed(&scope, id, |endpoint| {
        let state = match (body.enabled, endpoint.state) {
            (Some(true), _) => EndpointState::Enabled,
            (Some(false), EndpointState::Enabled) => EndpointState::Disabled { why: DisabledWhy::Staff, at: now },
            (_, state) => state,
        };
        let health =
            if body.enabled == Some(true) && !endpoint.is_enabled() { Health::default() } else { endpoint.health };
        Endpoint {
            url: url.clone().unwrap_or_else(|| endpoint.url.clone()),
            events: events.clone().unwrap_or_else(|| endpoint.events.clone()),
            state,
            health,
            ..endpoint.clone()
        }
    });
    let endpoint = changed.await?;
    scope.notes.outcome("changed");
    Ok(answer(&endpoint))
}

/// Removes an endpoint. What waits to be sent to it is not sent any more.
#[utoipa::path(delete, path = "/webhooks/endpoints/{endpoint_id}", operation_id = "deleteWebhookEndpoint", tag = "webhooks", security(("jwt" = ["staff"])),
    params(("endpoint_id" = String, Path, description = "The endpoint")),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "not-found: also after it was removed, and for another shop's", body = ProblemSchema),
    ))]
pub async fn remove(State(app): State<Arc<App>>, scope: Scope, Path(id): Path<String>) -> Result<Response, Problem> {
    scope.caller.require(Right::Staff)?;
    let id = endpoint_id(id)?;
    match app.metered(&scope).endpoint_delete(&scope.caller.tenant, &id).await? {
        true => Ok(StatusCode::NO_CONTENT.into_response()),
        false => Err(Problem::not_found("endpoint")),
    }
}

/// Gives an endpoint a new secret. The one before it signs for 24 hours more, beside it, so that receivers have the time to
/// change; of more than three in that time, the oldest ends early.
#[utoipa::path(post, path = "/webhooks/endpoints/{endpoint_id}/secret", operation_id = "rotateWebhookSecret", tag = "webhooks", security(("jwt" = ["staff"])),
    params(("endpoint_id" = String, Path, description = "The endpoint")),
    responses(
        (status = 200, description = "With the new secret, which is never shown again", body = SecretView),
        (status = 404, description = "not-found, also for another shop's", body = ProblemSchema),
    ))]
pub async fn rotate(State(app): State<Arc<App>>, scope: Scope, Path(id): Path<String>) -> Result<Response, Problem> {
    scope.caller.require(Right::Staff)?;
    let (secret, now) = (Secret::of(rand::random()), app.clock.now());
    let rotated = app.changed(&scope, id, |endpoint| Endpoint {
        secrets: endpoint.secrets.rotated(secret.clone(), now),
        ..endpoint.clone()
    });
    let view = SecretView { endpoint: EndpointView::from(&rotated.await?), secret: secret.reveal() };
    scope.notes.outcome("rotated");
    Ok(secret_kept_out_of_caches(axum::Json(view).into_response()))
}

impl App {
    /// The store, counting what a request spends.
    pub(crate) fn metered(&self, scope: &Scope) -> Store {
        self.store.metered(Arc::clone(&scope.meter))
    }

    /// Writes what `change` makes of an endpoint, again if others changed it meanwhile.
    async fn changed(
        &self,
        scope: &Scope,
        id: String,
        change: impl Fn(&Endpoint) -> Endpoint,
    ) -> Result<Endpoint, Problem> {
        let store = self.metered(scope);
        for _ in 0..ATTEMPTS_MAX {
            let before = own(&store, scope, id.clone()).await?;
            let after = Endpoint { version: before.version + 1, ..change(&before) };
            if store.endpoint_change(&before, &after).await? {
                return Ok(after);
            }
        }
        Err(Problem::busy())
    }

    /// A URL that may be called: by its text, and by what its name leads to now. A name may lead elsewhere later, so the
    /// delivery looks again.
    async fn url(&self, text: &str) -> Result<String, Invalid> {
        let url = WebhookUrl::parse(text, self.loopback)?;
        if url.address().is_none() {
            let callable = callable_addresses(&*self.names, url.host(), self.loopback).await;
            callable.map_err(|uncallable| match uncallable {
                Uncallable::NotPublic => Invalid::new("url", "must lead to a public address"),
                Uncallable::Unresolved(_) => Invalid::new("url", "must have a name that resolves"),
            })?;
        }
        Ok(url.as_str().to_owned())
    }
}

/// The caller's endpoint of this id.
pub(crate) async fn own(store: &Store, scope: &Scope, id: String) -> Result<Endpoint, Problem> {
    let endpoint = store.endpoint_read(&scope.caller.tenant, &endpoint_id(id)?).await?;
    endpoint.ok_or_else(|| Problem::not_found("endpoint"))
}

fn endpoint_id(id: String) -> Result<EndpointId, Problem> {
    EndpointId::parse(id).map_err(|_| Problem::not_found("endpoint"))
}

fn events(names: &[impl AsRef<str>]) -> Result<Vec<EventType>, Invalid> {
    if names.len() > EVENTS_MAX {
        return Err(Invalid::new("events", format!("must be at most {EVENTS_MAX}")));
    }
    let mut problems = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let named = |invalid: Invalid| Invalid::new(format!("events[{index}]"), invalid.problem);
        problems.push(EventType::parse(name.as_ref()).map_err(named)?);
    }
    problems.sort_unstable();
    problems.dedup();
    Ok(problems)
}

fn answer(endpoint: &Endpoint) -> Response {
    axum::Json(EndpointView::from(endpoint)).into_response()
}

fn secret_kept_out_of_caches(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
