//! The handlers.

use crate::App;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use holdfast_domain::ids::{Fingerprint, ProductId, WarehouseId};
use holdfast_domain::invalid::{Invalid, Problems};
use holdfast_domain::pool::{PoolId, StripeLevel, StripeNumber};
use holdfast_runtime::http::schemas::ProblemSchema;
use holdfast_runtime::http::{Json, Problem, Right, Scope, idempotency_key};
use holdfast_store::{Receipt, Received, StockHeader};
use http::{HeaderMap, HeaderName, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// The most units of one receipt.
const RECEIPT_MAX: i64 = 100_000_000;

const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Stock that came in.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReceiveStock)]
pub struct ReceiptBody {
    /// Where it lies.
    #[schema(max_length = 32, example = "main")]
    warehouse: String,
    /// How many units.
    #[schema(minimum = 1, maximum = 100_000_000)]
    quantity: i64,
}

/// A receipt of stock.
#[derive(Serialize, ToSchema)]
#[schema(as = Receipt)]
struct ReceiptView {
    /// Of what.
    #[schema(value_type = String)]
    product_id: ProductId,
    /// Where it lies.
    #[schema(value_type = String)]
    warehouse: WarehouseId,
    /// How many units.
    quantity: u32,
    /// When they were added.
    received_at: Timestamp,
}

/// The stock of a product.
#[derive(Serialize, ToSchema)]
#[schema(as = Stock)]
struct StockView {
    /// Of what.
    #[schema(value_type = String)]
    product_id: ProductId,
    /// Units free to order, over all warehouses.
    available: u64,
    /// By warehouse.
    warehouses: Vec<WarehouseView>,
}

/// The stock of a product in a warehouse.
#[derive(Serialize, ToSchema)]
#[schema(as = WarehouseStock)]
struct WarehouseView {
    /// Where.
    #[schema(value_type = String)]
    warehouse: WarehouseId,
    /// Units free to order.
    available: u64,
    /// Units received since the beginning.
    received: u64,
    /// The parts it is kept in, so that orders do not wait for each other.
    stripes: StripeNumber,
}

/// Receives stock, once a key: 201, or 200 for a retry.
#[utoipa::path(post, path = "/stock/{product_id}/receipts", operation_id = "receiveStock", tag = "stock", security(("jwt" = ["stock"])),
    params(
        ("product_id" = String, Path, description = "The product"),
        ("Idempotency-Key" = String, Header, description = "The caller's name for this receipt, the same on every retry"),
    ),
    request_body = ReceiptBody,
    responses(
        (status = 201, description = "Added", body = ReceiptView),
        (status = 200, description = "Added before, by a request with this key", body = ReceiptView),
        (status = 400, description = "invalid-request, idempotency-key-missing", body = ProblemSchema),
        (status = 404, description = "not-found", body = ProblemSchema),
        (status = 422, description = "idempotency-key-reused", body = ProblemSchema),
    ))]
pub async fn receive(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(product_id): Path<String>,
    headers: HeaderMap,
    Json(body): Json<ReceiptBody>,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Stock)?;
    let key = idempotency_key(&headers)?;
    // The product is part of the request: the same key for another product is another receipt.
    let canonical = serde_json::to_vec(&body).expect("a body that was read can be written");
    let mut problems = Problems::new();
    let product = problems.keep("", ProductId::parse(product_id));
    let warehouse = problems.keep("", WarehouseId::parse(body.warehouse));
    let quantity = problems.keep("", quantity(body.quantity));
    let parts = product.zip(warehouse).zip(quantity);
    let ((product, warehouse), quantity) = problems.finish(parts).map_err(Problem::invalid)?;
    let fingerprint = Fingerprint::of(&canonical);
    let receipt = Receipt { product, key, warehouse, quantity, fingerprint, at: app.clock.now() };
    let store = app.store.metered(Arc::clone(&scope.meter));
    let view = ReceiptView {
        product_id: receipt.product.clone(),
        warehouse: receipt.warehouse.clone(),
        quantity,
        received_at: receipt.at,
    };
    match store.stock_receive(&scope.caller.tenant, &receipt).await? {
        Received::Added => Ok((StatusCode::CREATED, axum::Json(view)).into_response()),
        Received::Before(at) => {
            let view = ReceiptView { received_at: at, ..view };
            Ok((StatusCode::OK, [(IDEMPOTENT_REPLAYED, "true")], axum::Json(view)).into_response())
        }
        Received::KeyReused => Err(Problem::key_reused("A receipt with this key and another body exists.")),
        Received::UnknownProduct => Err(Problem::not_found("product")),
    }
}

fn quantity(quantity: i64) -> Result<u32, Invalid> {
    let units = u32::try_from(quantity).ok().filter(|_| (1..=RECEIPT_MAX).contains(&quantity));
    units.ok_or_else(|| Invalid::new("quantity", format!("must be 1 to {RECEIPT_MAX}")))
}

/// Reads the stock of a product, by warehouse.
#[utoipa::path(get, path = "/stock/{product_id}", operation_id = "readStock", tag = "stock", security(("jwt" = ["stock"])),
    params(("product_id" = String, Path, description = "The product")),
    responses(
        (status = 200, description = "As it is now", body = StockView),
        (status = 404, description = "not-found", body = ProblemSchema),
    ))]
pub async fn read(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(product_id): Path<String>,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Stock)?;
    let tenant = &scope.caller.tenant;
    let product = ProductId::parse(product_id).map_err(|invalid| Problem::invalid(vec![invalid]))?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    let headers = store.stock_headers(tenant, &product).await?;
    // Only a product without any stock has to be told from one that does not exist.
    if headers.is_empty() && store.product_read(tenant, &product).await?.is_none() {
        return Err(Problem::not_found("product"));
    }
    let levels = store.stock_levels(tenant, &product, &headers).await?;
    let warehouses: Vec<_> = headers.into_iter().map(|header| warehouse(header, &levels)).collect();
    let available = warehouses.iter().map(|warehouse| warehouse.available).sum();
    Ok(axum::Json(StockView { product_id: product, available, warehouses }).into_response())
}

fn warehouse(header: StockHeader, levels: &[StripeLevel]) -> WarehouseView {
    let here = levels.iter().filter(
        |level| matches!(&level.stripe.pool, PoolId::Stock { warehouse, .. } if *warehouse == header.warehouse),
    );
    WarehouseView {
        available: here.map(|level| level.available).sum(),
        warehouse: header.warehouse,
        received: header.received,
        stripes: header.stripes,
    }
}
