//! Coupons, and the pools of their uses.

use crate::coupon_item::{coupon_item, coupon_of};
use crate::item::{self, Item, number};
use crate::transact::{Refused, cancelled, is_condition};
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use holdfast_domain::ids::{CouponCode, TenantId};
use holdfast_domain::pool::{PoolId, StripeId, StripeNumber};
use holdfast_domain::terms::coupon::Coupon;
use serde::Serialize;
use std::cmp::Reverse;

/// The most stripes that a coupon's uses begin with: they are made in the coupon's own transaction.
pub const COUPON_STRIPES_MAX: StripeNumber = 64;

/// The most stripes that uses are taken from at once: as many as fit a transaction with the coupon and its header.
const TAKEN_FROM_MAX: usize = 98;

/// What came of writing a coupon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CouponPut {
    /// It is new.
    Created(Coupon),
    /// It is as given now, and no order is placed by its earlier terms any more.
    Replaced(Coupon),
    /// It was to have fewer uses by more than are free. Nothing was written.
    UsesTaken {
        /// How many uses it has now.
        total_uses: u32,
        /// How many of them can be taken away.
        free: u64,
    },
}

/// The header of a coupon's pool.
#[derive(Serialize)]
struct PoolItem {
    pk: String,
    sk: String,
    stripes: StripeNumber,
    received: u64,
}

/// A stripe of a coupon's pool; its price version is the coupon's version.
#[derive(Serialize)]
struct StripeItem {
    pk: String,
    sk: String,
    available: u64,
    price_version: u64,
    version: u64,
}

/// Uses added to a stripe, or taken from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shift {
    stripe: StripeNumber,
    uses: i64,
}

impl Store {
    /// Reads a coupon, consistently.
    ///
    /// # Errors
    /// When the table gives no answer, or the item is not readable.
    pub async fn coupon_read(&self, tenant: &TenantId, code: &CouponCode) -> Result<Option<Coupon>, StoreError> {
        let item = self.get(keys::coupon(tenant, code)).await?;
        item.map(|item| coupon_of(code, item)).transpose()
    }

    /// How many uses of a coupon are free: those of all stripes, each read consistently.
    ///
    /// # Errors
    /// As [`Store::coupon_read`].
    pub async fn coupon_remaining(&self, tenant: &TenantId, code: &CouponCode) -> Result<u64, StoreError> {
        Ok(self.coupon_levels(tenant, code).await?.into_iter().map(|(_, available)| available).sum())
    }

    /// Creates or replaces a coupon, whose version is counted here.
    ///
    /// A new one gets its uses in `stripes` stripes (1 to [`COUPON_STRIPES_MAX`]); they count only then. Uses are added
    /// to a coupon, or taken from it, in the transaction that writes it; then every stripe is raised to its version.
    /// When this returns, no claim counted by earlier terms succeeds any more. Repeating it after a failure finishes
    /// what was left.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another write of the coupon or of its stripes came between; otherwise as for any
    /// write.
    pub async fn coupon_put(
        &self,
        tenant: &TenantId,
        coupon: Coupon,
        stripes: StripeNumber,
    ) -> Result<CouponPut, StoreError> {
        let Some(before) = self.coupon_read(tenant, &coupon.code).await? else {
            let coupon = Coupon { version: 1, ..coupon };
            self.coupon_write(self.coupon_creation(tenant, &coupon, stripes)).await?;
            return Ok(CouponPut::Created(coupon));
        };
        let after = Coupon { version: before.version + 1, ..coupon };
        let mut writes = vec![self.coupon_replacement(tenant, &after)];
        if after.total_uses != before.total_uses {
            let levels = self.coupon_levels(tenant, &after.code).await?;
            if levels.is_empty() {
                // Uses that no stripe has would be lost.
                return Err(StoreError::Conflict);
            }
            match shifts(before.total_uses, after.total_uses, levels) {
                Ok(shifts) => writes.extend(self.uses_shifted(tenant, &after, &shifts)),
                Err(free) => {
                    // What was read of the stripes is what is left of `before` only if nobody changed it meanwhile.
                    let now = self.coupon_read(tenant, &after.code).await?;
                    return match now.is_some_and(|now| now.version == before.version) {
                        true => Ok(CouponPut::UsesTaken { total_uses: before.total_uses, free }),
                        false => Err(StoreError::Conflict),
                    };
                }
            }
        }
        self.coupon_write(writes).await?;
        let stripes = self.coupon_stripes(tenant, &after.code).await?.into_iter();
        let stripes = stripes.map(|number| keys::stripe(tenant, &stripe_id(&after.code, number)));
        self.stripes_raise(stripes.collect(), after.version).await?;
        Ok(CouponPut::Replaced(after))
    }

