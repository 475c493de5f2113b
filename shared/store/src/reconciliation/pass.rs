//! How far a pass of reconciliation came.

use super::tally::{Book, Tally};
use crate::contention::repeated;
use crate::item::{self, Item, number};
use crate::keys::DayList;
use crate::transact::{Refused, cancelled, is_condition};
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use holdfast_domain::ids::TenantId;
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

/// The name under which the pass is noted.
const PASS: &str = "reconcile";

/// A pass over all pools of all tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReconcilePass {
    /// When it began. Later passes begin later: it tells whose notes of a pool are whose.
    pub begun_at: Timestamp,
    /// How often the pass was noted: what a writer must know to move it on.
    pub step: u64,
    /// Where it goes on; none when it is over.
    pub place: Option<Place>,
    /// What it found so far.
    pub figures: Figures,
}

/// A place in a pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The tenant that is looked at.
    pub tenant: TenantId,
    /// What is being done.
    pub stage: Stage,
    /// The position in the stage's list that everything up to was done; none at its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How far the order behind that position was counted, if it was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Within>,
    /// Whether an order of the tenant could not be read in this pass: then none of its pools is judged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blind: bool,
}

/// A place in an order that is kept in parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Within {
    /// The position of the order.
    pub order: String,
    /// The last of its parts that was counted; empty for the order's own item.
    pub part: String,
}

/// What is done for a tenant, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "stage")]
pub enum Stage {
    /// Nothing yet.
    Begin,
    /// Days that ended some time ago are being closed: what their orders keep goes into the balances.
    Close {
        /// The list that is being read: holds first, then orders.
        list: DayList,
        /// The first of the days.
        from: Date,
        /// The last of the days.
        through: Date,
    },
    /// Pools are read, and their stripes' versions noted.
    Open,
    /// What the holds of open days keep is counted. Before orders: they may become orders meanwhile, never the reverse.
    CountHolds,
    /// The same for holds and orders of closed days that are in no balance.
    CountCarried,
    /// The same for the orders of open days.
    CountOrders,
    /// Pools are read again, and judged.
    Judge,
}

/// What a pass found so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// Orders looked at.
    pub orders: u64,
    /// Orders and pools that could not be read; an order may be met more than once.
    pub unreadable: u64,
    /// Pools looked at.
    pub pools: u64,
    /// Pools of which everything is accounted for.
    pub judged: u64,
    /// Pools that changed while they were looked at.
    pub unsettled: u64,
    /// Pools with units too many or too few, for the first time.
    pub suspected: u64,
    /// Pools with units too many or too few, as when they were judged before.
    pub drifting: u64,
    /// Pools with a stripe below zero.
    pub below_zero: u64,
    /// Read units that it took, but for those of its last few calls.
    pub read_units: u64,
    /// Write units that it took, but for those of its last few calls.
    pub write_units: u64,
}

#[derive(Serialize, Deserialize)]
struct PassItem {
    pk: String,
    sk: String,
    begun_at: i64,
    step: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    place: Option<Place>,
    figures: Figures,
}

impl Place {
    /// The beginning of a stage.
    pub fn at(tenant: TenantId, stage: Stage) -> Self {
        Self { tenant, stage, after: None, within: None, blind: false }
    }
}

impl Store {
    /// How far the last pass came; none before the first.
    ///
    /// # Errors
    /// When the table gives no answer, or the item is not readable.
    pub async fn reconcile_pass(&self) -> Result<Option<ReconcilePass>, StoreError> {
        let read = |item: Item| {
            let item: PassItem = item::read(item)?;
            let begun_at = Timestamp::from_millisecond(item.begun_at)
                .map_err(|error| StoreError::Corrupt { key: item.pk, problem: error.to_string() })?;
            Ok(ReconcilePass { begun_at, step: item.step, place: item.place, figures: item.figures })
        };
        self.get(keys::pass(PASS)).await?.map(read).transpose()
    }

    /// Moves a pass on and writes what was counted, in one transaction: 2 WCU, and 2 for each pool.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another run moved the pass on, or others were at the same items each time: this run
    /// must end.
    pub async fn reconcile_note(
        &self,
        pass: &mut ReconcilePass,
        tally: &mut Tally,
        book: Book,
    ) -> Result<(), StoreError> {
        let Some(tenant) = pass.place.as_ref().map(|place| place.tenant.clone()) else {
            return self.pass_moved(pass, Vec::new()).await;
        };
        let writes = self.tally_writes(&tenant, tally, book, pass.begun_at);
        self.pass_moved(pass, writes).await?;
        *tally = Tally::default();
        Ok(())
    }

    /// Moves a pass on together with other writes, all of them or none.
    pub(super) async fn pass_moved(
        &self,
        pass: &mut ReconcilePass,
        mut writes: Vec<TransactWriteItem>,
    ) -> Result<(), StoreError> {
        let keys::Key { pk, sk } = keys::pass(PASS);
        let item = PassItem {
            pk,
            sk,
            begun_at: pass.begun_at.as_millisecond(),
            step: pass.step + 1,
            place: pass.place.clone(),
            figures: pass.figures,
        };
        let put = Put::builder().table_name(&*self.table).set_item(Some(item::written(&item)));
        let put = match pass.step {
            0 => put.condition_expression("attribute_not_exists(pk)"),
            step => put.condition_expression("step = :step").expression_attribute_values(":step", number(step)),
        };
        let put = put.build().expect("a put has its table and item");
        writes.insert(0, TransactWriteItem::builder().put(put).build());
        // Releases are at the same balances and horizon: only a failed condition tells that the pass was moved on.
        let is_moved = repeated(|| async {
            match self.transact(writes.clone()).await {
                Ok(()) => Ok(true),
                Err(Refused::Other(error)) => Err(error),
                Err(Refused::Cancelled(reasons)) if reasons.iter().any(is_condition) => Ok(false),
                Err(Refused::Cancelled(reasons)) => Err(cancelled(&reasons)),
            }
        });
        if !is_moved.await? {
            return Err(StoreError::Conflict);
        }
        pass.step += 1;
        Ok(())
    }
}
