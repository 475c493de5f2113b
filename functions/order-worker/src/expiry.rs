//! Ending orders that nobody paid in time (ORD-13).

use crate::{WorkError, Worker};
use holdfast_domain::event::{CloudEvent, Trace};
use holdfast_domain::payment::{PaymentStep, next_step};
use holdfast_runtime::message::Message;
use holdfast_store::Changed;

/// How often the change is tried when others change the order or its stock at the same time.
const ATTEMPTS_MAX: usize = 8;

impl Worker {
    /// Expires the order of a timer if it is due and still unpaid. A queue delays 15 minutes at most, so a timer that
    /// comes early is sent on. One that comes late finds payments that were left open, too.
    pub(crate) async fn expire(&self, timer: &CloudEvent, trace: &Trace) -> Result<(), WorkError> {
        let now = self.clock.now();
        if timer.data.due_at > now.as_millisecond() {
            let again = Message::when_due(timer.clone(), now);
            let unpublished = self.publisher.publish(&[again]).await.pop();
            return unpublished.map_or(Ok(()), |unpublished| Err(WorkError::Timer(unpublished.error)));
        }
        let mut stored = self.store.order_read(&timer.data.tenant, timer.data.order_id).await?;
        for _ in 0..ATTEMPTS_MAX {
            let Some(order) = stored.as_ref().map(|stored| &stored.order) else {
                return Err(WorkError::Poison("there is no such order".to_owned()));
            };
            let due = order.expires_at <= now;
            let change = match order.expire(now) {
                Ok(change) if due => change,
                _ if due && next_step(order) != PaymentStep::Done => {
                    return self.advance_payment(&timer.data, trace).await;
                }
                _ => return Ok(()),
            };
            match self.store.order_change(&change, trace).await {
                Ok(Changed::Done) => return Ok(()),
                Ok(Changed::Stale(current)) => stored = Some(*current),
                Err(error) => return Err(error.into()),
            }
        }
        Err(WorkError::Contended)
    }
}
