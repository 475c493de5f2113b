//! What orders keep of pools.

use crate::item::Item;
use crate::keys::DayList;
use crate::order_item::stored_order;
use crate::order_parts::HeldPart;
use crate::{Store, StoreError, StoredOrder, keys};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use futures_util::future::try_join_all;
use holdfast_domain::ids::{OrderId, TenantId};
use holdfast_domain::order::Order;
use holdfast_domain::pool::{Claim, PoolId, merged};
use jiff::{ToSpan, civil::Date};
use std::collections::BTreeMap;

/// The most actions of a transaction (Amazon DynamoDB, `TransactWriteItems`).
const ACTIONS_MAX: usize = 100;

/// How many orders of a shard are read at once.
const PAGE: i32 = 100;

/// How many shards of a day are looked at together while they may all be short.
const SHARDS_AT_ONCE: u8 = 16;

/// What an order's own item, or one of its parts, keeps: written and released in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keep {
    /// Units by pool. Allowances are not counted: they are forgotten some day.
    pub pools: BTreeMap<PoolId, u64>,
    claims: usize,
}

/// How many orders are read at once, and so in memory: an order may be as large as an item.
pub const ORDERS_AT_ONCE: usize = 25;

/// A page of a list, shard by shard and day by day.
#[derive(Debug)]
pub struct Seen {
    /// The orders, each with its position: to be read with [`Store::orders_at`]. May be empty although more follow.
    pub places: Vec<(String, OrderId)>,
    /// The position behind which the next page begins; none at the end.
    pub next: Option<String>,
}

/// A position in a list: a day, a shard of it, and a place in that shard.
struct Position {
    day: Date,
    shard: u8,
    place: String,
}

impl Position {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '#');
        let (day, shard) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self { day, shard, place: parts.next()?.to_owned() })
    }

    fn text(&self) -> String {
        format!("{}#{:02}#{}", self.day, self.shard, self.place)
    }

    /// The beginning of the next shard.
    fn next_shard(&self, shards: u8) -> Self {
        match self.shard + shards {
            keys::DAY_SHARDS.. => Self { day: self.day.saturating_add(1.day()), shard: 0, place: String::new() },
            shard => Self { day: self.day, shard, place: String::new() },
        }
    }
}

impl Keep {
    /// What these claims keep.
    pub fn of(claims: &[Claim]) -> Self {
        let mut pools = BTreeMap::new();
        for claim in claims.iter().filter(|claim| !matches!(claim.stripe.pool, PoolId::Allowance { .. })) {
            *pools.entry(claim.stripe.pool.clone()).or_default() += u64::from(claim.quantity);
        }
        Self { pools, claims: claims.len() }
    }

    /// What an order keeps without its parts.
    pub fn of_order(order: &Order) -> Self {
        Self::of(&order.all_claims())
    }

    /// What an order keeps without its parts, as its balance is to have it: units that went back to stock after its day was
    /// closed have left the balance already, so they are still counted.
    pub fn of_closed_order(order: &Order) -> Self {
        let late = order.lines.iter().flat_map(|line| {
            let sources = line.from.iter().filter(|source| source.restocked_late > 0);
            sources.map(|source| line.claim(source, source.restocked_late))
        });
        Self::of(&merged(order.all_claims().into_iter().chain(late)))
    }

    /// The same pools without a unit: to mark them, not to count.
    pub fn without_units(self) -> Self {
        Self { pools: self.pools.into_keys().map(|pool| (pool, 0)).collect(), ..self }
    }

    /// Whether it goes into the balances when its day is closed. What takes so many claims that its release would not fit
    /// a transaction with the balances does not: it is counted in every pass.
    pub fn goes_into_balance(&self) -> bool {
        1 + self.claims + self.pools.len() <= ACTIONS_MAX
    }
}

