//! The item of an order: it is the order, its idempotency record, its hold and its outbox.

use crate::item::{self, Item};
use crate::{StoreError, keys};
use holdfast_domain::address::Address;
use holdfast_domain::event::{EventKind, Trace};
use holdfast_domain::ids::{CustomerId, Fingerprint, ProductId, WarehouseId};
use holdfast_domain::money::{Currency, Money};
use holdfast_domain::order::{HistoryEntry, Line, Order, OrderState, Quantity, Source};
use holdfast_domain::payment::{DeclineCode, Payment, PaymentMethod, PaymentReference, PaymentStatus};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An order together with the trace of the change that made its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOrder {
    /// The order at its version.
    pub order: Order,
    /// Which request or message made that version.
    pub trace: Trace,
}

#[derive(Serialize, Deserialize)]
struct OrderItem {
    pk: String,
    sk: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gsi1pk: Option<String>,
    gsi2pk: String,
    gsisk: String,
    state: OrderState,
    version: u64,
    customer: CustomerId,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    guest: bool,
    currency: Currency,
    total: i64,
    lines: Vec<LineItem>,
    address: Address,
    payment: PaymentItem,
    placed_at: i64,
    expires_at: i64,
    fingerprint: String,
    history: Vec<HistoryItem>,
    event: Trace,
}

#[derive(Serialize, Deserialize)]
struct LineItem {
    product: ProductId,
    quantity: i64,
    price: i64,
    from: Vec<SourceItem>,
}

