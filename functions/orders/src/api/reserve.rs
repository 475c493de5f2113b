//! `POST /reservations`

use super::lines::{self, LineBody};
use super::place::IDEMPOTENT_REPLAYED;
use super::reservation::{ReservationView, answer};
use crate::placing::Placed;
use crate::{App, problems};
use axum::extract::State;
use axum::response::Response;
use holdfast_domain::ids::{Fingerprint, OrderId};
use holdfast_domain::invalid::{Invalid, Problems};
use holdfast_domain::money::Currency;
use holdfast_domain::order::{LINES_AT_ONCE_MAX, PlaceOrder, Purpose};
use holdfast_domain::payment::CapturePolicy;
use holdfast_domain::text::Country;
use holdfast_runtime::http::schemas::ProblemSchema;
use holdfast_runtime::http::{Json, Problem, Right, Scope, idempotency_key};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// How long a reservation may last, in seconds: a day, which maintenance looks back beyond.
const TTL_SECONDS_MAX: i64 = 86_400;
/// How long it lasts unless asked otherwise.
const TTL_SECONDS_DEFAULT: i64 = 900;

/// The body. Its canonical form is what a key is bound to.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Reserve)]
pub struct ReserveBody {
    /// What is wanted. As much as one transaction takes: usually 99 products.
    #[schema(min_items = 1, max_items = 400)]
    lines: Vec<LineBody>,
    /// How long the stock is held, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 86_400, default = 900)]
    ttl_seconds: Option<i64>,
    /// ISO 4217: what it will be paid in. That of the first product if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "EUR")]
    currency: Option<String>,
    /// Where it will go, ISO 3166-1 alpha-2, if that is known: it may decide which warehouse it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "DE")]
    country: Option<String>,
}

/// Holds stock for a cart: 201, or 200 with the reservation that an earlier request with the same key made. Prices and
/// purchase limits bind now; what is not confirmed goes back when the time is over.
#[utoipa::path(post, path = "/reservations", operation_id = "reserve", tag = "reservations", security(("jwt" = ["orders"])), request_body = ReserveBody,
    params(("Idempotency-Key" = String, Header, description = "The caller's name for this reservation, the same on every retry")),
    responses(
        (status = 201, description = "Held", body = ReservationView),
        (status = 200, description = "Held before, by a request with this key; as it is now", body = ReservationView),
        (status = 400, description = "invalid-request, idempotency-key-missing", body = ProblemSchema),
        (status = 409, description = "out-of-stock, price-changed, rate-unavailable, limit-reached", body = ProblemSchema),
        (status = 422, description = "idempotency-key-reused, unknown-product, too-many-lines", body = ProblemSchema),
        (status = 503, description = "busy, unavailable: repeat with the same key", body = ProblemSchema),
    ))]
pub async fn reserve(
    State(app): State<Arc<App>>,
    scope: Scope,
    headers: HeaderMap,
    Json(body): Json<ReserveBody>,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Orders)?;
    let key = idempotency_key(&headers)?;
    let id = OrderId::derive_reserved(&scope.caller.tenant, &scope.caller.customer.id, &key);
    scope.notes.order(id);
    if body.lines.len() > LINES_AT_ONCE_MAX {
        return Err(problems::too_many_lines(LINES_AT_ONCE_MAX));
    }
    let (mut request, lasts) = checked(body, &scope, id).map_err(Problem::invalid)?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    request.capture = app.order_policy(&store, &scope).await?.capture;
    let (status, reserved) = match app.place(&store, &request, lasts, &scope.trace).await? {
        Placed::New(reserved) => (StatusCode::CREATED, reserved),
        Placed::Before(reserved) => (StatusCode::OK, reserved),
    };
    let mut response = answer(status, &reserved);
    if status == StatusCode::CREATED {
        scope.notes.outcome("reserved");
        let location = HeaderValue::from_str(&format!("/reservations/{id}"));
        response.headers_mut().insert(header::LOCATION, location.expect("ids are header values"));
    } else {
        scope.notes.outcome("replayed");
        response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

fn checked(body: ReserveBody, scope: &Scope, order_id: OrderId) -> Result<(PlaceOrder, SignedDuration), Vec<Invalid>> {
    let canonical = serde_json::to_vec(&body).expect("a body that was read can be written");
    let mut problems = Problems::new();
    let lines = lines::checked(body.lines, &mut problems);
    let ttl = problems.keep("", ttl(body.ttl_seconds.unwrap_or(TTL_SECONDS_DEFAULT)));
    let currency = problems.keep("", body.currency.as_deref().map(Currency::parse).transpose()).flatten();
    let country = problems.keep("", body.country.map(Country::try_from).transpose()).flatten();
    let request = ttl.map(|ttl| {
        let request = PlaceOrder {
            tenant: scope.caller.tenant.clone(),
            customer: scope.caller.customer.clone(),
            order_id,
            fingerprint: Fingerprint::of(&canonical),
            currency,
            lines,
            coupon: None,
            contact: None,
            purpose: Purpose::Reservation { country },
            capture: CapturePolicy::default(),
        };
        (request, ttl)
    });
    problems.finish(request)
}

fn ttl(seconds: i64) -> Result<SignedDuration, Invalid> {
    match (1..=TTL_SECONDS_MAX).contains(&seconds) {
        true => Ok(SignedDuration::from_secs(seconds)),
        false => Err(Invalid::new("ttl_seconds", format!("must be 1 to {TTL_SECONDS_MAX}"))),
    }
}
