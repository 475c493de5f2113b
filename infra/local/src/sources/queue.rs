//! The event-source mapping of a queue.
//!
//! See <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Services;
use super::deliveries::Deliveries;
use super::pattern::Filters;
use crate::engines::aws::{REGION, ServiceError};
use crate::engines::invoker::Outcome;
use crate::template::QueueMapping;

/// The pause after an empty answer, at first and at most. The local queue notices a new message later in a long poll
/// than this takes.
const IDLE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(40));
/// The pause after an error of the engine.
const ERROR_PAUSE: Duration = Duration::from_secs(1);
/// The most messages of one call.
const CALL_MAX: usize = 10;
/// How long a function that cannot be reached is tried for a batch: less than its messages stay hidden.
const UNREACHED_MAX: Duration = Duration::from_secs(60);
/// Batches at once where the mapping has no limit of its own.
const CONCURRENCY: usize = 5;

/// A mapping at work.
pub struct QueueSource {
    pub(super) function: String,
    pub(super) mapping: QueueMapping,
    pub(super) filters: Filters,
    pub(super) url: String,
    pub(super) services: Services,
    pub(super) deliveries: Arc<Deliveries>,
}

impl QueueSource {
    /// Receives messages and hands them to the function, for ever.
    pub(super) async fn run(self) {
        let limit = self.mapping.scaling_config.maximum_concurrency.unwrap_or(CONCURRENCY);
        let slots = Arc::new(Semaphore::new(limit.max(1)));
        let source = Arc::new(self);
        let mut batches = JoinSet::new();
        let mut idle = IDLE.0;
        loop {
            // Messages that are received wait for nothing but the function.
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            while batches.try_join_next().is_some() {}
            match source.batch().await {
                Ok(messages) if messages.is_empty() => {
                    tokio::time::sleep(idle).await;
                    idle = IDLE.1.min(idle * 2);
                }
                Ok(messages) => {
                    idle = IDLE.0;
                    let source = Arc::clone(&source);
                    batches.spawn(async move {
                        source.handle(messages).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(function = source.function, %error, "the queue was not read");
                    tokio::time::sleep(ERROR_PAUSE).await;
                }
            }
        }
    }

    /// The next batch: what is there, or what comes within the batching window.
    async fn batch(&self) -> Result<Vec<Value>, ServiceError> {
        let window = Duration::from_secs(self.mapping.maximum_batching_window_in_seconds);
        let began = Instant::now();
        let mut batch = Vec::new();
        loop {
            let wanted = CALL_MAX.min(self.mapping.batch_size - batch.len());
            let request = json!({
                "QueueUrl": self.url,
                "MaxNumberOfMessages": wanted,
                "WaitTimeSeconds": 0,
                "MessageSystemAttributeNames": ["All"],
                "MessageAttributeNames": ["All"],
            });
            let mut answer = match self.services.sqs.call("ReceiveMessage", &request).await {
                // What was received is hidden from the next call, so it must not be lost with this one's error.
                Err(_) if !batch.is_empty() => return Ok(batch),
                answer => answer?,
            };
            let Value::Array(messages) = answer["Messages"].take() else {
                if batch.is_empty() || began.elapsed() >= window {
                    return Ok(batch);
                }
                tokio::time::sleep(IDLE.1).await;
                continue;
            };
            batch.extend(messages);
            // "The default batching window is 0 seconds. This means that Lambda invokes your function as soon as records are
            // available."
            if batch.len() >= self.mapping.batch_size || began.elapsed() >= window {
                return Ok(batch);
            }
        }
    }

    async fn handle(&self, messages: Vec<Value>) {
        let (messages, unwanted): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|message| self.filters.pass(&filtered_form(message)));
        // Lambda deletes what the filter does not let pass.
        self.delete(unwanted.iter()).await;
        if messages.is_empty() {
            return;
        }
        let records: Vec<Value> = messages.iter().map(|message| record(message, &self.mapping.queue)).collect();
        for message in &messages {
            self.deliveries.note_delivered(body(message));
        }
        let event = json!({ "Records": records }).to_string().into_bytes();
        let failed = match self.invoke(event).await {
            Outcome::Answered(answer) if self.reports_failures() => failures(&answer, &messages),
            Outcome::Answered(_) => Some(HashSet::new()),
            // "If your function throws an exception, the entire batch is considered a complete failure."
            Outcome::Failed(error) => {
                tracing::warn!(function = self.function, messages = messages.len(), %error, "a queue batch failed");
                None
            }
        };
        // What is not deleted comes back when its visibility timeout has passed.
        let Some(failed) = failed else { return };
        let handled =
            messages.iter().filter(|message| !failed.contains(message["MessageId"].as_str().unwrap_or_default()));
        for message in self.delete(handled).await {
            self.deliveries.note_acknowledged(body(message));
        }
    }

    /// Invokes the function. "If the invocation fails due to throttling, Lambda continues to retry the message": one that
    /// did not reach the function is made again, for some time.
    async fn invoke(&self, event: Vec<u8>) -> Outcome {
        let began = Instant::now();
        loop {
            let outcome = self.services.invoker.invoke(&self.function, event.clone()).await;
            let missed = matches!(&outcome, Outcome::Failed(error) if error.never_arrived());
            if !missed || began.elapsed() >= UNREACHED_MAX {
                return outcome;
            }
            tokio::time::sleep(ERROR_PAUSE).await;
        }
    }

    fn reports_failures(&self) -> bool {
        self.mapping.function_response_types.iter().any(|kind| kind == "ReportBatchItemFailures")
    }

    /// Deletes `messages` and gives those that were deleted.
    async fn delete<'a>(&self, messages: impl Iterator<Item = &'a Value>) -> Vec<&'a Value> {
        let messages: Vec<&Value> = messages.collect();
        let mut deleted = Vec::with_capacity(messages.len());
        for chunk in messages.chunks(CALL_MAX) {
            let entry = |(index, message): (usize, &&Value)| json!({ "Id": index.to_string(), "ReceiptHandle": message["ReceiptHandle"] });
            let entries: Vec<Value> = chunk.iter().enumerate().map(entry).collect();
            let request = json!({ "QueueUrl": self.url, "Entries": entries });
            match self.services.sqs.call("DeleteMessageBatch", &request).await {
                Ok(answer) => {
                    let successful = answer["Successful"].as_array().into_iter().flatten();
                    let indices = successful.filter_map(|entry| entry["Id"].as_str()?.parse::<usize>().ok());
                    deleted.extend(indices.filter_map(|index| chunk.get(index).copied()));
                }
                Err(error) => tracing::warn!(function = self.function, %error, "messages were not deleted"),
            }
        }
        deleted
    }
}

