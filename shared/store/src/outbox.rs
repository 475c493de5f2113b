//! Events that could not be published at once, kept until they are.

use crate::dead_letters::dead_item;
use crate::item::{self, Item};
use crate::transact::{Refused, cancelled};
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, ReturnConsumedCapacity, TransactWriteItem};
use holdfast_domain::dead_letter::{DeadLetter, RecordKey};
use holdfast_domain::event::CloudEvent;
use holdfast_domain::routing::Queue;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How often an event is tried again before it goes to the dead letters (OUT-2).
pub const RETRIES_MAX: u32 = 3;

/// How long it is kept that an entry was published in the end (OUT-3).
const DONE_KEPT: SignedDuration = SignedDuration::from_hours(24 * 7);

/// Who gives entries up.
const CONSUMER: &str = "outbox";

/// An event on its way, with what went wrong so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// What is to be published.
    pub event: CloudEvent,
    /// Where it is to be published: an event that is for several queues has an entry for each that did not take it.
    pub queue: Queue,
    /// How often it was tried again.
    pub retry_count: u32,
    /// When it is due: the position in its shard.
    pub next_retry_at: Timestamp,
    /// What went wrong last.
    pub error: String,
    /// When it was first kept.
    pub created_at: Timestamp,
}

/// An entry that cannot be read: a later release wrote it, or nobody of ours did.
#[derive(Debug)]
pub struct Unreadable {
    raw: Item,
    /// What is wrong with it.
    pub error: StoreError,
}

#[derive(Serialize, Deserialize)]
struct EntryItem {
    pk: String,
    sk: String,
    event: CloudEvent,
    // Entries of earlier releases were for the one queue that there was.
    #[serde(default, skip_serializing_if = "Queue::is_orders")]
    queue: Queue,
    retry_count: u32,
    max_retry_count: u32,
    next_retry_at: i64,
    error: String,
    created_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    processed_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl: Option<i64>,
}

impl OutboxEntry {
    /// The first entry of an event that `queue` did not take at `at`.
    pub fn new(event: CloudEvent, queue: Queue, error: String, at: Timestamp) -> Self {
        let next_retry_at = at.saturating_add(pause(0)).unwrap_or(Timestamp::MAX);
        Self { event, queue, retry_count: 0, next_retry_at, error, created_at: at }
    }

    /// The entry after one more failure; none when it was tried often enough.
    pub fn after_failure(&self, error: String, at: Timestamp) -> Option<Self> {
        let retry_count = self.retry_count + 1;
        let next_retry_at = at.saturating_add(pause(retry_count)).unwrap_or(Timestamp::MAX);
        let next = Self { retry_count, next_retry_at, error, ..self.clone() };
        (retry_count < RETRIES_MAX).then_some(next)
    }

    /// The dead letter of an entry that was tried often enough.
    fn dead(&self, error: String, at: Timestamp) -> DeadLetter {
        let event = &self.event;
        DeadLetter {
            tenant: Some(event.data.tenant.clone()),
            queue: Some(self.queue),
            consumer: CONSUMER.to_owned(),
            kind: "unpublished".to_owned(),
            event_type: event.kind.clone(),
            name: event.id.clone(),
            error,
            body: serde_json::to_string(event).expect("events are JSON objects with text keys"),
            is_whole: true,
            deliveries: self.retry_count + 1,
            replays: 0,
            died_at: at,
            correlation_id: event.correlationid.clone(),
        }
    }

    fn key(&self) -> keys::Key {
        keys::Key { pk: self.partition(), sk: self.position() }
    }

    fn position(&self) -> String {
        keys::outbox_position(self.next_retry_at, &self.event.id, self.queue)
    }

    fn partition(&self) -> String {
        keys::outbox(keys::outbox_shard(&self.event.id))
    }
}

/// How long to wait before the retry of this number: 30 s, 60 s, 120 s … and up to a fifth more, so that what failed together
/// does not come back together (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015).
fn pause(retry_count: u32) -> SignedDuration {
    let ms = 30_000_i64 << retry_count.min(10);
    SignedDuration::from_millis(ms + fastrand::i64(0..=ms / 5))
}

impl Store {
    /// Keeps an event to be published later.
    ///
    /// # Errors
    /// When the table gives no answer: the stream must deliver the record again.
    pub async fn outbox_keep(&self, entry: &OutboxEntry) -> Result<(), StoreError> {
        self.put(entry_item(entry, entry.partition(), None)).await
    }

    /// The entries of a shard that are due, oldest first, at most `limit`, or what is wrong with them.
    ///
    /// # Errors
    /// When the table gives no answer.
    pub async fn outbox_due(
        &self,
        shard: u8,
        now: Timestamp,
        limit: i32,
    ) -> Result<Vec<Result<OutboxEntry, Unreadable>>, StoreError> {
        let request = self
            .client
            .query()
            .table_name(&*self.table)
            .key_condition_expression("pk = :pk AND sk <= :now")
            .expression_attribute_values(":pk", AttributeValue::S(keys::outbox(shard)))
            .expression_attribute_values(":now", AttributeValue::S(format!("{}#~", keys::instant(now))))
            .consistent_read(true)
            .limit(limit)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = self.timed(request.send()).await.map_err(StoreError::of)?;
        self.meter.count_reads(&output.consumed_capacity);
        let read = |item: Item| {
            let raw = item.clone();
            entry(item).map_err(|error| Unreadable { raw, error })
        };
        Ok(output.items.unwrap_or_default().into_iter().map(read).collect())
    }

