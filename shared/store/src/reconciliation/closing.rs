//! Days that are closed, and releases that come after.

use super::keeping::Keep;
use super::pass::ReconcilePass;
use crate::item::{self, Item};
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, TransactWriteItem, Update};
use holdfast_domain::ids::TenantId;
use holdfast_domain::order::Order;
use holdfast_domain::pool::Claim;
use jiff::{SignedDuration, Timestamp, ToSpan, civil::Date};
use serde::Deserialize;

/// How many days lie between the day of a pass and the last day that it closes: longer than an order waits to be paid
/// (a day), and than what is asked of a release below by a day, in case clocks differ.
pub const CLOSING_AGE_DAYS: i64 = 4;

/// Until which age of its order a release need not ask whether the day is closed.
const SURELY_OPEN: SignedDuration = SignedDuration::from_hours(48);

/// The first day that any order can have been placed on: that of the first release.
const FIRST_DAY: Date = jiff::civil::date(2026, 1, 1);

/// Days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub from: Date,
    /// The last.
    pub through: Date,
}

/// How a release enters into the balances.
#[derive(Debug)]
pub(crate) enum ReleaseEntry {
    /// Not at all: its order is in no balance, now and when the release is written.
    None,
    /// Not at all if the day is still open by then.
    IfOpen(Date),
    /// The day is closed: the units leave the balances of their pools.
    Closed(Keep),
}

#[derive(Deserialize)]
struct HorizonItem {
    through: Date,
}

impl Store {
    /// The first day of a tenant that is not closed.
    ///
    /// # Errors
    /// When the table gives no answer, or the item is not readable.
    pub async fn first_open_day(&self, tenant: &TenantId) -> Result<Date, StoreError> {
        let through = self.closed_through(tenant).await?;
        Ok(through.map_or(FIRST_DAY, |through| through.saturating_add(1.day())))
    }

    async fn closed_through(&self, tenant: &TenantId) -> Result<Option<Date>, StoreError> {
        let read = |item: Item| Ok(item::read::<HorizonItem>(item)?.through);
        self.get(keys::horizon(tenant)).await?.map(read).transpose()
    }

    /// Closes a tenant's days up to `span.through` and moves the pass on to their counting, in one transaction. From then
    /// on, releases of their orders take what they give back from the balances.
    ///
    /// # Errors
    /// As [`Store::reconcile_note`].
    pub async fn days_close(&self, pass: &mut ReconcilePass, tenant: &TenantId, span: Span) -> Result<(), StoreError> {
        let update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::horizon(tenant).attributes()))
            .update_expression("SET through = :through")
            .condition_expression("attribute_not_exists(through) OR through < :through")
            .expression_attribute_values(":through", day(span.through));
        let update = update.build().expect("an update has its table, key and expression");
        self.pass_moved(pass, vec![TransactWriteItem::builder().update(update).build()]).await
    }

    /// How the release of what an order's own item claims enters into the balances, at `at`. 1 read unit for an order
    /// that was placed two days ago or earlier, none for others.
    pub(crate) async fn release_entry(
        &self,
        order: &Order,
        claims: &[Claim],
        at: Timestamp,
    ) -> Result<ReleaseEntry, StoreError> {
        let keep = Keep::of(claims);
        // What is in no balance as a whole is not taken from one in part.
        let carried = !Keep::of_order(order).goes_into_balance();
        if carried
            || is_surely_open(order, at)
            || !order.was_placed()
            || keep.pools.is_empty()
            || !keep.goes_into_balance()
        {
            return Ok(ReleaseEntry::None);
        }
        let placed_on = keys::day_of(order.placed_at);
        match self.closed_through(&order.tenant).await? {
            Some(through) if placed_on <= through => Ok(ReleaseEntry::Closed(keep)),
            _ => Ok(ReleaseEntry::IfOpen(placed_on)),
        }
    }

    /// The actions by which a release enters into the balances, beside the change of the order's own item.
    pub(crate) fn release_actions(&self, tenant: &TenantId, entry: &ReleaseEntry) -> Vec<TransactWriteItem> {
        match entry {
            ReleaseEntry::None => Vec::new(),
            ReleaseEntry::IfOpen(placed_on) => {
                let check = ConditionCheck::builder()
                    .table_name(&*self.table)
                    .set_key(Some(keys::horizon(tenant).attributes()))
                    .condition_expression("attribute_not_exists(through) OR through < :day")
                    .expression_attribute_values(":day", day(*placed_on));
                let check = check.build().expect("a check has its table, key and condition");
                vec![TransactWriteItem::builder().condition_check(check).build()]
            }
            ReleaseEntry::Closed(keep) => self.balance_without(tenant, keep),
        }
    }

    /// The actions that take what is given back from the balances.
    pub(crate) fn balance_without(&self, tenant: &TenantId, keep: &Keep) -> Vec<TransactWriteItem> {
        self.balance_changed(tenant, keep, -1)
    }

    /// The actions that enter what is kept into the balances.
    pub(crate) fn balance_with(&self, tenant: &TenantId, keep: &Keep) -> Vec<TransactWriteItem> {
        self.balance_changed(tenant, keep, 1)
    }

    fn balance_changed(&self, tenant: &TenantId, keep: &Keep, sign: i128) -> Vec<TransactWriteItem> {
        let named = keep.pools.iter().filter_map(|(pool, units)| Some((keys::pool_name(pool)?, units)));
        named.map(|(name, units)| self.balance_add(tenant, &name, sign * i128::from(*units))).collect()
    }
}

impl ReleaseEntry {
    /// Whether the order is to be marked: whoever closes its day then counts it as if it still kept its units.
    pub(crate) fn is_late(&self) -> bool {
        matches!(self, Self::Closed(_))
    }
}

/// Whether the day of an order cannot be closed while something is written that was decided at `at`.
pub(super) fn is_surely_open(order: &Order, at: Timestamp) -> bool {
    order.placed_at.saturating_add(SURELY_OPEN).unwrap_or(Timestamp::MAX) > at
}

fn day(day: Date) -> AttributeValue {
    AttributeValue::S(day.to_string())
}
