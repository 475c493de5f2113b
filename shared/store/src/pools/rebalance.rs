//! Levelling stripes that were sold unevenly.

use super::plan;
use crate::transact::{Refused, cancelled, is_condition};
use crate::{StockHeader, Store, StoreError};
use holdfast_domain::ids::{ProductId, TenantId, WarehouseId};

/// What levelling moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rebalanced {
    /// The transactions that moved units.
    pub transfers: u32,
    /// The transactions that others came between: the next run looks again.
    pub refused: u32,
    /// The units that lie elsewhere now.
    pub units: u64,
}

impl Store {
    /// Levels the stripes of a pool of stock while it is sold from, where it is worth it: a stripe that has under a
    /// quarter of the mean gets up to the mean from the fullest. At most 32 transactions; a pool that is level costs
    /// the reading of its stripes.
    ///
    /// # Errors
    /// As [`Store::order_place`], but for others at the same stripes: those are left as they are.
    pub async fn pool_rebalance(
        &self,
        tenant: &TenantId,
        product: &ProductId,
        warehouse: &WarehouseId,
    ) -> Result<Rebalanced, StoreError> {
        let mut done = Rebalanced::default();
        let Some(mut header) = self.stock_header(tenant, product, warehouse).await? else { return Ok(done) };
        let actions = self.pool_actions(tenant, product, warehouse);
        let stripes = actions.stripes(0..header.stripes).await?;
        for transfer in plan::level(&stripes) {
            let units: u64 = transfer.given.iter().map(|(_, quantity)| quantity).sum();
            let given = transfer.given.iter().map(|units| actions.give(*units));
            // Whoever reads all stripes sees by the header's shape whether units were on their way meanwhile.
            let taken = [actions.reshape(&header, header.stripes), actions.take((transfer.from, units))];
            let items = taken.into_iter().chain(given).collect();
            let error = match self.transact(items).await {
                Ok(()) => {
                    done.transfers += 1;
                    done.units += units;
                    header = StockHeader { shape: header.shape + 1, ..header };
                    continue;
                }
                // The pool was reshaped: nothing that was read holds any more.
                Err(Refused::Cancelled(reasons)) if reasons.first().is_some_and(is_condition) => {
                    done.refused += 1;
                    break;
                }
                // A stripe has less than was read.
                Err(Refused::Cancelled(reasons)) if reasons.iter().any(is_condition) => StoreError::Conflict,
                Err(Refused::Cancelled(reasons)) => cancelled(&reasons),
                Err(Refused::Other(error)) => error,
            };
            match error {
                StoreError::Conflict | StoreError::Throttled => done.refused += 1,
                error => return Err(error),
            }
        }
        Ok(done)
    }
}
