//! Moving units from one order to another: a transaction of both orders that touches no pool.

use super::{Changed, stale};
use crate::contention::repeated;
use crate::order_item::stored_order;
use crate::transact::{Refused, cancelled, is_condition};
use crate::{Store, StoreError, StoredOrder};
use aws_sdk_dynamodb::types::{CancellationReason, TransactWriteItem};
use holdfast_domain::event::Trace;
use holdfast_domain::order::{Change, Order};

/// What came of splitting an order.
#[derive(Debug)]
pub enum Splitting {
    /// Both orders are written.
    Done,
    /// The new order was there already: this was a retry.
    Existing(Box<StoredOrder>),
    /// The order was at another version: this is it now. Nothing was written.
    Stale(Box<StoredOrder>),
}

impl Store {
    /// Writes the change by which an order gives units away, and the order that they become, if the first is still at the
    /// version that the change was made from and the second is not there.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it is not known whether they were written.
    pub async fn order_split(&self, change: &Change, new: &Order, trace: &Trace) -> Result<Splitting, StoreError> {
        let put = self.order_put(new, trace, "attribute_not_exists(pk)", None);
        let update = TransactWriteItem::builder().update(self.change_update(change, trace)).build();
        let Some(reasons) = self.written_together(vec![put, update]).await? else { return Ok(Splitting::Done) };
        // Whether this is a retry is read first, whatever became of the order since.
        let (new, old) = (&reasons[0], &reasons[1]);
        if is_condition(new) {
            return Ok(Splitting::Existing(Box::new(stored_order(new.item.clone().unwrap_or_default())?)));
        }
        match stale(old.item.clone())? {
            Changed::Stale(current) => Ok(Splitting::Stale(current)),
            Changed::Done => unreachable!("an order that is there is at some version"),
        }
    }

    /// Writes the changes by which one order takes in the lines of another, if both are still at the versions that the
    /// changes were made from; whether they were.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it is not known whether they were written.
    pub async fn orders_merge(&self, target: &Change, source: &Change, trace: &Trace) -> Result<bool, StoreError> {
        let update = |change| TransactWriteItem::builder().update(self.change_update(change, trace)).build();
        let refused = self.written_together(vec![update(target), update(source)]).await?;
        Ok(refused.is_none())
    }

    /// Writes all or nothing, again while others are at the same items; the reasons when a condition failed.
    async fn written_together(
        &self,
        items: Vec<TransactWriteItem>,
    ) -> Result<Option<Vec<CancellationReason>>, StoreError> {
        repeated(|| async {
            match self.transact(items.clone()).await {
                Ok(()) => Ok(None),
                Err(Refused::Other(error)) => Err(error),
                Err(Refused::Cancelled(reasons)) if reasons.iter().any(is_condition) => Ok(Some(reasons)),
                Err(Refused::Cancelled(reasons)) => Err(cancelled(&reasons)),
            }
        })
        .await
    }
}
