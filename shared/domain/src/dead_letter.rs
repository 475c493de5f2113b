//! Messages that nobody could handle, kept for people: what they were, why they died, and what a replay of each would be.

use crate::ids::{OrderId, TenantId};
use crate::routing::Queue;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How much of a message is kept, in bytes. Ours have some hundred; what is larger is not ours, and its beginning is
/// enough to see what it is. An item of DynamoDB takes 400 KB.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// How much of an error is kept, in bytes.
const ERROR_BYTES_MAX: usize = 1_024;
/// How much of its type and its correlation id is kept, in bytes.
const WORDS_BYTES_MAX: usize = 256;
/// How long a notification can be replayed: what the outside was told is remembered for 30 days, and then would be told again.
const TOLD_FOR: SignedDuration = SignedDuration::from_hours(24 * 25);
/// What stands for a type that a message does not have, or that reads like nothing of ours.
const UNKNOWN: &str = "unknown";

/// A message that nobody could handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Whose, if it says so: only operators see those that do not.
    pub tenant: Option<TenantId>,
    /// The queue it came from, and goes back to; none if it is a record of the table's stream.
    pub queue: Option<Queue>,
    /// Who could not handle it: the function's name.
    pub consumer: String,
    /// What kind of failure it was.
    pub kind: String,
    /// The type of the event.
    pub event_type: String,
    /// The event's id, or the message's where it has none.
    pub name: String,
    /// The last error, in words.
    pub error: String,
    /// The message.
    pub body: String,
    /// Whether that is all of it.
    pub is_whole: bool,
    /// How often it was delivered.
    pub deliveries: u32,
    /// How often it was replayed before.
    pub replays: u32,
    /// When it was given up.
    pub died_at: Timestamp,
    /// Where it came from, if it says so.
    pub correlation_id: String,
}

/// What a replay of a dead letter is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replay {
    /// The message goes back to its queue.
    Message(Queue),
    /// The events of an order are published anew, from what the table holds now.
    Order(TenantId, OrderId),
    /// It cannot be replayed: why, and what to do instead.
    Impossible(&'static str),
}

/// The key of a record of the table's stream, as a dead letter keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub struct RecordKey {
    /// The tenant of the order.
    pub tenant: TenantId,
    /// The order.
    pub order_id: OrderId,
}

impl DeadLetter {
    /// What makes letters one case: who failed, how, and at what: `<consumer>.<kind>.<event type>`.
    pub fn fingerprint(&self) -> String {
        let event_type = self.event_type.strip_prefix("com.holdfast.").unwrap_or(&self.event_type);
        format!("{}.{}.{}", word(&self.consumer), word(&self.kind), word(event_type))
    }

    /// Its id: the fingerprint, and what tells it from others of the same case. The same message that dies twice of the same
    /// is one letter.
    pub fn id(&self) -> String {
        let queue = self.queue.map_or("stream", Queue::name);
        let hash = Sha256::digest(format!("{queue}\n{}", self.name));
        let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("{}~{hash}", self.fingerprint())
    }

    /// The letter cut to what is kept of it: whoever sent the message chose most of its words.
    pub fn kept(mut self) -> Self {
        for (text, max) in [
            (&mut self.error, ERROR_BYTES_MAX),
            (&mut self.name, ERROR_BYTES_MAX),
            (&mut self.event_type, WORDS_BYTES_MAX),
            (&mut self.correlation_id, WORDS_BYTES_MAX),
        ] {
            text.truncate(text.floor_char_boundary(max));
        }
        if self.body.len() > BODY_BYTES_MAX {
            self.body.truncate(self.body.floor_char_boundary(BODY_BYTES_MAX));
            self.is_whole = false;
        }
        self
    }

    /// When its event happened, as far as it says so: a letter that dies again is no younger for it.
    fn happened_at(&self) -> Timestamp {
        #[derive(Deserialize)]
        struct Timed {
            time: Timestamp,
        }
        serde_json::from_str(&self.body).map_or(self.died_at, |Timed { time }| time.min(self.died_at))
    }

