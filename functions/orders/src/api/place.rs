//! `POST /orders`

use super::lines::{self, LineBody};
use super::view::{self, OrderView};
use crate::placing::Placed;
use crate::{App, problems};
use axum::extract::State;
use axum::response::Response;
use holdfast_domain::address::Address;
use holdfast_domain::contact::Email;
use holdfast_domain::ids::{CouponCode, Fingerprint, OrderId};
use holdfast_domain::invalid::{Invalid, Problems};
use holdfast_domain::money::Currency;
use holdfast_domain::order::{LINES_MAX, PlaceOrder, Purpose};
use holdfast_domain::payment::{CapturePolicy, PaymentMethod};
use holdfast_runtime::http::schemas::{AddressSchema, ProblemSchema};
use holdfast_runtime::http::{Json, Problem, Right, Scope, idempotency_key};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Says that the answer is that of an earlier request, as Stripe names it.
pub(super) const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The body. Its canonical form, with the fields in this order, is what a key is bound to.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PlaceOrder)]
pub struct PlaceBody {
    /// ISO 4217: what the order is paid in. Lines priced in another currency are converted at the shop's rate, each
    /// line's total once, rounded half to even.
    #[schema(example = "EUR")]
    currency: String,
    /// What is wanted.
    #[schema(min_items = 1, max_items = 5_000)]
    lines: Vec<LineBody>,
    /// The code of a coupon to redeem. Its discount is dealt to the lines that it is good for, and taken
    /// off before tax.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 32)]
    coupon: Option<String>,
    /// Where it goes.
    #[schema(value_type = AddressSchema)]
    shipping_address: Address,
    /// The payment provider's token, never a card number. Without it the order waits for one until it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "pm_card_visa")]
    payment_method: Option<String>,
    /// Where mails about the order go, if any are wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 254, example = "ada@example.com")]
    contact_email: Option<String>,
}

/// Places an order: 201 with the order, or 200 with the order that an earlier request with the same key placed.
///
/// Stock, the coupon's use and allowances of limited products are claimed with the order, all or nothing; the order
/// waits to be paid until `expires_at`.
#[utoipa::path(post, path = "/orders", operation_id = "placeOrder", tag = "orders", security(("jwt" = ["orders"])), request_body = PlaceBody,
    params(("Idempotency-Key" = String, Header, description = "The caller's name for this order, the same on every retry")),
    responses(
        (status = 201, description = "Placed", body = OrderView),
        (status = 200, description = "Placed before, by a request with this key", body = OrderView),
        (status = 400, description = "invalid-request, idempotency-key-missing", body = ProblemSchema),
        (status = 409, description = "out-of-stock, price-changed, rate-unavailable, tax-rate-missing, coupon-not-applicable, limit-reached, order-in-progress", body = ProblemSchema),
        (status = 422, description = "idempotency-key-reused, unknown-product, unknown-coupon, too-many-lines", body = ProblemSchema),
        (status = 503, description = "busy, unavailable: repeat with the same key", body = ProblemSchema),
    ))]
pub async fn place(
    State(app): State<Arc<App>>,
    scope: Scope,
    headers: HeaderMap,
    Json(body): Json<PlaceBody>,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Orders)?;
    let key = idempotency_key(&headers)?;
    let order_id = OrderId::derive(&scope.caller.tenant, &scope.caller.customer.id, &key);
    scope.notes.order(order_id);
    if body.lines.len() > LINES_MAX {
        return Err(problems::too_many_lines(LINES_MAX));
    }
    let mut request = checked(body, &scope, order_id).map_err(Problem::invalid)?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    request.capture = app.order_policy(&store, &scope).await?.capture;
    let (status, order) = match app.place(&store, &request, app.settings.expires_in, &scope.trace).await? {
        Placed::New(order) => (StatusCode::CREATED, order),
        Placed::Before(order) => (StatusCode::OK, order),
    };
    let mut response = view::answer(status, &order);
    match status {
        StatusCode::CREATED => {
            scope.notes.outcome("placed");
            let location = HeaderValue::from_str(&format!("/orders/{order_id}"));
            response.headers_mut().insert(header::LOCATION, location.expect("ids are header values"));
        }
        _ => {
            scope.notes.outcome("replayed");
            response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
        }
    }
    Ok(response)
}

/// Checks every field, and tells all that is wrong at once.
fn checked(body: PlaceBody, scope: &Scope, order_id: OrderId) -> Result<PlaceOrder, Vec<Invalid>> {
    let canonical = serde_json::to_vec(&body).expect("a body that was read can be written");
    let mut problems = Problems::new();
    let currency = problems.keep("", Currency::parse(&body.currency));
    let lines = lines::checked(body.lines, &mut problems);
    let coupon = problems.keep("", body.coupon.map(coupon_code).transpose()).flatten();
    let payment_method = problems.keep("", body.payment_method.map(PaymentMethod::parse).transpose());
    let contact = wanted_contact(body.contact_email, &mut problems);
    let address = match body.shipping_address.checked() {
        Ok(address) => Some(address),
        Err(wrong) => {
            wrong.into_iter().for_each(|invalid| problems.push(invalid.within("shipping_address")));
            None
        }
    };
    let request = currency.zip(payment_method).zip(address).map(|((currency, method), address)| PlaceOrder {
        tenant: scope.caller.tenant.clone(),
        customer: scope.caller.customer.clone(),
        order_id,
        fingerprint: Fingerprint::of(&canonical),
        currency: Some(currency),
        lines,
        coupon,
        contact,
        purpose: Purpose::Order { address, method },
        capture: CapturePolicy::default(),
    });
    problems.finish(request)
}

/// The address for mails; what is wrong with it is noted.
pub(super) fn wanted_contact(email: Option<String>, problems: &mut Problems) -> Option<Email> {
    let named = |invalid: Invalid| Invalid::new("contact_email", invalid.problem);
    problems.keep("", email.map(Email::parse).transpose().map_err(named)).flatten()
}

fn coupon_code(code: String) -> Result<CouponCode, Invalid> {
    CouponCode::parse(code).map_err(|invalid| Invalid::new("coupon", invalid.problem))
}
