//! Deliveries of webhooks: whom an event goes to, and each attempt.

use crate::sender::Call;
use crate::{Notifications, WorkError};
use futures_util::future::join_all;
use holdfast_domain::event::{CloudEvent, Trace};
use holdfast_domain::ids::{EndpointId, MessageId, TenantId};
use holdfast_domain::routing::Queue;
use holdfast_domain::webhook::{Attempt, Delivery, DeliveryTimer, DisabledWhy, Due, Endpoint, EventType};
use holdfast_runtime::message::Unsent;
use holdfast_store::Written;
use jiff::Timestamp;
use serde_json::json;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// By which share of its age a delivery is put off whose endpoint is left alone.
const PUT_OFF_SHARE: i32 = 4;
/// How often an attempt is begun when others write the delivery at the same time.
const BEGINS_MAX: usize = 4;

/// What the messages of a batch share: the endpoints that took too long. Whatever else the batch has for them waits, so that
/// the time of one call is all that a slow endpoint takes from the others.
#[derive(Default)]
pub struct Batch {
    slow: Mutex<HashSet<EndpointId>>,
}

impl Batch {
    fn is_slow(&self, endpoint: &EndpointId) -> bool {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner).contains(endpoint)
    }

    fn note_slow(&self, endpoint: &EndpointId) {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner).insert(endpoint.clone());
    }
}

impl Notifications {
    /// Tells every endpoint that was there when an event happened and wants to hear of it. The message is done when each
    /// delivery is recorded, and those that failed have their timers. One that comes `again` may have begun deliveries to
    /// endpoints that want nothing any more.
    pub(crate) async fn fan_out(
        &self,
        (event, kind): (&CloudEvent, EventType),
        again: bool,
        trace: &Trace,
        batch: &Batch,
    ) -> Result<(), WorkError> {
        let endpoints = self.store.endpoints_of(&event.data.tenant).await?;
        // What is published anew after a long silence is no news to who came later.
        let there = endpoints.iter().filter(|endpoint| endpoint.created_at <= event.time);
        let told = there.map(|endpoint| async move {
            let first = self.first(endpoint, event, kind);
            match endpoint.wants(kind) {
                true => self.begin(endpoint, first, trace, batch).await,
                false if again => self.finish(endpoint, &first, trace, batch).await,
                false => Ok(()),
            }
        });
        // All of them, whatever becomes of one.
        join_all(told).await.into_iter().collect()
    }

    /// Sees to a delivery that was begun before its endpoint wanted to hear no more of such events, if it was.
    async fn finish(
        &self,
        endpoint: &Endpoint,
        first: &Delivery,
        trace: &Trace,
        batch: &Batch,
    ) -> Result<(), WorkError> {
        let begun = self.store.delivery_read(&first.tenant, &first.endpoint, &first.message).await?;
        match begun {
            None => Ok(()),
            Some(begun) if endpoint.is_enabled() => self.go_on(endpoint, begun, trace, batch).await,
            Some(begun) => self.give_up(&begun).await,
        }
    }

    fn first(&self, endpoint: &Endpoint, event: &CloudEvent, kind: EventType) -> Delivery {
        let notice = &event.data;
        // Enough to find the order; nothing personal, and no amounts: whoever may see more asks for the order.
        let data = json!({"order_id": notice.order_id, "version": notice.version, "state": notice.state});
        let body = json!({"type": kind.to_string(), "timestamp": event.time, "data": data}).to_string();
        let message = MessageId::of_change(event.time, notice.order_id, notice.version);
        let place = (&endpoint.tenant, &endpoint.id);
        Delivery::first(place, message, kind.to_string(), body, event.time, self.clock.now())
    }