    /// What a replay of it is now.
    pub fn replay(&self, now: Timestamp) -> Replay {
        if !self.is_whole {
            return Replay::Impossible(
                "The message was too large to be kept. Nothing of ours is: find out who sent it.",
            );
        }
        let Some(queue) = self.queue else {
            return match serde_json::from_str::<RecordKey>(&self.body) {
                Ok(key) => Replay::Order(key.tenant, key.order_id),
                Err(_) => Replay::Impossible(
                    "It is a position in the table's stream, which keeps records for 24 hours. Publish what was changed \
                     around it with the job republish.",
                ),
            };
        };
        if queue == Queue::Notifications && now.duration_since(self.happened_at()) > TOLD_FOR {
            return Replay::Impossible(
                "It is too old: nobody remembers whom it was told to, so that mails and webhooks might be sent again.",
            );
        }
        Replay::Message(queue)
    }
}

/// A word as fingerprints hold it: they stand in keys and URLs.
fn word(text: &str) -> &str {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=64).contains(&text.len()) && text.bytes().all(fits) { text } else { UNKNOWN }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(queue: Option<Queue>, body: &str) -> DeadLetter {
        DeadLetter {
            tenant: None,
            queue,
            consumer: "order-worker".to_owned(),
            kind: "no-such-order".to_owned(),
            event_type: "com.holdfast.order.placed".to_owned(),
            name: "o/1".to_owned(),
            error: String::new(),
            body: body.to_owned(),
            is_whole: true,
            deliveries: 1,
            replays: 0,
            died_at: Timestamp::UNIX_EPOCH,
            correlation_id: String::new(),
        }
    }

    #[test]
    fn out_3_letters_of_one_cause_have_one_fingerprint_and_ids_of_their_own() {
        let first = letter(Some(Queue::Orders), "{}");
        assert_eq!(first.fingerprint(), "order-worker.no-such-order.order.placed");
        let second = DeadLetter { name: "o/2".to_owned(), error: "other words".to_owned(), ..first.clone() };
        assert_eq!(first.fingerprint(), second.fingerprint());
        assert_ne!(first.id(), second.id());
        assert_eq!(first.id(), DeadLetter { died_at: Timestamp::MAX, ..first.clone() }.id());
        assert_ne!(first.id(), DeadLetter { queue: Some(Queue::Notifications), ..first.clone() }.id());
    }

    #[test]
    fn out_3_what_a_stranger_calls_a_type_is_in_no_key() {
        for odd in ["", "a#b", "a/b", "ü", "a b", &"x".repeat(65)] {
            let odd = DeadLetter { event_type: odd.to_owned(), ..letter(Some(Queue::Orders), "{}") };
            assert_eq!(odd.fingerprint(), "order-worker.no-such-order.unknown");
        }
    }

    #[test]
    fn out_3_what_is_too_large_is_cut_at_a_character_and_not_replayed() {
        let large = letter(Some(Queue::Orders), &"ü".repeat(600_000)).kept();
        assert!(large.body.len() <= BODY_BYTES_MAX && !large.is_whole);
        assert!(matches!(large.replay(Timestamp::UNIX_EPOCH), Replay::Impossible(_)));
        let fits = letter(Some(Queue::Orders), &"x".repeat(BODY_BYTES_MAX)).kept();
        assert_eq!(fits.replay(Timestamp::UNIX_EPOCH), Replay::Message(Queue::Orders));
    }

    #[test]
    fn note_1_an_old_notification_is_not_sent_again() {
        let days = |days: i64| Timestamp::UNIX_EPOCH.saturating_add(SignedDuration::from_hours(24 * days)).unwrap();
        let told = letter(Some(Queue::Notifications), "{}");
        assert_eq!(told.replay(days(25)), Replay::Message(Queue::Notifications));
        assert!(matches!(told.replay(days(26)), Replay::Impossible(_)));
        let again = DeadLetter {
            died_at: days(20),
            ..letter(Some(Queue::Notifications), r#"{"time":"1970-01-01T00:00:00Z"}"#)
        };
        assert!(matches!(again.replay(days(26)), Replay::Impossible(_)), "it died again, of the same old event");
        assert_eq!(letter(Some(Queue::Orders), "{}").replay(days(400)), Replay::Message(Queue::Orders));
    }

    #[test]
    fn out_3_a_record_of_the_stream_is_replayed_from_the_table() {
        let order = "6ba7b810-9dad-81d1-80b4-00c04fd430c8";
        let record = letter(None, &format!(r#"{{"tenant":"acme","order_id":"{order}"}}"#));
        let expected = Replay::Order(TenantId::parse("acme").unwrap(), OrderId::parse(order).unwrap());
        assert_eq!(record.replay(Timestamp::MAX), expected);
        assert!(matches!(letter(None, r#"{"shardId":"s"}"#).replay(Timestamp::UNIX_EPOCH), Replay::Impossible(_)));
    }
}
