//! Deliveries: their log, replays and tests.

use crate::App;
use crate::api::own;
use crate::view::{DeliveriesView, DeliveryView};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use holdfast_domain::ids::MessageId;
use holdfast_domain::webhook::{Delivery, DeliveryState, DeliveryTimer, Endpoint, TEST_EVENT};
use holdfast_runtime::http::schemas::ProblemSchema;
use holdfast_runtime::http::{Params, Problem, Right, Scope};
use holdfast_store::Written;
use http::{StatusCode, Uri};
use serde_json::json;
use std::sync::Arc;

/// The most deliveries of a page.
const LIMIT_MAX: usize = 100;
/// The deliveries of a page unless asked otherwise.
const LIMIT_DEFAULT: usize = 20;
/// How often a replay is tried when an attempt ends at the same time.
const ATTEMPTS_MAX: usize = 5;

/// Lists what was sent to an endpoint, or is to be, in the last 30 days: newest first.
#[utoipa::path(get, path = "/webhooks/endpoints/{endpoint_id}/deliveries", operation_id = "listWebhookDeliveries", tag = "webhooks", security(("jwt" = ["staff"])),
    params(
        ("endpoint_id" = String, Path, description = "The endpoint"),
        ("state" = Option<String>, Query, description = "Only `pending`, `delivered` or `failed` ones"),
        ("limit" = Option<u32>, Query, description = "1 to 100 a page; 20 without it"),
        ("cursor" = Option<String>, Query, description = "The next_cursor of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = DeliveriesView),
        (status = 400, description = "invalid-request", body = ProblemSchema),
        (status = 404, description = "not-found, also for another shop's", body = ProblemSchema),
    ))]
pub async fn list(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Staff)?;
    let mut params = Params::of(&uri, &["state", "limit", "cursor"])?;
    let state = params.read("state", state);
    let limit = params.read("limit", limit).unwrap_or(LIMIT_DEFAULT);
    let name = json!(["deliveries", scope.caller.tenant, id, state.map(DeliveryState::name)]).to_string();
    let after = params.read("cursor", |text| {
        let message = app.cursor_key.open(&name, text)?;
        MessageId::parse(message).map_err(|invalid| invalid.problem)
    });
    params.finish()?;
    let store = app.metered(&scope);
    let endpoint = own(&store, &scope, id).await?;
    let page = store.deliveries_of(&endpoint.tenant, &endpoint.id, state, limit, after).await?;
    let view = DeliveriesView {
        deliveries: page.deliveries.iter().map(DeliveryView::from).collect(),
        next_cursor: page.next.map(|message| app.cursor_key.seal(&name, message.as_str())),
    };
    Ok(axum::Json(view).into_response())
}

/// Sends a message again, whatever became of it: at once, and then by the schedule. Its id stays, so that a receiver that has it
/// already can tell.
#[utoipa::path(post, path = "/webhooks/endpoints/{endpoint_id}/deliveries/{event_id}/replay", operation_id = "replayWebhookDelivery", tag = "webhooks", security(("jwt" = ["staff"])),
    params(
        ("endpoint_id" = String, Path, description = "The endpoint"),
        ("event_id" = String, Path, description = "The message"),
    ),
    responses(
        (status = 202, description = "It is due", body = DeliveryView),
        (status = 404, description = "not-found, also for another shop's", body = ProblemSchema),
        (status = 409, description = "endpoint-disabled", body = ProblemSchema),
        (status = 503, description = "busy, unavailable: repeat it", body = ProblemSchema),
    ))]
