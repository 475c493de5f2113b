//! `/reservations/{reservation_id}`: read, release, confirm.
//!
//! Confirming, releasing and expiring race: each is a change of the same version of the same item, so exactly one wins.

use super::place::{IDEMPOTENT_REPLAYED, wanted_contact};
use super::view::{self, LineView, OrderView};
use super::{actor, visible_reservation};
use crate::{App, problems};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use holdfast_domain::address::Address;
use holdfast_domain::event::EventKind;
use holdfast_domain::ids::{CustomerId, OrderId};
use holdfast_domain::invalid::Problems;
use holdfast_domain::money::Money;
use holdfast_domain::order::{Change, IllegalTransition, Order, OrderState};
use holdfast_domain::payment::PaymentMethod;
use holdfast_runtime::http::schemas::{AddressSchema, MoneySchema, ProblemSchema};
use holdfast_runtime::http::{Json, Problem, Right, Scope};
use holdfast_store::{Changed, Store};
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// How often a change is tried when others change the reservation at the same time.
const ATTEMPTS_MAX: usize = 5;

/// A reservation.
#[derive(Serialize, ToSchema)]
#[schema(as = Reservation)]
pub struct ReservationView {
    /// A UUID; the order that it becomes has the same.
    #[schema(value_type = String, example = "822b8224-07ef-8495-88e0-f8b7b79d9970")]
    reservation_id: OrderId,
    /// `held`, `confirmed`, `released` or `expired`.
    state: &'static str,
    /// Whose.
    #[schema(value_type = String)]
    customer: CustomerId,
    /// The sum of the lines.
    #[schema(value_type = MoneySchema)]
    total: Money,
    /// What is held.
    lines: Vec<LineView>,
    /// When it was made.
    reserved_at: Timestamp,
    /// When its stock goes back, or went back, unless it is confirmed.
    expires_at: Timestamp,
    /// When it ended, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
}

/// How a reservation ended, and when; none while it is held.
fn ended(order: &Order) -> Option<(&'static str, Timestamp)> {
    order.history.iter().find_map(|entry| match entry.kind {
        EventKind::Placed => Some(("confirmed", entry.at)),
        EventKind::Released => Some(("released", entry.at)),
        EventKind::Expired => Some(("expired", entry.at)),
        _ => None,
    })
}

impl From<&Order> for ReservationView {
    fn from(order: &Order) -> Self {
        let ended = ended(order);
        Self {
            reservation_id: order.id,
            state: ended.map_or("held", |(how, _)| how),
            customer: order.customer.clone(),
            total: order.total,
            lines: order.lines.iter().map(LineView::from).collect(),
            reserved_at: order.history.first().map_or(order.placed_at, |entry| entry.at),
            expires_at: order.expires_at,
            ended_at: ended.map(|(_, at)| at),
        }
    }
}

/// A reservation as an answer, with its ETag.
pub fn answer(status: StatusCode, order: &Order) -> Response {
    let mut response = (status, axum::Json(ReservationView::from(order))).into_response();
    response.headers_mut().insert(header::ETAG, view::etag(order));
    response
}

/// The reservation has ended otherwise than asked for.
fn hold_ended(order: &Order) -> Problem {
    let (how, at) = ended(order).unwrap_or(("held", order.placed_at));
    Problem::new(StatusCode::CONFLICT, "hold-ended", "The reservation has ended")
        .detail(format!("It was {how}."))
        .with("ended", how)
        .with("ended_at", at.to_string())
}

/// Reads a reservation.
#[utoipa::path(get, path = "/reservations/{reservation_id}", operation_id = "readReservation", tag = "reservations", security(("jwt" = ["orders"])),
    params(("reservation_id" = String, Path, description = "The reservation")),
    responses(
        (status = 200, description = "As it is now", body = ReservationView),
        (status = 404, description = "not-found, also for somebody else's", body = ProblemSchema),
    ))]
pub async fn read(State(app): State<Arc<App>>, scope: Scope, Path(id): Path<String>) -> Result<Response, Problem> {
    scope.caller.require(Right::Orders)?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    Ok(answer(StatusCode::OK, &visible_reservation(&store, &scope, &id).await?))
}

/// Gives a reservation up, and its stock back: 200, also when it was released before.
#[utoipa::path(delete, path = "/reservations/{reservation_id}", operation_id = "releaseReservation", tag = "reservations", security(("jwt" = ["orders"])),
    params(("reservation_id" = String, Path, description = "The reservation")),
    responses(
        (status = 200, description = "Released, now or before", body = ReservationView),
        (status = 404, description = "not-found, also for somebody else's", body = ProblemSchema),
        (status = 409, description = "hold-ended: it was confirmed or has expired", body = ProblemSchema),
    ))]
