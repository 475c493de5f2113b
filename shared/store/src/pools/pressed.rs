//! Pools that too many orders meet at: noted by the environments that met, taken up by maintenance.

use crate::item::{self, Item, number};
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use holdfast_domain::ids::{ProductId, TenantId, WarehouseId};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

/// How long a note is of interest when nobody takes it up.
const KEPT: SignedDuration = SignedDuration::from_hours(1);

/// A pool of stock at which environments met too many others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PressedPool {
    /// Whose.
    pub tenant: TenantId,
    /// Of what.
    pub product: ProductId,
    /// Where.
    pub warehouse: WarehouseId,
    /// The conflicts that were noted, over all environments.
    pub conflicts: u64,
    /// When the last were.
    pub at: Timestamp,
}

#[derive(Deserialize)]
struct PressedItem {
    sk: String,
    conflicts: u64,
    at: i64,
}

impl Store {
    /// Notes that orders met `conflicts` others at a pool of stock: one write unit, so once for many conflicts.
    ///
    /// # Errors
    /// When the table gives no answer; nothing depends on the note.
    pub async fn pool_press(
        &self,
        tenant: &TenantId,
        product: &ProductId,
        warehouse: &WarehouseId,
        conflicts: u32,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let forgotten_at = at.saturating_add(KEPT).unwrap_or(Timestamp::MAX);
        let request = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(keys::pressed(tenant, product, warehouse).attributes()))
            .update_expression("SET #at = :at, #ttl = :ttl ADD conflicts :conflicts")
            .expression_attribute_names("#at", "at")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":at", number(at.as_millisecond()))
            .expression_attribute_values(":ttl", number(forgotten_at.as_second()))
            .expression_attribute_values(":conflicts", number(conflicts))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = self.timed(request.send()).await.map_err(StoreError::of)?;
        self.meter.count_writes(&output.consumed_capacity);
        Ok(())
    }

    /// The pools that are noted, at most `limit`.
    ///
    /// # Errors
    /// When the table gives no answer, or an item is not readable.
    pub async fn pools_pressed(&self, limit: i32) -> Result<Vec<PressedPool>, StoreError> {
        let request = self
            .client
            .query()
            .table_name(&*self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(keys::PRESSED.to_owned()))
            .consistent_read(true)
            .limit(limit)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = self.timed(request.send()).await.map_err(StoreError::of)?;
        self.meter.count_reads(&output.consumed_capacity);
        output.items.unwrap_or_default().into_iter().map(pressed).collect()
    }

    /// Removes a note that was taken up; whether it was still the one that was read. Conflicts noted since keep it.
    ///
    /// # Errors
    /// When the table gives no answer: the pool is looked at again.
    pub async fn pool_relieved(&self, pool: &PressedPool) -> Result<bool, StoreError> {
        let request = self
            .client
            .delete_item()
            .table_name(&*self.table)
            .set_key(Some(keys::pressed(&pool.tenant, &pool.product, &pool.warehouse).attributes()))
            .condition_expression("conflicts = :seen")
            .expression_attribute_values(":seen", number(pool.conflicts))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        self.applied(request.send(), |output| &output.consumed_capacity).await
    }
}

fn pressed(item: Item) -> Result<PressedPool, StoreError> {
    let PressedItem { sk, conflicts, at } = item::read(item)?;
    let corrupt = |problem: &str| StoreError::Corrupt { key: sk.clone(), problem: problem.to_owned() };
    let (tenant, product, warehouse) = keys::parse_pressed_sk(&sk).ok_or_else(|| corrupt("it names no pool"))?;
    let at = Timestamp::from_millisecond(at).map_err(|_| corrupt("it has no instant"))?;
    Ok(PressedPool { tenant, product, warehouse, conflicts, at })
}
