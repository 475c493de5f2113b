//! Signs of life: something for the relay to relay, and how long everybody has been silent (OPS-5).

use crate::{Job, Maintenance, Report};
use holdfast_runtime::heartbeat::{Health, vitals};
use holdfast_runtime::telemetry::METRICS;
use holdfast_store::StoreError;

impl Maintenance {
    /// Logs for everybody how long ago the last sign of life was, which is a metric, and writes the pulse that the relay
    /// answers.
    pub(crate) async fn pulse(&self) -> Result<Report, StoreError> {
        let mut report = Report::new(Job::Pulse);
        let now = self.clock.now();
        for vital in vitals(&self.store.heartbeats().await?, now) {
            report.seen += 1;
            let Some(silence) = vital.silence else {
                // Its silence counts from here.
                self.store.heartbeat(vital.beat, now).await?;
                continue;
            };
            let overdue = u8::from(vital.health != Health::Healthy);
            report.waiting += usize::from(overdue);
            let silence_max_seconds = vital.silence_max.as_secs();
            tracing::info!(
                target: METRICS,
                beat = vital.beat,
                silence_seconds = silence.as_secs(),
                silence_max_seconds,
                overdue,
                "heartbeat"
            );
        }
        self.store.pulse(now).await?;
        Ok(report)
    }
}
