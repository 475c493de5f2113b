//! What the queue mappings delivered, by the ids of the events, independent of the code under test.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How often one event went to a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// How often it was part of a batch that was handed to a function.
    pub delivered: u64,
    /// How often it was deleted from its queue because the function had handled it.
    pub acknowledged: u64,
}

/// The deliveries of all events so far.
#[derive(Debug, Default)]
pub struct Deliveries {
    events: Mutex<BTreeMap<String, Delivery>>,
}

impl Deliveries {
    /// How often the event was handed to a function and taken off its queue.
    pub fn acknowledged(&self, event_id: &str) -> u64 {
        self.of(event_id).acknowledged
    }

    /// How often the event was handed to a function.
    pub fn delivered(&self, event_id: &str) -> u64 {
        self.of(event_id).delivered
    }

    /// All deliveries so far, by event id.
    pub fn snapshot(&self) -> BTreeMap<String, Delivery> {
        self.lock().clone()
    }

    /// Notes that a message with this body goes to a function.
    pub(super) fn note_delivered(&self, body: &str) {
        if let Some(id) = event_id(body) {
            self.lock().entry(id).or_default().delivered += 1;
        }
    }

    /// Notes that a message with this body was deleted.
    pub(super) fn note_acknowledged(&self, body: &str) {
        if let Some(id) = event_id(body) {
            self.lock().entry(id).or_default().acknowledged += 1;
        }
    }

    fn of(&self, event_id: &str) -> Delivery {
        self.lock().get(event_id).copied().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Delivery>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The id of the CloudEvent in `body`, if it is one.
fn event_id(body: &str) -> Option<String> {
    let event: Value = serde_json::from_str(body).ok()?;
    event["id"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_and_other_messages_are_not() {
        let deliveries = Deliveries::default();
        for body in [r#"{"id":"o/1"}"#, r#"{"id":"o/1"}"#, "no json", r#"{"id":7}"#, "[]"] {
            deliveries.note_delivered(body);
        }
        deliveries.note_acknowledged(r#"{"id":"o/1"}"#);
        assert_eq!((deliveries.delivered("o/1"), deliveries.acknowledged("o/1")), (2, 1));
        assert_eq!(deliveries.delivered("o/2"), 0);
        assert_eq!(deliveries.snapshot().len(), 1);
    }
}
