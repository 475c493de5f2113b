//! Domain events, as CloudEvents 1.0 (https://github.com/cloudevents/spec, JSON format).

use crate::ids::{OrderId, TenantId};
use crate::invalid::Invalid;
use crate::order::Order;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What happened to an order: one for every version of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A cart was filled: its stock is held.
    Reserved,
    /// A cart was given up; its stock went back.
    Released,
    /// The writing of a large order began.
    Placing,
    /// The writing of a large order was given up; what it had claimed goes back.
    Aborted,
    /// It was accepted and its stock is held.
    Placed,
    /// An attempt to pay it began.
    PaymentStarted,
    /// The amount is authorised; the held stock is sold.
    Paid,
    /// The provider declined; the stock went back.
    PaymentFailed,
    /// Somebody called it off; the stock went back.
    Cancelled,
    /// Nobody paid in time; the stock went back.
    Expired,
    /// An attempt that was under way when the order ended was authorised, and is to be voided.
    PaymentAuthorised,
    /// An attempt that was under way when the order ended was declined.
    PaymentDeclined,
    /// An authorisation that outlived the order was let go.
    PaymentVoided,
    /// Lines, address or means of payment were changed before it was paid.
    Changed,
    /// Some of its lines became an order of their own.
    Split,
    /// Its lines went over into another order.
    Merged,
    /// It took in the lines of another order.
    Absorbed,
    /// The carrier was asked to take some or all of it.
    Shipping,
    /// The carrier took a shipment.
    Shipped,
    /// The carrier does not take a shipment; its units wait again.
    ShipmentRefused,
    /// A shipment arrived.
    Delivered,
    /// Units came back.
    Returned,
    /// Money was taken out of the authorised amount.
    PaymentCaptured,
    /// The provider does not pay out what it had authorised.
    PaymentCaptureFailed,
    /// Money is to go back, beyond what returns give back.
    RefundRequested,
    /// Money went back.
    PaymentRefunded,
    /// The provider does not give money back.
    PaymentRefundFailed,
    /// Nobody came back to what had expired or could not be paid: time to remind.
    Abandoned,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 28] = [
        Self::Reserved,
        Self::Released,
        Self::Placing,
        Self::Aborted,
        Self::Placed,
        Self::PaymentStarted,
        Self::Paid,
        Self::PaymentFailed,
        Self::Cancelled,
        Self::Expired,
        Self::PaymentAuthorised,
        Self::PaymentDeclined,
        Self::PaymentVoided,
        Self::Changed,
        Self::Split,
        Self::Merged,
        Self::Absorbed,
        Self::Shipping,
        Self::Shipped,
        Self::ShipmentRefused,
        Self::Delivered,
        Self::Returned,
        Self::PaymentCaptured,
        Self::PaymentCaptureFailed,
        Self::RefundRequested,
        Self::PaymentRefunded,
        Self::PaymentRefundFailed,
        Self::Abandoned,
    ];

    /// Whether the change begins a hold that ends by itself, or may have it end sooner, so that a timer has to be set.
    pub fn begins_hold(self) -> bool {
        matches!(self, Self::Reserved | Self::Placing | Self::Placed | Self::Absorbed)
    }

    /// Whether the change ends a hold without a sale, so that its stock goes back.
    pub fn ends_hold(self) -> bool {
        matches!(self, Self::Released | Self::Aborted | Self::PaymentFailed | Self::Cancelled | Self::Expired)
    }

    /// Whether the change leaves something behind that somebody may come back to: a timer has to be set (ORD-16).
    pub fn may_be_abandoned(self) -> bool {
        matches!(self, Self::Expired | Self::PaymentFailed)
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The type of its events.
    pub fn event_type(self) -> String {
        format!("{ORDER_TYPE_PREFIX}{}", self.name())
    }

    /// The name as stored and sent.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Released => "released",
            Self::Placing => "placing",
            Self::Aborted => "aborted",
            Self::Placed => "placed",
            Self::PaymentStarted => "payment_started",
            Self::Paid => "paid",
            Self::PaymentFailed => "payment_failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::PaymentAuthorised => "payment_authorised",
            Self::PaymentDeclined => "payment_declined",
            Self::PaymentVoided => "payment_voided",
            Self::Changed => "changed",
            Self::Split => "split",
            Self::Merged => "merged",
            Self::Absorbed => "absorbed",
            Self::Shipping => "shipping",
            Self::Shipped => "shipped",
            Self::ShipmentRefused => "shipment_refused",
            Self::Delivered => "delivered",
            Self::Returned => "returned",
            Self::PaymentCaptured => "payment_captured",
            Self::PaymentCaptureFailed => "payment_capture_failed",
            Self::RefundRequested => "refund_requested",
            Self::PaymentRefunded => "payment_refunded",
            Self::PaymentRefundFailed => "payment_refund_failed",
            Self::Abandoned => "abandoned",
        }
    }
}