    async fn coupon_write(&self, writes: Vec<TransactWriteItem>) -> Result<(), StoreError> {
        match self.transact(writes).await {
            Ok(()) => Ok(()),
            Err(Refused::Other(error)) => Err(error),
            Err(Refused::Cancelled(reasons)) if reasons.iter().any(is_condition) => Err(StoreError::Conflict),
            Err(Refused::Cancelled(reasons)) => Err(cancelled(&reasons)),
        }
    }

    /// The stripes' numbers, as the header counts them.
    async fn coupon_stripes(&self, tenant: &TenantId, code: &CouponCode) -> Result<Vec<StripeNumber>, StoreError> {
        let stripes = self.pool_stripes(tenant, &pool(code)).await?;
        Ok((0..stripes.unwrap_or_default()).collect())
    }

    /// How many uses each stripe has.
    async fn coupon_levels(
        &self,
        tenant: &TenantId,
        code: &CouponCode,
    ) -> Result<Vec<(StripeNumber, u64)>, StoreError> {
        let stripes = self.coupon_stripes(tenant, code).await?;
        let levels = self.stripe_levels(tenant, &pool(code), &stripes).await?;
        Ok(levels.into_iter().map(|level| (level.stripe.number, level.available)).collect())
    }

    fn coupon_creation(&self, tenant: &TenantId, coupon: &Coupon, stripes: StripeNumber) -> Vec<TransactWriteItem> {
        let uses = u64::from(coupon.total_uses);
        let keys::Key { pk, sk } = header_key(tenant, &coupon.code);
        let mut header = item::written(&PoolItem { pk, sk, stripes, received: uses });
        // Enters the pool in the list of its tenant's pools.
        let name = keys::pool_name(&PoolId::Coupon { code: coupon.code.clone() }).unwrap_or_default();
        header.insert("gsi1pk".to_owned(), AttributeValue::S(keys::pools(tenant)));
        header.insert("gsisk".to_owned(), AttributeValue::S(name));
        let count = u64::from(stripes);
        let stripe = |stripe: StripeNumber| {
            let keys::Key { pk, sk } = keys::stripe(tenant, &stripe_id(&coupon.code, stripe));
            let available = uses / count + u64::from(u64::from(stripe) < uses % count);
            item::written(&StripeItem { pk, sk, available, price_version: coupon.version, version: 1 })
        };
        let items = [coupon_item(tenant, coupon), header].into_iter().chain((0..stripes).map(stripe));
        let put = |item: Item| self.coupon_item_put(item).condition_expression("attribute_not_exists(pk)");
        items.map(|item| built(put(item))).collect()
    }

    fn coupon_replacement(&self, tenant: &TenantId, after: &Coupon) -> TransactWriteItem {
        let put = self.coupon_item_put(coupon_item(tenant, after));
        let before = number(after.version - 1);
        built(put.condition_expression("version = :before").expression_attribute_values(":before", before))
    }

    fn coupon_item_put(&self, item: Item) -> aws_sdk_dynamodb::types::builders::PutBuilder {
        Put::builder().table_name(&*self.table).set_item(Some(item))
    }

