//! The handlers.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use holdfast_domain::ids::ProductId;
use holdfast_domain::invalid::{Invalid, Problems};
use holdfast_domain::money::{Currency, Money};
use holdfast_domain::product::{CATEGORY_MAX, DESCRIPTION_MAX, NAME_MAX, PriceVersion, Product};
use holdfast_domain::text;
use holdfast_runtime::http::schemas::{MoneySchema, ProblemSchema};
use holdfast_runtime::http::{Json, Problem, Right, Scope};
use holdfast_store::contention::{ATTEMPTS_MAX, back_off};
use holdfast_store::{ProductWrite, Store, StoreError};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A product as it is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PutProduct)]
pub struct ProductBody {
    /// What people call it.
    #[schema(max_length = 200)]
    name: String,
    /// What it is, in paragraphs.
    #[serde(default)]
    #[schema(max_length = 10_000)]
    description: String,
    /// Where it stands in the shop.
    #[schema(max_length = 100)]
    category: String,
    /// The price of one.
    #[schema(value_type = MoneySchema)]
    price: PriceBody,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceBody {
    amount: i64,
    currency: String,
}

/// A product.
#[derive(Serialize, ToSchema)]
#[schema(as = Product)]
struct ProductView {
    /// Its id.
    #[schema(value_type = String)]
    product_id: ProductId,
    /// What people call it.
    name: String,
    /// What it is.
    description: String,
    /// Where it stands in the shop.
    category: String,
    /// The price of one.
    #[schema(value_type = MoneySchema)]
    price: Money,
    /// Raised with every change of the price.
    price_version: PriceVersion,
    /// Raised with every change.
    version: u64,
}

/// Creates or replaces a product: 201 or 200. When it answers, no order is placed at an earlier price any more.
#[utoipa::path(put, path = "/products/{product_id}", operation_id = "putProduct", tag = "products", security(("jwt" = ["catalog"])),
    params(("product_id" = String, Path, description = "The product")), request_body = ProductBody,
    responses(
        (status = 201, description = "Created", body = ProductView),
        (status = 200, description = "Replaced", body = ProductView),
        (status = 400, description = "invalid-request", body = ProblemSchema),
    ))]
pub async fn put(
    State(store): State<Arc<Store>>,
    scope: Scope,
    Path(product_id): Path<String>,
    Json(body): Json<ProductBody>,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Catalog)?;
    let write = checked(product_id, body).map_err(Problem::invalid)?;
    let store = store.metered(Arc::clone(&scope.meter));
    for attempt in 0..ATTEMPTS_MAX {
        match store.product_put(&scope.caller.tenant, write.clone()).await {
            Ok((product, true)) => return Ok(answer(StatusCode::CREATED, product)),
            Ok((product, false)) => return Ok(answer(StatusCode::OK, product)),
            Err(StoreError::Conflict) => back_off(attempt).await,
            Err(error) => return Err(error.into()),
        }
    }
    Err(Problem::busy())
}

/// Reads a product.
#[utoipa::path(get, path = "/products/{product_id}", operation_id = "readProduct", tag = "products",
    security(("jwt" = ["orders"]), ("jwt" = ["catalog"])),
    params(("product_id" = String, Path, description = "The product")),
    responses(
        (status = 200, description = "The product; its ETag is the version", body = ProductView),
        (status = 404, description = "not-found", body = ProblemSchema),
    ))]
pub async fn read(
    State(store): State<Arc<Store>>,
    scope: Scope,
    Path(product_id): Path<String>,
) -> Result<Response, Problem> {
    if !scope.caller.may(Right::Orders) {
        scope.caller.require(Right::Catalog)?;
    }
    let id = ProductId::parse(product_id).map_err(|invalid| Problem::invalid(vec![invalid]))?;
    let store = store.metered(Arc::clone(&scope.meter));
    let product = store.product_read(&scope.caller.tenant, &id).await?;
    product.map(|product| answer(StatusCode::OK, product)).ok_or_else(|| Problem::not_found("product"))
}

/// Describes the API: all of it, since one document serves those who call it.
#[utoipa::path(get, path = "/openapi.json", operation_id = "describeApi", tag = "description",
    responses((status = 200, description = "This document", body = serde_json::Value)))]
pub async fn describe() -> Response {
    // Made from the code of all functions by `cargo dev openapi`; a test keeps it so.
    const DOCUMENT: &str = include_str!("../../../infra/openapi.json");
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=300")], DOCUMENT)
        .into_response()
}

fn checked(product_id: String, body: ProductBody) -> Result<ProductWrite, Vec<Invalid>> {
    let mut problems = Problems::new();
    let id = problems.keep("", ProductId::parse(product_id));
    let name = problems.keep("", text::checked("name", NAME_MAX, body.name));
    let description = problems.keep("", text::prose("description", DESCRIPTION_MAX, body.description));
    let category = problems.keep("", text::checked("category", CATEGORY_MAX, body.category));
    let currency = problems.keep("price", Currency::parse(&body.price.currency));
    let price = currency.and_then(|currency| problems.keep("price", Money::new(body.price.amount, currency)));
    let write = id.zip(name).zip(description).zip(category).zip(price);
    problems.finish(write.map(|((((id, name), description), category), price)| ProductWrite {
        id,
        name,
        description,
        category,
        price,
    }))
}

fn answer(status: StatusCode, product: Product) -> Response {
    let etag = HeaderValue::from_str(&format!("\"{}\"", product.version)).expect("digits in quotes are a header value");
    let view = ProductView {
        product_id: product.id,
        name: product.name,
        description: product.description,
        category: product.category,
        price: product.price,
        price_version: product.price_version,
        version: product.version,
    };
    (status, [(header::ETAG, etag)], axum::Json(view)).into_response()
}
