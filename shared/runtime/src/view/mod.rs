//! An order as its customer sees it, over HTTP and in exports alike.

mod fulfilment;

use crate::http::schemas::{AddressSchema, MoneySchema};
use axum::response::{IntoResponse, Response};
use fulfilment::{PaymentView, RefundView, ReturnView, ShipmentView};
use holdfast_domain::address::Address;
use holdfast_domain::contact::Email;
use holdfast_domain::event::EventKind;
use holdfast_domain::ids::{CouponCode, CustomerId, OrderId, ProductId, TaxClass, WarehouseId};
use holdfast_domain::money::Money;
use holdfast_domain::order::{Line, Order, OrderState, OrderTax};
use holdfast_domain::terms::rate::Rate;
use holdfast_domain::terms::tax::TaxMode;
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// The body of an order. Amounts are minor units of the order's currency.
#[derive(Serialize, ToSchema)]
#[schema(as = Order)]
pub struct OrderView {
    /// A UUID.
    #[schema(value_type = String, example = "822b8224-07ef-8495-88e0-f8b7b79d9970")]
    order_id: OrderId,
    /// Where it stands.
    #[schema(value_type = String, pattern = "^(placed|paid|shipping|partially_shipped|shipped|delivered|returned|payment_failed|cancelled|expired|merged)$")]
    state: OrderState,
    /// The number of changes so far.
    version: u64,
    /// Who ordered.
    #[schema(value_type = String)]
    customer: CustomerId,
    /// The sum of the lines, less the discount, and with the tax where prices are without it.
    #[schema(value_type = MoneySchema)]
    total: Money,
    /// What was ordered.
    lines: Vec<LineView>,
    /// What a coupon takes off.
    #[serde(skip_serializing_if = "Option::is_none")]
    discount: Option<DiscountView>,
    /// The rates at which prices in other currencies were converted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rates: Vec<RateView>,
    /// What it is taxed, in a shop that has a tax policy: by the rates of when it was placed.
    #[serde(skip_serializing_if = "Option::is_none")]
    tax: Option<TaxView>,
    /// Where it goes.
    #[schema(value_type = AddressSchema)]
    shipping_address: Option<Address>,
    /// Where mails about it go.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    contact_email: Option<Email>,
    /// How it is paid.
    payment: PaymentView,
    /// What was asked to be shipped, and what became of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    shipments: Vec<ShipmentView>,
    /// What came back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    returns: Vec<ReturnView>,
    /// Money that is to go back, or went back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refunds: Vec<RefundView>,
    /// When it was placed.
    placed_at: Timestamp,
    /// When its stock goes back unless it is paid.
    expires_at: Timestamp,
    /// Every change, oldest first.
    history: Vec<HistoryView>,
}

/// The names of the members of [`OrderView`], for the `fields` parameter of lists.
pub const FIELDS: [&str; 18] = [
    "order_id",
    "state",
    "version",
    "customer",
    "total",
    "lines",
    "discount",
    "rates",
    "tax",
    "shipping_address",
    "contact_email",
    "payment",
    "shipments",
    "returns",
    "refunds",
    "placed_at",
    "expires_at",
    "history",
];

/// A line of an order or a reservation.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderLine)]
pub struct LineView {
    /// What.
    #[schema(value_type = String)]
    product_id: ProductId,
    /// How many.
    quantity: u32,
    /// The price of one when the stock was claimed, in minor units of `currency`, or of the order's without it.
    unit_price: i64,
    /// The currency of the price, if it is another than the order's.
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<&'static str>,
    /// The price of all, in minor units of the order's currency: converted once, rounded half to even.
    total: i64,
    /// What the coupon takes off the total.
    #[serde(skip_serializing_if = "is_zero")]
    discount: i64,
    /// The tax on the total less the discount, in minor units of the order's currency: within it or beside it, as the
    /// order's `tax` says. Rounded once a line, a half upwards.
    #[serde(skip_serializing_if = "is_zero")]
    tax: i64,
    /// The class that it was taxed by, if the order has lines of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    tax_class: Option<TaxClass>,
    /// Where the units come from.
    from: Vec<SourceView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Discount)]
struct DiscountView {
    /// The code of the coupon.
    #[schema(value_type = String)]
    coupon: CouponCode,
    /// In minor units of the order's currency.
    amount: i64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OrderRate)]
