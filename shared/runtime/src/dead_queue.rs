//! The queues' own dead letters: what SQS puts aside because a function crashed or ran out of time at it again and again, or
//! because its dead letter could not be kept. From there they go where people find them.

use crate::routing::reader;
use crate::worker::{About, REPLAYS_ATTRIBUTE};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use holdfast_domain::dead_letter::DeadLetter;
use holdfast_domain::routing::Queue;
use jiff::Timestamp;

/// The most messages of one call (Amazon SQS, `ReceiveMessage`).
const RECEIVED_MAX: i32 = 10;
/// How long a message that was received stays unseen, in seconds: longer than it takes to keep it.
const VISIBILITY_SECONDS: i32 = 60;

/// Dead letters of a queue, or of the mapping of the table's stream.
#[derive(Clone)]
pub struct DeadQueue {
    client: Client,
    queue_url: String,
    of: Option<Queue>,
}

/// A message of such a queue.
#[derive(Debug)]
pub struct Buried {
    /// What is to be kept of it.
    pub letter: DeadLetter,
    handle: String,
}

/// The queue gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("the queue of dead letters gave no answer: {0}")]
pub struct NoAnswer(String);

impl DeadQueue {
    /// The dead letters of a queue by their own queue's URL; `of` is none for the mapping of the table's stream.
    pub fn new(client: Client, queue_url: String, of: Option<Queue>) -> Self {
        Self { client, queue_url, of }
    }

    /// Some of the messages that wait there; none when it is empty.
    ///
    /// # Errors
    /// When the queue gives no answer.
    pub async fn receive(&self, now: Timestamp) -> Result<Vec<Buried>, NoAnswer> {
        let request = self.client.receive_message().queue_url(&self.queue_url);
        let request = request
            .max_number_of_messages(RECEIVED_MAX)
            .visibility_timeout(VISIBILITY_SECONDS)
            // Without a wait some of the servers that hold a queue are not asked; the next run asks again.
            .wait_time_seconds(0)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_attribute_names(REPLAYS_ATTRIBUTE);
        let received = request.send().await.map_err(|error| NoAnswer(DisplayErrorContext(&error).to_string()))?;
        Ok(received.messages.unwrap_or_default().into_iter().map(|message| self.buried(message, now)).collect())
    }

    /// Takes a message off that is kept elsewhere.
    ///
    /// # Errors
    /// When the queue gives no answer: it will be kept once more, in the same place.
    pub async fn remove(&self, buried: &Buried) -> Result<(), NoAnswer> {
        let request = self.client.delete_message().queue_url(&self.queue_url).receipt_handle(&buried.handle);
        request.send().await.map(drop).map_err(|error| NoAnswer(DisplayErrorContext(&error).to_string()))
    }

    fn buried(&self, message: Message, now: Timestamp) -> Buried {
        let body = message.body.unwrap_or_default();
        let About { event_id, event_type, tenant, correlation_id, .. } = About::found_in(&body);
        let attributes = message.attributes.unwrap_or_default();
        let deliveries = attributes.get(&MessageSystemAttributeName::ApproximateReceiveCount);
        let replays = message.message_attributes.unwrap_or_default().remove(REPLAYS_ATTRIBUTE);
        let name = if event_id.is_empty() { message.message_id.unwrap_or_default() } else { event_id };
        let letter = DeadLetter {
            tenant,
            queue: self.of,
            consumer: self.of.map_or("outbox-relay", reader).to_owned(),
            kind: if self.of.is_some() { "crashed" } else { "stream-position" }.to_owned(),
            event_type,
            name,
            error: "the function crashed or ran out of time each time, or could not keep the letter".to_owned(),
            body,
            is_whole: true,
            deliveries: deliveries.and_then(|count| count.parse().ok()).unwrap_or(1),
            replays: replays.and_then(|value| value.string_value?.parse().ok()).unwrap_or(0),
            died_at: now,
            correlation_id,
        };
        Buried { letter: letter.kept(), handle: message.receipt_handle.unwrap_or_default() }
    }
}
