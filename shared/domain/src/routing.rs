//! Which queues an event goes to: those of its effects, see [`crate::effects`].
//!
//! Whoever is slow has a queue of its own, so that whatever becomes of it, payments and expiries go on (NOTE-1, SHIP-1).

use crate::effects::{EFFECTS, Moment, ships};
use crate::event::{EventKind, ORDER_TYPE_PREFIX};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// How old a change may be that the outside is told of when its events are published anew. Later a mail is no news, and it is
/// not known for ever what was told.
pub const RETOLD_FOR: SignedDuration = SignedDuration::from_hours(72);

/// A queue of ours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Queue {
    /// Payments and timers: every event that fulfilment does not take.
    #[default]
    Orders,
    /// What carriers are asked.
    Fulfilment,
    /// Webhooks and mails: what customers and shops are told of.
    Notifications,
    /// Tasks of the exporter; no event goes there.
    Exports,
}

impl Queue {
    /// Every queue.
    pub const ALL: [Self; 4] = [Self::Orders, Self::Fulfilment, Self::Notifications, Self::Exports];
    /// The queues that events go to.
    pub const OF_EVENTS: [Self; 3] = [Self::Orders, Self::Fulfilment, Self::Notifications];

    /// The name as stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Fulfilment => "fulfilment",
            Self::Notifications => "notifications",
            Self::Exports => "exports",
        }
    }

    /// The queue of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|queue| queue.name() == name)
    }

    /// Whether this is the queue that all entries of the outbox were for before there were others.
    pub fn is_orders(&self) -> bool {
        *self == Self::Orders
    }
}

/// The queues that an event of this type goes to, in their order. An event that nothing follows from, or of a kind that
/// this release does not know, goes to the orders' queue, where it is seen to arrive; so do timers and notices.
pub fn queues_of(event_type: &str) -> Vec<Queue> {
    let kind = event_type.strip_prefix(ORDER_TYPE_PREFIX).and_then(EventKind::named);
    let Some(kind) = kind else { return vec![Queue::Orders] };
    let takes = |queue: &Queue| {
        let of_effect = EFFECTS.iter().any(|effect| effect.moment == Moment::Through(*queue) && (effect.after)(kind));
        of_effect || (*queue == Queue::Orders && !ships(kind))
    };
    Queue::OF_EVENTS.into_iter().filter(takes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ORDER_EXPIRY_TYPE;
    use crate::webhook::UNTOLD;

    #[test]
    fn note_1_every_kind_of_change_is_either_told_or_known_not_to_be() {
        for kind in EventKind::ALL {
            let told = queues_of(&kind.event_type()).contains(&Queue::Notifications);
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

    #[test]
    fn ship_1_a_carrier_holds_up_no_payment() {
        for kind in EventKind::ALL {
            let queues = queues_of(&kind.event_type());
            assert!(
                queues.contains(&Queue::Orders) != queues.contains(&Queue::Fulfilment),
                "{}: {queues:?}",
                kind.name()
            );
        }
    }

    #[test]
    fn names_of_queues_are_read_as_they_are_written() {
        for queue in Queue::ALL {
            assert_eq!(Queue::named(queue.name()), Some(queue));
            assert_eq!(serde_json::to_value(queue).unwrap(), queue.name());
        }
        assert_eq!(Queue::named("payments"), None);
    }
}
