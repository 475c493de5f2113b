//! The handlers.

use crate::App;
use crate::body::{MoneyBody, instant};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use holdfast_cache::Cached;
use holdfast_domain::ids::{ProductId, TaxClass};
use holdfast_domain::invalid::{Invalid, Problems};
use holdfast_domain::money::Money;
use holdfast_domain::product::{
    CATEGORY_MAX, DESCRIPTION_MAX, NAME_MAX, PriceVersion, PriceWindow, Product, PurchaseLimit,
};
use holdfast_domain::text;
use holdfast_runtime::cached::ProductKey;
use holdfast_runtime::http::schemas::{MoneySchema, ProblemSchema};
use holdfast_runtime::http::{Json, Problem, Right, Scope, has_version};
use holdfast_store::contention::{ATTEMPTS_MAX, back_off};
use holdfast_store::{ProductWrite, StoreError};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::Timestamp;
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
    /// The price of one, outside of all windows.
    #[schema(value_type = MoneySchema)]
    price: MoneyBody,
    /// When one costs something else, such as in a flash sale. Windows must not overlap.
    #[serde(default)]
    #[schema(max_items = 20)]
    windows: Vec<WindowBody>,
    /// How many units one customer may buy, over all orders.
    #[serde(default)]
    purchase_limit: Option<LimitBody>,
    /// How it is taxed, in shops that have a tax policy: a class that has rates. `standard` without it.
    #[serde(default)]
    #[schema(max_length = 32, example = "reduced")]
    tax_class: Option<String>,
}

/// A time with a price of its own.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PutPriceWindow)]
struct WindowBody {
    /// The first instant at this price, to the millisecond.
    starts_at: Timestamp,
    /// The first instant after it.
    ends_at: Timestamp,
    /// The price of one, in the currency of the product's price.
    #[schema(value_type = MoneySchema)]
    price: MoneyBody,
}

/// How many units of a product one customer may buy.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PutPurchaseLimit)]
struct LimitBody {
    /// How many, over all orders.
    #[schema(minimum = 1, maximum = 10_000)]
    quantity: i64,
    /// In each window of so many seconds, counted from 1970-01-01T00:00:00Z on; without it for ever.
    #[serde(default)]
    #[schema(minimum = 60, maximum = 31_536_000)]
    window_seconds: Option<i64>,
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
    /// The price of one, outside of all windows.
    #[schema(value_type = MoneySchema)]
    price: Money,
    /// The price of one at the moment of the answer.
    #[schema(value_type = MoneySchema)]
    price_now: Money,
    /// When one costs something else, by time.
    windows: Vec<WindowView>,
    /// How many units one customer may buy, over all orders.
    #[serde(skip_serializing_if = "Option::is_none")]
    purchase_limit: Option<LimitView>,
    /// How it is taxed, in shops that have a tax policy.
    #[schema(value_type = String, example = "standard")]
    tax_class: TaxClass,
    /// Raised with every change of the price, the windows, the limit, the category or the tax class.
    price_version: PriceVersion,
    /// Raised with every change.
    version: u64,
}

/// A time with a price of its own.
#[derive(Serialize, ToSchema)]
#[schema(as = PriceWindow)]
struct WindowView {
    /// The first instant at this price.
    starts_at: Timestamp,
    /// The first instant after it.
    ends_at: Timestamp,
    /// The price of one.
    #[schema(value_type = MoneySchema)]
    price: Money,
}

/// How many units of a product one customer may buy.
#[derive(Serialize, ToSchema)]
#[schema(as = PurchaseLimit)]
struct LimitView {
    /// How many, over all orders.
    quantity: u32,
    /// In each window of so many seconds; without it for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    window_seconds: Option<u32>,
}

/// Creates or replaces a product: 201 or 200. When it answers, no order is placed at an earlier price any more, nor by
/// earlier windows or another limit.
#[utoipa::path(put, path = "/products/{product_id}", operation_id = "putProduct", tag = "products", security(("jwt" = ["catalog"])),
    params(("product_id" = String, Path, description = "The product")), request_body = ProductBody,
    responses(
        (status = 201, description = "Created", body = ProductView),
        (status = 200, description = "Replaced", body = ProductView),
        (status = 400, description = "invalid-request", body = ProblemSchema),
    ))]
pub async fn put(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(product_id): Path<String>,
    Json(body): Json<ProductBody>,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Catalog)?;
    let write = checked(product_id, body).map_err(Problem::invalid)?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    for attempt in 0..ATTEMPTS_MAX {
        match store.product_put(&scope.caller.tenant, write.clone()).await {
            Ok((product, is_new)) => {
                let key = ProductKey { tenant: scope.caller.tenant.clone(), product: product.id.clone() };
                // Should the shared cache miss it, the relay tells it again.
                app.products.put(&key, Some(product.clone()), product.version).await;
                let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
                return Ok(answer(status, &product, app.clock.now()));
            }
            Err(StoreError::Conflict) => back_off(attempt).await,
            Err(error) => return Err(error.into()),
        }
    }
    Err(Problem::busy())
}

