//! The table's stream to queues: every committed change of an order becomes an event (OUT-1).
//!
//! Nothing holds up a shard. An event that a queue does not take is kept in the table and retried by maintenance; a record
//! that cannot be read is a dead letter at once, since it will be no more readable a minute later. Order is therefore not
//! promised. Only if the table takes neither is a record reported as failed: the mapping then delivers it again.
//!
//! An event is a reference: it names the order and its version, and is some hundred bytes long whatever the order has in it
//! (Hohpe and Woolf, "Claim Check"). So no payload can be too large for a queue.

mod told;

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use futures_util::{StreamExt, stream};
use holdfast_domain::dead_letter::{DeadLetter, RecordKey};
use holdfast_runtime::clock::Clock;
use holdfast_runtime::message::Unpublished;
use holdfast_runtime::routing::{Queues, Routed};
use holdfast_runtime::telemetry::chain;
use holdfast_store::{
    Image, OrderChange, OutboxEntry, Store, StoreError, is_pulse, keys, partition_of, pulse_of_image,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeSet, HashMap};
pub use told::Told;
use told::product_of;

/// How many events are kept at the same time when the queue takes none.
const KEPT_AT_ONCE: usize = 16;
/// The name under which the relay gives signs of life.
pub const HEARTBEAT: &str = "relay";

/// The relay and what it needs.
pub struct Relay {
    /// Where events that were not taken are kept.
    pub store: Store,
    /// The shared cache, which is told of products that changed.
    pub told: Told,
    /// Where events go.
    pub queues: Queues,
    /// Tells how long timers are still to run.
    pub clock: Clock,
    /// How long somebody has to come back to an order that expired or could not be paid, before that is an event.
    pub recovery_after: SignedDuration,
}

impl Relay {
    /// Publishes the events of a batch of stream records.
    ///
    /// Answers with the first record whose event is neither published nor kept: the stream delivers it and all that
    /// follow again (AWS Lambda, "Reporting batch item failures" for streams: the lowest sequence number counts).
    pub async fn handle(&self, mut batch: Event) -> DynamoDbEventResponse {
        let (mut messages, mut record_of_message) = (Vec::new(), Vec::new());
        let (mut unreadable, mut pulse, mut products) = (Vec::new(), None, HashMap::new());
        for (index, record) in batch.records.iter_mut().enumerate() {
            // An image is read once, and not copied: it is what a record weighs.
            let image = std::mem::take(&mut record.change.new_image);
            if is_pulse(&record.change.keys) {
                pulse = pulse.max(pulse_of_image(image));
                continue;
            }
            if let Some(key) = product_of(&record.change.keys) {
                // The last of a batch is the newest.
                products.insert(key, image);
                continue;
            }
            if record.event_name == "REMOVE" {
                continue;
            }
            match self.messages(image) {
                Ok(made) => {
                    record_of_message.extend(std::iter::repeat_n(index, made.len()));
                    messages.extend(made);
                }
                Err(error) => unreadable.push((index, error)),
            }
        }
        let mut failed = BTreeSet::new();
        for (index, error) in unreadable {
            if !self.bury(&batch.records[index], &error).await {
                failed.insert(index);
            }
        }
        let unpublished = stream::iter(self.queues.publish(&messages).await).map(|Unpublished { index, error }| {
            let kept = self.keep(&messages[index], error);
            async move { (index, kept.await) }
        });
        let unpublished: Vec<_> = unpublished.buffer_unordered(KEPT_AT_ONCE).collect().await;
        failed.extend(unpublished.into_iter().filter(|(_, kept)| !kept).map(|(index, _)| record_of_message[index]));
        // After the events: the cache is the less urgent, and may be slow.
        self.told.tell(products).await;
        tracing::info!(records = batch.records.len(), messages = messages.len(), failed = failed.len(), "relayed");
        if let Some(at) = pulse.filter(|_| failed.is_empty()) {
            self.sign_of_life(at).await;
        }
        let first = failed.first().and_then(|index| batch.records[*index].change.sequence_number.clone());
        let mut response = DynamoDbEventResponse::default();
        response.batch_item_failures = first.into_iter().map(failure).collect();
        response
    }

    /// The messages of a record's new image.
    fn messages(&self, image: Image) -> Result<Vec<Routed>, StoreError> {
        let change = OrderChange::of_image(image)?;
        Ok(Routed::of_change(change, self.recovery_after, self.clock.now()))
    }

    /// Keeps a record that cannot be read as a dead letter; true if that succeeded. A release that can read the order
    /// publishes it on a replay.
    async fn bury(&self, record: &EventRecord, error: &StoreError) -> bool {
        let pk = partition_of(&record.change.keys);
        let order =
            pk.as_deref().and_then(keys::parse_order_pk).map(|(tenant, order_id)| RecordKey { tenant, order_id });
        let body = match &order {
            Some(key) => serde_json::to_string(key),
            None => serde_json::to_string(&record.change.keys),
        };
        let letter = DeadLetter {
            tenant: order.map(|key| key.tenant),
            queue: None,
            consumer: "outbox-relay".to_owned(),
            kind: "unreadable-record".to_owned(),
            event_type: record.event_name.to_lowercase(),
            name: pk.unwrap_or_else(|| record.event_id.clone()),
            error: chain(error),
            body: body.unwrap_or_default(),
            is_whole: true,
            deliveries: 1,
            replays: 0,
            died_at: self.clock.now(),
            correlation_id: String::new(),
        }
        .kept();
        let kept = self.store.dead_letter_put(&letter).await;
        tracing::error!(
            fingerprint = letter.fingerprint(),
            event_id = record.event_id,
            tenant = letter.tenant.as_ref().map(|tenant| tenant.as_str()).unwrap_or_default(),
            error = letter.error,
            "dead_letter"
        );
        if let Err(error) = &kept {
            tracing::error!(event_id = record.event_id, error = chain(error), "dead_letter_not_kept");
        }
        kept.is_ok()
    }

    /// Notes that everything up to a pulse is published or kept. Nothing is lost if this fails: the next pulse is a minute
    /// away.
    async fn sign_of_life(&self, at: Timestamp) {
        if let Err(error) = self.store.heartbeat(HEARTBEAT, at).await {
            tracing::warn!(error = chain(&error), "heartbeat_not_kept");
        }
    }

    /// Keeps an event that was not published; true if that succeeded.
    async fn keep(&self, unpublished: &Routed, error: String) -> bool {
        let (event, queue) = (&unpublished.message.event, unpublished.queue);
        let entry = OutboxEntry::new(event.clone(), queue, error, self.clock.now());
        let kept = self.store.outbox_keep(&entry).await;
        tracing::warn!(
            event_id = event.id,
            correlation_id = event.correlationid,
            traceparent = event.traceparent,
            tenant = event.data.tenant.as_str(),
            order_id = %event.data.order_id,
            queue = ?queue,
            error = entry.error,
            "event_not_published"
        );
        if let Err(error) = &kept {
            tracing::error!(
                event_id = event.id,
                correlation_id = event.correlationid,
                error = chain(error),
                "event_not_kept"
            );
        }
        kept.is_ok()
    }
}

fn failure(sequence_number: String) -> DynamoDbBatchItemFailure {
    let mut failure = DynamoDbBatchItemFailure::default();
    failure.item_identifier = Some(sequence_number);
    failure
}
