//! `/coupons/{code}`

use crate::App;
use crate::body::{MoneyBody, instant};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use holdfast_domain::ids::{CouponCode, ProductId};
use holdfast_domain::invalid::{Invalid, Problems};
use holdfast_domain::money::Money;
use holdfast_domain::pool::StripeNumber;
use holdfast_domain::terms::coupon::{BasisPoints, Coupon, Discount};
use holdfast_runtime::http::schemas::{MoneySchema, ProblemSchema};
use holdfast_runtime::http::{Json, Problem, Right, Scope};
use holdfast_store::contention::{ATTEMPTS_MAX, back_off};
use holdfast_store::{COUPON_STRIPES_MAX, CouponPut, StoreError};
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A coupon as it is to be. It takes off either a percentage or an amount.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PutCoupon)]
pub struct CouponBody {
    /// The share of the eligible lines' sum that it takes off, above 0 and at most 100, with at most two digits after the
    /// point. The discount is rounded half-even to the minor unit.
    #[serde(default)]
    #[schema(example = "12.5")]
    percent: Option<String>,
    /// What it takes off the eligible lines, or all that they cost if that is less. Orders must be in its currency.
    #[serde(default)]
    #[schema(value_type = Option<MoneySchema>)]
    amount: Option<MoneyBody>,
    /// The first instant at which it is good; without it, it is good at once.
    #[serde(default)]
    starts_at: Option<Timestamp>,
    /// The first instant at which it is good no more; without it, it has no end.
    #[serde(default)]
    ends_at: Option<Timestamp>,
    /// How many orders may use it. Of those that are free, some may be taken away later.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    total_uses: i64,
    /// How many orders of one customer may use it; without it, only the total counts.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    uses_per_customer: Option<i64>,
    /// What all lines of an order must add up to before the discount. Orders must be in its currency.
    #[serde(default)]
    #[schema(value_type = Option<MoneySchema>)]
    minimum_total: Option<MoneyBody>,
    /// The products it is good for. Without products and categories it is good for all.
    #[serde(default)]
    #[schema(max_items = 100)]
    products: Vec<String>,
    /// The categories it is good for, beside the products.
    #[serde(default)]
    #[schema(max_items = 100)]
    categories: Vec<String>,
    /// In how many stripes the uses of a new coupon are kept: more let more orders use it at the same time. It counts
    /// only when the coupon is created.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 64, default = 1)]
    stripes: i64,
}

fn one() -> i64 {
    1
}

/// A coupon.
#[derive(Serialize, ToSchema)]
#[schema(as = Coupon)]
struct CouponView {
    /// What the buyer types. Letter case counts.
    #[schema(value_type = String)]
    code: CouponCode,
    /// The share that it takes off, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "12.5")]
    percent: Option<String>,
    /// The amount that it takes off, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<MoneySchema>)]
    amount: Option<Money>,
    /// The first instant at which it is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    starts_at: Option<Timestamp>,
    /// The first instant at which it is good no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<Timestamp>,
    /// How many orders may use it.
    total_uses: u32,
    /// How many uses are free.
    remaining: u64,
    /// How many orders of one customer may use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    uses_per_customer: Option<u32>,
    /// What all lines of an order must add up to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<MoneySchema>)]
    minimum_total: Option<Money>,
    /// The products it is good for.
    #[schema(value_type = Vec<String>)]
    products: Vec<ProductId>,
    /// The categories it is good for.
    categories: Vec<String>,
    /// Raised with every write.
    version: u64,
}

/// Creates or replaces a coupon: 201 or 200. When it answers, no order is placed by its earlier terms any more.
#[utoipa::path(put, path = "/coupons/{code}", operation_id = "putCoupon", tag = "coupons", security(("jwt" = ["catalog"])),
    params(("code" = String, Path, description = "The coupon: 1 to 32 letters, digits, - and _")), request_body = CouponBody,
    responses(
        (status = 201, description = "Created", body = CouponView),
        (status = 200, description = "Replaced", body = CouponView),
        (status = 400, description = "invalid-request", body = ProblemSchema),
        (status = 409, description = "coupon-uses-taken: fewer uses are free than were to be taken away", body = ProblemSchema),
        (status = 503, description = "busy, unavailable: repeat the request", body = ProblemSchema),
    ))]
pub async fn put(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(code): Path<String>,
    Json(body): Json<CouponBody>,
) -> Result<Response, Problem> {
    scope.caller.require(Right::Catalog)?;
    let (coupon, stripes) = checked(code, body).map_err(Problem::invalid)?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    let tenant = &scope.caller.tenant;
    for attempt in 0..ATTEMPTS_MAX {
        let (status, coupon) = match store.coupon_put(tenant, coupon.clone(), stripes).await {
            Ok(CouponPut::Created(coupon)) => (StatusCode::CREATED, coupon),
            Ok(CouponPut::Replaced(coupon)) => (StatusCode::OK, coupon),
            Ok(CouponPut::UsesTaken { total_uses, free }) => return Err(uses_taken(total_uses, free)),
            Err(StoreError::Conflict) => {
                back_off(attempt).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let remaining = store.coupon_remaining(tenant, &coupon.code).await?;
        return Ok(answer(status, coupon, remaining));
    }
    Err(Problem::busy())
}

/// Reads a coupon and how many of its uses are free.
#[utoipa::path(get, path = "/coupons/{code}", operation_id = "readCoupon", tag = "coupons", security(("jwt" = ["catalog"])),
    params(("code" = String, Path, description = "The coupon")),
    responses(
        (status = 200, description = "The coupon; its ETag is the version", body = CouponView),
        (status = 404, description = "not-found", body = ProblemSchema),
    ))]
