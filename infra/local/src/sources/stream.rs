//! The event-source mapping of a table's stream.
//!
//! Filter, order, partial failures, retries, splits and the on-failure record are AWS's; only the pause between two
//! reads of an empty stream is shorter. See <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html>.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::Services;
use super::batch::{Batch, Verdict};
use super::pattern::Filters;
use crate::engines::aws::{ACCOUNT, REGION, ServiceError};
use crate::engines::invoker::Outcome;
use crate::template::StreamMapping;

/// The pause between two reads of a stream with nothing new. AWS takes 250 ms.
const IDLE: Duration = Duration::from_millis(50);
/// The pause after an error of the engine.
const ERROR_PAUSE: Duration = Duration::from_secs(1);
/// The most records of one read.
const READ_MAX: usize = 1000;

/// How far a mapping is.
#[derive(Debug, Default)]
pub struct StreamPosition {
    read: AtomicU64,
    pending: AtomicU64,
    reads_at_end: AtomicU64,
}

impl StreamPosition {
    /// How many records were read so far, filtered ones included.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::SeqCst)
    }

    /// How many records were read and not yet handled, filtered or given up.
    pub fn pending(&self) -> u64 {
        self.pending.load(Ordering::SeqCst)
    }

    /// How many reads found nothing new.
    pub fn reads_at_end(&self) -> u64 {
        self.reads_at_end.load(Ordering::SeqCst)
    }
}

/// A mapping at work.
pub struct StreamSource {
    pub(super) function: String,
    pub(super) mapping: StreamMapping,
    pub(super) filters: Filters,
    pub(super) failures_url: Option<String>,
    pub(super) services: Services,
    pub(super) position: Arc<StreamPosition>,
    /// Known once the stream was described.
    pub(super) shard: OnceLock<String>,
}

impl StreamSource {
    /// Reads the stream from its beginning and hands its records to the function, for ever.
    pub(super) async fn run(self) {
        let source = Arc::new(self);
        let mut lanes = Vec::new();
        let mut tasks = JoinSet::new();
        for _ in 0..source.mapping.parallelization_factor.max(1) {
            let (lane, records) = mpsc::channel(READ_MAX);
            lanes.push(lane);
            tasks.spawn(Arc::clone(&source).handle_lane(records));
        }
        let mut last = None;
        loop {
            if let Err(error) = source.read(&lanes, &mut last).await {
                tracing::warn!(function = source.function, %error, "the stream was not read");
                tokio::time::sleep(ERROR_PAUSE).await;
            }
        }
    }

