//! Reading pools, and judging them.

use super::tally::CHECK_KEPT;
use crate::item::{self, Item, number};
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use holdfast_domain::ids::TenantId;
use holdfast_domain::pool::{PoolId, StripeId, StripeNumber};
use jiff::Timestamp;
use serde::Deserialize;

/// How many pools are listed at once.
const PAGE: i32 = 100;

/// A pool of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPool {
    /// Which.
    pub pool: PoolId,
    /// Its name: the position in the list.
    pub name: String,
}

/// A page of a tenant's pools.
#[derive(Debug)]
pub struct PoolList {
    /// By name.
    pub pools: Vec<ListedPool>,
    /// Where the next page begins; none at the end.
    pub next: Option<String>,
}

/// What came of looking at a pool twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Units that ever came.
    pub received: i64,
    /// Units that are free to claim.
    pub available: i64,
    /// Units that orders keep, in open and closed days.
    pub kept: i64,
    /// Whether a stripe is below zero.
    pub below_zero: bool,
    /// What that means.
    pub outcome: Outcome,
}

/// What a verdict means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is accounted for.
    Balanced,
    /// The pool changed meanwhile, so nothing can be said.
    Unsettled,
    /// So many units are missing (or, below zero, too many), for the first time.
    Suspected(i64),
    /// At least so many units are missing (or too many), now and when it was judged before.
    Drifting(i64),
}

#[derive(Deserialize)]
struct HeaderItem {
    stripes: StripeNumber,
    received: Option<i64>,
    #[serde(default)]
    shape: u64,
}

#[derive(Deserialize)]
struct StripeItem {
    available: i64,
    version: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CheckItem {
    pass_at: i64,
    mark: String,
    kept: i64,
    moved: bool,
    drift: i64,
    drift_at: i64,
    /// The drift before that.
    drift_before: i64,
}

#[derive(Deserialize)]
struct BalanceItem {
    kept: i64,
}

/// A pool when it was read.
struct Reading {
    received: Option<i64>,
    available: i64,
    below_zero: bool,
    /// Equal for two readings only if no stripe changed, came or went between them, and nothing was received.
    mark: String,
}

impl Store {
    /// A page of a tenant's pools behind a name.
    ///
    /// # Errors
    /// When the table gives no answer.
    pub async fn pools_listed(&self, tenant: &TenantId, after: Option<&str>) -> Result<PoolList, StoreError> {
        let request = self
            .client
            .query()
            .table_name(&*self.table)
            .index_name(keys::GSI1)
            .key_condition_expression("gsi1pk = :pools AND gsisk > :after")
            .expression_attribute_values(":pools", AttributeValue::S(keys::pools(tenant)))
            .expression_attribute_values(":after", AttributeValue::S(after.unwrap_or(" ").to_owned()))
            .limit(PAGE)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = self.timed(request.send()).await.map_err(StoreError::of)?;
        self.meter.count_reads(&output.consumed_capacity);
        let more = output.last_evaluated_key.is_some();
        let name = |item: Item| match item.get("gsisk") {
            Some(AttributeValue::S(name)) => Some(name.clone()),
            _ => None,
        };
        let names: Vec<_> = output.items.unwrap_or_default().into_iter().filter_map(name).collect();
        let next = names.last().cloned().filter(|_| more);
        let listed = |name: String| Some(ListedPool { pool: keys::parse_pool_name(&name)?, name });
        Ok(PoolList { pools: names.into_iter().filter_map(listed).collect(), next })
    }

