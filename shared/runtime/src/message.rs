//! Publishing events to a queue.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{BatchResultErrorEntry, MessageAttributeValue, SendMessageBatchRequestEntry};
use futures_util::future::join_all;
use holdfast_domain::event::CloudEvent;
use holdfast_domain::webhook::DeliveryTimer;
use jiff::Timestamp;
use serde::Serialize;
use std::borrow::Borrow;

/// The most messages of one call (Amazon SQS, `SendMessageBatch`).
pub const BATCH_MAX: usize = 10;

/// The longest that a message may be delayed (Amazon SQS, `DelaySeconds`): 15 minutes.
pub const DELAY_SECONDS_MAX: i64 = 900;

/// A queue that takes events.
#[derive(Clone)]
pub struct Publisher {
    client: Client,
    queue_url: String,
}

/// An event and how long its delivery is to be delayed.
#[derive(Debug, Clone)]
pub struct Message {
    /// What is sent.
    pub event: CloudEvent,
    /// Seconds, 0 to [`DELAY_SECONDS_MAX`].
    pub delay_seconds: i32,
}

/// A queue did not take a message.
#[derive(Debug, thiserror::Error)]
#[error("the queue did not take a message: {0}")]
pub struct Unsent(String);

impl Unsent {
    /// The function does not know the queue.
    pub fn no_queue() -> Self {
        Self("this function has no such queue".to_owned())
    }
}

/// An event that the queue did not take.
#[derive(Debug)]
pub struct Unpublished {
    /// Its position among those given.
    pub index: usize,
    /// What went wrong.
    pub error: String,
}

impl Message {
    /// To be delivered at once.
    pub fn now(event: CloudEvent) -> Self {
        Self { event, delay_seconds: 0 }
    }

    /// To be delivered when the event's `due_at` comes, or as near to it as a queue can delay; the consumer of a timer
    /// sends it on until it is due.
    pub fn when_due(event: CloudEvent, now: Timestamp) -> Self {
        let delay_seconds = delay_seconds(event.data.due_at, now);
        Self { event, delay_seconds }
    }
}

/// How long a timer is delayed that is due at so many milliseconds since the epoch: until then, or as near to it as a queue
/// can. Rounded up: a timer that comes early is only sent on again.
fn delay_seconds(due_at: i64, now: Timestamp) -> i32 {
    let missing_ms = due_at.saturating_sub(now.as_millisecond());
    missing_ms.saturating_add(999).div_euclid(1_000).clamp(0, DELAY_SECONDS_MAX) as i32
}

impl Publisher {
    /// A publisher to the queue of this URL.
    pub fn new(client: Client, queue_url: String) -> Self {
        Self { client, queue_url }
    }

    /// Whether the queue has this name.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.queue_url.rsplit('/').next() == Some(name)
    }

    /// Sends messages, ten a call and all calls at the same time, so that a queue that hangs costs the time of one call.
    /// Returns those that the queue did not take, each with its reason.
    pub async fn publish<M: Borrow<Message>>(&self, messages: &[M]) -> Vec<Unpublished> {
        let calls = messages.chunks(BATCH_MAX).enumerate();
        let calls = calls.map(|(number, batch)| self.publish_batch(number * BATCH_MAX, batch));
        join_all(calls).await.into_iter().flatten().collect()
    }

    /// Sends one batch, whose first message has the position `first`.
    async fn publish_batch<M: Borrow<Message>>(&self, first: usize, batch: &[M]) -> Vec<Unpublished> {
        let entries = batch.iter().enumerate().map(|(index, message)| entry(first + index, message.borrow())).collect();
        let request = self.client.send_message_batch().queue_url(&self.queue_url).set_entries(Some(entries));
        match request.send().await {
            Ok(output) => {
                let unpublished = |failed: BatchResultErrorEntry| Unpublished {
                    index: failed.id.parse().unwrap_or(first),
                    error: format!("{}: {}", failed.code, failed.message.unwrap_or_default()),
                };
                output.failed.into_iter().map(unpublished).collect()
            }
            Err(error) => {
                let error = DisplayErrorContext(&error).to_string();
                let all = first..first + batch.len();
                all.map(|index| Unpublished { index, error: error.clone() }).collect()
            }
        }
    }
}

impl Publisher {
    /// Sends a task, to be delivered after so many seconds, 0 to [`DELAY_SECONDS_MAX`].
    ///
    /// # Errors
    /// When the queue gives no answer, or refuses it.
    pub async fn send_task<T: Serialize>(&self, task: &T, delay_seconds: i32) -> Result<(), Unsent> {
        let body = serde_json::to_string(task).map_err(|error| Unsent(error.to_string()))?;
        self.send(body, delay_seconds, []).await
    }

    /// Sends the timer of a webhook's delivery, delayed until it is due or as near to it as a queue can delay; its
    /// consumer sends it on until then.
    ///
    /// # Errors
    /// When the queue gives no answer, or refuses it.
    pub async fn send_delivery_timer(&self, timer: &DeliveryTimer, now: Timestamp) -> Result<(), Unsent> {
        let body = serde_json::to_string(timer).map_err(|error| Unsent(error.to_string()))?;
        let attributes = [("type", timer.kind.as_str()), ("traceparent", timer.traceparent.as_str())];
        self.send(body, delay_seconds(timer.data.due_at, now), attributes).await
    }

    /// Sends a body as it is, with attributes that are not empty.
    ///
    /// # Errors
    /// When the queue gives no answer, or refuses it.
    pub async fn send<'a>(
        &self,
        body: String,
        delay_seconds: i32,
        attributes: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), Unsent> {
        let request = self.client.send_message().queue_url(&self.queue_url).message_body(body);
        let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), attribute(value))).collect();
        let request = request.delay_seconds(delay_seconds).set_message_attributes(Some(attributes));
        let sent = request.send().await;
        sent.map(drop).map_err(|error| Unsent(DisplayErrorContext(&error).to_string()))
    }

    /// Lets a received message be delivered again after so many seconds instead of after the queue's visibility
    /// time-out. A failure is only logged: the time-out then decides.
    pub async fn release(&self, receipt_handle: &str, seconds: i32) {
        let request = self.client.change_message_visibility().queue_url(&self.queue_url);
        let request = request.receipt_handle(receipt_handle).visibility_timeout(seconds);
        if let Err(error) = request.send().await {
            tracing::warn!(error = %DisplayErrorContext(&error), "message_not_released");
        }
    }
}

fn attribute(text: &str) -> MessageAttributeValue {
    let value = MessageAttributeValue::builder().data_type("String").string_value(text);
    value.build().expect("an attribute has its type")
}

fn entry(index: usize, message: &Message) -> SendMessageBatchRequestEntry {
    let body = serde_json::to_string(&message.event).expect("events are JSON objects with text keys");
    SendMessageBatchRequestEntry::builder()
        .id(index.to_string())
        .message_body(body)
        .delay_seconds(message.delay_seconds)
        .message_attributes("type", attribute(&message.event.kind))
        .message_attributes("traceparent", attribute(&message.event.traceparent))
        .build()
        .expect("an entry has its id and body")
}
