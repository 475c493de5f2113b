//! Our queues, and publishing to several: which one takes an event is decided by [`holdfast_domain::routing`].

use crate::config::{self, ConfigError};
use crate::message::{Message, Publisher, Unpublished};
use aws_sdk_sqs::Client;
use futures_util::future::join_all;
use holdfast_domain::event::{CloudEvent, EventKind, OrderNotice};
use holdfast_domain::routing::{Queue, RETOLD_FOR, queues_of};
use holdfast_store::OrderChange;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// The variable that holds the URL of a queue.
pub fn variable(queue: Queue) -> &'static str {
    match queue {
        Queue::Orders => "EVENTS_QUEUE_URL",
        Queue::Fulfilment => "FULFILMENT_QUEUE_URL",
        Queue::Notifications => "NOTIFICATIONS_QUEUE_URL",
        Queue::Exports => "EXPORTS_QUEUE_URL",
    }
}

/// The function that reads a queue.
pub fn reader(queue: Queue) -> &'static str {
    match queue {
        Queue::Orders | Queue::Fulfilment => "order-worker",
        Queue::Notifications => "notifier",
        Queue::Exports => "exporter",
    }
}

/// The variable that holds the URL of a queue's own dead letters.
pub fn dead_variable(queue: Queue) -> &'static str {
    match queue {
        Queue::Orders => "EVENTS_DEAD_LETTERS_URL",
        Queue::Fulfilment => "FULFILMENT_DEAD_LETTERS_URL",
        Queue::Notifications => "NOTIFICATIONS_DEAD_LETTERS_URL",
        Queue::Exports => "EXPORTS_DEAD_LETTERS_URL",
    }
}

/// A message and the queue that it is for.
#[derive(Debug, Clone)]
pub struct Routed {
    /// Where it goes.
    pub queue: Queue,
    /// What is sent.
    pub message: Message,
}

impl Routed {
    /// What follows from a change of an order: its event for each queue that takes it, and for a hold that begins or
    /// something left behind the timer that goes with it. `recovery_after` is how long somebody has to come back to an order
    /// that expired or could not be paid.
    pub fn of_change(change: OrderChange, recovery_after: SignedDuration, now: Timestamp) -> Vec<Self> {
        let notice = OrderNotice {
            tenant: change.tenant,
            order_id: change.order_id,
            version: change.version,
            state: change.state,
            due_at: change.expires_at.as_millisecond(),
        };
        let (at, trace, kind) = (change.at, &change.trace, EventKind::named(&change.kind));
        let event = Message::now(CloudEvent::of_change(&change.kind, at, trace, notice.clone()));
        let queues = queues_of(&event.event.kind).into_iter();
        let mut messages: Vec<_> = queues.map(|queue| Self { queue, message: event.clone() }).collect();
        if kind.is_some_and(EventKind::begins_hold) {
            messages.push(Self::timer(Message::when_due(CloudEvent::expiry_timer(at, trace, notice), now)));
        } else if kind.is_some_and(EventKind::may_be_abandoned) {
            let due_at = at.saturating_add(recovery_after).unwrap_or(Timestamp::MAX).as_millisecond();
            let timer = CloudEvent::recovery_timer(at, trace, OrderNotice { due_at, ..notice });
            messages.push(Self::timer(Message::when_due(timer, now)));
        }
        messages
    }

    /// The same when it is published anew, perhaps long after: the outside is told only of what is news.
    pub fn of_change_again(change: OrderChange, recovery_after: SignedDuration, now: Timestamp) -> Vec<Self> {
        let is_news = now.duration_since(change.at) <= RETOLD_FOR;
        let mut messages = Self::of_change(change, recovery_after, now);
        messages.retain(|routed| is_news || routed.queue != Queue::Notifications);
        messages
    }

    /// A timer of an order.
    pub fn timer(message: Message) -> Self {
        Self { queue: Queue::Orders, message }
    }
}

/// The queues that a function knows.
#[derive(Clone)]
pub struct Queues {
    publishers: BTreeMap<Queue, Publisher>,
}

impl Queues {
    /// These queues.
    pub fn new(publishers: impl IntoIterator<Item = (Queue, Publisher)>) -> Self {
        Self { publishers: publishers.into_iter().collect() }
    }

    /// Those of `queues`, by the URLs in the environment.
    ///
    /// # Errors
    /// When one is not set.
    pub fn from_environment(client: &Client, queues: &[Queue]) -> Result<Self, ConfigError> {
        let publisher = |queue: &Queue| {
            let url = config::text(variable(*queue))?;
            Ok((*queue, Publisher::new(client.clone(), url)))
        };
        Ok(Self { publishers: queues.iter().map(publisher).collect::<Result<_, ConfigError>>()? })
    }

    /// One of them; none if this function does not know it.
    pub fn of(&self, queue: Queue) -> Option<&Publisher> {
        self.publishers.get(&queue)
    }

    /// The one that an ARN names: it ends in the queue's name, as the URL does.
    pub fn named_in(&self, arn: &str) -> Option<Queue> {
        let name = arn.rsplit(':').next()?;
        let named = |(queue, publisher): (&Queue, &Publisher)| publisher.is_named(name).then_some(*queue);
        self.publishers.iter().find_map(named)
    }

    /// Sends messages to their queues, to all queues at the same time: one that is down costs the others nothing. Returns
    /// those that their queue did not take.
    pub async fn publish(&self, messages: &[Routed]) -> Vec<Unpublished> {
        let known = self.publishers.iter().map(|(queue, publisher)| publish_to(*queue, publisher, messages));
        let mut unpublished: Vec<_> = join_all(known).await.into_iter().flatten().collect();
        let unknown = |(_, routed): &(usize, &Routed)| !self.publishers.contains_key(&routed.queue);
        let unknown = messages.iter().enumerate().filter(unknown);
        unpublished.extend(unknown.map(|(index, routed)| Unpublished {
            index,
            error: format!("this function has no queue {}", routed.queue.name()),
        }));
        unpublished
    }
}

async fn publish_to(queue: Queue, publisher: &Publisher, messages: &[Routed]) -> Vec<Unpublished> {
    let positions: Vec<_> = (0..messages.len()).filter(|at| messages[*at].queue == queue).collect();
    let own: Vec<_> = positions.iter().map(|at| &messages[*at].message).collect();
    let unpublished = publisher.publish(&own).await.into_iter();
    unpublished.map(|Unpublished { index, error }| Unpublished { index: positions[index], error }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_domain::event::Trace;
    use holdfast_domain::ids::{OrderId, TenantId};

    #[test]
    fn note_1_the_outside_is_told_anew_only_of_what_is_news() {
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        let change = || OrderChange {
            tenant: TenantId::parse("acme").unwrap(),
            order_id: OrderId::parse("6ba7b810-9dad-81d1-80b4-00c04fd430c8").unwrap(),
            version: 1,
            state: "placed".to_owned(),
            kind: "placed".to_owned(),
            at,
            expires_at: at,
            trace: Trace { correlation_id: String::new(), traceparent: String::new() },
        };
        let queues = |after: SignedDuration| {
            let routed = Routed::of_change_again(change(), SignedDuration::ZERO, at.saturating_add(after).unwrap());
            routed.into_iter().map(|routed| routed.queue).collect::<Vec<_>>()
        };
        assert_eq!(queues(RETOLD_FOR), [Queue::Orders, Queue::Notifications, Queue::Orders]);
        assert_eq!(queues(RETOLD_FOR + SignedDuration::from_millis(1)), [Queue::Orders, Queue::Orders]);
    }
}
