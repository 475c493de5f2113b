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
pub use objects::Objects;

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use aws_lambda_events::event::streams::{SqsBatchItemFailure, SqsEventResponse};
use holdfast_domain::export::{Beginning, ExportTask};
use holdfast_runtime::clock::Clock;
use holdfast_runtime::task_queue::{TaskQueue, Unsent};
use holdfast_runtime::telemetry::chain;
use holdfast_store::{Store, StoreError};
use jiff::Timestamp;
use objects::ObjectError;

/// The exporter and what it needs.
pub struct Exporter {
    /// Exports and orders.
    pub store: Store,
    /// Where messages about exports come from, and where those about the rest of one go.
    pub queue: TaskQueue,
    /// Where parts go.
    pub objects: Objects,
    /// Tells when time is up.
    pub clock: Clock,
    /// When a part is full.
    pub limits: PartLimits,
}

/// Why a message is not done.
#[derive(Debug, thiserror::Error)]
enum WorkError {
    /// It will never be: it is not about an export.
    #[error("the message is not about an export: {0}")]
    Poison(String),
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

impl Exporter {
    /// Works on a batch, until some time before the deadline.
    pub async fn handle(&self, batch: SqsEvent, deadline: Timestamp) -> SqsEventResponse {
        let mut response = SqsEventResponse::default();
        for message in batch.records {
            if self.message(&message, deadline).await.is_err() {
                let mut failure = SqsBatchItemFailure::default();
                failure.item_identifier = message.message_id;
                response.batch_item_failures.push(failure);
            }
        }
        response
    }

    async fn message(&self, message: &SqsMessage, deadline: Timestamp) -> Result<Outcome, WorkError> {
        let task = serde_json::from_str::<ExportTask>(message.body.as_deref().unwrap_or_default());
        let task = task.map_err(|error| WorkError::Poison(error.to_string()));
        let done = match &task {
            Ok(task) => self.work(task, deadline).await,
            Err(poison) => Err(WorkError::Poison(poison.to_string())),
        };
        let task = task.ok();
        let tenant = task.as_ref().map(|task| task.tenant.to_string()).unwrap_or_default();
        let export_id = task.as_ref().map(|task| task.export_id.to_string()).unwrap_or_default();
        let correlation_id = task.map(|task| task.trace.correlation_id).unwrap_or_default();
        match &done {
            Ok(outcome) => tracing::info!(tenant, export_id, correlation_id, ?outcome, "export_message_done"),
            Err(error) => {
                let error = chain(error);
                tracing::error!(tenant, export_id, correlation_id, error, "export_message_failed");
                if let Some(handle) = &message.receipt_handle {
                    self.queue.release(handle, pause_seconds(message)).await;
                }
            }
        }
        done
    }

    async fn work(&self, task: &ExportTask, deadline: Timestamp) -> Result<Outcome, WorkError> {
        let export = self.store.export_read(&task.tenant, task.export_id).await?;
        let Some(export) = export else { return Err(WorkError::Poison("there is no such export".to_owned())) };
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

/// How long a failed message waits: 5 s, 25 s, 125 s, 625 s, so that five deliveries outlast a short outage.
fn pause_seconds(message: &SqsMessage) -> i32 {
    let received = message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
    5_i32.pow(received.unwrap_or(1).clamp(1, 4))
}