    /// The updates of the header and of the stripes. A stripe's terms are raised at the same time.
    fn uses_shifted(&self, tenant: &TenantId, after: &Coupon, shifts: &[Shift]) -> Vec<TransactWriteItem> {
        let update = |key: keys::Key, expression: &str| {
            Update::builder().table_name(&*self.table).set_key(Some(key.attributes())).update_expression(expression)
        };
        let header = update(header_key(tenant, &after.code), "SET received = :uses")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":uses", number(after.total_uses));
        let stripe = |shift: &Shift| {
            let key = keys::stripe(tenant, &stripe_id(&after.code, shift.stripe));
            let terms = "price_version = :terms, version = version + :one";
            // What is missing is no stripe any more, or was claimed since it was read.
            update(key, &format!("SET available = available + :uses, {terms}"))
                .condition_expression("attribute_exists(pk) AND available >= :least")
                .expression_attribute_values(":uses", number(shift.uses))
                .expression_attribute_values(":least", number((-shift.uses).max(0)))
                .expression_attribute_values(":terms", number(after.version))
                .expression_attribute_values(":one", number(1))
        };
        let updates = std::iter::once(header).chain(shifts.iter().map(stripe));
        let updates = updates.map(|update| update.build().expect("an update has its table, key and expression"));
        updates.map(|update| TransactWriteItem::builder().update(update).build()).collect()
    }
}

fn pool(code: &CouponCode) -> PoolId {
    PoolId::Coupon { code: code.clone() }
}

fn header_key(tenant: &TenantId, code: &CouponCode) -> keys::Key {
    keys::pool_header(tenant, &pool(code)).expect("the pool of a coupon has a header")
}

fn stripe_id(code: &CouponCode, number: StripeNumber) -> StripeId {
    StripeId { pool: pool(code), number }
}

fn built(put: aws_sdk_dynamodb::types::builders::PutBuilder) -> TransactWriteItem {
    TransactWriteItem::builder().put(put.build().expect("a put has its table and item")).build()
}

/// From where to where a coupon's uses go when their number changes: new ones to the emptiest stripe, those taken away
/// from the fullest. Few stripes are touched, since claims on them meet the change.
///
/// # Errors
/// How many uses can be taken away, when that is too few.
fn shifts(before: u32, after: u32, mut levels: Vec<(StripeNumber, u64)>) -> Result<Vec<Shift>, u64> {
    let change = i64::from(after) - i64::from(before);
    if change >= 0 {
        let emptiest = levels.iter().min_by_key(|(stripe, available)| (*available, *stripe));
        return Ok(emptiest.map(|(stripe, _)| Shift { stripe: *stripe, uses: change }).into_iter().collect());
    }
    levels.sort_by_key(|(stripe, available)| (Reverse(*available), *stripe));
    levels.truncate(TAKEN_FROM_MAX);
    let free = levels.iter().map(|(_, available)| available).sum();
    let mut missing = change.unsigned_abs();
    if free < missing {
        return Err(free);
    }
    let mut shifts = Vec::new();
    for (stripe, available) in levels {
        let taken = missing.min(available);
        if taken > 0 {
            // A coupon has fewer uses than an i64 holds.
            shifts.push(Shift { stripe, uses: -i64::try_from(taken).unwrap_or(i64::MAX) });
            missing -= taken;
        }
    }
    Ok(shifts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shift(stripe: StripeNumber, uses: i64) -> Shift {
        Shift { stripe, uses }
    }

    #[test]
    fn new_uses_go_to_the_emptiest_stripe_and_come_from_the_fullest() {
        let levels = || vec![(0, 5), (1, 2), (2, 7), (3, 2)];
        assert_eq!(shifts(20, 30, levels()), Ok(vec![shift(1, 10)]));
        assert_eq!(shifts(20, 14, levels()), Ok(vec![shift(2, -6)]));
        assert_eq!(shifts(20, 6, levels()), Ok(vec![shift(2, -7), shift(0, -5), shift(1, -2)]));
        assert_eq!(shifts(20, 4, levels()), Ok(vec![shift(2, -7), shift(0, -5), shift(1, -2), shift(3, -2)]));
        assert_eq!(shifts(20, 3, levels()), Err(16));
    }

    #[test]
    fn no_more_stripes_are_taken_from_than_fit_a_transaction() {
        let levels: Vec<_> = (0..1_024).map(|stripe| (stripe, 1)).collect();
        assert_eq!(shifts(2_000, 1_902, levels.clone()).unwrap().len(), 98);
        assert_eq!(shifts(2_000, 1_901, levels), Err(98));
    }
}
