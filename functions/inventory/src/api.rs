//! The handlers.

use crate::App;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use holdfast_domain::ids::{Fingerprint, ProductId, WarehouseId};
use holdfast_domain::invalid::{Invalid, Problems};
use holdfast_domain::pool::{PoolId, StripeLevel};
use holdfast_runtime::http::{Json, Problem, Right, Scope, idempotency_key};
use holdfast_store::{Receipt, Received, StockHeader, Store, StoreError};
use http::{HeaderMap, HeaderName, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The most units of one receipt.
const RECEIPT_MAX: i64 = 100_000_000;
/// How often a receipt is tried when others are at the same stock.
const ATTEMPTS_MAX: u32 = 5;

const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptBody {
    warehouse: String,
    quantity: i64,
}

#[derive(Serialize)]
struct ReceiptView {
    product_id: ProductId,
    warehouse: WarehouseId,
    quantity: u32,
    received_at: Timestamp,
}

#[derive(Serialize)]
struct StockView {
    product_id: ProductId,
    available: u64,
    warehouses: Vec<WarehouseView>,
}

#[derive(Serialize)]
struct WarehouseView {
    warehouse: WarehouseId,
    available: u64,
    received: u64,
}

/// Receives stock, once a key: 201, or 200 for a retry.
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
    match received(&store, &scope, &receipt).await? {
        Received::Added => Ok((StatusCode::CREATED, axum::Json(view)).into_response()),
        Received::Before(at) => {
            let view = ReceiptView { received_at: at, ..view };
            Ok((StatusCode::OK, [(IDEMPOTENT_REPLAYED, "true")], axum::Json(view)).into_response())
        }
        Received::KeyReused => Err(Problem::key_reused("A receipt with this key and another body exists.")),
        Received::UnknownProduct => Err(Problem::not_found("product")),
    }
}

async fn received(store: &Store, scope: &Scope, receipt: &Receipt) -> Result<Received, Problem> {
    for _ in 0..ATTEMPTS_MAX {
        match store.stock_receive(&scope.caller.tenant, receipt).await {
            Err(StoreError::Conflict) => {}
            other => return Ok(other?),
        }
    }
    Err(Problem::busy())
}

fn quantity(quantity: i64) -> Result<u32, Invalid> {
    let units = u32::try_from(quantity).ok().filter(|_| (1..=RECEIPT_MAX).contains(&quantity));
    units.ok_or_else(|| Invalid::new("quantity", format!("must be 1 to {RECEIPT_MAX}")))
}

/// Reads the stock of a product, by warehouse.
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
    let here = levels.iter().filter(|level| {
        let PoolId::Stock { warehouse, .. } = &level.stripe.pool;
        *warehouse == header.warehouse
    });
    WarehouseView {
        available: here.map(|level| level.available).sum(),
        warehouse: header.warehouse,
        received: header.received,
    }
}
