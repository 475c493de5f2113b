//! Changing what an order consists of, together with the difference of what it claims.

use super::{Changed, stale};
use crate::claims::{Contention, Exchanged, Granted, RefusedClaim};
use crate::{Store, StoreError, StoredOrder};
use aws_sdk_dynamodb::types::TransactWriteItem;
use holdfast_domain::event::Trace;
use holdfast_domain::order::Change;
use holdfast_domain::pool::{Claim, Take, merged};

/// How often claims are given back to other stripes in place of missing ones.
const STAND_INS_MAX: usize = 4;

/// What came of changing what an order consists of.
#[derive(Debug)]
pub enum Revising {
    /// The change is written, and the difference claimed and given back.
    Done,
    /// The order was at another version: this is it now. Nothing was written.
    Stale(Box<StoredOrder>),
    /// Stripes refused their claims; nothing was written.
    Refused(Vec<RefusedClaim>),
    /// Others were at the same items; nothing was written.
    Contended(Contention),
}

impl Store {
    /// Writes a change of an order with what is claimed for it and what it gives back, in one transaction: if the order is
    /// still at the version that the change was made from, and every stripe has what is asked of it. The order must be one
    /// item, and its day open: it was placed less than a day ago.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it is not known whether the change was written.
    pub async fn order_revise(
        &self,
        change: &Change,
        takes: &[Take],
        surplus: &[Claim],
        trace: &Trace,
    ) -> Result<Revising, StoreError> {
        let tenant = &change.order.tenant;
        let mut surplus = surplus.to_vec();
        for _ in 0..STAND_INS_MAX {
            let order = TransactWriteItem::builder().update(self.change_update(change, trace)).build();
            match self.exchanged(tenant, order, takes, &surplus).await? {
                Exchanged::Granted(Granted::Done) => return Ok(Revising::Done),
                Exchanged::Granted(Granted::Refused(refused)) => return Ok(Revising::Refused(refused)),
                Exchanged::Granted(Granted::Contended(contention)) => return Ok(Revising::Contended(contention)),
                Exchanged::Granted(Granted::Existing(item)) => {
                    let Changed::Stale(current) = stale(Some(item))? else {
                        unreachable!("an order that is there is at some version")
                    };
                    return Ok(Revising::Stale(current));
                }
                Exchanged::Missing(missing) => surplus = merged(self.replaced(tenant, surplus, &missing).await?),
            }
        }
        Err(StoreError::StripeMissing)
    }
}
