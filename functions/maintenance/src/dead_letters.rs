//! Taking what SQS put aside to where people find it (OUT-3).

use crate::late_holds::RUN;
use crate::{Job, Maintenance, Report};
use holdfast_runtime::telemetry::chain;
use holdfast_store::StoreError;
use jiff::Timestamp;

/// How many rounds a queue gets in a run: with a run a minute, 200 messages a minute and queue.
const ROUNDS_MAX: usize = 20;

impl Maintenance {
    /// Keeps the messages of every queue's own dead letters in the table, then takes them off the queue. One that is kept and
    /// not taken off is kept again, in the same place.
    pub(crate) async fn dead_letters(&self) -> Result<Report, StoreError> {
        let mut report = Report::new(Job::DeadLetters);
        let until = self.clock.now().saturating_add(RUN).unwrap_or(Timestamp::MAX);
        for queue in &self.dead_queues {
            for _ in 0..ROUNDS_MAX {
                if self.clock.now() >= until {
                    return Ok(report);
                }
                let received = match queue.receive(self.clock.now()).await {
                    Ok(received) => received,
                    Err(error) => {
                        // The other queues go on; without a sign of life this comes out.
                        tracing::error!(error = chain(&error), "dead_letters_not_received");
                        report.waiting += 1;
                        break;
                    }
                };
                if received.is_empty() {
                    break;
                }
                for buried in received {
                    let letter = &buried.letter;
                    if let Err(error) = self.store.dead_letter_put(letter).await {
                        // It stays where it is; the others go on.
                        tracing::error!(event_id = letter.name, error = chain(&error), "dead_letter_not_kept");
                        report.waiting += 1;
                        continue;
                    }
                    tracing::error!(
                        fingerprint = letter.fingerprint(),
                        event_id = letter.name,
                        correlation_id = letter.correlation_id,
                        tenant = letter.tenant.as_ref().map(|tenant| tenant.as_str()).unwrap_or_default(),
                        "dead_letter"
                    );
                    report.seen += 1;
                    report.dead += 1;
                    if let Err(error) = queue.remove(&buried).await {
                        tracing::warn!(event_id = letter.name, error = chain(&error), "dead_letter_not_removed");
                    }
                }
            }
        }
        Ok(report)
    }
}