    /// Takes an entry whose event is published out of its shard. That it was there is kept for a week.
    ///
    /// # Errors
    /// When the table gives no answer: the event will be published again, which consumers bear.
    pub async fn outbox_done(&self, entry: &OutboxEntry, now: Timestamp) -> Result<(), StoreError> {
        self.outbox_replace(entry.key(), entry_item(entry, keys::OUTBOX_DONE.to_owned(), Some(now))).await
    }

    /// Replaces an entry by the one after a failure, or by a dead letter when it was tried often enough; an entry
    /// never vanishes in between. Whether it is still alive.
    ///
    /// # Errors
    /// When the table gives no answer: the entry stays due.
    pub async fn outbox_failed(&self, entry: &OutboxEntry, error: String, now: Timestamp) -> Result<bool, StoreError> {
        let next = entry.after_failure(error.clone(), now);
        let item = match &next {
            Some(next) => entry_item(next, next.partition(), None),
            None => dead_item(&entry.dead(error, now)),
        };
        self.outbox_replace(entry.key(), item).await?;
        Ok(next.is_some())
    }

    /// Replaces an entry that cannot be read by a dead letter, so that it is in nobody's way. A release that can read the
    /// order publishes it on a replay.
    ///
    /// # Errors
    /// When the table gives no answer: the entry stays.
    pub async fn outbox_bury(&self, unreadable: &Unreadable, now: Timestamp) -> Result<DeadLetter, StoreError> {
        let Unreadable { raw, error } = unreadable;
        let body: serde_json::Value = serde_dynamo::from_item(raw.clone()).unwrap_or_default();
        let (event, notice) = (&body["event"], &body["event"]["data"]);
        let order: Option<RecordKey> = serde_json::from_value(notice.clone()).ok();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let key = keys::Key { pk: text(&body["pk"]), sk: text(&body["sk"]) };
        let letter = DeadLetter {
            tenant: order.as_ref().map(|order| order.tenant.clone()),
            queue: None,
            consumer: CONSUMER.to_owned(),
            kind: "unreadable-entry".to_owned(),
            event_type: text(&event["type"]),
            name: format!("{} {}", text(&event["id"]), key.sk),
            error: error.to_string(),
            body: order.and_then(|order| serde_json::to_string(&order).ok()).unwrap_or_else(|| body.to_string()),
            is_whole: true,
            deliveries: 1,
            replays: 0,
            died_at: now,
            correlation_id: text(&event["correlationid"]),
        }
        .kept();
        self.outbox_replace(key, dead_item(&letter)).await?;
        Ok(letter)
    }

    async fn outbox_replace(&self, key: keys::Key, item: Item) -> Result<(), StoreError> {
        let put = Put::builder().table_name(&*self.table).set_item(Some(item));
        let delete = Delete::builder().table_name(&*self.table).set_key(Some(key.attributes()));
        let items = vec![
            TransactWriteItem::builder().put(put.build().expect("a put has its table and item")).build(),
            TransactWriteItem::builder().delete(delete.build().expect("a delete has its table and key")).build(),
        ];
        self.transact(items).await.map_err(|refused| match refused {
            Refused::Other(error) => error,
            Refused::Cancelled(reasons) => cancelled(&reasons),
        })
    }
}

fn entry_item(entry: &OutboxEntry, pk: String, processed_at: Option<Timestamp>) -> Item {
    item::written(&EntryItem {
        pk,
        sk: entry.position(),
        event: entry.event.clone(),
        queue: entry.queue,
        retry_count: entry.retry_count,
        max_retry_count: RETRIES_MAX,
        next_retry_at: entry.next_retry_at.as_millisecond(),
        error: entry.error.clone(),
        created_at: entry.created_at.as_millisecond(),
        processed_at: processed_at.map(Timestamp::as_millisecond),
        ttl: processed_at.map(|at| at.saturating_add(DONE_KEPT).unwrap_or(Timestamp::MAX).as_second()),
    })
}

fn entry(item: Item) -> Result<OutboxEntry, StoreError> {
    let item: EntryItem = item::read(item)?;
    let corrupt = |error: jiff::Error| StoreError::Corrupt { key: item.pk.clone(), problem: error.to_string() };
    Ok(OutboxEntry {
        next_retry_at: Timestamp::from_millisecond(item.next_retry_at).map_err(corrupt)?,
        created_at: Timestamp::from_millisecond(item.created_at).map_err(corrupt)?,
        event: item.event,
        queue: item.queue,
        retry_count: item.retry_count,
        error: item.error,
    })
}
