//! The item of an order: it is the order, its idempotency record, its hold and its outbox.

use crate::fulfilment_item::{LedgerItem, RefundItem, ReturnItem, ShipmentItem};
use crate::item::{self, Item};
use crate::line_item::{ClaimItem, LineItem};
use crate::payment_item::PaymentItem;
use crate::tax_item::TaxItem;
use crate::{StoreError, keys};
use holdfast_domain::address::Address;
use holdfast_domain::contact::Email;
use holdfast_domain::event::{EventKind, Trace};
use holdfast_domain::ids::{CouponCode, CustomerId, Fingerprint};
use holdfast_domain::money::{Currency, Money};
use holdfast_domain::order::{Cause, Discount, EntryKind, HistoryEntry, LedgerEntry, Order, OrderState, Parts};
use holdfast_domain::payment::{CapturePolicy, PaymentStatus};
use holdfast_domain::terms::rate::{Rate, RateValue};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An order together with the trace of the change that made its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOrder {
    /// The order at its version.
    pub order: Order,
    /// Which request or message made that version.
    pub trace: Trace,
    /// Whether its stock went back after its day was closed: see [`crate::reconciliation`].
    pub released_late: bool,
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
    #[serde(default)]
    lines: Vec<LineItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parts: Option<PartsItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    discount: Option<DiscountItem>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rates: Vec<RateItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tax: Option<TaxItem>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    claims: Vec<ClaimItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<Address>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contact_email: Option<Email>,
    payment: PaymentItem,
    placed_at: i64,
    expires_at: i64,
    fingerprint: String,
    history: Vec<HistoryItem>,
    event: Trace,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    released_late: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ledger: Vec<LedgerItem>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    shipments: Vec<ShipmentItem>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    returns: Vec<ReturnItem>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    refunds: Vec<RefundItem>,
}

