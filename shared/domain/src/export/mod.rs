//! Exports: the orders of a span of time, written to objects part by part (ORD-18).
//!
//! One run at a time works on an export. It holds it by a lease that it renews with every part, so that a message that
//! comes twice is no second run; and every change names the step that it follows, so that a run that was believed dead
//! changes nothing any more.

#[cfg(test)]
mod tests;

use crate::event::Trace;
use crate::ids::{CustomerId, ExportId, Fingerprint, TenantId};
use crate::invalid::Invalid;
use crate::order::OrderState;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The longest span of an export.
pub const SPAN_MAX: SignedDuration = SignedDuration::from_hours(24 * 366);

/// How long the parts of an export are kept, counted from its request: the bucket's lifecycle counts from each part.
pub const KEPT: SignedDuration = SignedDuration::from_hours(24 * 7);

/// How long an export is remembered, and so its key: beyond its parts, so that its end can be told.
pub const REMEMBERED: SignedDuration = SignedDuration::from_hours(24 * 30);

/// How long a run holds an export without a sign of life. A part takes a minute at most, and one call of it half a minute.
pub const LEASE: SignedDuration = SignedDuration::from_mins(3);

/// After so long without a change, the message of an export counts as lost.
pub const SILENCE: SignedDuration = SignedDuration::from_mins(5);

/// So many runs in a row that wrote nothing end an export.
pub const IDLE_RUNS_MAX: u32 = 10;

/// Where an export stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportState {
    /// Nobody has begun it.
    Requested,
    /// Parts are being written.
    Running,
    /// All parts are written.
    Done,
    /// It was given up; what was written of it is not all.
    Failed,
    /// Somebody called it off.
    Cancelled,
    /// Its parts are not kept any more. It is told by the clock, and never stored.
    Expired,
}

/// How parts are packed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Each part is one gzip file (RFC 1952).
    #[default]
    Gzip,
    /// Lines as they are.
    None,
}

/// From when to when orders were placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportSpan {
    from: Timestamp,
    to: Timestamp,
}

/// What has been written so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Parts written, numbered from 1.
    pub parts: u32,
    /// Orders in them.
    pub orders: u64,
    /// Orders that were passed over because their items could not be read; each is logged.
    pub unreadable: u64,
    /// Bytes of the parts as they are stored.
    pub bytes: u64,
    /// The position in the list of orders up to which everything is in those parts; none at the beginning.
    pub through: Option<String>,
}

/// Who works on an export, and until when without a sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The run, by an id that no other has.
    pub run: String,
    /// When another run may take over.
    pub until: Timestamp,
}

/// An export as it is after one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Derived from tenant, person and idempotency key.
    pub id: ExportId,
    /// Whose shop.
    pub tenant: TenantId,
    /// Who asked for it.
    pub requested_by: CustomerId,
    /// What was asked for, as a digest.
    pub fingerprint: Fingerprint,
    /// When the orders were placed.
    pub span: ExportSpan,
    /// Only orders that are in one of these states when they are read; all if there are none.
    pub states: Vec<OrderState>,
    /// How parts are packed.
    pub compression: Compression,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// The request that it comes from.
    pub trace: Trace,
    /// Where it stands.
    pub state: ExportState,
    /// How often it was changed.
    pub step: u64,
    /// When it was changed last.
    pub moved_at: Timestamp,
    /// What has been written.
    pub progress: Progress,
    /// Runs in a row that wrote nothing.
    pub idle_runs: u32,
    /// Who works on it.
    pub lease: Option<Lease>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it failed.
    pub failure: Option<String>,
}

/// What a message about an export leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// A run begins, if this step is written.
    Run(Box<Export>),
    /// Too many runs came to nothing: this step ends it.
    GiveUp(Box<Export>),
    /// Another run is at it.
    UnderWay,
    /// There is nothing left to do.
    Over,
}

/// The message about an export. It tells nothing but which: whoever gets it looks at the export as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportTask {
    /// Whose shop.
    pub tenant: TenantId,
    /// Which export.
    pub export_id: ExportId,
    /// The request that it comes from.
    #[serde(flatten)]
    pub trace: Trace,
}

impl ExportState {
    /// Whether nothing more is written.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Requested | Self::Running)
    }
}

impl Compression {
    /// Reads a name.
    ///
    /// # Errors
    /// Names the field and what it may be.
    pub fn parse(name: &str) -> Result<Self, Invalid> {
        match name {
            "gzip" => Ok(Self::Gzip),
            "none" => Ok(Self::None),
            _ => Err(Invalid::new("compression", "must be gzip or none")),
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Gzip => "ndjson.gz",
            Self::None => "ndjson",
        }
    }

