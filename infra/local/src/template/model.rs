//! What a template describes, in the terms of the services that this tool plays.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::schedule::Recurrence;

/// The parts of a template that are played locally.
#[derive(Clone, Debug)]
pub struct Application {
    /// In the order of their logical ids, as all below.
    pub functions: Vec<Function>,
    /// The one table.
    pub table: Table,
    /// Dead letter queues included.
    pub queues: Vec<Queue>,
    /// Names of buckets.
    pub buckets: Vec<String>,
}

/// A Lambda function and what invokes it.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its name in the template.
    pub logical_id: String,
    /// Its package and binary: the last part of its `CodeUri`.
    pub name: String,
    /// Its environment variables.
    pub environment: BTreeMap<String, String>,
    /// When Lambda gives up on an invocation.
    pub timeout: Duration,
    /// In MiB.
    pub memory: u64,
    /// Its routes of the HTTP API.
    pub routes: Vec<Route>,
    /// Its event-source mappings of queues.
    pub queues: Vec<QueueMapping>,
    /// Its event-source mappings of table streams.
    pub streams: Vec<StreamMapping>,
    /// Its schedules.
    pub schedules: Vec<ScheduleRule>,
}

impl Function {
    /// How many instances its sources can use at once, where `concurrency` are to be had.
    pub fn instances(&self, concurrency: u16) -> usize {
        let limit = usize::from(concurrency.max(1));
        if !self.routes.is_empty() {
            return limit;
        }
        let queues = self.queues.iter().map(|queue| queue.scaling_config.maximum_concurrency.unwrap_or(limit));
        let streams = self.streams.iter().map(|stream| stream.parallelization_factor);
        let schedules = usize::from(!self.schedules.is_empty());
        (queues.sum::<usize>() + streams.sum::<usize>() + schedules).clamp(1, limit)
    }
}

/// A route of the HTTP API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// In upper case; `ANY` for all.
    pub method: String,
    /// With variables as in `/orders/{order_id}`.
    pub path: String,
    /// Whether a valid token is needed.
    pub authorized: bool,
    /// A token needs one of these, if there are any.
    pub scopes: Vec<String>,
}

/// An event-source mapping of a queue. As with those of streams, a property that this tool does not play is refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct QueueMapping {
    /// The ARN of the queue.
    pub queue: String,
    /// The most messages a batch has.
    #[serde(default = "ten", deserialize_with = "lenient")]
    pub batch_size: usize,
    /// How long a batch may take to fill, in seconds.
    #[serde(default, deserialize_with = "lenient")]
    pub maximum_batching_window_in_seconds: u64,
    /// `ReportBatchItemFailures` or nothing.
    #[serde(default)]
    pub function_response_types: Vec<String>,
    /// How many batches may be under way at once.
    #[serde(default)]
    pub scaling_config: ScalingConfig,
    /// Which messages count.
    #[serde(default)]
    pub filter_criteria: FilterCriteria,
}

impl QueueMapping {
    /// Refuses what AWS refuses.
    ///
    /// # Errors
    /// In the words of the documentation.
    pub fn check(&self) -> anyhow::Result<()> {
        let concurrency = self.scaling_config.maximum_concurrency.unwrap_or(2);
        ensure!((2..=1_000).contains(&concurrency), "MaximumConcurrency must be between 2 and 1,000");
        ensure!((1..=10_000).contains(&self.batch_size), "BatchSize must be between 1 and 10,000");
        ensure!(
            self.batch_size <= 10 || self.maximum_batching_window_in_seconds >= 1,
            "when you set BatchSize to a value greater than 10, you must set MaximumBatchingWindowInSeconds to at least 1"
        );
        ensure!(self.maximum_batching_window_in_seconds <= 300, "MaximumBatchingWindowInSeconds must be 300 at most");
        Ok(())
    }
}

