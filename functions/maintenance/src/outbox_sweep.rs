//! Publishing what the relay could not (OUT-2).

use crate::{Job, Maintenance, Report};
use futures_util::{StreamExt, stream};
use holdfast_runtime::message::Message;
use holdfast_runtime::routing::Routed;
use holdfast_runtime::telemetry::chain;
use holdfast_store::{OutboxEntry, StoreError, keys::OUTBOX_SHARDS};
use std::collections::HashMap;

/// How many shards are swept at the same time.
const SHARDS_AT_ONCE: usize = 4;
/// How many entries of a shard one run takes on: with a run a minute, 800 a minute over all shards.
const ENTRIES_MAX: i32 = 100;

impl Maintenance {
    pub(crate) async fn outbox_sweep(&self) -> Result<Report, StoreError> {
        let shards = stream::iter(0..OUTBOX_SHARDS).map(|shard| self.shard_sweep(shard));
        // All of them, whatever becomes of one.
        let reports: Vec<_> = shards.buffer_unordered(SHARDS_AT_ONCE).collect().await;
        reports.into_iter().try_fold(Report::new(Job::OutboxSweep), |sum, shard| {
            let shard = shard?;
            Ok(Report {
                seen: sum.seen + shard.seen,
                published: sum.published + shard.published,
                waiting: sum.waiting + shard.waiting,
                dead: sum.dead + shard.dead,
                unreadable: sum.unreadable + shard.unreadable,
                ..sum
            })
        })
    }

    async fn shard_sweep(&self, shard: u8) -> Result<Report, StoreError> {
        let mut report = Report::new(Job::OutboxSweep);
        let now = self.clock.now();
        let mut entries = Vec::new();
        for entry in self.store.outbox_due(shard, now, ENTRIES_MAX).await? {
            match entry {
                Ok(entry) => entries.push(entry),
                Err(unreadable) => {
                    let letter = self.store.outbox_bury(&unreadable, now).await?;
                    let (event_id, error) = (letter.name.as_str(), chain(&unreadable.error));
                    tracing::error!(fingerprint = letter.fingerprint(), event_id, error, "dead_letter");
                    report.unreadable += 1;
                }
            }
        }
        // A timer that is still to run keeps its remaining delay; everything else goes at once.
        let message = |event: &holdfast_domain::event::CloudEvent| match event.is_timer() {
            true => Message::when_due(event.clone(), now),
            false => Message::now(event.clone()),
        };
        let routed = |entry: &OutboxEntry| Routed { queue: entry.queue, message: message(&entry.event) };
        let messages: Vec<_> = entries.iter().map(routed).collect();
        let failed = self.queues.publish(&messages).await;
        let failed: HashMap<_, _> = failed.into_iter().map(|failed| (failed.index, failed.error)).collect();
        for (index, entry) in entries.iter().enumerate() {
            report.seen += 1;
            match failed.get(&index) {
                None => {
                    self.store.outbox_done(entry, now).await?;
                    report.published += 1;
                }
                Some(error) => match self.store.outbox_failed(entry, error.clone(), now).await? {
                    true => report.waiting += 1,
                    false => {
                        tracing::error!(
                            event_id = entry.event.id,
                            correlation_id = entry.event.correlationid,
                            tenant = entry.event.data.tenant.as_str(),
                            order_id = %entry.event.data.order_id,
                            queue = ?entry.queue,
                            error,
                            "dead_letter"
                        );
                        report.dead += 1;
                    }
                },
            }
        }
        Ok(report)
    }
}