/// Where a change came from, carried from the request through every message to every log line (OUT-6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// The caller's or our own id of the whole affair.
    pub correlation_id: String,
    /// W3C trace context (https://www.w3.org/TR/trace-context/).
    pub traceparent: String,
}

/// The prefix of the types of events about orders.
pub const ORDER_TYPE_PREFIX: &str = "com.holdfast.order.";
/// The type of the timer that ends what is not paid, confirmed or completely placed in time.
pub const ORDER_EXPIRY_TYPE: &str = "com.holdfast.timer.order_expiry";

/// The type of the timer after which nobody is expected to come back to an order by themselves.
pub const ORDER_RECOVERY_TYPE: &str = "com.holdfast.timer.order_recovery";
/// The type of a provider's notice that something happened to the payment of an order: reason to look at the order.
pub const PAYMENT_NOTICE_TYPE: &str = "com.holdfast.payment.notice";
/// The type of a provider's notice that it let go of what it had set aside for an order: reason to ask whether it did.
pub const PAYMENT_LAPSED_TYPE: &str = "com.holdfast.payment.lapsed";

/// An event or a timer about an order, on its way through a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CloudEvent {
    /// Always `1.0`.
    pub specversion: String,
    /// `<order id>/<version>`: the same for every delivery of the same change. Of a notice, the provider's name for it
    /// stands in place of the version.
    pub id: String,
    /// `/tenants/<tenant>/orders`.
    pub source: String,
    /// See [`ORDER_TYPE_PREFIX`], [`ORDER_EXPIRY_TYPE`], [`ORDER_RECOVERY_TYPE`], [`PAYMENT_NOTICE_TYPE`] and
    /// [`PAYMENT_LAPSED_TYPE`].
    #[serde(rename = "type")]
    pub kind: String,
    /// The order's id.
    pub subject: String,
    /// When it happened, RFC 3339.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub time: Timestamp,
    /// Always `application/json`.
    pub datacontenttype: String,
    /// W3C trace context (the distributed tracing extension).
    pub traceparent: String,
    /// The correlation id (extension).
    pub correlationid: String,
    /// What the event is about.
    pub data: OrderNotice,
}

/// The payload: enough to find the order and to route. Consumers act on the order's current state, not on this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderNotice {
    /// Whose order.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub tenant: TenantId,
    /// Which order.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub order_id: OrderId,
    /// Its version after the change.
    pub version: u64,
    /// Its state after the change, by name: a release may meet states of a later one.
    pub state: String,
    /// When it expires unless it is paid, or for a timer when that is due: milliseconds since the epoch.
    pub due_at: i64,
}

impl OrderNotice {
    /// What an event tells of an order.
    pub fn of(order: &Order) -> Self {
        Self {
            tenant: order.tenant.clone(),
            order_id: order.id,
            version: order.version,
            state: order.state.name().to_owned(),
            due_at: order.expires_at.as_millisecond(),
        }
    }
}

