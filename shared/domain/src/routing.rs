//! Which queues an event goes to.
//!
//! Notifications have a queue of their own, so that whatever becomes of them, orders go on (NOTE-1).

use crate::event::ORDER_TYPE_PREFIX;
use crate::webhook::EventType;
use serde::{Deserialize, Serialize};

/// A queue that events go to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Queue {
    /// Payment, fulfilment and expiry: every event and every timer of orders.
    #[default]
    Orders,
    /// Webhooks and mails: what customers and shops are told of.
    Notifications,
}

impl Queue {
    /// Every queue.
    pub const ALL: [Self; 2] = [Self::Orders, Self::Notifications];

    /// Whether this is the queue that all entries of the outbox were for before there were others.
    pub fn is_orders(&self) -> bool {
        *self == Self::Orders
    }
}

/// The queues that an event of this type goes to. A change of a kind that this release does not know goes to the orders'
/// queue, where it is found if it stays unknown; a timer never leaves it.
pub fn queues_of(event_type: &str) -> &'static [Queue] {
    let told = event_type.strip_prefix(ORDER_TYPE_PREFIX).and_then(EventType::of_change);
    match told {
        Some(_) => &Queue::ALL,
        None => &[Queue::Orders],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventKind, ORDER_EXPIRY_TYPE};
    use crate::webhook::UNTOLD;

    #[test]
    fn note_1_every_kind_of_change_is_either_told_or_known_not_to_be() {
        for kind in EventKind::ALL {
            let told = queues_of(&format!("{ORDER_TYPE_PREFIX}{}", kind.name())).contains(&Queue::Notifications);
            let untold = UNTOLD.contains(&kind.name());
            assert!(told != untold, "{} must stand in TOLD or in UNTOLD of webhook/event_type.rs", kind.name());
        }
    }

    #[test]
    fn note_1_timers_and_unknown_changes_go_to_the_orders_queue_alone() {
        for kind in [ORDER_EXPIRY_TYPE, "com.holdfast.order.exploded", "placed", ""] {
            assert_eq!(queues_of(kind), [Queue::Orders], "{kind}");
        }
    }
}
