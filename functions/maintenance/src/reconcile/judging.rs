//! Looking at pools, before and after their orders are counted.

use super::Run;
use futures_util::{StreamExt, TryStreamExt, stream};
use holdfast_domain::ids::TenantId;
use holdfast_store::StoreError;
use holdfast_store::reconciliation::{Outcome, Place, Stage, Verdict};
use serde::Serialize;

/// How many pools are read at the same time.
const POOLS_AT_ONCE: usize = 8;

/// How many drifting pools the answer of a job names.
const DRIFTS_MAX: usize = 100;

/// A pool with units missing, or with too many, in two passes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// Whose pool.
    pub tenant: TenantId,
    /// Its name.
    pub pool: String,
    /// Units that ever came.
    pub received: i64,
    /// Units that are free to claim.
    pub available: i64,
    /// Units that orders keep.
    pub kept: i64,
    /// Units that were missing both times, at least; below zero, units that were too many.
    pub drift: i64,
}

impl Run<'_> {
    /// Notes how a page of pools is before their orders are counted.
    pub(super) async fn open_page(&mut self, place: Place) -> Result<(), StoreError> {
        let (store, at) = (&self.maintenance.store, self.pass.begun_at);
        let page = store.pools_listed(&place.tenant, place.after.as_deref()).await?;
        let opened = stream::iter(&page.pools).map(async |listed| {
            match store.pool_open(&place.tenant, listed, at).await {
                // It is reported when it is judged.
                Err(StoreError::Corrupt { .. }) => Ok(()),
                other => other,
            }
        });
        opened.buffer_unordered(POOLS_AT_ONCE).try_collect::<()>().await?;
        self.move_on(place.tenant.clone(), page.next, Stage::CountHolds).await
    }

    /// Judges a page of pools.
    pub(super) async fn judge_page(&mut self, place: Place) -> Result<(), StoreError> {
        let (store, at) = (&self.maintenance.store, self.pass.begun_at);
        let page = store.pools_listed(&place.tenant, place.after.as_deref()).await?;
        let verdicts = stream::iter(&page.pools).map(async |listed| {
            let verdict = match store.pool_judge(&place.tenant, listed, at, !place.blind).await {
                Err(problem @ StoreError::Corrupt { .. }) => Err(problem),
                other => Ok(other?),
            };
            Ok::<_, StoreError>((listed.name.clone(), verdict))
        });
        let verdicts: Vec<_> = verdicts.buffered(POOLS_AT_ONCE).try_collect().await?;
        for (pool, verdict) in verdicts {
            match verdict {
                Ok(Some(verdict)) => self.judged(&place.tenant, pool, verdict),
                Ok(None) => {}
                Err(problem) => {
                    tracing::error!(tenant = place.tenant.as_str(), pool, error = %problem, "pool_unreadable");
                    self.report.unreadable += 1;
                    let figures = &mut self.pass.figures;
                    figures.pools += 1;
                    figures.unsettled += 1;
                    figures.unreadable += 1;
                }
            }
        }
        match page.next {
            None => self.next_tenant(&place.tenant).await,
            after => self.move_on(place.tenant, after, Stage::Judge).await,
        }
    }

    fn judged(&mut self, tenant: &TenantId, pool: String, verdict: Verdict) {
        let Verdict { received, available, kept, below_zero, outcome } = verdict;
        let figures = &mut self.pass.figures;
        figures.pools += 1;
        if below_zero {
            figures.below_zero += 1;
            tracing::error!(tenant = tenant.as_str(), pool, available, "pool_below_zero");
        }
        match outcome {
            Outcome::Balanced => figures.judged += 1,
            Outcome::Unsettled => figures.unsettled += 1,
            Outcome::Suspected(drift) => {
                figures.suspected += 1;
                tracing::warn!(tenant = tenant.as_str(), pool, received, available, kept, drift, "pool_suspected");
            }
            Outcome::Drifting(drift) => {
                figures.drifting += 1;
                // A metric and an alarm are made of this line.
                tracing::error!(tenant = tenant.as_str(), pool, received, available, kept, drift, "pool_drift");
                if self.drifts.len() < DRIFTS_MAX {
                    self.drifts.push(Drift { tenant: tenant.clone(), pool, received, available, kept, drift });
                }
            }
        }
    }
}
