//! Publishing to several queues: which one takes an event is decided by [`holdfast_domain::routing`].

use crate::message::{Message, Publisher, Unpublished};
use futures_util::future::join;
use holdfast_domain::routing::{Queue, queues_of};

/// The variables that hold the URLs of the queues.
pub const VARIABLES: [(Queue, &str); 2] =
    [(Queue::Orders, "EVENTS_QUEUE_URL"), (Queue::Notifications, "NOTIFICATIONS_QUEUE_URL")];

/// A message and the queue that it is for.
#[derive(Debug, Clone)]
pub struct Routed {
    /// Where it goes.
    pub queue: Queue,
    /// What is sent.
    pub message: Message,
}

impl Routed {
    /// An event of a change, once for each queue that takes it.
    pub fn change(message: &Message) -> impl Iterator<Item = Self> {
        let queues = queues_of(&message.event.kind).iter();
        queues.map(|queue| Self { queue: *queue, message: message.clone() })
    }

    /// A timer of an order.
    pub fn timer(message: Message) -> Self {
        Self { queue: Queue::Orders, message }
    }
}

/// All queues that events go to.
#[derive(Clone)]
pub struct Queues {
    /// See [`Queue::Orders`].
    pub orders: Publisher,
    /// See [`Queue::Notifications`].
    pub notifications: Publisher,
}

impl Queues {
    /// Sends messages to their queues, to all queues at the same time: one that is down costs the others nothing. Returns
    /// those that their queue did not take.
    pub async fn publish(&self, messages: &[Routed]) -> Vec<Unpublished> {
        let (orders, notifications) = join(
            self.publish_to(Queue::Orders, &self.orders, messages),
            self.publish_to(Queue::Notifications, &self.notifications, messages),
        )
        .await;
        orders.into_iter().chain(notifications).collect()
    }

    async fn publish_to(&self, queue: Queue, publisher: &Publisher, messages: &[Routed]) -> Vec<Unpublished> {
        let positions: Vec<_> = (0..messages.len()).filter(|at| messages[*at].queue == queue).collect();
        let own: Vec<_> = positions.iter().map(|at| messages[*at].message.clone()).collect();
        let unpublished = publisher.publish(&own).await.into_iter();
        unpublished.map(|Unpublished { index, error }| Unpublished { index: positions[index], error }).collect()
    }
}