    /// Notes how a pool is before what orders keep of it is counted. Repeating it in the same pass changes nothing.
    ///
    /// # Errors
    /// When the table gives no answer, or an item is not readable.
    pub async fn pool_open(
        &self,
        tenant: &TenantId,
        listed: &ListedPool,
        pass_at: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(reading) = self.pool_reading(tenant, &listed.pool).await? else { return Ok(()) };
        let forget_at = pass_at.saturating_add(CHECK_KEPT).unwrap_or(Timestamp::MAX).as_second();
        let update = self
            .check_update(tenant, listed, pass_at)
            .update_expression("SET pass_at = :pass_at, mark = :mark, kept = :zero, #ttl = :ttl REMOVE moved")
            .condition_expression("attribute_not_exists(pass_at) OR pass_at < :pass_at")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":mark", AttributeValue::S(reading.mark))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":ttl", number(forget_at));
        self.check_write(update).await
    }

    /// Reads a pool again and judges it, if it is as it was when the pass opened it and all orders were counted;
    /// remembers what is missing.
    ///
    /// # Errors
    /// As [`Store::pool_open`].
    pub async fn pool_judge(
        &self,
        tenant: &TenantId,
        listed: &ListedPool,
        pass_at: Timestamp,
        all_counted: bool,
    ) -> Result<Option<Verdict>, StoreError> {
        let check: CheckItem = match self.get(keys::pool_check(tenant, &listed.name)).await? {
            Some(item) => item::read(item)?,
            None => CheckItem::default(),
        };
        let balance = self.get(keys::pool_balance(tenant, &listed.name)).await?;
        let balance = balance.map(item::read::<BalanceItem>).transpose()?.map_or(0, |balance| balance.kept);
        let Some(reading) = self.pool_reading(tenant, &listed.pool).await? else { return Ok(None) };
        let kept = check.kept + balance;
        let received = reading.received.unwrap_or_default();
        let drift = received - reading.available - kept;
        let opened = check.pass_at == pass_at.as_millisecond();
        let settled = all_counted && opened && !check.moved && check.mark == reading.mark && reading.received.is_some();
        // The same judgement, repeated after a failure, is no second sight.
        let earlier = if check.drift_at < check.pass_at { check.drift } else { check.drift_before };
        let outcome = match (settled, drift) {
            (false, _) => Outcome::Unsettled,
            (true, 0) => Outcome::Balanced,
            // A leak may grow from pass to pass: what was missing both times is certain.
            (true, drift) if earlier.signum() == drift.signum() => {
                Outcome::Drifting(if earlier.abs() < drift.abs() { earlier } else { drift })
            }
            (true, drift) => Outcome::Suspected(drift),
        };
        if settled && check.drift != drift {
            self.drift_write(tenant, listed, pass_at, drift, earlier).await?;
        }
        Ok(Some(Verdict { received, available: reading.available, kept, below_zero: reading.below_zero, outcome }))
    }

    async fn drift_write(
        &self,
        tenant: &TenantId,
        listed: &ListedPool,
        pass_at: Timestamp,
        drift: i64,
        before: i64,
    ) -> Result<(), StoreError> {
        let update = self
            .check_update(tenant, listed, pass_at)
            .update_expression("SET drift = :drift, drift_at = :pass_at, drift_before = :before")
            .condition_expression("pass_at = :pass_at")
            .expression_attribute_values(":drift", number(drift))
            .expression_attribute_values(":before", number(before));
        self.check_write(update).await
    }

    fn check_update(&self, tenant: &TenantId, listed: &ListedPool, pass_at: Timestamp) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(keys::pool_check(tenant, &listed.name).attributes()))
            .expression_attribute_values(":pass_at", number(pass_at.as_millisecond()))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
    }

    /// Writes a check unless it is of another pass by now, which then judges.
    async fn check_write(&self, update: UpdateItemFluentBuilder) -> Result<(), StoreError> {
        self.applied(update.send(), |output| &output.consumed_capacity).await.map(|_| ())
    }

    /// The header first: what is received after it changes a stripe, too. None when there is no such pool.
    async fn pool_reading(&self, tenant: &TenantId, pool: &PoolId) -> Result<Option<Reading>, StoreError> {
        let Some(key) = keys::pool_header(tenant, pool) else { return Ok(None) };
        let Some(header) = self.get(key).await? else { return Ok(None) };
        let header: HeaderItem = item::read(header)?;
        let key = |number| keys::stripe(tenant, &StripeId { pool: pool.clone(), number });
        let keys: Vec<_> = (0..header.stripes).map(key).collect();
        let mut items = self.batch_get(keys.clone(), true).await?;
        let mut reading = Reading { received: header.received, available: 0, below_zero: false, mark: String::new() };
        let mut hash = Fnv::new();
        hash.add(&header.received.unwrap_or_default().to_be_bytes());
        hash.add(&header.shape.to_be_bytes());
        for (number, key) in (0..header.stripes).zip(keys) {
            let Some(item) = items.remove(&key) else { continue };
            let stripe: StripeItem = item::read(item)?;
            reading.available += stripe.available;
            reading.below_zero |= stripe.available < 0;
            hash.add(&number.to_be_bytes());
            hash.add(&stripe.version.to_be_bytes());
        }
        reading.mark = format!("{:032x}", hash.0);
        Ok(Some(reading))
    }
}

/// FNV-1a of 128 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>): the versions of 1,024 stripes in 32 characters.
struct Fnv(u128);

impl Fnv {
    fn new() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }
}
