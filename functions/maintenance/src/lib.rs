//! What schedules start: the sweep of the outbox, the search for late holds, more stripes for pressed pools, the
//! reconciliation of pools with orders, the search for exports whose message was lost, the collection of dead letters,
//! and the pulse that shows whether all of these still run.

mod dead_letters;
mod exports;
mod late_holds;
mod outbox_sweep;
mod pools;
mod pulse;
mod reconcile;
mod republish;

pub use reconcile::{Drift, Reconciled};

use holdfast_runtime::clock::Clock;
use holdfast_runtime::dead_queue::DeadQueue;
use holdfast_runtime::routing::Queues;
use holdfast_store::{Store, StoreError};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// What a schedule sends.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Task {
    /// Which job to run.
    pub job: Job,
    /// Of `republish`: changes from this instant on.
    #[serde(default)]
    pub from: Option<Timestamp>,
    /// Of `republish`: until before this instant; the present without it.
    #[serde(default)]
    pub to: Option<Timestamp>,
}

impl From<Job> for Task {
    fn from(job: Job) -> Self {
        Self { job, from: None, to: None }
    }
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
    /// Keep what SQS put aside where people find it.
    DeadLetters,
    /// Publish anew what was changed in a window.
    Republish,
    /// Go on with publishing anew.
    RepublishResume,
    /// Give the relay something to relay, and tell who is silent.
    Pulse,
}

impl Job {
    /// The name that schedules use, and under which it gives signs of life.
    pub fn name(self) -> &'static str {
        match self {
            Self::OutboxSweep => "outbox-sweep",
            Self::LateHolds => "late-holds",
            Self::LateHoldsResume => "late-holds-resume",
            Self::Reconcile => "reconcile",
            Self::ReconcileResume => "reconcile-resume",
            Self::Pools => "pools",
            Self::Exports => "exports",
            Self::DeadLetters => "dead-letters",
            Self::Republish => "republish",
            Self::RepublishResume => "republish-resume",
            Self::Pulse => "pulse",
        }
    }
}

/// Why a job did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The table failed: the next run goes on where this one stopped.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The task is wrong in this field.
    #[error("{0}")]
    Invalid(String),
    /// The last one of these is not over.
    #[error("another pass is under way: {0}; wait for its end, or ask for the same window to go on with it now")]
    UnderWay(String),
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
#[derive(Clone)]
pub struct Maintenance {
    /// Outbox and orders.
    pub store: Store,
    /// Where events, and messages about exports, go.
    pub queues: Queues,
    /// The queues' own dead letters.
    pub dead_queues: Vec<DeadQueue>,
    /// How long somebody has to come back to an order, as the relay counts it.
    pub recovery_after: SignedDuration,
    /// Tells what is due.
    pub clock: Clock,
}

impl Maintenance {
    /// Runs a job. One that runs to its end has given a sign of life.
    ///
    /// # Errors
    /// When the table fails: the next run goes on where this one stopped. When the task is wrong: nothing was done.
    pub async fn run(&self, task: Task) -> Result<Report, JobError> {
        let report = match task.job {
            Job::OutboxSweep => self.outbox_sweep().await,
            Job::LateHolds => self.late_holds(false).await,
            Job::LateHoldsResume => self.late_holds(true).await,
            Job::Reconcile => self.reconcile(false).await,
            Job::ReconcileResume => self.reconcile(true).await,
            Job::Pools => self.pools().await,
            Job::Exports => self.exports().await,
            Job::DeadLetters => self.dead_letters().await,
            Job::Republish => return self.republish(task.from, task.to).await.inspect(log),
            Job::RepublishResume => self.republish_resume().await,
            Job::Pulse => self.pulse().await,
        }?;
        log(&report);
        // What could not do its work gives no sign of life, though others may have to be waited for elsewhere.
        let is_stuck = matches!(task.job, Job::DeadLetters | Job::RepublishResume) && report.waiting > 0;
        if !is_stuck {
            self.store.heartbeat(task.job.name(), self.clock.now()).await?;
        }
        Ok(report)
    }
}

fn log(report: &Report) {
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
}

impl Report {
    fn new(job: Job) -> Self {
        Self { job, seen: 0, changed: 0, published: 0, waiting: 0, dead: 0, unreadable: 0, reconciled: None }
    }
}