/// Reads a product. Who may change it reads it as it is; others as it was a moment ago, and `Age` tells how many seconds. What
/// is sold is priced by what is current: an order that states a `unit_price` that has changed is refused.
#[utoipa::path(get, path = "/products/{product_id}", operation_id = "readProduct", tag = "products",
    security(("jwt" = ["orders"]), ("jwt" = ["catalog"])),
    params(("product_id" = String, Path, description = "The product"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of what the caller has")),
    responses(
        (status = 200, description = "The product; its ETag is the version, and the price window if one is open", body = ProductView),
        (status = 304, description = "The caller has this"),
        (status = 404, description = "not-found", body = ProblemSchema),
    ))]
pub async fn read(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(product_id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if !scope.caller.may(Right::Orders) {
        scope.caller.require(Right::Catalog)?;
    }
    let id = ProductId::parse(product_id).map_err(|invalid| Problem::invalid(vec![invalid]))?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    let key = ProductKey { tenant: scope.caller.tenant.clone(), product: id };
    let now = app.clock.now();
    let Cached { value, loaded_at, .. } = match scope.caller.may(Right::Catalog) {
        // They write back what they read: a price from a moment ago would be the price again.
        true => {
            let value = store.product_read(&key.tenant, &key.product).await?.map(Arc::new);
            Cached { version: 0, value, loaded_at: now.as_millisecond() }
        }
        false => {
            let load = || store.product_read(&key.tenant, &key.product);
            app.products.get(&key, load).await.map_err(Problem::shared)?
        }
    };
    let product = value.ok_or_else(|| Problem::not_found("product"))?;
    let mut response = match has_version(&headers, &etag(&product, now)) {
        true => (StatusCode::NOT_MODIFIED, [(header::ETAG, etag(&product, now))]).into_response(),
        false => answer(StatusCode::OK, &product, now),
    };
    // Whoever keeps it asks each time whether it still holds, which costs no body.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    let age_seconds = (now.as_millisecond() - loaded_at).max(0) / 1_000;
    response.headers_mut().insert(header::AGE, HeaderValue::from(age_seconds));
    Ok(response)
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
    let price = body.price.read("price", &mut problems);
    let windows = price.and_then(|price| windows(body.windows, price, &mut problems));
    let limit = match body.purchase_limit {
        Some(limit) => problems.keep_all("purchase_limit", PurchaseLimit::new(limit.quantity, limit.window_seconds)),
        None => None,
    };
    let tax_class = body.tax_class.map(TaxClass::parse).transpose();
    let tax_class = tax_class.map_err(|invalid| Invalid::new("tax_class", invalid.problem));
    let tax_class = problems.keep("", tax_class).flatten().unwrap_or_default();
    let write = id.zip(name).zip(description).zip(category).zip(price).zip(windows);
    problems.finish(write.map(|(((((id, name), description), category), price), windows)| ProductWrite {
        id,
        name,
        description,
        category,
        price,
        windows,
        limit,
        tax_class,
    }))
}

fn windows(bodies: Vec<WindowBody>, price: Money, problems: &mut Problems) -> Option<Vec<PriceWindow>> {
    let mut windows = Vec::with_capacity(bodies.len());
    for (index, body) in bodies.iter().enumerate() {
        let path = format!("windows[{index}]");
        let starts_at = problems.keep(&path, instant("starts_at", body.starts_at));
        let ends_at = problems.keep(&path, instant("ends_at", body.ends_at));
        let price = body.price.read(&format!("{path}.price"), problems);
        let parts = starts_at.zip(ends_at).zip(price);
        windows.extend(parts.map(|((starts_at, ends_at), price)| PriceWindow { starts_at, ends_at, price }));
    }
    // Positions in the problems are those of the body only if all of it is there.
    let all_read = windows.len() == bodies.len();
    if all_read { problems.keep_all("", PriceWindow::checked_all(windows, price)) } else { None }
}

/// What tells two answers about a product apart: its version, and the price window that is open.
fn etag(product: &Product, now: Timestamp) -> HeaderValue {
    let version = product.version;
    let text = match product.windows.iter().position(|window| window.holds(now)) {
        None => format!("\"{version}\""),
        Some(window) => format!("\"{version}.{window}\""),
    };
    HeaderValue::from_str(&text).expect("digits in quotes are a header value")
}

fn answer(status: StatusCode, product: &Product, now: Timestamp) -> Response {
    let window =
        |window: &PriceWindow| WindowView { starts_at: window.starts_at, ends_at: window.ends_at, price: window.price };
    let view = ProductView {
        product_id: product.id.clone(),
        name: product.name.clone(),
        description: product.description.clone(),
        category: product.category.clone(),
        price: product.price,
        price_now: product.price_at(now),
        windows: product.windows.iter().map(window).collect(),
        purchase_limit: product
            .limit
            .map(|limit| LimitView { quantity: limit.quantity(), window_seconds: limit.window_seconds() }),
        tax_class: product.tax_class.clone(),
        price_version: product.price_version,
        version: product.version,
    };
    (status, [(header::ETAG, etag(product, now))], axum::Json(view)).into_response()
}