    /// The media type of a part.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Gzip => "application/gzip",
            Self::None => "application/x-ndjson",
        }
    }
}

impl ExportSpan {
    /// A span whose end is excluded.
    ///
    /// # Errors
    /// Names the field when it is empty, or longer than [`SPAN_MAX`].
    pub fn new(from: Timestamp, to: Timestamp) -> Result<Self, Invalid> {
        if from >= to {
            return Err(Invalid::new("from", "must be before to"));
        }
        match to.duration_since(from) > SPAN_MAX {
            true => Err(Invalid::new("to", "must be at most 366 days after from")),
            false => Ok(Self { from, to }),
        }
    }

    /// The first instant of it.
    pub fn from(&self) -> Timestamp {
        self.from
    }

    /// The first instant after it.
    pub fn to(&self) -> Timestamp {
        self.to
    }
}

impl Export {
    /// The name of a part's object. A part that is written twice has one name.
    pub fn part_key(&self, number: u32) -> String {
        format!("{}/{}/{number:05}.{}", self.tenant, self.id, self.compression.suffix())
    }

    /// The message about it.
    pub fn task(&self) -> ExportTask {
        ExportTask { tenant: self.tenant.clone(), export_id: self.id, trace: self.trace.clone() }
    }

    /// When its parts cease to be kept.
    pub fn expires_at(&self) -> Timestamp {
        self.requested_at.saturating_add(KEPT).unwrap_or(Timestamp::MAX)
    }

    /// Where it stands now. What was called off or failed stays so.
    pub fn state_at(&self, now: Timestamp) -> ExportState {
        match self.state {
            ExportState::Cancelled | ExportState::Failed => self.state,
            _ if now >= self.expires_at() => ExportState::Expired,
            state => state,
        }
    }

    /// Whether its message seems to be lost.
    pub fn is_silent(&self, now: Timestamp) -> bool {
        !self.state.is_over() && now.duration_since(self.moved_at) >= SILENCE
    }

    /// What a message that comes now leads to.
    pub fn begin(&self, run: &str, now: Timestamp) -> Beginning {
        if self.state.is_over() {
            return Beginning::Over;
        }
        if self.lease.as_ref().is_some_and(|lease| lease.until > now) {
            return Beginning::UnderWay;
        }
        let why = match self.state_at(now) {
            ExportState::Expired => Some("its first parts are not kept any more"),
            _ if self.idle_runs >= IDLE_RUNS_MAX => Some("too many runs in a row wrote nothing"),
            _ => None,
        };
        if let Some(why) = why {
            let ended = Self { failure: Some(why.to_owned()), ..self.ended(ExportState::Failed, now) };
            return Beginning::GiveUp(Box::new(ended));
        }
        let begun = Self { state: ExportState::Running, idle_runs: self.idle_runs + 1, ..self.changed(now) };
        Beginning::Run(Box::new(begun.held_by(run, now)))
    }

    /// It has come so far, and this run goes on; without one, another may begin at once.
    pub fn advanced(&self, progress: Progress, run: Option<&str>, now: Timestamp) -> Self {
        let advanced = Self { progress, idle_runs: 0, lease: None, ..self.changed(now) };
        match run {
            Some(run) => advanced.held_by(run, now),
            None => advanced,
        }
    }

    /// Its run stops here, and another may begin at once.
    pub fn rested(&self, now: Timestamp) -> Self {
        Self { lease: None, ..self.changed(now) }
    }

    /// All of it is written.
    pub fn completed(&self, progress: Progress, now: Timestamp) -> Self {
        Self { progress, ..self.ended(ExportState::Done, now) }
    }

    /// It is called off; none when it was before.
    ///
    /// # Errors
    /// The state in which it ended otherwise.
    pub fn cancelled(&self, now: Timestamp) -> Result<Option<Self>, ExportState> {
        match self.state_at(now) {
            ExportState::Cancelled => Ok(None),
            state if state.is_over() => Err(state),
            _ => Ok(Some(self.ended(ExportState::Cancelled, now))),
        }
    }

    fn changed(&self, now: Timestamp) -> Self {
        Self { step: self.step + 1, moved_at: now, ..self.clone() }
    }

    fn ended(&self, state: ExportState, now: Timestamp) -> Self {
        Self { state, lease: None, ended_at: Some(now), ..self.changed(now) }
    }

    fn held_by(self, run: &str, now: Timestamp) -> Self {
        let until = now.saturating_add(LEASE).unwrap_or(Timestamp::MAX);
        Self { lease: Some(Lease { run: run.to_owned(), until }), ..self }
    }
}
