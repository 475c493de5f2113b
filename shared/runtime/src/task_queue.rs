//! Queues of tasks: what is to be done, rather than what happened to an order.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use serde::Serialize;

/// A queue that takes tasks.
#[derive(Clone)]
pub struct TaskQueue {
    client: Client,
    queue_url: String,
}

/// The queue did not take a task.
#[derive(Debug, thiserror::Error)]
#[error("the queue did not take a task: {0}")]
pub struct Unsent(String);

impl TaskQueue {
    /// The queue of this URL.
    pub fn new(client: Client, queue_url: String) -> Self {
        Self { client, queue_url }
    }

    /// Sends a task, to be delivered after so many seconds, 0 to 900.
    ///
    /// # Errors
    /// When the queue gives no answer, or refuses it.
    pub async fn send<T: Serialize>(&self, task: &T, delay_seconds: i32) -> Result<(), Unsent> {
        let body = serde_json::to_string(task).map_err(|error| Unsent(error.to_string()))?;
        let request = self.client.send_message().queue_url(&self.queue_url).message_body(body);
        let sent = request.delay_seconds(delay_seconds).send().await;
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