    /// Reads until an error, from after the record with the sequence number `last`, which moves on with what is read.
    async fn read(&self, lanes: &[mpsc::Sender<Value>], last: &mut Option<Value>) -> Result<(), ServiceError> {
        let streams = &self.services.streams;
        let stream = json!({ "StreamArn": self.services.stream_arn });
        let described = streams.call("DescribeStream", &stream).await?;
        let shard = described["StreamDescription"]["Shards"][0]["ShardId"].clone();
        self.shard.get_or_init(|| shard.as_str().unwrap_or_default().to_owned());
        let mut request =
            json!({ "StreamArn": self.services.stream_arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
        if let Some(last) = last.as_ref() {
            request["ShardIteratorType"] = "AFTER_SEQUENCE_NUMBER".into();
            request["SequenceNumber"] = last.clone();
        }
        let mut iterator = streams.call("GetShardIterator", &request).await?["ShardIterator"].take();
        loop {
            let read = json!({ "ShardIterator": iterator, "Limit": READ_MAX });
            let mut answer = streams.call("GetRecords", &read).await?;
            let Value::Array(records) = answer["Records"].take() else {
                // No engine should answer so; one that does is not asked again without a pause.
                tokio::time::sleep(ERROR_PAUSE).await;
                continue;
            };
            if let Some(newest) = records.last() {
                *last = Some(newest["dynamodb"]["SequenceNumber"].clone());
            } else {
                self.position.reads_at_end.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(IDLE).await;
            }
            // Records in hand must show before the read does, or the stream seems idle for an instant.
            self.position.pending.fetch_add(records.len() as u64, Ordering::SeqCst);
            self.position.read.fetch_add(records.len() as u64, Ordering::SeqCst);
            for record in records {
                let record = self.lambda_record(record);
                let lane = lane(&record, lanes.len());
                if !self.filters.pass(&record) || lanes[lane].send(record).await.is_err() {
                    self.position.pending.fetch_sub(1, Ordering::SeqCst);
                }
            }
            iterator = answer["NextShardIterator"].take();
        }
    }

    /// A record of the stream as a function gets it.
    fn lambda_record(&self, mut record: Value) -> Value {
        record["awsRegion"] = REGION.into();
        record["eventSourceARN"] = self.services.stream_arn.as_str().into();
        let identity = record["userIdentity"].take();
        if identity.is_object() {
            let field = |lower: &str, upper: &str| identity.get(lower).or_else(|| identity.get(upper)).cloned();
            record["userIdentity"] =
                json!({ "type": field("type", "Type"), "principalId": field("principalId", "PrincipalId") });
        } else if let Some(record) = record.as_object_mut() {
            record.remove("userIdentity");
        }
        record
    }

    async fn handle_lane(self: Arc<Self>, mut records: mpsc::Receiver<Value>) {
        let mut batch = Vec::new();
        while records.recv_many(&mut batch, self.mapping.batch_size).await > 0 {
            let records = std::mem::take(&mut batch);
            self.handle(&records).await;
            self.position.pending.fetch_sub(records.len() as u64, Ordering::SeqCst);
        }
    }

    /// Hands `records` to the function until each is handled or given up.
    async fn handle(&self, records: &[Value]) {
        let retries_max = self.mapping.maximum_retry_attempts.and_then(|max| u32::try_from(max).ok());
        let mut batch = Batch::new(records.len(), self.mapping.bisect_batch_on_function_error, retries_max);
        while let Some(range) = batch.next() {
            let old = records[range.clone()].iter().take_while(|record| self.is_too_old(record)).count();
            if old > 0 {
                // Once they are discarded, the count is that of the records behind them.
                let calls = batch.retries();
                let given_up = batch.discard(old).unwrap_or(range);
                self.report(&records[given_up], "RecordAgeExceeded", calls, None).await;
                continue;
            }
            tokio::time::sleep(batch.pause()).await;
            let calls = batch.retries() + 1;
            let Some((verdict, error)) = self.invoke(&records[range]).await else {
                // "Service errors or throttles where the batch does not reach your function do not count toward retry
                // attempts."
                tokio::time::sleep(ERROR_PAUSE).await;
                continue;
            };
            if let Some(given_up) = batch.judge(verdict) {
                let context = json!({ "statusCode": 200, "executedVersion": "$LATEST", "functionError": error });
                self.report(&records[given_up], "RetryAttemptsExhausted", calls, Some(context)).await;
            }
        }
    }

    /// What the function made of records, and its error if it failed as a whole; none if it was not reached.
    async fn invoke(&self, records: &[Value]) -> Option<(Verdict, Option<&'static str>)> {
        let event = json!({ "Records": records }).to_string().into_bytes();
        let verdict = match self.services.invoker.invoke(&self.function, event).await {
            Outcome::Failed(error) => {
                tracing::warn!(function = self.function, records = records.len(), %error, "a stream batch failed");
                return (!error.never_arrived()).then_some((Verdict::Failed, Some("Unhandled")));
            }
            Outcome::Answered(answer)
                if self.mapping.function_response_types.iter().any(|kind| kind == "ReportBatchItemFailures") =>
            {
                verdict(&answer, records)
            }
            Outcome::Answered(_) => Verdict::Handled,
        };
        Some((verdict, None))
    }

    fn is_too_old(&self, record: &Value) -> bool {
        let created = record["dynamodb"]["ApproximateCreationDateTime"].as_f64().unwrap_or_default();
        let age = Timestamp::now().as_second() as f64 - created;
        self.mapping.maximum_record_age_in_seconds.is_some_and(|max| max >= 0 && age > max as f64)
    }

    /// Sends the record of `records` that were given up to the on-failure destination.
    async fn report(&self, records: &[Value], condition: &str, calls: u32, response: Option<Value>) {
        tracing::warn!(function = self.function, records = records.len(), condition, "stream records were given up");
        let (Some(url), [first, ..], [.., last]) = (&self.failures_url, records, records) else {
            return;
        };
        let arrival = |record: &Value| {
            let seconds = record["dynamodb"]["ApproximateCreationDateTime"].as_f64().unwrap_or_default();
            Timestamp::from_second(seconds as i64).map(|time| time.to_string()).unwrap_or_default()
        };
        let mut message = json!({
            "requestContext": {
                "requestId": Uuid::from_u128(rand::random()).to_string(),
                "functionArn": format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{}:$LATEST", self.function),
                "condition": condition,
                "approximateInvokeCount": calls,
            },
            "version": "1.0",
            "timestamp": Timestamp::now().to_string(),
            "DDBStreamBatchInfo": {
                "shardId": self.shard.get(),
                "startSequenceNumber": first["dynamodb"]["SequenceNumber"],
                "endSequenceNumber": last["dynamodb"]["SequenceNumber"],
                "approximateArrivalOfFirstRecord": arrival(first),
                "approximateArrivalOfLastRecord": arrival(last),
                "batchSize": records.len(),
                "streamArn": self.services.stream_arn,
            },
        });
        // Records that were never handed over have no response.
        if let Some(response) = response {
            message["responseContext"] = response;
        }
        let request = json!({ "QueueUrl": url, "MessageBody": message.to_string() });
        while let Err(error) = self.services.sqs.call("SendMessage", &request).await {
            tracing::warn!(function = self.function, %error, "given-up records were not reported");
            tokio::time::sleep(ERROR_PAUSE).await;
        }
    }
}

/// The lane of a record: records of one item go one after the other.
fn lane(record: &Value, lanes: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    record["dynamodb"]["Keys"].to_string().hash(&mut hasher);
    (hasher.finish() % lanes as u64) as usize
}

/// What a function that reports failures made of `records`. It names the sequence numbers that failed; the lowest
/// counts. A name that is empty or unknown fails the batch as a whole.
fn verdict(answer: &[u8], records: &[Value]) -> Verdict {
    let answer: Value = match serde_json::from_slice(answer) {
        Ok(answer) => answer,
        Err(_) if answer.is_empty() => return Verdict::Handled,
        Err(_) => return Verdict::Failed,
    };
    let failures = match answer.get("batchItemFailures") {
        None | Some(Value::Null) => return Verdict::Handled,
        Some(Value::Array(failures)) => failures,
        Some(_) => return Verdict::Failed,
    };
    let mut lowest = None;
    for failure in failures {
        let name = &failure["itemIdentifier"];
        let Some(index) = records.iter().position(|record| record["dynamodb"]["SequenceNumber"] == *name) else {
            return Verdict::Failed;
        };
        lowest = Some(lowest.map_or(index, |lowest: usize| lowest.min(index)));
    }
    lowest.map_or(Verdict::Handled, Verdict::FailedFrom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(numbers: &[&str]) -> Vec<Value> {
        numbers.iter().map(|number| json!({ "dynamodb": { "SequenceNumber": number } })).collect()
    }

    #[test]
    fn the_lowest_failure_counts() {
        let records = records(&["10", "11", "12"]);
        let of = |answer: &str| verdict(answer.as_bytes(), &records);
        assert_eq!(
            of(r#"{"batchItemFailures":[{"itemIdentifier":"12"},{"itemIdentifier":"11"}]}"#),
            Verdict::FailedFrom(1)
        );
        for handled in [r#"{"batchItemFailures":[]}"#, r#"{"batchItemFailures":null}"#, "{}", "null", ""] {
            assert_eq!(of(handled), Verdict::Handled, "{handled}");
        }
        for failed in [
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            r#"{"batchItemFailures":[{}]}"#,
            r#"{"batchItemFailures":7}"#,
        ] {
            assert_eq!(of(failed), Verdict::Failed, "{failed}");
        }
    }

    /// "When you increase the number of concurrent batches per shard, Lambda still ensures in-order processing at the item
    /// (partition and sort key) level."
    #[test]
    fn records_of_one_item_share_a_lane_and_items_use_all_of_them() {
        let record = |key: usize, image: usize| json!({ "dynamodb": { "Keys": { "pk": { "S": key.to_string() } }, "NewImage": { "v": { "N": image } } } });
        let mut used = std::collections::BTreeSet::new();
        for key in 0..100 {
            let lanes: Vec<_> = (0..5).map(|image| lane(&record(key, image), 4)).collect();
            assert!(lanes.iter().all(|lane| *lane == lanes[0]), "item {key} is in several lanes: {lanes:?}");
            used.insert(lanes[0]);
        }
        assert_eq!(used.len(), 4);
    }
}
