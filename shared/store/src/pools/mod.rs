//! Pools of stock while they are sold from: more stripes, fewer stripes, units moved between them, units that come in.
//!
//! A pool's header says that it has n stripes, and the stripes 0 to n - 1 exist: every transaction that makes or ends
//! stripes sets the header's count itself. So a run that stops half-way leaves a pool like any other, and a repeat goes on
//! from there. Such a transaction also raises the header's `shape` from what its planner read: the pool is reshaped by one
//! at a time, and whatever is sent late or twice is refused.
//!
//! Moving units between stripes raises it, too. So whoever adds up all stripes and finds the same `shape` before and after
//! has missed no units that were on their way; see [`Store::stock_settled`].
//!
//! Claims and releases know nothing of this. They may remember stripes that are gone, which refuse them without an item.

mod actions;
mod plan;
mod pressed;
mod rebalance;
mod receipts;
mod reshape;

pub use pressed::PressedPool;
pub use rebalance::Rebalanced;
pub use receipts::{Receipt, Received};
pub use reshape::Reshaping;

use crate::contention::{ATTEMPTS_MAX, back_off};
use crate::{StockHeader, Store, StoreError, item, keys};
use holdfast_domain::ids::{ProductId, TenantId};
use holdfast_domain::pool::{PoolId, StripeId, StripeLevel, StripeNumber};
use serde::Deserialize;

impl Store {
    /// What the stripes of these warehouses hold, with no units moved between stripes since `headers` were read: what "sold
    /// out" may be said by. With the headers as they are now. 1 read unit for each stripe, and 1 for the headers.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the pools are being reshaped all the time; otherwise when the table gives no answer, or
    /// an item is not readable.
    pub async fn stock_settled(
        &self,
        tenant: &TenantId,
        product: &ProductId,
        mut headers: Vec<StockHeader>,
    ) -> Result<(Vec<StockHeader>, Vec<StripeLevel>), StoreError> {
        let shapes = |headers: &[StockHeader]| -> Vec<_> {
            headers.iter().map(|header| (header.warehouse.clone(), header.shape)).collect()
        };
        for attempt in 0..ATTEMPTS_MAX {
            let levels = self.stock_levels(tenant, product, &headers).await?;
            let after = self.stock_headers(tenant, product).await?;
            if shapes(&headers) == shapes(&after) {
                return Ok((after, levels));
            }
            headers = after;
            back_off(attempt).await;
        }
        Err(StoreError::Conflict)
    }

    /// A stripe that a pool has now, drawn at random: where units can go back to when the stripe they came from is gone.
    /// One of `avoid` is drawn only when there is no other. None when there is no such pool.
    ///
    /// # Errors
    /// When the table gives no answer, or the header is not readable.
    pub async fn pool_any_stripe(
        &self,
        tenant: &TenantId,
        pool: &PoolId,
        avoid: &[StripeNumber],
    ) -> Result<Option<StripeId>, StoreError> {
        let stripes = self.pool_stripes(tenant, pool).await?;
        Ok(stripes.map(|stripes| {
            let all = 0..stripes;
            let others: Vec<_> = all.clone().filter(|number| !avoid.contains(number)).collect();
            let choice = if others.is_empty() { all.collect() } else { others };
            let number = choice.get(fastrand::usize(0..choice.len().max(1))).copied().unwrap_or_default();
            StripeId { pool: pool.clone(), number }
        }))
    }

    /// How many stripes a pool has, by its header; none when there is no such pool, and for an allowance, which is one
    /// item without a header.
    ///
    /// # Errors
    /// When the table gives no answer, or the header is not readable.
    pub async fn pool_stripes(&self, tenant: &TenantId, pool: &PoolId) -> Result<Option<StripeNumber>, StoreError> {
        let Some(key) = keys::pool_header(tenant, pool) else { return Ok(None) };
        let header: Option<StripeCount> = self.get(key).await?.map(item::read).transpose()?;
        Ok(header.map(|header| header.stripes))
    }
}

/// What every pool's header says.
#[derive(Deserialize)]
struct StripeCount {
    stripes: StripeNumber,
}
