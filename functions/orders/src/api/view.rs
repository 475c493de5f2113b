//! An order as its customer sees it.

use axum::response::{IntoResponse, Response};
use holdfast_domain::address::Address;
use holdfast_domain::event::EventKind;
use holdfast_domain::ids::{CustomerId, OrderId, ProductId, WarehouseId};
use holdfast_domain::money::Money;
use holdfast_domain::order::{Line, Order, OrderState};
use holdfast_domain::payment::PaymentStatus;
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde::Serialize;

/// The body of an order. Amounts are minor units of the order's currency.
#[derive(Serialize)]
pub struct OrderView {
    order_id: OrderId,
    state: OrderState,
    version: u64,
    customer: CustomerId,
    total: Money,
    lines: Vec<LineView>,
    shipping_address: Address,
    payment: PaymentView,
    placed_at: Timestamp,
    expires_at: Timestamp,
    history: Vec<HistoryView>,
}

/// The names of the members of [`OrderView`], for the `fields` parameter of lists.
pub const FIELDS: [&str; 11] = [
    "order_id",
    "state",
    "version",
    "customer",
    "total",
    "lines",
    "shipping_address",
    "payment",
    "placed_at",
    "expires_at",
    "history",
];

#[derive(Serialize)]
struct LineView {
    product_id: ProductId,
    quantity: u32,
    unit_price: i64,
    from: Vec<SourceView>,
}

#[derive(Serialize)]
struct SourceView {
    warehouse: WarehouseId,
    quantity: u32,
}

#[derive(Serialize)]
struct PaymentView {
    method: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    decline: Option<String>,
}

#[derive(Serialize)]
struct HistoryView {
    #[serde(rename = "type")]
    kind: EventKind,
    at: Timestamp,
    by: String,
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
            lines: order.lines.iter().map(line).collect(),
            shipping_address: order.address.clone(),
            payment: payment(order),
            placed_at: order.placed_at,
            expires_at: order.expires_at,
            history: history.collect(),
        }
    }
}

/// A line; its units are told by warehouse, since stripes are nobody's business outside.
fn line(line: &Line) -> LineView {
    let mut from: Vec<SourceView> = Vec::new();
    for source in &line.from {
        match from.iter_mut().find(|view| view.warehouse == source.warehouse) {
            Some(view) => view.quantity += source.quantity,
            None => from.push(SourceView { warehouse: source.warehouse.clone(), quantity: source.quantity }),
        }
    }
    LineView {
        product_id: line.product.clone(),
        quantity: line.quantity.units(),
        unit_price: line.unit_price.amount(),
        from,
    }
}

fn payment(order: &Order) -> PaymentView {
    let (status, decline) = match &order.payment.status {
        PaymentStatus::None => ("none", None),
        PaymentStatus::Pending => ("pending", None),
        PaymentStatus::Started { .. } => ("started", None),
        PaymentStatus::Authorised { .. } => ("authorised", None),
        PaymentStatus::Declined { code, .. } => ("declined", Some(code.0.clone())),
        PaymentStatus::Voided { .. } => ("voided", None),
    };
    PaymentView { method: order.payment.method.as_str().to_owned(), status, decline }
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
