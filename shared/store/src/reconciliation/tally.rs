//! What was counted and is not written yet.

use super::keeping::Keep;
use crate::item::{number, value};
use crate::{Store, keys};
use aws_sdk_dynamodb::types::{TransactWriteItem, Update};
use holdfast_domain::ids::TenantId;
use holdfast_domain::pool::PoolId;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// The most pools of a tally: it is written in one transaction with the place in the pass (100 actions; Amazon DynamoDB,
/// `TransactWriteItems`).
const POOLS_MAX: usize = 99;

/// How long what was noted of a pool is kept, in case nobody looks at the pool again.
pub(super) const CHECK_KEPT: SignedDuration = SignedDuration::from_hours(24 * 90);

/// Where counted units are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Book {
    /// In the pool's check of this pass.
    Check,
    /// In the pool's balance of closed days.
    Balance,
}

/// Units that orders keep, by pool: never more pools than one transaction takes, so it never grows.
#[derive(Debug, Default)]
pub struct Tally {
    sums: BTreeMap<PoolId, Sum>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    units: u64,
    moved: bool,
}

impl Tally {
    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    /// Whether what is kept can be added before the tally is written.
    pub fn has_room(&self, keep: &Keep) -> bool {
        let new = keep.pools.keys().filter(|pool| !self.sums.contains_key(pool)).count();
        self.sums.len() + new <= POOLS_MAX
    }

    /// Adds what is kept. `moved` says that it may have been counted in another list or order, too, or in none: its pools
    /// are not judged.
    pub fn add(&mut self, keep: &Keep, moved: bool) {
        for (pool, units) in &keep.pools {
            let sum = self.sums.entry(pool.clone()).or_default();
            sum.units += units;
            sum.moved |= moved;
        }
    }
}

impl Store {
    pub(super) fn tally_writes(
        &self,
        tenant: &TenantId,
        tally: &Tally,
        book: Book,
        begun_at: Timestamp,
    ) -> Vec<TransactWriteItem> {
        let named = tally.sums.iter().filter_map(|(pool, sum)| Some((keys::pool_name(pool)?, sum)));
        named.map(|(name, sum)| self.sum_write(tenant, &name, *sum, book, begun_at)).collect()
    }

    fn sum_write(&self, tenant: &TenantId, name: &str, sum: Sum, book: Book, at: Timestamp) -> TransactWriteItem {
        if book == Book::Balance {
            return self.balance_add(tenant, name, i128::from(sum.units));
        }
        let forget_at = at.saturating_add(CHECK_KEPT).unwrap_or(Timestamp::MAX).as_second();
        let update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::pool_check(tenant, name).attributes()))
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":ttl", number(forget_at))
            .expression_attribute_values(":units", number(sum.units));
        let update = match sum.moved {
            false => update.update_expression("ADD kept :units SET #ttl = :ttl"),
            true => update
                .update_expression("ADD kept :units SET #ttl = :ttl, moved = :moved")
                .expression_attribute_values(":moved", value(&true)),
        };
        let update = update.build().expect("an update has its table, key and expression");
        TransactWriteItem::builder().update(update).build()
    }

    /// The action that changes what orders of closed days keep of a pool.
    pub(super) fn balance_add(&self, tenant: &TenantId, name: &str, units: i128) -> TransactWriteItem {
        let update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::pool_balance(tenant, name).attributes()))
            .update_expression("ADD kept :units")
            .expression_attribute_values(":units", number(units));
        let update = update.build().expect("an update has its table, key and expression");
        TransactWriteItem::builder().update(update).build()
    }
}