/// The ids of the messages that failed, or `None` when the batch failed as a whole.
fn failures(answer: &[u8], messages: &[Value]) -> Option<HashSet<String>> {
    if answer.is_empty() {
        return Some(HashSet::new());
    }
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let failures = match answer.get("batchItemFailures") {
        None | Some(Value::Null) => return Some(HashSet::new()),
        failures => failures?.as_array()?,
    };
    let known = |id: &&str| messages.iter().any(|message| message["MessageId"] == **id);
    let ids = failures.iter().map(|failure| failure["itemIdentifier"].as_str().filter(known).map(str::to_owned));
    ids.collect()
}

fn body(message: &Value) -> &str {
    message["Body"].as_str().unwrap_or_default()
}

/// A message as a function gets it.
fn record(message: &Value, arn: &str) -> Value {
    let attribute = |(name, value): (&String, &Value)| {
        let mut attribute = json!({ "stringListValues": [], "binaryListValues": [], "dataType": value["DataType"] });
        for (from, to) in [("StringValue", "stringValue"), ("BinaryValue", "binaryValue")] {
            if let Some(value) = value.get(from) {
                attribute[to] = value.clone();
            }
        }
        (name.clone(), attribute)
    };
    let attributes: Map<String, Value> =
        message["MessageAttributes"].as_object().into_iter().flatten().map(attribute).collect();
    let mut record = json!({
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": attributes,
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": REGION,
    });
    if let Some(digest) = message.get("MD5OfMessageAttributes") {
        record["md5OfMessageAttributes"] = digest.clone();
    }
    record
}

/// A message as filters see it: a body of JSON counts by its fields.
fn filtered_form(message: &Value) -> Value {
    let body = serde_json::from_str(body(message)).unwrap_or_else(|_| message["Body"].clone());
    json!({ "body": body, "messageId": message["MessageId"], "attributes": message["Attributes"] })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "Lambda treats a batch as a complete success if your function returns any of the following: an empty
    /// batchItemFailures list, a null batchItemFailures list, an empty EventResponse, a null EventResponse."
    #[test]
    fn answers_that_name_no_failure_are_a_complete_success() {
        let messages = [json!({ "MessageId": "m-1" })];
        for answer in [r#"{"batchItemFailures":[]}"#, r#"{"batchItemFailures":null}"#, "{}", "null", ""] {
            assert_eq!(failures(answer.as_bytes(), &messages), Some(HashSet::new()), "{answer}");
        }
    }

    /// "Lambda treats a batch as a complete failure if your function returns any of the following: an invalid JSON
    /// response, an empty string itemIdentifier, a null itemIdentifier, an itemIdentifier with a bad key name, an
    /// itemIdentifier value with a message ID that doesn't exist."
    #[test]
    fn answers_that_make_no_sense_are_a_complete_failure() {
        let messages = [json!({ "MessageId": "m-1" }), json!({ "MessageId": "m-2" })];
        for answer in [
            "no JSON",
            r#"{"batchItemFailures":7}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
            r#"{"batchItemFailures":[{"identifier":"m-1"}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":"m-1"},{"itemIdentifier":"m-3"}]}"#,
        ] {
            assert_eq!(failures(answer.as_bytes(), &messages), None, "{answer}");
        }
        let named = failures(br#"{"batchItemFailures":[{"itemIdentifier":"m-2"}]}"#, &messages);
        assert_eq!(named, Some(HashSet::from(["m-2".to_owned()])), "only the failed messages become visible again");
    }

    #[test]
    fn a_message_becomes_the_documented_record() {
        let message = json!({
            "MessageId": "m-1",
            "ReceiptHandle": "r-1",
            "Body": "{}",
            "MD5OfBody": "99914b932bd37a50b983c5e7c90ae93b",
            "Attributes": { "ApproximateReceiveCount": "1" },
            "MessageAttributes": { "kind": { "DataType": "String", "StringValue": "x" } },
        });
        let expected = json!({
            "messageId": "m-1",
            "receiptHandle": "r-1",
            "body": "{}",
            "attributes": { "ApproximateReceiveCount": "1" },
            "messageAttributes": { "kind": { "stringValue": "x", "stringListValues": [], "binaryListValues": [], "dataType": "String" } },
            "md5OfBody": "99914b932bd37a50b983c5e7c90ae93b",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:q",
            "awsRegion": "us-east-1",
        });
        assert_eq!(record(&message, "arn:q"), expected);
    }
}
