//! The table's stream to a queue: every committed change of an order becomes an event (OUT-1).
//!
//! An event that the queue does not take is kept in the table and retried by maintenance, so that it does not hold up its
//! shard. Order is therefore not promised. A record that is not readable at all is reported as failed: the mapping
//! retries it a few times and then hands its position to the failures' queue.

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use futures_util::{StreamExt, stream};
use holdfast_domain::event::{CloudEvent, EventKind, OrderNotice};
use holdfast_runtime::clock::Clock;
use holdfast_runtime::message::{Message, Unpublished};
use holdfast_runtime::routing::{Queues, Routed};
use holdfast_runtime::telemetry::chain;
use holdfast_store::{OrderChange, OutboxEntry, Store, StoreError};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// How many events are kept at the same time when the queue takes none.
const KEPT_AT_ONCE: usize = 16;

/// The relay and what it needs.
pub struct Relay {
    /// Where events that were not taken are kept.
    pub store: Store,
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
    pub async fn handle(&self, batch: Event) -> DynamoDbEventResponse {
        let mut messages = Vec::new();
        let mut record_of_message = Vec::new();
        let mut failed = BTreeSet::new();
        for (index, record) in batch.records.iter().enumerate() {
            match self.messages(record) {
                Ok(made) => {
                    record_of_message.extend(std::iter::repeat_n(index, made.len()));
                    messages.extend(made);
                }
                Err(error) => {
                    tracing::error!(error = chain(&error), event_id = record.event_id, "record_unreadable");
                    failed.insert(index);
                }
            }
        }
        let unpublished = stream::iter(self.queues.publish(&messages).await).map(|Unpublished { index, error }| {
            let kept = self.keep(&messages[index], error);
            async move { (index, kept.await) }
        });
        let unpublished: Vec<_> = unpublished.buffer_unordered(KEPT_AT_ONCE).collect().await;
        failed.extend(unpublished.into_iter().filter(|(_, kept)| !kept).map(|(index, _)| record_of_message[index]));
        tracing::info!(records = batch.records.len(), messages = messages.len(), failed = failed.len(), "relayed");
        let first = failed.first().and_then(|index| batch.records[*index].change.sequence_number.clone());
        let mut response = DynamoDbEventResponse::default();
        response.batch_item_failures = first.into_iter().map(failure).collect();
        response
    }

    /// The messages of a record: its event for each queue that takes it, and for a hold
    /// that begins or something left behind the timer that goes with it.
    fn messages(&self, record: &EventRecord) -> Result<Vec<Routed>, StoreError> {
        if record.event_name == "REMOVE" {
            return Ok(Vec::new());
        }
        let change = OrderChange::of_image(record.change.new_image.clone())?;
        let notice = OrderNotice {
            tenant: change.tenant,
            order_id: change.order_id,
            version: change.version,
            state: change.state,
            due_at: change.expires_at.as_millisecond(),
        };
        let event = CloudEvent::of_change(&change.kind, change.at, &change.trace, notice.clone());
        let mut messages: Vec<_> = Routed::change(&Message::now(event)).collect();
        if EventKind::named(&change.kind).is_some_and(EventKind::begins_hold) {
            let timer = CloudEvent::expiry_timer(change.at, &change.trace, notice);
            messages.push(Routed::timer(Message::when_due(timer, self.clock.now())));
        } else if EventKind::named(&change.kind).is_some_and(EventKind::may_be_abandoned) {
            let due_at = change.at.saturating_add(self.recovery_after).unwrap_or(Timestamp::MAX).as_millisecond();
            let timer = CloudEvent::recovery_timer(change.at, &change.trace, OrderNotice { due_at, ..notice });
            messages.push(Routed::timer(Message::when_due(timer, self.clock.now())));
        }
        Ok(messages)
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
