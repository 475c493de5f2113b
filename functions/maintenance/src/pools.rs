//! More stripes for pools at which too many orders meet.
//!
//! Environments of the order path note such pools. Each run doubles the stripes of those that are noted, and levels them:
//! conflicts that go on are noted again, so a pool has what it needs after a few minutes. Nothing is merged here: that a
//! surge is over for good is known to people only, and idle stripes cost next to nothing. They merge by
//! `PUT /stock/{product_id}/stripes`.

use crate::{Job, Maintenance, Report};
use holdfast_domain::pool::STRIPES_MAX;
use holdfast_runtime::telemetry::chain;
use holdfast_store::{PressedPool, Reshaping, StoreError};
use jiff::{SignedDuration, Timestamp};

/// How many pools one run takes on.
const POOLS_MAX: i32 = 100;
/// How many conflicts a pool has to meet between two runs to be split: a few are chance, and nothing merges it again.
const CONFLICTS_MIN: u64 = 8;
/// How long a run takes on pools, within the function's 50 s: one takes a few seconds at most.
const RUN: SignedDuration = SignedDuration::from_secs(35);

impl Maintenance {
    pub(crate) async fn pools(&self) -> Result<Report, StoreError> {
        let mut report = Report::new(Job::Pools);
        let until = self.clock.now().saturating_add(RUN).unwrap_or(Timestamp::MAX);
        for pool in self.store.pools_pressed(POOLS_MAX).await? {
            if self.clock.now() >= until {
                break;
            }
            report.seen += 1;
            // Metrics are made of these lines, so they are warnings.
            tracing::warn!(
                tenant = pool.tenant.as_str(),
                product = pool.product.as_str(),
                warehouse = pool.warehouse.as_str(),
                conflicts = pool.conflicts,
                "pool_contended"
            );
            match self.relieve(&pool).await {
                Ok(changed) => report.changed += usize::from(changed),
                Err(StoreError::Conflict | StoreError::Throttled) => report.waiting += 1,
                // One pool that cannot be read must not keep the others waiting.
                Err(error @ StoreError::Corrupt { .. }) => {
                    tracing::error!(
                        tenant = pool.tenant.as_str(),
                        product = pool.product.as_str(),
                        warehouse = pool.warehouse.as_str(),
                        error = chain(&error),
                        "pool_unreadable"
                    );
                    report.waiting += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(report)
    }

    /// Doubles the stripes of a pool and levels them; whether anything changed. The note goes last: a run that stops on the
    /// way is repeated, and may double them twice, which does no harm.
    async fn relieve(&self, pool: &PressedPool) -> Result<bool, StoreError> {
        let PressedPool { tenant, product, warehouse, .. } = pool;
        let header = self.store.stock_header(tenant, product, warehouse).await?;
        let before = header.map_or(STRIPES_MAX, |header| header.stripes);
        if pool.conflicts < CONFLICTS_MIN {
            self.store.pool_relieved(pool).await?;
            return Ok(false);
        }
        let to = before.saturating_mul(2).min(STRIPES_MAX);
        let mut changed = false;
        if before < to {
            match self.store.pool_reshape(tenant, product, warehouse, to).await? {
                Reshaping::Reshaped { from, to } => {
                    changed = true;
                    tracing::warn!(
                        tenant = tenant.as_str(),
                        product = product.as_str(),
                        warehouse = warehouse.as_str(),
                        from,
                        to,
                        "pool_split"
                    );
                }
                // Somebody sets the stripes by hand: the next run sees what came of it.
                Reshaping::Overtaken => return Err(StoreError::Conflict),
                Reshaping::NoSuchWarehouse => {}
            }
        }
        let levelled = self.store.pool_rebalance(tenant, product, warehouse).await?;
        self.store.pool_relieved(pool).await?;
        Ok(changed || levelled.transfers > 0)
    }
}
