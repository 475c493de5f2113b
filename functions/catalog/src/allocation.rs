//! `/allocation`

use crate::App;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use holdfast_domain::ids::WarehouseId;
use holdfast_domain::invalid::{Invalid, Problems};
use holdfast_domain::terms::allocation::{AllocationPolicy, Strategy, WarehouseRule};
use holdfast_domain::text::Country;
use holdfast_runtime::http::schemas::ProblemSchema;
use holdfast_runtime::http::{Json, Problem, Right, Scope};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// From which warehouses orders are to be delivered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PutAllocation)]
pub struct AllocationBody {
    /// `priority`: in the order below; a warehouse that has all units of a product goes before several.
    /// `nearest`: those in the country of the address first, then those that serve it.
    /// `fewest-parcels`: as few warehouses for the order as possible.
    #[schema(pattern = "^(priority|nearest|fewest-parcels)$", example = "nearest")]
    strategy: String,
    /// The preferred first. Warehouses that are not named come after these, by name.
    #[serde(default)]
    #[schema(max_items = 50)]
    warehouses: Vec<WarehouseBody>,
}

/// A warehouse.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PutWarehouse)]
struct WarehouseBody {
    /// Which one, as in receipts of stock.
    #[schema(max_length = 32, example = "main")]
    warehouse: String,
    /// Where it stands: ISO 3166-1 alpha-2.
    #[serde(default)]
    #[schema(pattern = "^[A-Z]{2}$", example = "DE")]
    country: Option<String>,
    /// Other countries that it is near to: ISO 3166-1 alpha-2.
    #[serde(default)]
    #[schema(max_items = 50)]
    serves: Vec<String>,
}

/// From which warehouses orders are delivered.
#[derive(Serialize, ToSchema)]
#[schema(as = Allocation)]
struct AllocationView {
    /// `priority`, `nearest` or `fewest-parcels`.
    #[schema(value_type = String, pattern = "^(priority|nearest|fewest-parcels)$")]
    strategy: Strategy,
    /// The preferred first.
    warehouses: Vec<WarehouseView>,
}

/// A warehouse.
#[derive(Serialize, ToSchema)]
#[schema(as = Warehouse)]
struct WarehouseView {
    /// Which one.
    #[schema(value_type = String)]
    warehouse: WarehouseId,
    /// Where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    country: Option<Country>,
    /// Other countries that it is near to.
    #[schema(value_type = Vec<String>)]
    serves: Vec<Country>,
}

/// Says from which warehouses orders are to be delivered: 201 for the first time, then 200. Orders follow within minutes.
#[utoipa::path(put, path = "/allocation", operation_id = "putAllocation", tag = "allocation", security(("jwt" = ["catalog"])),
    request_body = AllocationBody,
    responses(
        (status = 201, description = "Created", body = AllocationView),
        (status = 200, description = "Replaced", body = AllocationView),
        (status = 400, description = "invalid-request", body = ProblemSchema),
    ))]
pub async fn put(
    State(app): State<Arc<App>>,
    scope: Scope,
    Json(body): Json<AllocationBody>,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Catalog)?;
    let policy = checked(body).map_err(Problem::invalid)?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    let is_new = store.allocation_put(&scope.caller.tenant, &policy).await?;
    Ok(answer(if is_new { StatusCode::CREATED } else { StatusCode::OK }, policy))
}

/// Reads from which warehouses orders are delivered; `priority` by name where nothing else was said.
#[utoipa::path(get, path = "/allocation", operation_id = "readAllocation", tag = "allocation", security(("jwt" = ["catalog"])),
    responses((status = 200, description = "As it is", body = AllocationView)))]
pub async fn read(State(app): State<Arc<App>>, scope: Scope) -> Result<Response, Problem> {
    scope.caller.require(Right::Catalog)?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    Ok(answer(StatusCode::OK, store.allocation_read(&scope.caller.tenant).await?))
}

fn checked(body: AllocationBody) -> Result<AllocationPolicy, Vec<Invalid>> {
    let mut problems = Problems::new();
    let strategy = problems.keep("", Strategy::parse(&body.strategy));
    let mut warehouses = Vec::with_capacity(body.warehouses.len());
    for (index, body) in body.warehouses.into_iter().enumerate() {
        let path = format!("warehouses[{index}]");
        let warehouse = problems.keep(&path, WarehouseId::parse(body.warehouse));
        let country = body.country.and_then(|code| problems.keep(&path, Country::parse(code)));
        let mut serves = Vec::with_capacity(body.serves.len());
        for (position, code) in body.serves.into_iter().enumerate() {
            let country = Country::parse(code);
            let country = country.map_err(|invalid| Invalid::new(format!("serves[{position}]"), invalid.problem));
            serves.extend(problems.keep(&path, country));
        }
        warehouses.extend(warehouse.map(|warehouse| WarehouseRule { warehouse, country, serves }));
    }
    // Positions in the problems are those of the body only if all of it is there.
    let policy = match strategy.filter(|_| problems.is_empty()) {
        Some(strategy) => problems.keep_all("", AllocationPolicy { strategy, warehouses }.checked()),
        None => None,
    };
    problems.finish(policy)
}

fn answer(status: StatusCode, policy: AllocationPolicy) -> Response {
    let view = |WarehouseRule { warehouse, country, serves }| WarehouseView { warehouse, country, serves };
    let warehouses = policy.warehouses.into_iter().map(view).collect();
    (status, axum::Json(AllocationView { strategy: policy.strategy, warehouses })).into_response()
}
