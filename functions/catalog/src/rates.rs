//! `/rates/{from}/{to}`

use crate::App;
use crate::body::instant;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use holdfast_domain::invalid::{Invalid, Problems};
use holdfast_domain::money::Currency;
use holdfast_domain::terms::rate::{Rate, RateValue};
use holdfast_runtime::http::schemas::ProblemSchema;
use holdfast_runtime::http::{Json, Problem, Right, Scope};
use holdfast_store::RatePut;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::sync::Arc;
use utoipa::ToSchema;

/// How long a rate may be converted by, in seconds.
const VALID_SECONDS: RangeInclusive<i64> = 60..=31_536_000;

/// What one unit of a currency is worth in another.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PutRate)]
pub struct RateBody {
    /// Units of the other currency for one: a decimal above 0 as text, of at most 12 digits after the point and 18
    /// altogether.
    #[schema(example = "1.0842")]
    rate: String,
    /// Who published it.
    #[schema(max_length = 100, example = "ECB")]
    source: String,
    /// When it was published; not in the future.
    as_of: Timestamp,
    /// How long from then on it may be converted by, in seconds.
    #[serde(default = "a_day")]
    #[schema(minimum = 60, maximum = 31_536_000, default = 86_400)]
    valid_seconds: i64,
}

fn a_day() -> i64 {
    86_400
}

/// A rate.
#[derive(Serialize, ToSchema)]
#[schema(as = Rate)]
struct RateView {
    /// The currency of the price.
    #[schema(value_type = String, example = "EUR")]
    from: Currency,
    /// The currency that is paid.
    #[schema(value_type = String, example = "USD")]
    to: Currency,
    /// Units of `to` for one of `from`.
    #[schema(value_type = String, example = "1.0842")]
    rate: RateValue,
    /// Who published it.
    source: String,
    /// When it was published.
    as_of: Timestamp,
    /// From this instant on nothing is converted by it.
    valid_until: Timestamp,
}

/// Writes a rate: 201 or 200. Amounts are converted line by line, exactly but for one rounding to the minor unit at the
/// end, of halves to the even one.
#[utoipa::path(put, path = "/rates/{from}/{to}", operation_id = "putRate", tag = "rates", security(("jwt" = ["catalog"])),
    params(
        ("from" = String, Path, description = "The currency of the price, by ISO 4217"),
        ("to" = String, Path, description = "The currency that is paid, by ISO 4217"),
    ),
    request_body = RateBody,
    responses(
        (status = 201, description = "Created", body = RateView),
        (status = 200, description = "Replaced", body = RateView),
        (status = 400, description = "invalid-request", body = ProblemSchema),
        (status = 409, description = "rate-outdated: a rate of a later as_of is there", body = ProblemSchema),
    ))]
pub async fn put(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(currencies): Path<(String, String)>,
    Json(body): Json<RateBody>,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Catalog)?;
    let rate = checked(&currencies, body, app.clock.now()).map_err(Problem::invalid)?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    match store.rate_put(&scope.caller.tenant, &rate).await? {
        RatePut::Created => Ok(answer(StatusCode::CREATED, rate)),
        RatePut::Replaced => Ok(answer(StatusCode::OK, rate)),
        RatePut::Outdated(later) => {
            let problem = Problem::new(StatusCode::CONFLICT, "rate-outdated", "A later rate is there");
            let later = later.as_of.to_string();
            Err(problem.detail(format!("The rate that is there is as of {later}.")).with("as_of", later))
        }
    }
}

/// Reads a rate, be it current or not.
#[utoipa::path(get, path = "/rates/{from}/{to}", operation_id = "readRate", tag = "rates",
    security(("jwt" = ["orders"]), ("jwt" = ["catalog"])),
    params(
        ("from" = String, Path, description = "The currency of the price, by ISO 4217"),
        ("to" = String, Path, description = "The currency that is paid, by ISO 4217"),
    ),
    responses(
        (status = 200, description = "The rate", body = RateView),
        (status = 404, description = "not-found", body = ProblemSchema),
    ))]
pub async fn read(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(currencies): Path<(String, String)>,
) -> Result<Response, Problem> {
    if !scope.caller.may(Right::Orders) {
        scope.caller.require(Right::Catalog)?;
    }
    let mut problems = Problems::new();
    let pair = pair(&currencies, &mut problems);
    let (from, to) = problems.finish(pair).map_err(Problem::invalid)?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    let rate = store.rate_read(&scope.caller.tenant, from, to).await?;
    rate.map(|rate| answer(StatusCode::OK, rate)).ok_or_else(|| Problem::not_found("rate"))
}

fn pair((from, to): &(String, String), problems: &mut Problems) -> Option<(Currency, Currency)> {
    let mut currency = |field: &str, code: &str| {
        problems.keep("", Currency::parse(code).map_err(|invalid| Invalid::new(field, invalid.problem)))
    };
    let (from, to) = (currency("from", from), currency("to", to));
    from.zip(to)
}

fn checked(currencies: &(String, String), body: RateBody, now: Timestamp) -> Result<Rate, Vec<Invalid>> {
    let mut problems = Problems::new();
    let pair = pair(currencies, &mut problems);
    let value = problems.keep("", RateValue::parse(&body.rate));
    let as_of = problems.keep("", instant("as_of", body.as_of));
    if as_of.is_some_and(|as_of| as_of > now) {
        problems.push(Invalid::new("as_of", "must not be in the future"));
    }
    let (least, greatest) = (VALID_SECONDS.start(), VALID_SECONDS.end());
    let valid = Some(body.valid_seconds).filter(|seconds| VALID_SECONDS.contains(seconds));
    let valid = valid.ok_or_else(|| Invalid::new("valid_seconds", format!("must be {least} to {greatest}")));
    let valid = problems.keep("", valid).map(SignedDuration::from_secs);
    let rate = pair.zip(value).zip(as_of).zip(valid).and_then(|((((from, to), value), as_of), valid)| {
        let valid_until = as_of.saturating_add(valid).unwrap_or(Timestamp::MAX);
        problems.keep_all("", Rate { from, to, value, source: body.source, as_of, valid_until }.checked())
    });
    problems.finish(rate)
}

fn answer(status: StatusCode, rate: Rate) -> Response {
    let Rate { from, to, value, source, as_of, valid_until } = rate;
    (status, axum::Json(RateView { from, to, rate: value, source, as_of, valid_until })).into_response()
}
