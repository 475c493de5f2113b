//! `/tax`, `/tax/{country}` and `/tax/{country}/{class}`

use crate::App;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use holdfast_domain::ids::TaxClass;
use holdfast_domain::invalid::Problems;
use holdfast_domain::terms::tax::{TaxPercent, TaxPolicy, TaxRate};
use holdfast_domain::text::Country;
use holdfast_runtime::http::schemas::ProblemSchema;
use holdfast_runtime::http::{Json, Problem, Right, Scope};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// How the shop is taxed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PutTaxPolicy)]
pub struct PolicyBody {
    /// `inclusive`: prices have the tax in them. `exclusive`: it is paid beside them. `none`: no tax is counted.
    #[schema(pattern = "^(inclusive|exclusive|none)$", example = "inclusive")]
    mode: String,
}

/// How the shop is taxed.
#[derive(Serialize, ToSchema)]
#[schema(as = TaxPolicy)]
struct PolicyView {
    /// `inclusive`, `exclusive` or `none`.
    #[schema(pattern = "^(inclusive|exclusive|none)$")]
    mode: &'static str,
}

/// What a class of products is taxed in a country.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PutTaxRate)]
pub struct RateBody {
    /// A decimal of 0 to 100 as text, with at most four digits after the point.
    #[schema(example = "19")]
    percent: String,
}

/// What a class of products is taxed in a country.
#[derive(Serialize, ToSchema)]
#[schema(as = TaxRate)]
struct RateView {
    /// Where the order goes: ISO 3166-1 alpha-2.
    #[schema(value_type = String, example = "DE")]
    country: Country,
    /// The class of products.
    #[schema(value_type = String, example = "standard")]
    class: TaxClass,
    /// In percent.
    #[schema(example = "19")]
    percent: String,
    /// Raised with every change.
    version: u64,
}

/// The tax rates of a country.
#[derive(Serialize, ToSchema)]
#[schema(as = TaxRates)]
struct RatesView {
    /// By class.
    rates: Vec<RateView>,
}

impl From<TaxRate> for RateView {
    fn from(TaxRate { country, class, percent, version }: TaxRate) -> Self {
        Self { country, class, percent: percent.to_string(), version }
    }
}

/// Says how the shop is taxed: 201 for the first time, then 200. Orders follow within a minute.
///
/// From then on every order needs a rate for the country that it goes to and the class of each of its products; a missing
/// one refuses it. Each line is taxed on its total less its discount, rounded once, a half upwards; orders keep the tax
/// that they were placed with.
#[utoipa::path(put, path = "/tax", operation_id = "putTaxPolicy", tag = "tax", security(("jwt" = ["catalog"])),
    request_body = PolicyBody,
    responses(
        (status = 201, description = "Created", body = PolicyView),
        (status = 200, description = "Replaced", body = PolicyView),
        (status = 400, description = "invalid-request", body = ProblemSchema),
    ))]
pub async fn put(State(app): State<Arc<App>>, scope: Scope, Json(body): Json<PolicyBody>) -> Result<Response, Problem> {
    scope.caller.require(Right::Catalog)?;
    let policy = TaxPolicy::parse(&body.mode).map_err(|invalid| Problem::invalid(vec![invalid]))?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    let is_new = store.tax_policy_put(&scope.caller.tenant, policy).await?;
    Ok(policy_answer(if is_new { StatusCode::CREATED } else { StatusCode::OK }, policy))
}

/// Reads how the shop is taxed; `none` where nothing was said.
#[utoipa::path(get, path = "/tax", operation_id = "readTaxPolicy", tag = "tax",
    security(("jwt" = ["orders"]), ("jwt" = ["catalog"])),
    responses((status = 200, description = "As it is", body = PolicyView)))]
pub async fn read(State(app): State<Arc<App>>, scope: Scope) -> Result<Response, Problem> {
    may_read(&scope)?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    Ok(policy_answer(StatusCode::OK, store.tax_policy_read(&scope.caller.tenant).await?))
}

