//! The safety net under timers and payment messages: orders that should have ended, and payments left open.
//!
//! Nothing is decided here. The order's timer is sent again, and the worker does what the order needs.

use crate::{Job, Maintenance, Report};
use holdfast_domain::event::{CloudEvent, OrderNotice, Trace};
use holdfast_domain::order::{Order, OrderState};
use holdfast_domain::payment::{PaymentStep, next_step};
use holdfast_runtime::message::Message;
use holdfast_store::{ListRange, StoreError};
use jiff::{SignedDuration, Timestamp};

/// How far back orders are looked at: twice the longest time that an order waits to be paid.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(48);
/// How late something has to be before it counts: the timers' and retries' own time.
const GRACE: SignedDuration = SignedDuration::from_mins(15);

impl Maintenance {
    pub(crate) async fn late_holds(&self) -> Result<Report, StoreError> {
        let mut report = Report::new(Job::LateHolds);
        let now = self.clock.now();
        let before = now.saturating_sub(GRACE).unwrap_or(now);
        for tenant in self.store.tenants().await? {
            let from = now.saturating_sub(LOOK_BACK).unwrap_or(Timestamp::UNIX_EPOCH);
            let mut range = ListRange { from, to: now, state: None, limit: 100, after: None };
            loop {
                let page = self.store.orders_of_tenant(&tenant, &range).await?;
                let messages: Vec<_> = page.orders.iter().filter_map(|order| late(order, before)).collect();
                let failed = self.publisher.publish(&messages).await;
                report.seen += page.orders.len();
                report.published += messages.len() - failed.len();
                report.waiting += failed.len();
                range.after = page.next;
                if range.after.is_none() {
                    break;
                }
            }
        }
        Ok(report)
    }
}

/// The timer of an order that is late.
fn late(order: &Order, before: Timestamp) -> Option<Message> {
    let last = order.history.last()?;
    let expired = order.state == OrderState::Placed && order.expires_at < before;
    let open = next_step(order) != PaymentStep::Done && order.expires_at < before;
    let trace = Trace {
        correlation_id: format!("late-holds-{}", order.id),
        // A trace of its own, by the order's id, which is as good as random (W3C trace context).
        traceparent: format!("00-{:032x}-{:016x}-00", u128::from_be_bytes(*order.id.as_bytes()), order.version),
    };
    let notice = OrderNotice::of(order);
    (expired || open).then(|| Message::now(CloudEvent::expiry_timer(last.at, &trace, notice)))
}