pub async fn replay(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path((id, event_id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Staff)?;
    let store = app.metered(&scope);
    let endpoint = own(&store, &scope, id).await?;
    let message = MessageId::parse(event_id).map_err(|_| Problem::not_found("delivery"))?;
    let found = store.delivery_read(&endpoint.tenant, &endpoint.id, &message).await?;
    let mut delivery = found.ok_or_else(|| Problem::not_found("delivery"))?;
    enabled(&endpoint)?;
    for _ in 0..ATTEMPTS_MAX {
        let replayed = delivery.replayed(app.clock.now());
        match store.delivery_write(&replayed).await? {
            Written::Done => return app.due(&scope, &replayed, "replayed").await,
            Written::Stale(current) => delivery = *current,
            Written::Gone => return Err(Problem::not_found("delivery")),
        }
    }
    Err(Problem::busy())
}

/// Sends a message of the type `endpoint.test` to an endpoint, to see whether it takes it: the log of deliveries tells.
#[utoipa::path(post, path = "/webhooks/endpoints/{endpoint_id}/test", operation_id = "testWebhookEndpoint", tag = "webhooks", security(("jwt" = ["staff"])),
    params(("endpoint_id" = String, Path, description = "The endpoint")),
    responses(
        (status = 202, description = "It is due", body = DeliveryView),
        (status = 404, description = "not-found, also for another shop's", body = ProblemSchema),
        (status = 409, description = "endpoint-disabled", body = ProblemSchema),
        (status = 503, description = "busy, unavailable: repeat it", body = ProblemSchema),
    ))]
pub async fn test(State(app): State<Arc<App>>, scope: Scope, Path(id): Path<String>) -> Result<Response, Problem> {
    scope.caller.require(Right::Staff)?;
    let store = app.metered(&scope);
    let endpoint = own(&store, &scope, id).await?;
    enabled(&endpoint)?;
    let now = app.clock.now();
    let body = json!({"type": TEST_EVENT, "timestamp": now, "data": {"endpoint_id": endpoint.id}}).to_string();
    let message = MessageId::of_test(now, rand::random());
    let place = (&endpoint.tenant, &endpoint.id);
    let first = Delivery::first(place, message, TEST_EVENT.to_owned(), body, now, now);
    // Nothing is under way yet: whoever gets the timer begins.
    let delivery = Delivery { leased_until: None, ..first };
    match store.delivery_write(&delivery).await? {
        Written::Done => app.due(&scope, &delivery, "tested").await,
        Written::Stale(_) | Written::Gone => Err(Problem::busy()),
    }
}

impl App {
    /// Tells the notifier that a delivery is due. What is written and not told of is due when the request is repeated.
    async fn due(&self, scope: &Scope, delivery: &Delivery, outcome: &'static str) -> Result<Response, Problem> {
        let now = self.clock.now();
        let Delivery { tenant, endpoint, message, .. } = delivery;
        let timer = DeliveryTimer::new(tenant, endpoint, message, now, &scope.trace);
        if let Err(error) = self.publisher.send_delivery_timer(&timer, now).await {
            let correlation_id = scope.trace.correlation_id.as_str();
            tracing::error!(
                correlation_id,
                tenant = tenant.as_str(),
                event_id = message.as_str(),
                %error,
                "timer_not_sent"
            );
            return Err(Problem::unavailable());
        }
        scope.notes.outcome(outcome);
        Ok((StatusCode::ACCEPTED, axum::Json(DeliveryView::from(delivery))).into_response())
    }
}

fn enabled(endpoint: &Endpoint) -> Result<(), Problem> {
    match endpoint.is_enabled() {
        true => Ok(()),
        false => Err(Problem::new(StatusCode::CONFLICT, "endpoint-disabled", "The endpoint is disabled")
            .detail("Nothing is sent to it. Enable it first.")),
    }
}

fn state(text: &str) -> Result<DeliveryState, String> {
    let state = DeliveryState::ALL.into_iter().find(|state| state.name() == text);
    state.ok_or_else(|| format!("must be one of {}", DeliveryState::ALL.map(DeliveryState::name).join(", ")))
}

fn limit(text: &str) -> Result<usize, String> {
    let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| format!("must be 1 to {LIMIT_MAX}"))
}
