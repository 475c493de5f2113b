//! Exports whose message was lost, or whose run ended on its way (ORD-18).

use crate::{Job, Maintenance, Report};
use holdfast_domain::routing::Queue;
use holdfast_runtime::telemetry::chain;
use holdfast_store::StoreError;

impl Maintenance {
    /// Sends a message for each export that was not changed for some minutes. One that only waits for its turn gets a
    /// second message, which finds it over or under way.
    pub(crate) async fn exports(&self) -> Result<Report, StoreError> {
        let mut report = Report::new(Job::Exports);
        let now = self.clock.now();
        for export in self.store.exports_open().await? {
            report.seen += 1;
            let export = match export {
                Ok(export) => export,
                Err(error) => {
                    tracing::error!(error = chain(&error), "export_unreadable");
                    report.unreadable += 1;
                    continue;
                }
            };
            if !export.is_silent(now) {
                continue;
            }
            let Some(queue) = self.queues.of(Queue::Exports) else { break };
            match queue.send_task(&export.task(), 0).await {
                Ok(()) => {
                    tracing::warn!(tenant = export.tenant.as_str(), export_id = %export.id, "export_sent_again");
                    report.published += 1;
                }
                Err(error) => {
                    tracing::error!(tenant = export.tenant.as_str(), export_id = %export.id, %error, "export_not_sent");
                    report.waiting += 1;
                }
            }
        }
        Ok(report)
    }
}
