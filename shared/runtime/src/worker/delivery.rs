//! What is known of one delivery of a message, apart from what it says.

use super::Desk;
use aws_lambda_events::event::sqs::SqsMessage;
use holdfast_domain::routing::Queue;
use jiff::Timestamp;
use std::collections::HashMap;

/// The attribute of a message that tells how often it was replayed.
pub const REPLAYS_ATTRIBUTE: &str = "replays";

/// A delivery of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The message's id: new for every replay, the same for every delivery.
    pub message_id: String,
    /// The queue that it came from.
    pub queue: Queue,
    /// How often it was delivered, this time included.
    pub received: u32,
    /// How often it was replayed from the dead letters.
    pub replays: u32,
    /// How long ago it was sent, in milliseconds.
    pub waited_ms: i64,
    /// When the invocation has to be over.
    pub deadline: Timestamp,
}

impl Delivery {
    /// The delivery of a message; `home` is the queue of one that does not say where it comes from.
    pub(super) fn of(message: &SqsMessage, deadline: Timestamp, desk: &Desk<'_>, home: Queue) -> Self {
        let number = |name: &str| number(&message.attributes, name);
        let replays = message.message_attributes.get(REPLAYS_ATTRIBUTE).and_then(|value| value.string_value.as_deref());
        let waited = number("SentTimestamp").map_or(0, |sent| desk.clock.now().as_millisecond() - sent);
        let arn = message.event_source_arn.as_deref();
        Self {
            message_id: message.message_id.clone().unwrap_or_default(),
            queue: arn.and_then(|arn| desk.queues.named_in(arn)).unwrap_or(home),
            received: number("ApproximateReceiveCount").and_then(|count| u32::try_from(count).ok()).unwrap_or(1),
            replays: replays.and_then(|replays| replays.parse().ok()).unwrap_or(0),
            waited_ms: waited.max(0),
            deadline,
        }
    }

    /// Whether it was delivered before, also as the message that it is a replay of.
    pub fn is_repeated(&self) -> bool {
        self.received > 1 || self.replays > 0
    }
}

fn number(attributes: &HashMap<String, String>, name: &str) -> Option<i64> {
    attributes.get(name)?.parse().ok()
}
