//! An export as staff see it.

use crate::Links;
use crate::links::LINK_VALIDITY;
use holdfast_domain::export::{Compression, Export, ExportState};
use holdfast_domain::ids::{CustomerId, ExportId};
use holdfast_domain::order::OrderState;
use holdfast_runtime::http::Problem;
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde::Serialize;
use utoipa::ToSchema;

/// How many links one answer has at most: up to 2 MB, of the 6 MB that a response may have.
pub const LINKS_MAX: u32 = 1_000;

/// An export.
#[derive(Serialize, ToSchema)]
#[schema(as = Export)]
pub struct ExportView {
    /// A UUID.
    #[schema(value_type = String)]
    export_id: ExportId,
    /// Where it stands: `requested`, `running`, `done`, `failed`, `cancelled`, or `expired` when its parts are not kept any
    /// more.
    #[schema(value_type = String, pattern = "^(requested|running|done|failed|cancelled|expired)$")]
    state: ExportState,
    /// Orders that were placed from this instant on.
    from: Timestamp,
    /// Until before this instant.
    to: Timestamp,
    /// Only orders that are in one of these states when they are read; all if there are none.
    #[schema(value_type = Vec<String>)]
    states: Vec<OrderState>,
    /// `gzip` or `none`.
    #[schema(value_type = String)]
    compression: Compression,
    /// Who asked for it.
    #[schema(value_type = String)]
    requested_by: CustomerId,
    /// When.
    requested_at: Timestamp,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    /// When its parts cease to be kept.
    expires_at: Timestamp,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    /// What has been written.
    progress: ProgressView,
}

/// How far an export has come.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportProgress)]
struct ProgressView {
    /// Orders written.
    orders: u64,
    /// Orders that were passed over because they could not be read: none, unless something is broken.
    #[serde(skip_serializing_if = "is_zero")]
    unreadable: u64,
    /// Bytes written, as they are stored.
    bytes: u64,
    /// Parts written.
    parts: u32,
    /// The day, in UTC, up to which orders are written.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    day: Option<Date>,
}

/// An export with links to its parts.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportWithParts)]
pub struct ExportWithParts {
    #[serde(flatten)]
    export: ExportView,
    /// What is written, in the order of the orders' placing. More follow while the export runs.
    parts: Vec<PartView>,
    /// The number to pass as `first_part` for the links that follow; null if there are none yet.
    next_part: Option<u32>,
}

/// A part of an export: NDJSON, one line an order, as `GET /orders/{order_id}` shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportPart)]
struct PartView {
    /// From 1.
    number: u32,
    /// Where to fetch it, without a token.
    url: String,
    /// Until when.
    valid_until: Timestamp,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl ExportView {
    /// The export as it stands now.
    pub fn at(export: &Export, now: Timestamp) -> Self {
        let progress = &export.progress;
        let reached = progress.through.as_ref().and_then(|position| position.split('#').next()?.parse().ok());
        let reached = reached.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        // At a midnight the day before it is complete.
        let last = |at: Timestamp| at.saturating_sub(SignedDuration::from_millis(1)).unwrap_or(at);
        let reached = reached.filter(|reached| *reached > export.span.from());
        Self {
            export_id: export.id,
            state: export.state_at(now),
            from: export.span.from(),
            to: export.span.to(),
            states: export.states.clone(),
            compression: export.compression,
            requested_by: export.requested_by.clone(),
            requested_at: export.requested_at,
            ended_at: export.ended_at,
            expires_at: export.expires_at(),
            failure: export.failure.clone(),
            progress: ProgressView {
                orders: progress.orders,
                unreadable: progress.unreadable,
                bytes: progress.bytes,
                parts: progress.parts,
                day: reached.map(|at| last(at).to_zoned(TimeZone::UTC).date()),
            },
        }
    }
}

impl ExportWithParts {
    /// The export as it stands now, with links to its parts from a number on. What was called off, failed or expired has
    /// none.
    pub async fn at(export: &Export, now: Timestamp, first: u32, links: &Links) -> Result<Self, Problem> {
        let view = ExportView::at(export, now);
        let has_links = matches!(view.state, ExportState::Requested | ExportState::Running | ExportState::Done);
        let count = if has_links { export.progress.parts } else { 0 };
        let end = first.saturating_add(LINKS_MAX).min(count + 1);
        let validity = SignedDuration::try_from(LINK_VALIDITY).unwrap_or_default();
        let valid_until = now.saturating_add(validity).unwrap_or(Timestamp::MAX).min(export.expires_at());
        let mut parts = Vec::new();
        for number in first..end {
            parts.push(PartView { number, url: links.to_part(export, number).await?, valid_until });
        }
        Ok(Self { export: view, parts, next_part: (end <= count).then_some(end) })
    }
}