impl Store {
    /// A page of a tenant's list over some days, from behind a position.
    ///
    /// [`Store::list_of_tenant`] merges the shards of a day by time, for which it reads each of them for every page.
    ///
    /// # Errors
    /// When the table gives no answer.
    pub async fn orders_seen(
        &self,
        tenant: &TenantId,
        list: DayList,
        days: super::Span,
        after: Option<&str>,
    ) -> Result<Seen, StoreError> {
        let beginning = || Position { day: days.from, shard: 0, place: String::new() };
        let begin = after.and_then(Position::parse).unwrap_or_else(beginning);
        // Within a shard there are probably more of it; at the beginning of one, this and the next may well be empty.
        let left = keys::DAY_SHARDS.saturating_sub(begin.shard);
        let shards = if begin.place.is_empty() { SHARDS_AT_ONCE.min(left) } else { 1 };
        let asked = (0..shards).map(|ahead| {
            let place = if ahead == 0 { begin.place.as_str() } else { "" };
            self.shard_positions(keys::day_orders(tenant, list, begin.day, begin.shard + ahead), place)
        });
        let mut positions = Vec::new();
        let mut next = begin.next_shard(shards);
        for (ahead, (places, has_more)) in (0..).zip(try_join_all(asked).await?) {
            let at = |place| Position { day: begin.day, shard: begin.shard + ahead, place };
            let last = places.last().cloned().filter(|_| has_more);
            positions.extend(places.into_iter().map(at));
            if let Some(last) = last {
                next = at(last);
                break;
            }
            // A page is as large in a busy shop as in a quiet one: the shards behind are asked again.
            if positions.len() >= PAGE as usize {
                next = Position { day: begin.day, shard: begin.shard + ahead, place: String::new() }.next_shard(1);
                break;
            }
        }
        let placed = |position: Position| {
            let id = OrderId::parse(position.place.split_once('#')?.1).ok()?;
            Some((position.text(), id))
        };
        let places = positions.into_iter().filter_map(placed).collect();
        Ok(Seen { places, next: (next.day <= days.through).then(|| next.text()) })
    }

    /// Orders that were seen, each with its position, or what is wrong with its item: one that cannot be read holds up
    /// no other. Reading consistently costs twice as much: 1 read unit for each order of up to 4 KB.
    ///
    /// # Errors
    /// When the table gives no answer.
    pub async fn orders_at(
        &self,
        tenant: &TenantId,
        places: &[(String, OrderId)],
        consistent: bool,
    ) -> Result<Vec<(String, OrderId, Result<StoredOrder, StoreError>)>, StoreError> {
        let keys = places.iter().map(|(_, id)| keys::order(tenant, *id)).collect();
        let mut items = self.batch_get(keys, consistent).await?;
        let found = places.iter().filter_map(|(position, id)| {
            let item = items.remove(&keys::order(tenant, *id))?;
            Some((position.clone(), *id, stored_order(item)))
        });
        Ok(found.collect())
    }

    /// The places of a shard behind one, and whether there are more.
    async fn shard_positions(&self, partition: String, after: &str) -> Result<(Vec<String>, bool), StoreError> {
        let request = self
            .client
            .query()
            .table_name(&*self.table)
            .index_name(keys::GSI2)
            .key_condition_expression("gsi2pk = :partition AND gsisk > :after")
            .expression_attribute_values(":partition", AttributeValue::S(partition))
            .expression_attribute_values(
                ":after",
                AttributeValue::S(if after.is_empty() { " " } else { after }.to_owned()),
            )
            .limit(PAGE)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = self.timed(request.send()).await.map_err(StoreError::of)?;
        self.meter.count_reads(&output.consumed_capacity);
        let has_more = output.last_evaluated_key.is_some();
        let place = |item: Item| match item.get("gsisk") {
            Some(AttributeValue::S(place)) => Some(place.clone()),
            _ => None,
        };
        Ok((output.items.unwrap_or_default().into_iter().filter_map(place).collect(), has_more))
    }

    /// What the parts of an order keep, by their own state, whatever the order says. Those of all attempts.
    ///
    /// # Errors
    /// When the table gives no answer, or an item is not readable.
    pub async fn order_parts_held(&self, order: &Order) -> Result<Vec<HeldPart>, StoreError> {
        match order.parts {
            None => Ok(Vec::new()),
            Some(_) => self.parts_held(order).await,
        }
    }
}
