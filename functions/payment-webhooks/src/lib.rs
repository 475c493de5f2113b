//! Notices of the payment provider, over HTTP: whatever Stripe says happened to the payment of an order makes the worker
//! look at that order.
//!
//! A notice is a hint and no more: nothing of it is noted on the order. So notices may come early, late, twice, in any
//! order and while the worker is at the same payment.

mod notice;
mod signature;

pub use signature::{SIGNATURE_HEADER, Secrets, TOLERANCE_SECONDS};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use holdfast_domain::event::CloudEvent;
use holdfast_domain::invalid::Invalid;
use holdfast_runtime::clock::Clock;
use holdfast_runtime::http::schemas::ProblemSchema;
use holdfast_runtime::http::{OpenScope, Problem};
use holdfast_runtime::message::{Message, Publisher};
use http::{HeaderMap, StatusCode};
use notice::{Matter, Notice};
use serde::Serialize;
use signature::Unsigned;
use std::sync::Arc;
use utoipa::ToSchema;

/// What this function serves: method and path, as in the template.
pub const ROUTES: &[(&str, &str)] = &[("POST", "/webhooks/stripe")];

/// The largest body read, in bytes. Stripe's events are some kilobytes.
pub const BODY_BYTES_MAX: usize = 1 << 18;

/// The description of these routes.
#[derive(utoipa::OpenApi)]
#[openapi(paths(stripe))]
pub struct Description;

struct App {
    publisher: Publisher,
    secrets: Secrets,
    clock: Clock,
}

/// What the provider gets to hear.
#[derive(Serialize, ToSchema)]
#[schema(as = NoticeTaken)]
struct NoticeTaken {
    /// Whether the notice is about an order, which is looked at now.
    taken: bool,
}

/// The routes of this function.
pub fn router(publisher: Publisher, secrets: Secrets, clock: Clock) -> Router {
    Router::new().route("/webhooks/stripe", post(stripe)).with_state(Arc::new(App { publisher, secrets, clock }))
}

/// Takes an event of Stripe's, by its signature. What does not concern an order is taken and has no effect.
#[utoipa::path(post, path = "/webhooks/stripe", operation_id = "takeStripeEvent", tag = "payments", security(()),
    params(("Stripe-Signature" = String, Header, description = "As Stripe makes it: `t=…,v1=…`")),
    request_body(content = serde_json::Value, description = "An event: <https://docs.stripe.com/api/events/object>"),
    responses(
        (status = 200, description = "Taken, now or before", body = NoticeTaken),
        (status = 400, description = "invalid-signature, stale-signature, invalid-request", body = ProblemSchema),
        (status = 413, description = "body-too-large", body = ProblemSchema),
        (status = 503, description = "unavailable: send it again", body = ProblemSchema),
    ))]
async fn stripe(
    State(app): State<Arc<App>>,
    scope: OpenScope,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let body = axum::body::to_bytes(request.into_body(), BODY_BYTES_MAX).await.map_err(|_| {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large")
            .detail(format!("At most {BODY_BYTES_MAX} bytes are read."))
    })?;
    app.secrets.verify(&headers, &body, app.clock.now()).map_err(refused)?;
    let notice = read(&body)?;
    let Some((tenant, order_id)) = notice.order() else {
        scope.notes.outcome("no-order");
        return Ok(taken(false));
    };
    scope.notes.order(order_id);
    let lapsed = match notice.matter() {
        Matter::Unknown => {
            scope.notes.outcome("ignored");
            return Ok(taken(false));
        }
        Matter::Step => false,
        Matter::Lapsed => true,
        Matter::RefundFailed => {
            // The ledger says that it went back: people have to see to it.
            tracing::error!(
                tenant = tenant.as_str(),
                %order_id,
                event_id = notice.id,
                correlation_id = scope.trace.correlation_id,
                "refund_failed"
            );
            false
        }
    };
    let event = CloudEvent::payment_notice(lapsed, &notice.id, app.clock.now(), &scope.trace, tenant, order_id);
    match app.publisher.publish(&[Message::now(event)]).await.pop() {
        None => {
            scope.notes.outcome(if lapsed { "lapsed" } else { "noticed" });
            Ok(taken(true))
        }
        Some(unpublished) => {
            tracing::warn!(
                event_id = notice.id,
                correlation_id = scope.trace.correlation_id,
                error = unpublished.error,
                "notice_not_published"
            );
            Err(Problem::unavailable().detail("The notice was not taken. Send it again."))
        }
    }
}

fn read(body: &Bytes) -> Result<Notice, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem::invalid(vec![Invalid::new("body", format!("is not an event of Stripe's: {error}"))]))
}

fn taken(taken: bool) -> Response {
    (StatusCode::OK, axum::Json(NoticeTaken { taken })).into_response()
}

fn refused(unsigned: Unsigned) -> Problem {
    let (slug, title) = match unsigned {
        Unsigned::Invalid => ("invalid-signature", "The signature is not Stripe's"),
        Unsigned::Stale => ("stale-signature", "The signature is too old, or of the future"),
    };
    Problem::new(StatusCode::BAD_REQUEST, slug, title).detail(unsigned.to_string())
}