/// Reads all tax rates of a country, by class; none where nothing was said.
#[utoipa::path(get, path = "/tax/{country}", operation_id = "listTaxRates", tag = "tax",
    security(("jwt" = ["orders"]), ("jwt" = ["catalog"])),
    params(("country" = String, Path, description = "Where orders go, by ISO 3166-1 alpha-2")),
    responses(
        (status = 200, description = "As they are", body = RatesView),
        (status = 400, description = "invalid-request", body = ProblemSchema),
    ))]
pub async fn list_rates(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(country): Path<String>,
) -> Result<Response, Problem> {
    may_read(&scope)?;
    let country = Country::parse(country).map_err(|invalid| Problem::invalid(vec![invalid]))?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    let rates = store.tax_rates(&scope.caller.tenant, &country).await?;
    let rates = rates.into_iter().map(RateView::from).collect();
    Ok(axum::Json(RatesView { rates }).into_response())
}

/// Writes what a class of products is taxed in a country: 201 or 200. Orders follow within a minute, an order that the
/// rate was missing for at once.
#[utoipa::path(put, path = "/tax/{country}/{class}", operation_id = "putTaxRate", tag = "tax", security(("jwt" = ["catalog"])),
    params(
        ("country" = String, Path, description = "Where orders go, by ISO 3166-1 alpha-2"),
        ("class" = String, Path, description = "The class of products, such as standard"),
    ),
    request_body = RateBody,
    responses(
        (status = 201, description = "Created", body = RateView),
        (status = 200, description = "Replaced", body = RateView),
        (status = 400, description = "invalid-request", body = ProblemSchema),
    ))]
pub async fn put_rate(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(place): Path<(String, String)>,
    Json(body): Json<RateBody>,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Catalog)?;
    let mut problems = Problems::new();
    let place = checked(place, &mut problems);
    let percent = problems.keep("", TaxPercent::parse(&body.percent));
    let ((country, class), percent) = problems.finish(place.zip(percent)).map_err(Problem::invalid)?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    let rate = store.tax_rate_put(&scope.caller.tenant, &country, &class, percent).await?;
    Ok(rate_answer(if rate.version == 1 { StatusCode::CREATED } else { StatusCode::OK }, rate))
}

/// Reads what a class of products is taxed in a country.
#[utoipa::path(get, path = "/tax/{country}/{class}", operation_id = "readTaxRate", tag = "tax",
    security(("jwt" = ["orders"]), ("jwt" = ["catalog"])),
    params(
        ("country" = String, Path, description = "Where orders go, by ISO 3166-1 alpha-2"),
        ("class" = String, Path, description = "The class of products"),
    ),
    responses(
        (status = 200, description = "The rate", body = RateView),
        (status = 400, description = "invalid-request", body = ProblemSchema),
        (status = 404, description = "not-found", body = ProblemSchema),
    ))]
pub async fn read_rate(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(place): Path<(String, String)>,
) -> Result<Response, Problem> {
    may_read(&scope)?;
    let mut problems = Problems::new();
    let place = checked(place, &mut problems);
    let (country, class) = problems.finish(place).map_err(Problem::invalid)?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    let rate = store.tax_rate_read(&scope.caller.tenant, &country, &class).await?;
    rate.map(|rate| rate_answer(StatusCode::OK, rate)).ok_or_else(|| Problem::not_found("tax rate"))
}

fn may_read(scope: &Scope) -> Result<(), Problem> {
    match scope.caller.may(Right::Orders) {
        true => Ok(()),
        false => scope.caller.require(Right::Catalog),
    }
}

fn checked((country, class): (String, String), problems: &mut Problems) -> Option<(Country, TaxClass)> {
    let country = problems.keep("", Country::parse(country));
    let class = problems.keep("", TaxClass::parse(class));
    country.zip(class)
}

fn policy_answer(status: StatusCode, policy: TaxPolicy) -> Response {
    (status, axum::Json(PolicyView { mode: policy.name() })).into_response()
}

fn rate_answer(status: StatusCode, rate: TaxRate) -> Response {
    (status, axum::Json(RateView::from(rate))).into_response()
}
