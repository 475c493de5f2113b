//! From a commit to a message that can be received.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use hdrhistogram::Histogram;
use holdfast_domain::event::{EventKind, ORDER_TYPE_PREFIX};
use holdfast_domain::routing::queues_of;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};
use uuid::Uuid;

use super::RelayFigures;
use crate::bench::invoking::Invoked;
use crate::engines::aws::JsonService;
use crate::engines::dynamodb::DynamoDb;
use crate::engines::ministack::Ministack;
use crate::progress::Progress;
use crate::setup::Venv;
use crate::template::{LocalValues, Template};
use crate::workspace;

/// How often Lambda asks a shard for records.
const POLL: Duration = Duration::from_millis(250);
/// The most records of a batch, as in the template.
const BATCH: usize = 100;
/// How long the last events may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// The changes of an order that is delivered.
pub const LIFE: [&str; 7] =
    ["placed", "payment_started", "paid", "shipping", "shipped", "payment_captured", "delivered"];

/// Commits `rate` changes a second for some seconds, of these kinds in turn, and follows their events.
///
/// # Errors
/// When an engine or the relay does not start, or an event does not arrive.
pub async fn measure(
    program: &Path,
    rate: u32,
    seconds: u32,
    kinds: &'static [&'static str],
) -> anyhow::Result<RelayFigures> {
    let quiet = Progress::hidden();
    let (venv, client) = (Venv::engines(&quiet).await?, reqwest::Client::new());
    let folder = workspace::stack("bench");
    let ministack = Ministack::start(&venv, &client, &folder.join("logs")).await?;
    let engine = DynamoDb::start(&folder).await?;
    let template = Template::read(&workspace::root().join("template.yaml"))?;
    let table = template.application(&LocalValues::default())?.table;
    let dynamodb = JsonService::dynamodb(client.clone(), engine.url());
    let created = dynamodb.call("CreateTable", &table.create).await?;
    let stream = created["TableDescription"]["LatestStreamArn"].as_str().context("the table has a stream")?.to_owned();
    let sqs = JsonService::sqs(client.clone(), ministack.url());
    let mut urls = BTreeMap::new();
    for queue in ["orders", "fulfilment", "notifications"] {
        let made = sqs.call("CreateQueue", &json!({"QueueName": queue})).await?;
        urls.insert(queue, made["QueueUrl"].as_str().context("a queue has a URL")?.to_owned());
    }
    let variables = [
        ("AWS_ENDPOINT_URL_DYNAMODB", engine.url().to_owned()),
        ("AWS_ENDPOINT_URL_SQS", ministack.url().to_owned()),
        ("TABLE_NAME", table.name.clone()),
        ("EVENTS_QUEUE_URL", urls["orders"].clone()),
        ("FULFILMENT_QUEUE_URL", urls["fulfilment"].clone()),
        ("NOTIFICATIONS_QUEUE_URL", urls["notifications"].clone()),
        ("RECOVERY_SECONDS", "3600".to_owned()),
    ];
    let mut relay = Invoked::start("outbox-relay", program, SignedDuration::from_secs(30), variables).await?;
    // The first invocation opens connections.
    relay.invoke(&json!({"Records": []})).await?;
    let cpu_before = relay.cpu()?;

    let orders = u64::from(rate) * u64::from(seconds);
    let (received, over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
    let readers = ["orders", "fulfilment"]
        .map(|queue| tokio::spawn(read(sqs.clone(), urls[queue].clone(), Arc::clone(&received), Arc::clone(&over))));
    let writer = tokio::spawn(commit(dynamodb.clone(), table.name.clone(), (rate, orders), kinds));
    let streams = JsonService::streams(client, engine.url());
    let batches = relay_all(&streams, &stream, &mut relay, &received, orders).await;
    over.store(true, Ordering::SeqCst);
    writer.await??;
    let mut latency = Histogram::<u64>::new(3)?;
    for reader in readers {
        latency.add(reader.await??)?;
    }
    let mut batches = batches?;
    let cpu = relay.cpu()?.saturating_sub(cpu_before);
    relay.stop().await;
    let count = dynamodb.call("Scan", &json!({"TableName": table.name, "Select": "COUNT"})).await?;
    let items = pages(&dynamodb, &table.name, count).await?;
    ministack.stop().await;
    batches.sort_unstable();
    let ms = |micros: u64| micros as f64 / 1e3;
    let messages: usize = kinds.iter().map(|kind| messages_of(kind)).sum();
    Ok(RelayFigures {
        kinds: kinds.join(", "),
        messages_per_record: messages as f64 / kinds.len() as f64,
        records: orders,
        rate,
        p50_ms: ms(latency.value_at_quantile(0.5)),
        p99_ms: ms(latency.value_at_quantile(0.99)),
        max_ms: ms(latency.max()),
        cpu_us_per_record: cpu.as_secs_f64() * 1e6 / orders as f64,
        items_written: items - orders,
        batch_p50: batches.get(batches.len() / 2).copied().unwrap_or_default(),
    })
}

/// How many messages a change becomes: its event for each queue, and the timer of a hold.
fn messages_of(kind: &str) -> usize {
    let timer = EventKind::named(kind).is_some_and(|kind| kind.begins_hold() || kind.may_be_abandoned());
    queues_of(&format!("{ORDER_TYPE_PREFIX}{kind}")).len() + usize::from(timer)
}

/// How many items the table has, beginning with a page's count.
async fn pages(dynamodb: &JsonService, table: &str, mut page: Value) -> anyhow::Result<u64> {
    let mut items = page["Count"].as_u64().unwrap_or_default();
    while page["LastEvaluatedKey"].is_object() {
        let start = page["LastEvaluatedKey"].take();
        let request = json!({"TableName": table, "Select": "COUNT", "ExclusiveStartKey": start});
        page = dynamodb.call("Scan", &request).await?;
        items += page["Count"].as_u64().unwrap_or_default();
    }
    Ok(items)
}

/// Writes orders at an even pace, as they are after changes of these kinds in turn.
async fn commit(
    dynamodb: JsonService,
    table: String,
    (rate, orders): (u32, u64),
    kinds: &[&str],
) -> anyhow::Result<()> {
    let mut ticks = interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for (_, kind) in (0..orders).zip(kinds.iter().cycle()) {
        ticks.tick().await;
        let now = Timestamp::now();
        // The commit is what counts: not how long it took to get there.
        let at = now.as_millisecond().to_string();
        let id = Uuid::from_u128((rand::random::<u128>() & !(0xF << 76) & !(0x3 << 62)) | (8 << 76) | (2 << 62));
        let entry = json!({"M": {"type": {"S": kind}, "at": {"N": at}, "by": {"S": "customer"}}});
        let item = json!({
            "pk": {"S": format!("acme#order#{id}")}, "sk": {"S": "order"}, "version": {"N": "1"}, "state": {"S": "placed"},
            "expires_at": {"N": (now.as_millisecond() + 900_000).to_string()}, "history": {"L": [entry]},
            "event": {"M": {"correlation_id": {"S": id.to_string()}, "traceparent": {"S": "00-0-0-01"}}},
            // As large as a one-line order.
            "lines": {"S": "x".repeat(600)},
        });
        dynamodb.call("PutItem", &json!({"TableName": table, "Item": item})).await?;
    }
    Ok(())
}

/// Hands the stream's records to the relay until every event has arrived. How many records each batch had.
async fn relay_all(
    streams: &JsonService,
    stream: &str,
    relay: &mut Invoked,
    received: &AtomicU64,
    orders: u64,
) -> anyhow::Result<Vec<u64>> {
    let described = streams.call("DescribeStream", &json!({"StreamArn": stream})).await?;
    let shard = described["StreamDescription"]["Shards"][0]["ShardId"].clone();
    let request = json!({"StreamArn": stream, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
    let mut iterator = streams.call("GetShardIterator", &request).await?["ShardIterator"].take();
    let (mut relayed, mut batches, mut last) = (0, Vec::new(), Instant::now());
    let mut polls = interval(POLL);
    polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while received.load(Ordering::SeqCst) < orders {
        polls.tick().await;
        anyhow::ensure!(last.elapsed() < PATIENCE, "{} of {orders} events arrived", received.load(Ordering::SeqCst));
        let mut page = streams.call("GetRecords", &json!({"ShardIterator": iterator, "Limit": 1_000})).await?;
        iterator = page["NextShardIterator"].take();
        let records = page["Records"].as_array().cloned().unwrap_or_default();
        for batch in records.chunks(BATCH) {
            let answer = relay.invoke(&json!({"Records": batch})).await?;
            anyhow::ensure!(answer["batchItemFailures"].as_array().is_none_or(Vec::is_empty), "{answer}");
            relayed += batch.len() as u64;
            batches.push(batch.len() as u64);
        }
        if relayed < orders && !records.is_empty() {
            last = Instant::now();
        }
    }
    Ok(batches)
}

/// Receives messages as they come; how long each took from its commit, in microseconds.
async fn read(
    sqs: JsonService,
    url: String,
    received: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
) -> anyhow::Result<Histogram<u64>> {
    let mut latency = Histogram::<u64>::new(3)?;
    while !over.load(Ordering::SeqCst) {
        let request = json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 0});
        let answer = sqs.call("ReceiveMessage", &request).await?;
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        if messages.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let now = Timestamp::now();
        let mut entries = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            let event: Value = serde_json::from_str(message["Body"].as_str().unwrap_or_default())?;
            let committed: Timestamp = event["time"].as_str().context("an event has its time")?.parse()?;
            latency.record(now.duration_since(committed).as_micros().max(0) as u64)?;
            entries.push(json!({"Id": index.to_string(), "ReceiptHandle": message["ReceiptHandle"]}));
        }
        if !entries.is_empty() {
            let count = entries.len() as u64;
            sqs.call("DeleteMessageBatch", &json!({"QueueUrl": url, "Entries": entries})).await?;
            received.fetch_add(count, Ordering::SeqCst);
        }
    }
    Ok(latency)
}