    /// Does what a timer is for: the next attempt, if it is time for one.
    pub(crate) async fn timer(&self, timer: &DeliveryTimer, trace: &Trace, batch: &Batch) -> Result<(), WorkError> {
        let notice = &timer.data;
        let now = self.clock.now();
        if notice.due_at > now.as_millisecond() {
            let due_at = Timestamp::from_millisecond(notice.due_at).unwrap_or(now);
            return self.remind(&notice.tenant, (&notice.endpoint_id, &notice.message_id), due_at, trace).await;
        }
        let (tenant, id) = (&notice.tenant, &notice.endpoint_id);
        let delivery = self.store.delivery_read(tenant, id, &notice.message_id).await?;
        // What was forgotten, or whose endpoint was removed, is nobody's concern any more.
        let Some(delivery) = delivery else { return Ok(()) };
        let endpoint = self.store.endpoint_read(tenant, id).await?.filter(Endpoint::is_enabled);
        let Some(endpoint) = endpoint else { return self.give_up(&delivery).await };
        self.go_on(&endpoint, delivery, trace, batch).await
    }

    /// Begins the attempt of a delivery that is due, or sees to it that somebody will.
    async fn go_on(
        &self,
        endpoint: &Endpoint,
        delivery: Delivery,
        trace: &Trace,
        batch: &Batch,
    ) -> Result<(), WorkError> {
        match delivery.due(self.clock.now()) {
            Due::Never => Ok(()),
            Due::At(due_at) => {
                self.remind(&delivery.tenant, (&delivery.endpoint, &delivery.message), due_at, trace).await
            }
            Due::Now(begun) => Box::pin(self.begin(endpoint, *begun, trace, batch)).await,
        }
    }

    /// Writes that an attempt begins, and makes it. Of several that want to, one does; the others leave it a timer, since it
    /// may stop half-way.
    async fn begin(
        &self,
        endpoint: &Endpoint,
        mut begun: Delivery,
        trace: &Trace,
        batch: &Batch,
    ) -> Result<(), WorkError> {
        for _ in 0..BEGINS_MAX {
            match self.store.delivery_write(&begun).await? {
                Written::Done => return self.attempt(endpoint, begun, trace, batch).await,
                Written::Gone => return Ok(()),
                Written::Stale(current) => match current.due(self.clock.now()) {
                    Due::Now(next) => begun = *next,
                    Due::Never | Due::At(_) => return self.go_on(endpoint, *current, trace, batch).await,
                },
            }
        }
        Err(WorkError::Contended)
    }

    async fn attempt(
        &self,
        endpoint: &Endpoint,
        begun: Delivery,
        trace: &Trace,
        batch: &Batch,
    ) -> Result<(), WorkError> {
        if batch.is_slow(&endpoint.id) {
            // Not an attempt: it waits until what it has begun is free again.
            return self.go_on(endpoint, begun, trace, batch).await;
        }
        let at = self.clock.now();
        let call = Call {
            url: endpoint.url.clone(),
            id: begun.message.to_string(),
            timestamp: at.as_second(),
            signature: endpoint.secrets.signatures(&begun.message, at, &begun.body),
            body: begun.body.clone(),
        };
        let start = Instant::now();
        let Some(answered) = self.sender.post(&call).await else {
            // The endpoint is left alone, or has as many calls as it may: not an attempt either.
            let due_at = put_off(&begun, self.clock.now());
            return self.remind(&begun.tenant, (&begun.endpoint, &begun.message), due_at, trace).await;
        };
        let duration_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        if answered.is_slow {
            batch.note_slow(&endpoint.id);
        }
        let attempt = Attempt::new(at, answered.status, duration_ms, answered.error);
        tracing::info!(
            correlation_id = trace.correlation_id,
            traceparent = trace.traceparent,
            tenant = endpoint.tenant.as_str(),
            endpoint_id = endpoint.id.as_str(),
            event_id = begun.message.as_str(),
            status = attempt.status,
            duration_ms,
            error = attempt.error,
            delivered = attempt.succeeded(),
            "webhook_attempt"
        );
        // Before the attempt is recorded: were that lost, a disabled endpoint would stay enabled.
        self.note_health(endpoint, &attempt).await?;
        let after = begun.after(attempt, self.clock.now());
        match self.store.delivery_write(&after).await? {
            Written::Done => match after.next_attempt_at {
                Some(due_at) => self.remind(&after.tenant, (&after.endpoint, &after.message), due_at, trace).await,
                None => Ok(()),
            },
            Written::Gone => Ok(()),
            // It was replayed meanwhile, or this took longer than the attempt was reserved for.
            Written::Stale(current) => match current.due(self.clock.now()) {
                Due::Never => Ok(()),
                Due::At(_) | Due::Now(_) => {
                    let due_at = current.leased_until.max(current.next_attempt_at).unwrap_or(at);
                    self.remind(&current.tenant, (&current.endpoint, &current.message), due_at, trace).await
                }
            },
        }
    }

