//! What schedules start: the sweep of the outbox, the search for late holds, more stripes for pressed pools, the
//! reconciliation of pools with orders, and the search for exports whose message was lost.

mod exports;
mod late_holds;
mod outbox_sweep;
mod pools;
mod reconcile;

pub use reconcile::{Drift, Reconciled};

use holdfast_runtime::clock::Clock;
use holdfast_runtime::routing::Queues;
use holdfast_runtime::task_queue::TaskQueue;
use holdfast_store::{Store, StoreError};
use serde::{Deserialize, Serialize};

/// What a schedule sends.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Task {
    /// Which job to run.
    pub job: Job,
}

/// The jobs, by the names that schedules use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Job {
    /// Publish what the relay could not.
    OutboxSweep,
    /// Find unpaid orders whose timer was lost, and payments left open.
    LateHolds,
    /// Go on with a search that ran out of time.
    LateHoldsResume,
    /// Prove that no pool leaks.
    Reconcile,
    /// Go on with a proof that ran out of time.
    ReconcileResume,
    /// Split the pools at which too many orders meet.
    Pools,
    /// Find exports whose message was lost.
    Exports,
}

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Which job.
    pub job: Job,
    /// Entries, orders, pools or exports looked at.
    pub seen: usize,
    /// Pools changed.
    pub changed: usize,
    /// Events and messages sent.
    pub published: usize,
    /// Events that failed, or pools that were too busy: they wait for the next run.
    pub waiting: usize,
    /// Events given up: dead letters now.
    pub dead: usize,
    /// Orders, pools and exports passed over because their items could not be read; each is logged.
    pub unreadable: usize,
    /// What the proof found, if that was the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconciled: Option<Reconciled>,
}

/// The jobs and what they need.
pub struct Maintenance {
    /// Outbox and orders.
    pub store: Store,
    /// Where events go.
    pub queues: Queues,
    /// Where messages about exports go.
    pub exports: TaskQueue,
    /// Tells what is due.
    pub clock: Clock,
}

impl Maintenance {
    /// Runs a job.
    ///
    /// # Errors
    /// When the table fails: the next run goes on where this one stopped.
    pub async fn run(&self, task: Task) -> Result<Report, StoreError> {
        let report = match task.job {
            Job::OutboxSweep => self.outbox_sweep().await,
            Job::LateHolds => self.late_holds(false).await,
            Job::LateHoldsResume => self.late_holds(true).await,
            Job::Reconcile => self.reconcile(false).await,
            Job::ReconcileResume => self.reconcile(true).await,
            Job::Pools => self.pools().await,
            Job::Exports => self.exports().await,
        }?;
        tracing::info!(
            job = ?report.job,
            seen = report.seen,
            changed = report.changed,
            published = report.published,
            waiting = report.waiting,
            dead = report.dead,
            unreadable = report.unreadable,
            "job_done"
        );
        Ok(report)
    }
}

impl Report {
    fn new(job: Job) -> Self {
        Self { job, seen: 0, changed: 0, published: 0, waiting: 0, dead: 0, unreadable: 0, reconciled: None }
    }
}
