//! The table's stream to a queue: every committed change of an order becomes an event (OUT-1).
//!
//! An event that the queue does not take is kept in the table and retried by maintenance, so that one bad event never
//! holds up a shard. Order is therefore not promised.

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use holdfast_domain::event::{CloudEvent, EventKind, OrderNotice};
use holdfast_runtime::clock::Clock;
use holdfast_runtime::message::{Message, Publisher};
use holdfast_runtime::telemetry::chain;
use holdfast_store::{OutboxEntry, Store, StoreError, order_of_stream_image};
use std::collections::BTreeSet;

/// The relay and what it needs.
pub struct Relay {
    /// Where events that were not taken are kept.
    pub store: Store,
    /// Where events go.
    pub publisher: Publisher,
    /// Tells how long timers are still to run.
    pub clock: Clock,
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
        for unpublished in self.publisher.publish(&messages).await {
            let event = &messages[unpublished.index].event;
            tracing::warn!(
                event_id = event.id,
                correlation_id = event.correlationid,
                error = unpublished.error,
                "event_not_published"
            );
            let entry = OutboxEntry::new(event.clone(), unpublished.error, self.clock.now());
            if let Err(error) = self.store.outbox_keep(&entry).await {
                tracing::error!(event_id = entry.event.id, error = chain(&error), "event_not_kept");
                failed.insert(record_of_message[unpublished.index]);
            }
        }
        tracing::info!(records = batch.records.len(), messages = messages.len(), failed = failed.len(), "relayed");
        let first = failed.first().and_then(|index| batch.records[*index].change.sequence_number.clone());
        let mut response = DynamoDbEventResponse::default();
        response.batch_item_failures = first.into_iter().map(failure).collect();
        response
    }

    /// The messages of a record: its event, and for a placed order the timer that ends it.
    fn messages(&self, record: &EventRecord) -> Result<Vec<Message>, StoreError> {
        if record.event_name == "REMOVE" {
            return Ok(Vec::new());
        }
        let stored = order_of_stream_image(record.change.new_image.clone())?;
        let order = &stored.order;
        let Some(last) = order.history.last() else { return Ok(Vec::new()) };
        let event = CloudEvent::of_change(last.kind, last.at, &stored.trace, OrderNotice::of(order));
        let mut messages = vec![Message::now(event)];
        if last.kind == EventKind::Placed {
            let timer = CloudEvent::expiry_timer(last.at, &stored.trace, OrderNotice::of(order));
            messages.push(Message::when_due(timer, self.clock.now()));
        }
        Ok(messages)
    }
}

fn failure(sequence_number: String) -> DynamoDbBatchItemFailure {
    let mut failure = DynamoDbBatchItemFailure::default();
    failure.item_identifier = Some(sequence_number);
    failure
}