impl StreamMapping {
    /// Refuses what AWS refuses.
    ///
    /// # Errors
    /// In the words of the documentation.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!((1..=10_000).contains(&self.batch_size), "BatchSize must be between 1 and 10,000");
        ensure!((1..=10).contains(&self.parallelization_factor), "ParallelizationFactor must be between 1 and 10");
        let age = self.maximum_record_age_in_seconds.unwrap_or(-1);
        ensure!(age == -1 || (60..=604_800).contains(&age), "MaximumRecordAgeInSeconds must be -1, or 60 to 604,800");
        let retries = self.maximum_retry_attempts.unwrap_or(-1);
        ensure!((-1..=10_000).contains(&retries), "MaximumRetryAttempts must be -1 to 10,000");
        Ok(())
    }
}

/// The limit of a queue's mapping.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ScalingConfig {
    /// At most so many batches at once.
    #[serde(default, deserialize_with = "lenient_option")]
    pub maximum_concurrency: Option<usize>,
}

/// An event-source mapping of a table's stream.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct StreamMapping {
    /// The ARN of the stream. There is one, that of the table.
    pub stream: String,
    /// Where reading begins.
    pub starting_position: StartingPosition,
    /// The most records a batch has.
    #[serde(default = "hundred", deserialize_with = "lenient")]
    pub batch_size: usize,
    /// How many batches of a shard may be under way at once. Records of one item stay in order.
    #[serde(default = "one", deserialize_with = "lenient")]
    pub parallelization_factor: usize,
    /// `None` retries for as long as the stream keeps the record.
    #[serde(default, deserialize_with = "lenient_option")]
    pub maximum_retry_attempts: Option<i64>,
    /// `None` has no limit.
    #[serde(default, deserialize_with = "lenient_option")]
    pub maximum_record_age_in_seconds: Option<i64>,
    /// Whether a failed batch is split in two.
    #[serde(default, deserialize_with = "lenient")]
    pub bisect_batch_on_function_error: bool,
    /// `ReportBatchItemFailures` or nothing.
    #[serde(default)]
    pub function_response_types: Vec<String>,
    /// Which records count.
    #[serde(default)]
    pub filter_criteria: FilterCriteria,
    /// Where discarded batches are reported.
    #[serde(default)]
    pub destination_config: DestinationConfig,
}

/// Where the reading of a stream begins. `LATEST` is not played, and is refused: AWS may leave out what is written while
/// the mapping is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum StartingPosition {
    /// With the oldest record.
    #[serde(rename = "TRIM_HORIZON")]
    TrimHorizon,
}

/// Filters of an event-source mapping; an event passes if it passes any.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct FilterCriteria {
    /// None let everything pass.
    #[serde(default)]
    pub filters: Vec<Filter>,
}

/// One filter.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Filter {
    /// An event pattern, as JSON text.
    pub pattern: String,
}

/// Destinations of an event-source mapping.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DestinationConfig {
    /// Where discarded batches are reported.
    pub on_failure: Option<Destination>,
}

/// A destination.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Destination {
    /// What it is.
    #[serde(rename = "Type")]
    pub kind: DestinationKind,
    /// The ARN of a queue.
    pub destination: String,
}

/// The services that discarded batches can be reported to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum DestinationKind {
    /// A queue.
    #[serde(rename = "SQS")]
    Queue,
}

/// A schedule.
#[derive(Clone, Debug)]
pub struct ScheduleRule {
    /// When it is due.
    pub recurrence: Recurrence,
    /// The event, as JSON text, or `None` for EventBridge's own.
    pub input: Option<String>,
}

/// The table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// The request that creates it.
    pub create: Value,
    /// The attribute with the instant after which an item may be forgotten.
    pub ttl_attribute: Option<String>,
}

/// A queue.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Its name in the template.
    pub logical_id: String,
    /// Its name in SQS.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
}

fn one() -> usize {
    1
}

fn ten() -> usize {
    10
}

fn hundred() -> usize {
    100
}

/// Takes a value or its text: CloudFormation makes no difference.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let bare = match &value {
        Value::String(text) => serde_json::from_str(text).unwrap_or(value),
        _ => value,
    };
    serde_json::from_value(bare).map_err(D::Error::custom)
}

fn lenient_option<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    lenient(deserializer).map(Some)
}