#[derive(Serialize, Deserialize)]
struct PartsItem {
    attempt: u32,
    count: u16,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct DiscountItem {
    coupon: CouponCode,
    amount: i64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RateItem {
    from: Currency,
    to: Currency,
    value: RateValue,
    source: String,
    as_of: i64,
    valid_until: i64,
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

/// The item of a new order.
pub(crate) fn order_item(order: &Order, trace: &Trace) -> Item {
    let keys::Key { pk, sk } = keys::order(&order.tenant, order.id);
    let place = Place::of(order);
    let currency = order.total.currency();
    item::written(&OrderItem {
        pk,
        sk,
        gsi1pk: place.gsi1pk,
        gsi2pk: place.gsi2pk,
        gsisk: place.gsisk,
        state: order.state,
        version: order.version,
        customer: order.customer.clone(),
        guest: order.guest,
        currency,
        total: order.total.amount(),
        lines: order.lines.iter().map(|line| LineItem::of(line, currency)).collect(),
        parts: order.parts.map(|Parts { attempt, count }| PartsItem { attempt, count }),
        discount: order.discount.as_ref().map(DiscountItem::from),
        rates: order.rates.iter().map(RateItem::from).collect(),
        tax: order.tax.as_ref().map(TaxItem::from),
        claims: order.claims.iter().filter_map(ClaimItem::of).collect(),
        address: order.address.clone(),
        contact_email: order.contact.clone(),
        payment: PaymentItem::from(&order.payment),
        placed_at: order.placed_at.as_millisecond(),
        expires_at: order.expires_at.as_millisecond(),
        fingerprint: order.fingerprint.to_string(),
        history: order.history.iter().map(HistoryItem::from).collect(),
        event: trace.clone(),
        released_late: false,
        ledger: order.ledger.iter().map(LedgerItem::from).collect(),
        shipments: order.shipments.iter().map(ShipmentItem::from).collect(),
        returns: order.returns.iter().map(ReturnItem::from).collect(),
        refunds: order.refunds.iter().map(RefundItem::from).collect(),
    })
}

/// Where an order stands in the indices. What is no order yet, or never became one, is in no customer's list, and among
/// a day's holds instead of its orders.
pub(crate) struct Place {
    pub gsi1pk: Option<String>,
    pub gsi2pk: String,
    pub gsisk: String,
}

impl Place {
    pub(crate) fn of(order: &Order) -> Self {
        let (day, shard) = (keys::day_of(order.placed_at), keys::day_shard(order.id));
        let is_order = order.was_placed();
        let listed = is_order && !order.guest;
        let list = if is_order { keys::DayList::Orders } else { keys::DayList::Holds };
        Self {
            gsi1pk: listed.then(|| keys::customer_orders(&order.tenant, &order.customer)),
            gsi2pk: keys::day_orders(&order.tenant, list, day, shard),
            gsisk: keys::order_position(order.placed_at, order.id),
        }
    }
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
        let claims = item.claims.into_iter().map(|claim| claim.claim(&item.customer)).collect();
        let discount = item.discount.map(|discount| discount.discount(currency)).transpose()?;
        let fingerprint = u128::from_str_radix(&item.fingerprint, 16).map_err(|error| error.to_string())?;
        let history = item.history.into_iter().map(HistoryItem::entry).collect::<Result<_, _>>()?;
        let ledger = item.ledger.into_iter().map(|entry| entry.entry(currency)).collect::<Result<_, _>>()?;
        let shipments = item.shipments.into_iter().map(|shipment| shipment.shipment(currency));
        let refunds = item.refunds.into_iter().map(|refund| refund.refund(currency));
        let mut order = Order {
            id,
            tenant,
            customer: item.customer,
            guest: item.guest,
            lines,
            parts: item.parts.map(|PartsItem { attempt, count }| Parts { attempt, count }),
            discount,
            rates: item.rates.into_iter().map(RateItem::rate).collect::<Result<_, _>>()?,
            claims,
            tax: item.tax.map(|tax| tax.tax(currency)).transpose()?,
            total: Money::new(item.total, currency).map_err(|invalid| invalid.to_string())?,
            address: item.address,
            contact: item.contact_email,
            payment: item.payment.payment()?,
            state: item.state,
            version: item.version,
            placed_at: timestamp(item.placed_at)?,
            expires_at: timestamp(item.expires_at)?,
            fingerprint: Fingerprint::from(fingerprint.to_be_bytes()),
            history,
            ledger,
            shipments: shipments.collect::<Result<_, _>>()?,
            returns: item.returns.into_iter().map(ReturnItem::returned).collect::<Result<_, _>>()?,
            refunds: refunds.collect::<Result<_, _>>()?,
        };
        let unwritten = unwritten_authorisation(&order);
        if unwritten.is_some() && order.payment.capture == CapturePolicy::WhenShipped {
            // Nobody had asked the provider for several captures then.
            order.payment.capture = CapturePolicy::WithFirstShipment;
        }
        order.ledger.splice(0..0, unwritten);
        Ok(Self { order, trace: item.event, released_late: item.released_late })
    }
}

/// The entry of an authorisation that was made before orders had a ledger.
fn unwritten_authorisation(order: &Order) -> Option<LedgerEntry> {
    use PaymentStatus as P;
    let was_authorised =
        matches!(order.payment.status, P::Authorised { .. } | P::Voided { .. } | P::CaptureFailed { .. });
    let is_written = order.has_entry(EntryKind::Authorised, Cause::Order);
    let noted = |entry: &&HistoryEntry| matches!(entry.kind, EventKind::Paid | EventKind::PaymentAuthorised);
    let noted = order.history.iter().find(noted).filter(|_| was_authorised && !is_written)?;
    let (kind, cause, amount) = (EntryKind::Authorised, Cause::Order, order.total);
    Some(LedgerEntry { kind, amount, cause, at: noted.at, version: 0 })
}

impl From<&Discount> for DiscountItem {
    fn from(discount: &Discount) -> Self {
        Self { coupon: discount.coupon.clone(), amount: discount.amount.amount() }
    }
}

impl DiscountItem {
    fn discount(self, currency: Currency) -> Result<Discount, String> {
        let amount = Money::new(self.amount, currency).map_err(|invalid| invalid.to_string())?;
        Ok(Discount { coupon: self.coupon, amount })
    }
}

impl From<&Rate> for RateItem {
    fn from(rate: &Rate) -> Self {
        Self {
            from: rate.from,
            to: rate.to,
            value: rate.value,
            source: rate.source.clone(),
            as_of: rate.as_of.as_millisecond(),
            valid_until: rate.valid_until.as_millisecond(),
        }
    }
}

impl RateItem {
    fn rate(self) -> Result<Rate, String> {
        let Self { from, to, value, source, as_of, valid_until } = self;
        Ok(Rate { from, to, value, source, as_of: timestamp(as_of)?, valid_until: timestamp(valid_until)? })
    }
}

fn timestamp(millisecond: i64) -> Result<Timestamp, String> {
    Timestamp::from_millisecond(millisecond).map_err(|error| error.to_string())
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