pub async fn release(State(app): State<Arc<App>>, scope: Scope, Path(id): Path<String>) -> Result<Response, Problem> {
    scope.caller.require(Right::Orders)?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    let mut held = visible_reservation(&store, &scope, &id).await?;
    let by = actor(&scope, &held);
    for _ in 0..ATTEMPTS_MAX {
        if held.state == OrderState::Released {
            return Ok(answer(StatusCode::OK, &held));
        }
        match app.end(&store, &scope, &held, |held, now| held.release(&by, now)).await? {
            Ended::Done(released) => {
                scope.notes.outcome("released");
                return Ok(answer(StatusCode::OK, &released));
            }
            Ended::Otherwise(current) => held = current,
        }
        if ended(&held).is_some() && held.state != OrderState::Released {
            return Err(hold_ended(&held));
        }
    }
    Err(Problem::busy())
}

/// What a reservation lacks to be an order.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConfirmReservation)]
pub struct ConfirmBody {
    /// Where it goes.
    #[schema(value_type = AddressSchema)]
    shipping_address: Address,
    /// The payment provider's token, never a card number.
    #[schema(example = "pm_card_visa")]
    payment_method: String,
    /// Where mails about the order go, if any are wanted.
    #[serde(default)]
    #[schema(max_length = 254, example = "ada@example.com")]
    contact_email: Option<String>,
}

/// Turns a reservation into an order with the same id, which waits to be paid: 201 with the order, or 200 with the order
/// that it became before, by a request for the same address and means of payment.
///
/// Prices are those of the reservation. Tax is counted now that the country is known, by today's classes and rates: where
/// prices are without it, it comes on top of the total.
#[utoipa::path(post, path = "/reservations/{reservation_id}/confirm", operation_id = "confirmReservation", tag = "reservations", security(("jwt" = ["orders"])),
    params(("reservation_id" = String, Path, description = "The reservation")), request_body = ConfirmBody,
    responses(
        (status = 201, description = "Placed", body = OrderView),
        (status = 200, description = "Placed before, by the same request", body = OrderView),
        (status = 400, description = "invalid-request", body = ProblemSchema),
        (status = 404, description = "not-found, also for somebody else's", body = ProblemSchema),
        (status = 409, description = "hold-ended: it was released, has expired, or was confirmed otherwise; tax-rate-missing: it is still held", body = ProblemSchema),
    ))]
pub async fn confirm(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(id): Path<String>,
    Json(body): Json<ConfirmBody>,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Orders)?;
    let mut wrong = Problems::new();
    let method = wrong.keep("", PaymentMethod::parse(body.payment_method));
    let contact = wanted_contact(body.contact_email, &mut wrong);
    let address = match body.shipping_address.checked() {
        Ok(address) => Some(address),
        Err(lines) => {
            lines.into_iter().for_each(|invalid| wrong.push(invalid.within("shipping_address")));
            None
        }
    };
    let (method, address) = wrong.finish(method.zip(address)).map_err(Problem::invalid)?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    let mut held = visible_reservation(&store, &scope, &id).await?;
    let by = actor(&scope, &held);
    let expires_in = app.settings.expires_in;
    for _ in 0..ATTEMPTS_MAX {
        if held.was_placed() {
            let same = held.address.as_ref() == Some(&address)
                && held.payment.method.as_ref() == Some(&method)
                && held.contact == contact;
            if !same {
                return Err(hold_ended(&held));
            }
            scope.notes.outcome("replayed");
            let mut response = view::answer(StatusCode::OK, &held);
            response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
            return Ok(response);
        }
        if ended(&held).is_some() {
            return Err(hold_ended(&held));
        }
        // What is over expires; no rate is missed for it.
        let taxed = match held.expires_at > app.clock.now() {
            true => app.taxed(&store, &held, &address.country).await?,
            false => held.clone(),
        };
        let confirmed =
            |_: &Order, now| taxed.confirm(&by, address.clone(), contact.clone(), method.clone(), now, expires_in);
        match app.end(&store, &scope, &held, confirmed).await? {
            Ended::Done(order) => {
                scope.notes.outcome("confirmed");
                let mut response = view::answer(StatusCode::CREATED, &order);
                let location = HeaderValue::from_str(&format!("/orders/{}", order.id));
                response.headers_mut().insert(header::LOCATION, location.expect("ids are header values"));
                return Ok(response);
            }
            Ended::Otherwise(current) => held = current,
        }
    }
    Err(Problem::busy())
}

/// What came of ending a reservation.
enum Ended {
    /// As wanted.
    Done(Order),
    /// Something else happened first: this is it now.
    Otherwise(Order),
}

impl App {
    /// Ends a reservation by `change`, or as expired if its time is over: the timer may be late, the time is not.
    async fn end(
        &self,
        store: &Store,
        scope: &Scope,
        held: &Order,
        change: impl Fn(&Order, Timestamp) -> Result<Change, IllegalTransition>,
    ) -> Result<Ended, Problem> {
        let now = self.clock.now();
        let over = held.state == OrderState::Reserved && held.expires_at <= now;
        let change = if over { held.expire(now) } else { change(held, now) };
        let change = change.map_err(|illegal| match ended(held) {
            Some(_) => hold_ended(held),
            None => problems::illegal(&illegal),
        })?;
        match store.order_change(&change, &scope.trace).await? {
            Changed::Done if over => Ok(Ended::Otherwise(change.order)),
            Changed::Done => Ok(Ended::Done(change.order)),
            Changed::Stale(current) => Ok(Ended::Otherwise(current.order)),
        }
    }
}
