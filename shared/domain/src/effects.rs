//! What follows from a change of an order: when it happens, and what makes it safe to happen twice (OUT-4, OUT-5).
//!
//! What decides whether stock is sold or money is owed happens with the request, in the transaction that makes the change.
//! Everything that somebody outside takes part in, or that nobody waits for, happens behind a queue. Events come at
//! least once and in any order, so each effect behind a queue says what it is safe by.

use crate::event::EventKind;
use crate::mail::MailKind;
use crate::routing::Queue;
use crate::webhook::EventType;

/// When an effect happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// In the transaction of the change: the request is answered after it.
    WithRequest,
    /// After the change, by whoever reads this queue: within 5 s, unless somebody outside is slow or down.
    Through(Queue),
}

/// Why an effect may be asked for twice, late, or after a newer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SafeBy {
    /// It is part of a transaction with a condition, which is applied once.
    Transaction,
    /// It looks at the order as it is now, does what that needs, and writes the outcome under the order's version. A zombie
    /// that comes later finds another version. Costs nothing.
    State,
    /// It takes a lease on an item of its own, by the event and the one who is told, before it acts, and settles it under
    /// the lease's version. A write before and one after each effect: what is told outside leaves no trace in the order
    /// that a second one could look at.
    Lease,
}

/// Something that follows from a change.
#[derive(Debug, Clone, Copy)]
pub struct Effect {
    /// Its name, in logs and documents.
    pub name: &'static str,
    /// When it happens.
    pub moment: Moment,
    /// What it is safe by.
    pub safe_by: SafeBy,
    /// After which changes.
    pub after: fn(EventKind) -> bool,
    /// Why it happens then.
    pub reason: &'static str,
}

/// Everything that follows from changes.
pub const EFFECTS: [Effect; 9] = [
    Effect {
        name: "pools",
        moment: Moment::WithRequest,
        safe_by: SafeBy::Transaction,
        after: |kind| kind.begins_hold() || kind.ends_hold(),
        reason: "an order without its units would be sold twice; a unit without its order would be lost",
    },
    Effect {
        name: "record",
        moment: Moment::WithRequest,
        safe_by: SafeBy::Transaction,
        after: |_| true,
        reason: "history, ledger and event are the order's item: they are there if and only if the change is",
    },
    Effect {
        name: "payment",
        moment: Moment::Through(Queue::Orders),
        safe_by: SafeBy::State,
        after: pays,
        reason: "the provider takes up to seconds, and may be down; its keys keep a repeated step from charging twice",
    },
    Effect {
        name: "parts",
        moment: Moment::Through(Queue::Orders),
        safe_by: SafeBy::State,
        after: EventKind::ends_hold,
        reason: "a large order gives back more than one transaction takes; each part does so once",
    },
    Effect {
        name: "expiry",
        moment: Moment::Through(Queue::Orders),
        safe_by: SafeBy::State,
        after: EventKind::begins_hold,
        reason: "it is due later",
    },
    Effect {
        name: "recovery",
        moment: Moment::Through(Queue::Orders),
        safe_by: SafeBy::State,
        after: EventKind::may_be_abandoned,
        reason: "it is due later",
    },
    Effect {
        name: "fulfilment",
        moment: Moment::Through(Queue::Fulfilment),
        safe_by: SafeBy::State,
        after: ships,
        reason: "carriers ask their callers to wait: a queue of its own keeps them from holding up payments",
    },
    Effect {
        name: "webhooks",
        moment: Moment::Through(Queue::Notifications),
        safe_by: SafeBy::Lease,
        after: |kind| EventType::of_change(kind.name()).is_some(),
        reason: "shops' endpoints are slow, broken or gone; no order waits for them",
    },
    Effect {
        name: "mails",
        moment: Moment::Through(Queue::Notifications),
        safe_by: SafeBy::Lease,
        after: |kind| MailKind::of_change(kind.name()).is_some(),
        reason: "a lost mail is sent again, and no order waits for it",
    },
];

/// The changes after which an order's payment has a step to take. The others happen within such a step, whose message
/// is not done before the last one.
pub fn pays(kind: EventKind) -> bool {
    use EventKind as E;
    matches!(
        kind,
        E::Placed
            | E::Changed
            | E::Absorbed
            | E::Split
            | E::Cancelled
            | E::Expired
            | E::PaymentAuthorised
            | E::Returned
            | E::RefundRequested
    )
}

/// The changes after which the carrier may have to be asked.
pub fn ships(kind: EventKind) -> bool {
    matches!(kind, EventKind::Shipping | EventKind::Shipped | EventKind::ShipmentRefused)
}

#[cfg(test)]
mod tests;