struct RateView {
    /// ISO 4217.
    from: &'static str,
    /// ISO 4217.
    to: &'static str,
    /// How much of `to` one of `from` is worth.
    #[schema(example = "1.0842")]
    rate: String,
    /// Who says so.
    source: String,
    /// When it was so.
    as_of: Timestamp,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OrderTax)]
struct TaxView {
    /// `inclusive`: prices have the tax in them. `exclusive`: it is paid beside them.
    #[schema(value_type = String, pattern = "^(inclusive|exclusive)$")]
    mode: TaxMode,
    /// The tax of all lines, in minor units of the order's currency.
    amount: i64,
    /// The rates by which it was counted.
    rates: Vec<TaxRateView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OrderTaxRate)]
struct TaxRateView {
    /// The class of products.
    #[schema(value_type = String, example = "standard")]
    class: TaxClass,
    /// In percent.
    #[schema(example = "19")]
    percent: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = LineSource)]
struct SourceView {
    /// Where they lie.
    #[schema(value_type = String)]
    warehouse: WarehouseId,
    /// How many.
    quantity: u32,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OrderChange)]
struct HistoryView {
    /// What happened, such as `placed` or `paid`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    kind: EventKind,
    /// When.
    at: Timestamp,
    /// Who did it, such as `customer:c-1` or `worker:expiry`.
    by: String,
    /// Why, where there is more to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl From<&Order> for OrderView {
    fn from(order: &Order) -> Self {
        let history = order.history.iter().map(|entry| HistoryView {
            kind: entry.kind,
            at: entry.at,
            by: entry.by.clone(),
            why: entry.why.clone(),
        });
        Self {
            order_id: order.id,
            state: order.state,
            version: order.version,
            customer: order.customer.clone(),
            total: order.total,
            lines: order.lines.iter().map(LineView::from).collect(),
            discount: order
                .discount
                .as_ref()
                .map(|discount| DiscountView { coupon: discount.coupon.clone(), amount: discount.amount.amount() }),
            rates: order.rates.iter().map(RateView::from).collect(),
            tax: order.tax.as_ref().map(TaxView::from),
            shipping_address: order.address.clone(),
            contact_email: order.contact.clone(),
            payment: PaymentView::from(order),
            shipments: order.shipments.iter().map(|shipment| ShipmentView::of(order, shipment)).collect(),
            returns: order.returns.iter().map(ReturnView::from).collect(),
            refunds: order.refunds.iter().map(RefundView::from).collect(),
            placed_at: order.placed_at,
            expires_at: order.expires_at,
            history: history.collect(),
        }
    }
}

fn is_zero(amount: &i64) -> bool {
    *amount == 0
}

impl From<&Rate> for RateView {
    fn from(rate: &Rate) -> Self {
        Self {
            from: rate.from.code(),
            to: rate.to.code(),
            rate: rate.value.to_string(),
            source: rate.source.clone(),
            as_of: rate.as_of,
        }
    }
}

impl From<&OrderTax> for TaxView {
    fn from(tax: &OrderTax) -> Self {
        let rate =
            |(class, percent): &(TaxClass, _)| TaxRateView { class: class.clone(), percent: format!("{percent}") };
        Self { mode: tax.mode, amount: tax.amount.amount(), rates: tax.rates.iter().map(rate).collect() }
    }
}

/// A line's units are told by warehouse, since stripes are nobody's business outside.
impl From<&Line> for LineView {
    fn from(line: &Line) -> Self {
        let mut from: Vec<SourceView> = Vec::new();
        for source in &line.from {
            match from.iter_mut().find(|view| view.warehouse == source.warehouse) {
                Some(view) => view.quantity += source.quantity,
                None => from.push(SourceView { warehouse: source.warehouse.clone(), quantity: source.quantity }),
            }
        }
        let foreign = line.unit_price.currency() != line.total.currency();
        Self {
            product_id: line.product.clone(),
            quantity: line.quantity.units(),
            unit_price: line.unit_price.amount(),
            currency: foreign.then(|| line.unit_price.currency().code()),
            total: line.total.amount(),
            discount: line.discount.amount(),
            tax: line.tax.amount(),
            tax_class: line.tax_class.clone(),
            from,
        }
    }
}

/// The entity tag of an order: its version.
pub fn etag(order: &Order) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{}\"", order.version)).expect("digits in quotes are a header value")
}

/// An order as an answer, with its ETag.
pub fn answer(status: StatusCode, order: &Order) -> Response {
    let mut response = (status, axum::Json(OrderView::from(order))).into_response();
    response.headers_mut().insert(header::ETAG, etag(order));
    response
}
