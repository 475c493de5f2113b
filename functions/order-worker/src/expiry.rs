//! Ending what was not paid, confirmed, or completely placed in time (ORD-13), and giving back what large orders that
//! ended still claim (ORD-4).

use crate::{WorkError, Worker};
use holdfast_domain::event::{CloudEvent, OrderNotice, Trace};
use holdfast_domain::payment::{PaymentStep, next_step};
use holdfast_domain::routing::Queue;
use holdfast_runtime::message::Message;
use holdfast_runtime::routing::Routed;
use holdfast_store::Changed;
use jiff::Timestamp;

/// How often the change is tried when others change the order or its stock at the same time.
const ATTEMPTS_MAX: usize = 8;

impl Worker {
    /// Ends the hold of a timer if it is due and nothing else came of it. A queue delays 15 minutes at most, so a timer that
    /// comes early is sent on. One that comes late finds payments that were left open, too.
    pub(crate) async fn expire(&self, timer: &CloudEvent, from: Queue, trace: &Trace) -> Result<(), WorkError> {
        let now = self.clock.now();
        if self.sent_on(timer, now).await? {
            return Ok(());
        }
        let mut stored = self.store.order_head_read(&timer.data.tenant, timer.data.order_id).await?;
        for _ in 0..ATTEMPTS_MAX {
            let Some(order) = stored.as_ref().map(|stored| &stored.order) else {
                return Err(WorkError::NoSuchOrder);
            };
            let due = order.expires_at <= now;
            let change = match order.expire(now) {
                Ok(change) if due => change,
                // The carrier is asked from its own queue, so that no payment waits behind it.
                _ if due && order.next_booking().is_some() && from == Queue::Orders => {
                    return self.send(Routed { queue: Queue::Fulfilment, message: Message::now(timer.clone()) }).await;
                }
                _ if due && order.next_booking().is_some() => return self.advance(&timer.data, trace).await,
                _ if due && next_step(order) != PaymentStep::Done => {
                    return self.advance_payment(&timer.data, trace).await;
                }
                _ => return self.settle_parts(&timer.data).await,
            };
            match self.store.order_change(&change, trace).await {
                Ok(Changed::Done) => return Ok(()),
                Ok(Changed::Stale(current)) => stored = Some(*current),
                Err(error) => return Err(error.into()),
            }
        }
        Err(WorkError::Contended)
    }

    /// Raises one event for an order that expired or could not be paid, when its buyer had time to come back (ORD-16).
    pub(crate) async fn recover(&self, timer: &CloudEvent, trace: &Trace) -> Result<(), WorkError> {
        let now = self.clock.now();
        if self.sent_on(timer, now).await? {
            return Ok(());
        }
        let mut stored = self.store.order_head_read(&timer.data.tenant, timer.data.order_id).await?;
        for _ in 0..ATTEMPTS_MAX {
            let Some(order) = stored.as_ref().map(|stored| &stored.order) else {
                return Err(WorkError::NoSuchOrder);
            };
            let Some(change) = order.abandon(now) else { return Ok(()) };
            match self.store.order_change(&change, trace).await? {
                Changed::Done => return Ok(()),
                Changed::Stale(current) => stored = Some(*current),
            }
        }
        Err(WorkError::Contended)
    }

    /// Sends a timer on that is not due yet; whether it was.
    async fn sent_on(&self, timer: &CloudEvent, now: Timestamp) -> Result<bool, WorkError> {
        if timer.data.due_at <= now.as_millisecond() {
            return Ok(false);
        }
        self.send(Routed::timer(Message::when_due(timer.clone(), now))).await.map(|()| true)
    }

    async fn send(&self, message: Routed) -> Result<(), WorkError> {
        let unpublished = self.queues.publish(&[message]).await.pop();
        unpublished.map_or(Ok(()), |unpublished| Err(WorkError::Timer(unpublished.error)))
    }

    /// Gives back what the parts of an order claim that has ended. Whoever ended it began with that, and may not have
    /// come to its end.
    pub(crate) async fn settle_parts(&self, notice: &OrderNotice) -> Result<(), WorkError> {
        let stored = self.store.order_head_read(&notice.tenant, notice.order_id).await?;
        let Some(stored) = stored else { return Err(WorkError::NoSuchOrder) };
        Ok(self.store.order_parts_settle(&stored.order).await?)
    }
}