    /// Notes how an endpoint does, and disables one that is gone or has been failing for too long.
    async fn note_health(&self, endpoint: &Endpoint, attempt: &Attempt) -> Result<(), WorkError> {
        let (tenant, id, now) = (&endpoint.tenant, &endpoint.id, self.clock.now());
        if attempt.succeeded() {
            if endpoint.health.failing_since.is_some() {
                self.store.endpoint_recovered(tenant, id).await?;
            }
            return Ok(());
        }
        let health = self.store.endpoint_failed(tenant, id, now).await?.unwrap_or_default();
        let (why, failing_since) = match attempt.is_gone() {
            true => (DisabledWhy::Gone, None),
            false if health.is_hopeless(now) => (DisabledWhy::Failing, health.failing_since),
            false => return Ok(()),
        };
        if self.store.endpoint_disable(tenant, id, why, failing_since, now).await? {
            tracing::warn!(tenant = tenant.as_str(), endpoint_id = id.as_str(), why = why.name(), "endpoint_disabled");
        }
        Ok(())
    }

    /// Ends a delivery whose endpoint is disabled or removed.
    async fn give_up(&self, delivery: &Delivery) -> Result<(), WorkError> {
        if delivery.next_attempt_at.is_some() {
            // If somebody else wrote it meanwhile, they see to it.
            self.store.delivery_write(&delivery.given_up()).await?;
        }
        Ok(())
    }

    /// Sends the timer of a delivery. A queue delays 15 minutes at most: a timer that comes early is sent on.
    async fn remind(
        &self,
        tenant: &TenantId,
        (endpoint, message): (&EndpointId, &MessageId),
        due_at: Timestamp,
        trace: &Trace,
    ) -> Result<(), WorkError> {
        let timer = DeliveryTimer::new(tenant, endpoint, message, due_at, trace);
        let Some(queue) = self.queues.of(Queue::Notifications) else { return Err(Unsent::no_queue().into()) };
        Ok(queue.send_delivery_timer(&timer, self.clock.now()).await?)
    }
}

/// When a delivery is looked at again that was not attempted: not before its lease is over, and the later the older it is, so
/// that the deliveries to an endpoint that is gone for days take ever less of everybody's time.
fn put_off(begun: &Delivery, now: Timestamp) -> Timestamp {
    let age = now.duration_since(begun.created_at);
    let later = now.saturating_add(age / PUT_OFF_SHARE).unwrap_or(now);
    begun.leased_until.unwrap_or(now).max(later)
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_domain::ids::OrderId;
    use jiff::SignedDuration;

    /// The older a delivery, the rarer it is looked at: a quarter of its age, and never before its lease is over.
    #[test]
    fn pay_4_what_is_put_off_comes_back_ever_later() {
        let created_at = Timestamp::UNIX_EPOCH;
        let after = |age: SignedDuration| {
            let now = created_at + age;
            let place = (&TenantId::parse("acme").unwrap(), &EndpointId::parse("ep_1").unwrap());
            let order = OrderId::parse("822b8224-07ef-8495-88e0-f8b7b79d9970").unwrap();
            let message = MessageId::of_change(created_at, order, 1);
            let delivery = Delivery::first(place, message, "order.paid".to_owned(), String::new(), created_at, now);
            (put_off(&delivery, now).duration_since(now), delivery.leased_until.unwrap().duration_since(now))
        };
        for (age, expected) in [(1, 15), (96, 24 * 60)] {
            assert_eq!(after(SignedDuration::from_hours(age)).0, SignedDuration::from_mins(expected));
        }
        let (fresh, lease) = after(SignedDuration::from_secs(2));
        assert_eq!(fresh, lease, "its lease is longer than a quarter of its age");
    }
}
