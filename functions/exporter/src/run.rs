//! One run of an export: part after part, until all is written or its time is up.

use crate::lines::Lines;
use crate::objects::{PartContent, Stored};
use crate::reading::{Next, Reading};
use crate::{Exporter, Outcome, WorkError};
use holdfast_domain::export::{Export, ExportState, Progress};
use holdfast_domain::ids::OrderId;
use holdfast_domain::order::Order;
use holdfast_domain::routing::Queue;
use holdfast_runtime::message::Unsent;
use holdfast_runtime::telemetry::chain;
use holdfast_store::{StoreError, StoredOrder};
use jiff::{SignedDuration, Timestamp};

/// A part ends after so long, full or not: what a crash can cost, and a sign of life.
const PART_TIME: SignedDuration = SignedDuration::from_secs(60);
/// How long before its deadline a run ends: the last part and the next message have their time-outs.
const MARGIN: SignedDuration = SignedDuration::from_secs(60);
/// How long a run takes at most, so that many exports come on together.
const RUN_TIME: SignedDuration = SignedDuration::from_mins(10);

/// A run.
struct Run<'a> {
    exporter: &'a Exporter,
    /// An id that no other run has.
    id: &'a str,
    /// When its time is up.
    until: Timestamp,
    /// As this run wrote it last.
    export: Export,
}

/// What was read for a part.
struct Part {
    lines: Lines,
    /// The position that it reaches; none when nothing was read.
    through: Option<String>,
    unreadable: u64,
    /// Whether there is nothing behind it.
    is_last: bool,
}

impl Exporter {
    /// Works on an export that a step of this run began.
    pub(crate) async fn run(&self, export: Export, id: &str, deadline: Timestamp) -> Result<Outcome, WorkError> {
        let limit = self.clock.now().saturating_add(RUN_TIME).unwrap_or(Timestamp::MAX);
        let until = deadline.saturating_sub(MARGIN).unwrap_or(Timestamp::MIN).min(limit);
        let mut run = Run { exporter: self, id, until, export };
        let done = run.work().await;
        if done.is_err() {
            run.leave().await;
        }
        done
    }
}

impl Run<'_> {
    /// Reads the orders behind the export's position, and once more whenever a part turns out to reach elsewhere.
    async fn work(&mut self) -> Result<Outcome, WorkError> {
        loop {
            let mut reading = Reading::of(&self.exporter.store, &self.export);
            loop {
                let part = self.part(&mut reading).await?;
                let is_last = part.is_last;
                let (progress, is_foreign) = self.stored(part).await?;
                let now = self.exporter.clock.now();
                let ends = is_last && !is_foreign;
                let rests = !ends && now >= self.until;
                let next = match ends {
                    true => self.export.completed(progress, now),
                    false => self.export.advanced(progress, (!rests).then_some(self.id), now),
                };
                if !self.exporter.store.export_step(&next).await? {
                    return Ok(Outcome::Overtaken);
                }
                self.export = next;
                if self.export.state == ExportState::Done {
                    return Ok(Outcome::Completed);
                }
                if rests {
                    let queue = self.exporter.queues.of(Queue::Exports).ok_or_else(Unsent::no_queue)?;
                    queue.send_task(&self.export.task(), 0).await?;
                    return Ok(Outcome::Rested);
                }
                if is_foreign {
                    break;
                }
            }
        }
    }

    /// Reads orders until a part is full or has taken its time.
    async fn part(&self, reading: &mut Reading) -> Result<Part, StoreError> {
        let Exporter { clock, limits, .. } = self.exporter;
        let ends_at = clock.now().saturating_add(PART_TIME).unwrap_or(Timestamp::MAX).min(self.until);
        let lines = Lines::new(self.export.compression, *limits);
        let mut part = Part { lines, through: None, unreadable: 0, is_last: false };
        loop {
            match reading.next().await? {
                Some(Next::Order(position, id, stored)) => {
                    match self.wanted(stored).await {
                        Ok(Some(order)) => part.lines.add(&order),
                        Ok(None) => {}
                        Err(error @ StoreError::Corrupt { .. }) => {
                            self.report_unreadable(id, &error);
                            part.unreadable += 1;
                        }
                        Err(error) => return Err(error),
                    }
                    part.through = Some(position);
                }
                Some(Next::Through(position)) => part.through = Some(position),
                None => {
                    part.is_last = true;
                    return Ok(part);
                }
            }
            if part.lines.is_full() || clock.now() >= ends_at {
                return Ok(part);
            }
        }
    }

    /// The order as it is shown, if it is wanted. Lines that are kept apart are read here, so that those of one order at
    /// a time are in memory.
    async fn wanted(&self, stored: Result<Box<StoredOrder>, StoreError>) -> Result<Option<Order>, StoreError> {
        let mut order = stored?.order;
        let states = &self.export.states;
        if !order.was_placed() || !(states.is_empty() || states.contains(&order.state)) {
            return Ok(None);
        }
        self.exporter.store.order_lines_read(&mut order).await?;
        Ok(Some(order))
    }

    /// Stores a part, unless it has no orders. What the export comes to with it, and whether another run had stored a
    /// part of this number before: then that one counts, and the reading goes on behind it.
    async fn stored(&self, part: Part) -> Result<(Progress, bool), WorkError> {
        let Part { lines, through, unreadable, .. } = part;
        let mut progress = self.export.progress.clone();
        let orders = lines.orders();
        let (Some(through), true) = (through.clone(), orders > 0) else {
            progress.through = through.or(progress.through);
            progress.unreadable += unreadable;
            return Ok((progress, false));
        };
        let object = lines.finish();
        let content = PartContent { through, orders, unreadable, bytes: object.len() as u64 };
        let key = self.export.part_key(progress.parts + 1);
        let media_type = self.export.compression.media_type();
        let stored = self.exporter.objects.store(&key, media_type, object, &content).await?;
        let (content, is_foreign) = match stored {
            Stored::New => (content, false),
            Stored::Before(content) => (content, true),
        };
        progress.parts += 1;
        progress.orders += content.orders;
        progress.unreadable += content.unreadable;
        progress.bytes += content.bytes;
        progress.through = Some(content.through);
        Ok((progress, is_foreign))
    }

    /// Leaves the export to the next run at once. If this fails too, the lease runs out.
    async fn leave(&self) {
        let Exporter { store, clock, .. } = self.exporter;
        let left = async {
            // The last step may have been written although its answer was lost.
            let export = store.export_read(&self.export.tenant, self.export.id).await?;
            let is_ours = |export: &Export| export.lease.as_ref().is_some_and(|lease| lease.run == self.id);
            match export.filter(is_ours) {
                Some(export) => store.export_step(&export.rested(clock.now())).await,
                None => Ok(false),
            }
        };
        if let Err(error) = left.await {
            let error = chain(&error);
            tracing::warn!(tenant = self.export.tenant.as_str(), export_id = %self.export.id, error, "export_not_left");
        }
    }

    fn report_unreadable(&self, id: OrderId, error: &StoreError) {
        let (tenant, export_id) = (self.export.tenant.as_str(), self.export.id);
        tracing::error!(tenant, order_id = %id, %export_id, error = chain(error), "order_unreadable");
    }
}