pub async fn read(State(app): State<Arc<App>>, scope: Scope, Path(code): Path<String>) -> Result<Response, Problem> {
    scope.caller.require(Right::Catalog)?;
    let code = CouponCode::parse(code).map_err(|invalid| Problem::invalid(vec![invalid]))?;
    let store = app.store.metered(Arc::clone(&scope.meter));
    let coupon = store.coupon_read(&scope.caller.tenant, &code).await?;
    let coupon = coupon.ok_or_else(|| Problem::not_found("coupon"))?;
    let remaining = store.coupon_remaining(&scope.caller.tenant, &code).await?;
    Ok(answer(StatusCode::OK, coupon, remaining))
}

fn checked(code: String, body: CouponBody) -> Result<(Coupon, StripeNumber), Vec<Invalid>> {
    let mut problems = Problems::new();
    let code = problems.keep("", CouponCode::parse(code));
    let discount = discount(body.percent, body.amount, &mut problems);
    let mut optional_instant = |field, at: Option<Timestamp>| at.and_then(|at| problems.keep("", instant(field, at)));
    let (starts_at, ends_at) =
        (optional_instant("starts_at", body.starts_at), optional_instant("ends_at", body.ends_at));
    let minimum_total = body.minimum_total.and_then(|minimum| minimum.read("minimum_total", &mut problems));
    let given = body.products.len();
    let mut products = Vec::with_capacity(given);
    for (index, product) in body.products.into_iter().enumerate() {
        let product = ProductId::parse(product);
        let product = product.map_err(|invalid| Invalid::new(format!("products[{index}]"), invalid.problem));
        products.extend(problems.keep("", product));
    }
    let stripes = StripeNumber::try_from(body.stripes).ok().filter(|n| (1..=COUPON_STRIPES_MAX).contains(n));
    let stripes = stripes.ok_or_else(|| Invalid::new("stripes", format!("must be 1 to {COUPON_STRIPES_MAX}")));
    let stripes = problems.keep("", stripes);
    // A number that does not fit is out of range just like none.
    let uses = |uses: i64| u32::try_from(uses).unwrap_or_default();
    // Positions in the problems are those of the body only if all of it is there.
    let parts = code.zip(discount).filter(|_| products.len() == given);
    let coupon = parts.and_then(|(code, discount)| {
        let coupon = Coupon {
            code,
            discount,
            starts_at,
            ends_at,
            total_uses: uses(body.total_uses),
            uses_per_customer: body.uses_per_customer.map(uses),
            minimum_total,
            products,
            categories: body.categories,
            version: 0,
        };
        problems.keep_all("", coupon.checked())
    });
    problems.finish(coupon.zip(stripes))
}

fn discount(percent: Option<String>, amount: Option<MoneyBody>, problems: &mut Problems) -> Option<Discount> {
    match (percent, amount) {
        (Some(percent), None) => problems.keep("", BasisPoints::parse(&percent)).map(Discount::Percent),
        (None, Some(amount)) => amount.read("amount", problems).map(Discount::Amount),
        (None, None) => {
            problems.push(Invalid::new("percent", "is required unless there is an amount"));
            None
        }
        (Some(_), Some(_)) => {
            problems.push(Invalid::new("amount", "must not be given beside percent"));
            None
        }
    }
}

fn uses_taken(total_uses: u32, free: u64) -> Problem {
    Problem::new(StatusCode::CONFLICT, "coupon-uses-taken", "The coupon's uses are taken")
        .detail(format!("Of its {total_uses} uses, {free} are free and can be taken away now."))
        .with("total_uses", total_uses)
        .with("free", free)
}

fn answer(status: StatusCode, coupon: Coupon, remaining: u64) -> Response {
    let etag = HeaderValue::from_str(&format!("\"{}\"", coupon.version)).expect("digits in quotes are a header value");
    let (percent, amount) = match coupon.discount {
        Discount::Percent(share) => (Some(share.to_string()), None),
        Discount::Amount(amount) => (None, Some(amount)),
    };
    let view = CouponView {
        code: coupon.code,
        percent,
        amount,
        starts_at: coupon.starts_at,
        ends_at: coupon.ends_at,
        total_uses: coupon.total_uses,
        remaining,
        uses_per_customer: coupon.uses_per_customer,
        minimum_total: coupon.minimum_total,
        products: coupon.products,
        categories: coupon.categories,
        version: coupon.version,
    };
    (status, [(header::ETAG, etag)], axum::Json(view)).into_response()
}