impl CloudEvent {
    /// The event of an order's version, by the name of its kind (see [`EventKind::name`]).
    pub fn of_change(kind: &str, time: Timestamp, trace: &Trace, data: OrderNotice) -> Self {
        let id = format!("{}/{}", data.order_id, data.version);
        Self::new(format!("{ORDER_TYPE_PREFIX}{kind}"), id, time, trace, data)
    }

    /// The timer that comes due when the order of `data` expires.
    pub fn expiry_timer(time: Timestamp, trace: &Trace, data: OrderNotice) -> Self {
        Self::new(ORDER_EXPIRY_TYPE.to_owned(), format!("{}/expiry", data.order_id), time, trace, data)
    }

    /// The timer that comes due when nobody is expected to come back to the order of `data` any more.
    pub fn recovery_timer(time: Timestamp, trace: &Trace, data: OrderNotice) -> Self {
        Self::new(ORDER_RECOVERY_TYPE.to_owned(), format!("{}/recovery", data.order_id), time, trace, data)
    }

    /// A provider's notice about the payment of an order, by the provider's name for it. Nothing in it is believed but
    /// which order to look at.
    pub fn payment_notice(
        lapsed: bool,
        name: &str,
        time: Timestamp,
        trace: &Trace,
        tenant: TenantId,
        order_id: OrderId,
    ) -> Self {
        let kind = if lapsed { PAYMENT_LAPSED_TYPE } else { PAYMENT_NOTICE_TYPE };
        let data = OrderNotice { tenant, order_id, version: 0, state: String::new(), due_at: 0 };
        Self::new(kind.to_owned(), format!("{order_id}/{name}"), time, trace, data)
    }

    fn new(kind: String, id: String, time: Timestamp, trace: &Trace, data: OrderNotice) -> Self {
        Self {
            specversion: "1.0".to_owned(),
            id,
            source: format!("/tenants/{}/orders", data.tenant),
            kind,
            subject: data.order_id.to_string(),
            time,
            datacontenttype: "application/json".to_owned(),
            traceparent: trace.traceparent.clone(),
            correlationid: trace.correlation_id.clone(),
            data,
        }
    }

    /// Whether this is a timer rather than a change.
    pub fn is_timer(&self) -> bool {
        matches!(self.kind.as_str(), ORDER_EXPIRY_TYPE | ORDER_RECOVERY_TYPE)
    }

    /// Where the event came from, to carry on.
    pub fn trace(&self) -> Trace {
        Trace { correlation_id: self.correlationid.clone(), traceparent: self.traceparent.clone() }
    }

    /// What a consumer should do about the event.
    ///
    /// # Errors
    /// When the version of the format or the type is not known: the message is poison for this consumer.
    pub fn subject_matter(&self) -> Result<SubjectMatter, Invalid> {
        if self.specversion != "1.0" {
            return Err(Invalid::new("specversion", format!("must be 1.0, not {}", self.specversion)));
        }
        match self.kind.as_str() {
            ORDER_EXPIRY_TYPE => return Ok(SubjectMatter::ExpiryDue),
            ORDER_RECOVERY_TYPE => return Ok(SubjectMatter::RecoveryDue),
            PAYMENT_NOTICE_TYPE => return Ok(SubjectMatter::PaymentNotice),
            PAYMENT_LAPSED_TYPE => return Ok(SubjectMatter::PaymentLapsed),
            _ => {}
        }
        let name = self.kind.strip_prefix(ORDER_TYPE_PREFIX).unwrap_or_default();
        EventKind::named(name)
            .map(SubjectMatter::Changed)
            .ok_or_else(|| Invalid::new("type", format!("{} is not known here", self.kind)))
    }
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectMatter {
    /// An order changed.
    Changed(EventKind),
    /// An order's time to be paid may be over.
    ExpiryDue,
    /// The time may be over in which somebody comes back to an order that expired or could not be paid.
    RecoveryDue,
    /// The provider says that something happened to an order's payment.
    PaymentNotice,
    /// The provider says that it let go of what it had set aside for an order.
    PaymentLapsed,
}
