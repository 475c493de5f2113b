//! Exports of orders, written to S3 part by part (ORD-18).
//!
//! A message tells only which export. Its run reads the orders of the span, oldest first, and writes them line by line
//! into one part after the other; every part is noted in the export's item together with the position that it reaches.
//! Whoever comes next goes on behind that position.
//!
//! Two things keep every order in exactly one part, whoever else is at the same export: a part is stored only if there is
//! none of its number, and it says itself how far it reaches; and a step of the export is written only by who knows the
//! step before.

mod lines;
mod objects;
mod reading;
mod run;

pub use lines::PartLimits;
pub use objects::{ObjectError, Objects};

use async_trait::async_trait;
use aws_lambda_events::event::sqs::SqsEvent;
use aws_lambda_events::event::streams::SqsEventResponse;
use holdfast_domain::export::{Beginning, ExportTask};
use holdfast_domain::routing::Queue;
use holdfast_runtime::clock::Clock;
use holdfast_runtime::message::Unsent;
use holdfast_runtime::routing::Queues;
use holdfast_runtime::worker::{About, Consumer, Delivery, Desk, Failure, consume};
use holdfast_store::{Store, StoreError};
use jiff::Timestamp;
use std::time::Duration;

/// The exporter and what it needs.
pub struct Exporter {
    /// Exports and orders.
    pub store: Store,
    /// Where messages about exports come from, and where those about the rest of one go.
    pub queues: Queues,
    /// Where parts go.
    pub objects: Objects,
    /// Tells when time is up.
    pub clock: Clock,
    /// When a part is full.
    pub limits: PartLimits,
}

/// Why a message is not done.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// It will never be: there is no such export.
    #[error("there is no such export")]
    NoSuchExport,
    /// The table failed.
    #[error("the table failed")]
    Store(#[from] StoreError),
    /// S3 failed.
    #[error("a part was not stored")]
    Object(#[from] ObjectError),
    /// The message about the rest was not sent.
    #[error(transparent)]
    Unsent(#[from] Unsent),
}

/// What came of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The export is complete.
    Completed,
    /// Its time was up; the next message is sent.
    Rested,
    /// Somebody else changed the export meanwhile: it is theirs, or called off.
    Overtaken,
    /// Another run is at it.
    UnderWay,
    /// It was over before.
    Over,
    /// It was given up.
    GivenUp,
}

#[async_trait]
impl Consumer for Exporter {
    type Letter = ExportTask;
    type Shared = ();
    type Error = WorkError;

    const NAME: &'static str = "exporter";
    const QUEUE: Queue = Queue::Exports;
    const AT_ONCE: usize = 1;
    // A run watches the deadline of its invocation itself.
    const TIMEOUT: Duration = Duration::from_secs(900);

    fn desk(&self) -> Desk<'_> {
        Desk { store: &self.store, queues: &self.queues, clock: &self.clock }
    }

    fn read(&self, body: &str) -> Result<ExportTask, String> {
        serde_json::from_str(body).map_err(|error| error.to_string())
    }

    fn about(task: &ExportTask) -> About {
        About {
            event_id: task.export_id.to_string(),
            event_type: "export".to_owned(),
            tenant: Some(task.tenant.clone()),
            subject: String::new(),
            correlation_id: task.trace.correlation_id.clone(),
            traceparent: task.trace.traceparent.clone(),
        }
    }

    async fn work(&self, task: &ExportTask, delivery: &Delivery, (): &()) -> Result<(), WorkError> {
        let outcome = Box::pin(self.export(task, delivery.deadline)).await?;
        let (tenant, export_id) = (task.tenant.as_str(), task.export_id.to_string());
        tracing::info!(tenant, export_id, correlation_id = task.trace.correlation_id, ?outcome, "export_run");
        Ok(())
    }

    fn failure(error: &WorkError) -> Failure {
        match error {
            WorkError::NoSuchExport => Failure::poison("no-such-export"),
            WorkError::Store(_) => Failure::retry("table"),
            WorkError::Object(_) => Failure::retry("object-store"),
            WorkError::Unsent(_) => Failure::retry("queue"),
        }
    }
}

impl Exporter {
    /// Works on a batch, until some time before the deadline.
    pub async fn handle(&self, batch: SqsEvent, deadline: Timestamp) -> SqsEventResponse {
        consume(self, batch, deadline).await
    }

    async fn export(&self, task: &ExportTask, deadline: Timestamp) -> Result<Outcome, WorkError> {
        let export = self.store.export_read(&task.tenant, task.export_id).await?;
        let Some(export) = export else { return Err(WorkError::NoSuchExport) };
        let run = uuid::Uuid::now_v7().to_string();
        match export.begin(&run, self.clock.now()) {
            Beginning::Over => Ok(Outcome::Over),
            Beginning::UnderWay => Ok(Outcome::UnderWay),
            Beginning::GiveUp(ended) => {
                let why = ended.failure.as_deref().unwrap_or_default();
                tracing::error!(tenant = task.tenant.as_str(), export_id = %task.export_id, why, "export_failed");
                self.store.export_step(&ended).await?;
                Ok(Outcome::GivenUp)
            }
            Beginning::Run(begun) => match self.store.export_step(&begun).await? {
                true => self.run(*begun, &run, deadline).await,
                false => Ok(Outcome::Overtaken),
            },
        }
    }
}