#[derive(Serialize, Deserialize)]
struct SourceItem {
    warehouse: WarehouseId,
    stripe: u16,
    quantity: u32,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct HistoryItem {
    #[serde(rename = "type")]
    kind: EventKind,
    at: i64,
    by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct PaymentItem {
    method: PaymentMethod,
    status: PaymentName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<PaymentReference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decline: Option<DeclineCode>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PaymentName {
    None,
    Pending,
    Started,
    Authorised,
    Declined,
    Voided,
}

/// The item of a new order.
pub(crate) fn order_item(order: &Order, trace: &Trace) -> Item {
    let keys::Key { pk, sk } = keys::order(&order.tenant, order.id);
    let day = keys::day_of(order.placed_at);
    item::written(&OrderItem {
        pk,
        sk,
        gsi1pk: (!order.guest).then(|| keys::customer_orders(&order.tenant, &order.customer)),
        gsi2pk: keys::day_orders(&order.tenant, day, keys::day_shard(order.id)),
        gsisk: keys::order_position(order.placed_at, order.id),
        state: order.state,
        version: order.version,
        customer: order.customer.clone(),
        guest: order.guest,
        currency: order.total.currency(),
        total: order.total.amount(),
        lines: order.lines.iter().map(LineItem::from).collect(),
        address: order.address.clone(),
        payment: PaymentItem::from(&order.payment),
        placed_at: order.placed_at.as_millisecond(),
        expires_at: order.expires_at.as_millisecond(),
        fingerprint: order.fingerprint.to_string(),
        history: order.history.iter().map(HistoryItem::from).collect(),
        event: trace.clone(),
    })
}

/// Reads an order's item.
pub(crate) fn stored_order(item: Item) -> Result<StoredOrder, StoreError> {
    let item: OrderItem = item::read(item)?;
    let key = item.pk.clone();
    item.try_into().map_err(|problem: String| StoreError::Corrupt { key, problem })
}

impl TryFrom<OrderItem> for StoredOrder {
    type Error = String;

    fn try_from(item: OrderItem) -> Result<Self, String> {
        let (tenant, id) = keys::parse_order_pk(&item.pk).ok_or("the key is not an order's")?;
        let currency = item.currency;
        let lines = item.lines.into_iter().map(|line| line.line(currency)).collect::<Result<_, _>>()?;
        let fingerprint = u128::from_str_radix(&item.fingerprint, 16).map_err(|error| error.to_string())?;
        let history = item.history.into_iter().map(HistoryItem::entry).collect::<Result<_, _>>()?;
        let order = Order {
            id,
            tenant,
            customer: item.customer,
            guest: item.guest,
            lines,
            total: Money::new(item.total, currency).map_err(|invalid| invalid.to_string())?,
            address: item.address,
            payment: item.payment.payment()?,
            state: item.state,
            version: item.version,
            placed_at: timestamp(item.placed_at)?,
            expires_at: timestamp(item.expires_at)?,
            fingerprint: Fingerprint::from(fingerprint.to_be_bytes()),
            history,
        };
        Ok(Self { order, trace: item.event })
    }
}

fn timestamp(millisecond: i64) -> Result<Timestamp, String> {
    Timestamp::from_millisecond(millisecond).map_err(|error| error.to_string())
}

impl From<&Line> for LineItem {
    fn from(line: &Line) -> Self {
        let source = |source: &Source| SourceItem {
            warehouse: source.warehouse.clone(),
            stripe: source.stripe,
            quantity: source.quantity,
        };
        Self {
            product: line.product.clone(),
            quantity: i64::from(line.quantity.units()),
            price: line.unit_price.amount(),
            from: line.from.iter().map(source).collect(),
        }
    }
}

impl LineItem {
    fn line(self, currency: Currency) -> Result<Line, String> {
        let source =
            |item: SourceItem| Source { warehouse: item.warehouse, stripe: item.stripe, quantity: item.quantity };
        Ok(Line {
            product: self.product,
            quantity: Quantity::new(self.quantity).map_err(|invalid| invalid.to_string())?,
            unit_price: Money::new(self.price, currency).map_err(|invalid| invalid.to_string())?,
            from: self.from.into_iter().map(source).collect(),
        })
    }
}

impl From<&HistoryEntry> for HistoryItem {
    fn from(entry: &HistoryEntry) -> Self {
        Self { kind: entry.kind, at: entry.at.as_millisecond(), by: entry.by.clone(), why: entry.why.clone() }
    }
}

impl HistoryItem {
    fn entry(self) -> Result<HistoryEntry, String> {
        Ok(HistoryEntry { kind: self.kind, at: timestamp(self.at)?, by: self.by, why: self.why })
    }
}

impl From<&Payment> for PaymentItem {
    fn from(payment: &Payment) -> Self {
        use PaymentStatus as P;
        let (status, attempt, reference, decline) = match &payment.status {
            P::None => (PaymentName::None, None, None, None),
            P::Pending => (PaymentName::Pending, None, None, None),
            P::Started { attempt } => (PaymentName::Started, Some(*attempt), None, None),
            P::Authorised { attempt, reference } => {
                (PaymentName::Authorised, Some(*attempt), Some(reference.clone()), None)
            }
            P::Declined { attempt, code } => (PaymentName::Declined, Some(*attempt), None, Some(code.clone())),
            P::Voided { attempt, reference } => (PaymentName::Voided, Some(*attempt), Some(reference.clone()), None),
        };
        Self { method: payment.method.clone(), status, attempt, reference, decline }
    }
}

impl PaymentItem {
    fn payment(self) -> Result<Payment, String> {
        use PaymentStatus as P;
        let status = match (self.status, self.attempt, self.reference, self.decline) {
            (PaymentName::None, ..) => P::None,
            (PaymentName::Pending, ..) => P::Pending,
            (PaymentName::Started, Some(attempt), ..) => P::Started { attempt },
            (PaymentName::Authorised, Some(attempt), Some(reference), _) => P::Authorised { attempt, reference },
            (PaymentName::Declined, Some(attempt), _, Some(code)) => P::Declined { attempt, code },
            (PaymentName::Voided, Some(attempt), Some(reference), _) => P::Voided { attempt, reference },
            _ => return Err("the payment lacks an attempt, a reference or a reason".to_owned()),
        };
        Ok(Payment { method: self.method, status })
    }
}
