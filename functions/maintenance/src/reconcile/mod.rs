//! Proof that no pool leaks, and repair of what can safely be repaired.
//!
//! A pass goes through the tenants, and for each through the stages of [`holdfast_store::reconciliation`]. A run works
//! until its time is up; what it counted and how far it came are noted together, so the next run goes on exactly there. It
//! keeps 25 orders and the sums of at most 99 pools in memory, however large the shop is.

mod closing;
mod counting;
mod judging;
mod repairs;

pub use judging::Drift;

use crate::late_holds::RUN;
use crate::{Job, Maintenance, Report};
use holdfast_domain::ids::TenantId;
use holdfast_store::reconciliation::{Book, Figures, Place, ReconcilePass, Span, Stage, Tally};
use holdfast_store::{Meter, StoreError};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::sync::Arc;

/// What a pass found so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reconciled {
    /// Whether the pass is over.
    pub over: bool,
    /// Counts of the whole pass.
    #[serde(flatten)]
    pub figures: Figures,
    /// Pools with units missing as in an earlier pass: those that this run found, at most 100.
    pub drifts: Vec<Drift>,
}

/// A run of a pass.
struct Run<'a> {
    maintenance: &'a Maintenance,
    meter: Arc<Meter>,
    /// What of the meter is in the pass's figures.
    spent: (u64, u64),
    /// When its time is up.
    until: Timestamp,
    tenants: Vec<TenantId>,
    pass: ReconcilePass,
    /// What was counted up to the pass's place and is not noted yet.
    tally: Tally,
    report: Report,
    drifts: Vec<Drift>,
}

impl Maintenance {
    /// Begins a pass over all pools, or goes on with one that is not over.
    pub(crate) async fn reconcile(&self, resume_only: bool) -> Result<Report, StoreError> {
        let report = Report::new(if resume_only { Job::ReconcileResume } else { Job::Reconcile });
        let until = self.clock.now().saturating_add(RUN).unwrap_or(Timestamp::MAX);
        let stored = self.store.reconcile_pass().await?;
        let is_over = stored.as_ref().is_none_or(|pass| pass.place.is_none());
        if is_over && resume_only {
            return Ok(report);
        }
        let tenants = self.store.tenants().await?;
        let pass = match stored {
            Some(pass) if !is_over => pass,
            before => self.next_pass(before, tenants.first()),
        };
        let tally = Tally::default();
        let meter = Arc::<Meter>::default();
        let store = self.store.metered(Arc::clone(&meter));
        let metered = Self { store, ..self.clone() };
        let mut run = Run {
            maintenance: &metered,
            meter,
            spent: (0, 0),
            until,
            tenants,
            pass,
            tally,
            report,
            drifts: Vec::new(),
        };
        if is_over {
            run.note().await?;
        }
        while let Some(place) = run.pass.place.clone() {
            run.go_on(place).await?;
            if run.pass.place.is_some() && run.is_late() {
                run.note().await?;
                return Ok(run.reported());
            }
        }
        Ok(run.reported())
    }

    /// A pass that begins now, and later than the one before.
    fn next_pass(&self, before: Option<ReconcilePass>, first: Option<&TenantId>) -> ReconcilePass {
        let step = before.as_ref().map_or(0, |before| before.step);
        let after = before.map_or(Timestamp::MIN, |before| {
            before.begun_at.saturating_add(SignedDuration::from_millis(1)).unwrap_or(Timestamp::MAX)
        });
        ReconcilePass {
            begun_at: self.clock.now().max(after),
            step,
            place: first.map(|tenant| Place::at(tenant.clone(), Stage::Begin)),
            figures: Figures::default(),
        }
    }
}

impl Run<'_> {
    fn is_late(&self) -> bool {
        self.maintenance.clock.now() >= self.until
    }

    /// Does a page of a stage.
    async fn go_on(&mut self, place: Place) -> Result<(), StoreError> {
        match place.stage {
            Stage::Begin => self.begin(place.tenant).await,
            Stage::Close { list, from, through } => self.close_page(place, list, Span { from, through }).await,
            Stage::Open => self.open_page(place).await,
            Stage::CountHolds | Stage::CountOrders => self.count_page(place).await,
            Stage::CountCarried => self.count_carried(place).await,
            Stage::Judge => self.judge_page(place).await,
        }
    }

    /// Notes the place together with what was counted up to it.
    async fn note(&mut self) -> Result<(), StoreError> {
        let spent = self.meter.spent();
        let spent = (spent.rcu.round() as u64, spent.wcu.round() as u64);
        self.pass.figures.read_units += spent.0 - self.spent.0;
        self.pass.figures.write_units += spent.1 - self.spent.1;
        self.spent = spent;
        let closes = |place: &Place| matches!(place.stage, Stage::Close { .. });
        let book = if self.pass.place.as_ref().is_some_and(closes) { Book::Balance } else { Book::Check };
        self.maintenance.store.reconcile_note(&mut self.pass, &mut self.tally, book).await
    }

    /// Moves on behind `after` in the stage's list, or to the next stage at its end.
    async fn move_on(&mut self, tenant: TenantId, after: Option<String>, next: Stage) -> Result<(), StoreError> {
        let Some(place) = &mut self.pass.place else { return Ok(()) };
        match after {
            Some(after) => place.after = Some(after),
            None => {
                // A tally belongs to one book: it is written before the stage ends.
                if !self.tally.is_empty() {
                    self.note().await?;
                }
                let blind = self.pass.place.as_ref().is_some_and(|place| place.blind);
                self.pass.place = Some(Place { blind, ..Place::at(tenant, next) });
            }
        }
        Ok(())
    }

    /// Moves on to the next tenant, or ends the pass.
    async fn next_tenant(&mut self, done: &TenantId) -> Result<(), StoreError> {
        let next = self.tenants.iter().find(|tenant| *tenant > done);
        self.pass.place = next.map(|tenant| Place::at(tenant.clone(), Stage::Begin));
        self.note().await?;
        if self.pass.place.is_none() {
            let Figures { orders, pools, judged, unsettled, suspected, drifting, .. } = self.pass.figures;
            let Figures { unreadable, read_units, write_units, .. } = self.pass.figures;
            tracing::info!(
                orders,
                unreadable,
                pools,
                judged,
                unsettled,
                suspected,
                drifting,
                read_units,
                write_units,
                "reconciled"
            );
        }
        Ok(())
    }

    fn reported(self) -> Report {
        let over = self.pass.place.is_none();
        let reconciled = Reconciled { over, figures: self.pass.figures, drifts: self.drifts };
        Report { reconciled: Some(reconciled), ..self.report }
    }
}
