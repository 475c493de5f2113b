//! How many stripes a pool of stock is kept in.

use crate::App;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use holdfast_domain::ids::{ProductId, WarehouseId};
use holdfast_domain::invalid::{Invalid, Problems};
use holdfast_domain::pool::{STRIPES_MAX, StripeNumber};
use holdfast_runtime::http::schemas::ProblemSchema;
use holdfast_runtime::http::{Json, Problem, Right, Scope};
use holdfast_store::Reshaping;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// How many stripes a pool of stock is to have.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReshapeStock)]
pub struct StripesBody {
    /// Where the stock lies.
    #[schema(max_length = 32, example = "main")]
    warehouse: String,
    /// How many stripes.
    #[schema(minimum = 1, maximum = 1024, example = 64)]
    stripes: i64,
}

/// The stripes of a pool of stock.
#[derive(Serialize, ToSchema)]
#[schema(as = StockStripes)]
struct StripesView {
    /// Of what.
    #[schema(value_type = String)]
    product_id: ProductId,
    /// Where it lies.
    #[schema(value_type = String)]
    warehouse: WarehouseId,
    /// How many stripes it has now.
    stripes: StripeNumber,
    /// How many it had when the request came.
    before: StripeNumber,
}

/// Splits or merges the stock of a product in a warehouse into as many stripes as asked for, while it is sold. More
/// stripes bear more orders a second (about 40 each). Pools that too many orders meet at are split without being asked;
/// stripes are merged only here. A repeat goes on where a failed request stopped.
#[utoipa::path(put, path = "/stock/{product_id}/stripes", operation_id = "reshapeStock", tag = "stock", security(("jwt" = ["stock"])),
    params(("product_id" = String, Path, description = "The product")),
    request_body = StripesBody,
    responses(
        (status = 200, description = "It has so many stripes now", body = StripesView),
        (status = 400, description = "invalid-request", body = ProblemSchema),
        (status = 404, description = "not-found", body = ProblemSchema),
        (status = 409, description = "overtaken: another request reshapes the same stock", body = ProblemSchema),
        (status = 503, description = "busy: repeat the request to go on", body = ProblemSchema),
    ))]
pub async fn reshape(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(product_id): Path<String>,
    Json(body): Json<StripesBody>,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Stock)?;
    let mut problems = Problems::new();
    let product = problems.keep("", ProductId::parse(product_id));
    let warehouse = problems.keep("", WarehouseId::parse(body.warehouse));
    let stripes = problems.keep("", stripes(body.stripes));
    let parts = product.zip(warehouse).zip(stripes);
    let ((product, warehouse), stripes) = problems.finish(parts).map_err(Problem::invalid)?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    match store.pool_reshape(&scope.caller.tenant, &product, &warehouse, stripes).await? {
        Reshaping::Reshaped { from, to } => {
            Ok(axum::Json(StripesView { product_id: product, warehouse, stripes: to, before: from }).into_response())
        }
        Reshaping::NoSuchWarehouse => Err(Problem::not_found("stock of the product in this warehouse")),
        Reshaping::Overtaken => {
            let title = "Somebody else reshapes this stock";
            let problem = Problem::new(StatusCode::CONFLICT, "overtaken", title);
            Err(problem.detail("Another request changed the stripes meanwhile. Read the stock before you repeat."))
        }
    }
}

fn stripes(stripes: i64) -> Result<StripeNumber, Invalid> {
    let number = StripeNumber::try_from(stripes).ok().filter(|number| (1..=STRIPES_MAX).contains(number));
    number.ok_or_else(|| Invalid::new("stripes", format!("must be 1 to {STRIPES_MAX}")))
}
