//! The orders of a span of time, oldest first: the shards of each day are merged while they are read.
//!
//! A page of every shard is in memory, of which each holds some 50 bytes an order, and no more: it costs the same read
//! units as reading shard after shard, and an order's place in time is then the place in the whole walk.

use crate::order_item::stored_order;
use crate::orders_list::position_order;
use crate::stock::BATCH_GET_MAX;
use crate::{Store, StoreError, StoredOrder, keys};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use futures_util::future::try_join_all;
use holdfast_domain::ids::{OrderId, TenantId};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use std::collections::VecDeque;

/// How many positions of a shard are read at once.
const SHARD_PAGE: i32 = 250;

/// The most orders of one step of a walk: what one call reads of the table (Amazon DynamoDB, `BatchGetItem`).
pub const PLACES_MAX: usize = BATCH_GET_MAX;

/// A walk over the orders that a tenant placed in a span.
pub struct OrderWalk {
    store: Store,
    tenant: TenantId,
    /// The first position after the span.
    end: String,
    last: Date,
    day: Option<Date>,
    shards: Vec<Shard>,
    /// Everything up to here was given out.
    through: String,
}

/// Places of orders in a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderPlaces {
    /// Oldest first; at most [`PLACES_MAX`], and none on a day without orders.
    pub orders: Vec<(String, OrderId)>,
    /// The position up to which they are all there are.
    pub through: String,
}

/// An order at its place, or what is wrong with its item.
pub type FoundOrder = (String, OrderId, Result<StoredOrder, StoreError>);

/// What was read of a shard and not given out.
#[derive(Default)]
struct Shard {
    places: VecDeque<String>,
    /// The last position that was read.
    read: Option<String>,
    at_end: bool,
}

impl OrderWalk {
    /// The next places; none at the end of the span.
    ///
    /// # Errors
    /// When the table gives no answer: a new walk may begin behind the last places.
    pub async fn next(&mut self) -> Result<Option<OrderPlaces>, StoreError> {
        let Some(day) = self.day else { return Ok(None) };
        let mut orders = Vec::new();
        while orders.len() < PLACES_MAX {
            if self.shards.iter().any(Shard::is_dry) {
                // What was found meanwhile is on its way before more is read.
                if !orders.is_empty() {
                    break;
                }
                self.fill(day).await?;
            }
            let Some(position) = self.pop() else { break };
            self.through.clone_from(&position);
            orders.extend(position_order(&position).map(|id| (position, id)));
        }
        if self.shards.iter().all(|shard| shard.at_end && shard.places.is_empty()) {
            self.end_day(day);
        }
        Ok(Some(OrderPlaces { orders, through: self.through.clone() }))
    }

    /// Takes the oldest place of all shards.
    fn pop(&mut self) -> Option<String> {
        let shards = self.shards.iter_mut().filter(|shard| !shard.places.is_empty());
        shards.min_by(|one, other| one.places.front().cmp(&other.places.front()))?.places.pop_front()
    }

    /// Reads on in every shard of which not much is left.
    async fn fill(&mut self, day: Date) -> Result<(), StoreError> {
        let (store, tenant, through, end) = (&self.store, &self.tenant, &self.through, &self.end);
        let low = |shard: &Shard| !shard.at_end && shard.places.len() <= SHARD_PAGE as usize / 2;
        let pages = (0..).zip(&mut self.shards).filter(|(_, shard)| low(shard)).map(|(number, shard)| async move {
            let partition = keys::day_orders(tenant, keys::DayList::Orders, day, number);
            let after = shard.read.as_deref().unwrap_or(through);
            let (places, has_more) = store.shard_between(partition, after, end).await?;
            shard.read = places.last().cloned().or(shard.read.take());
            shard.at_end = !has_more;
            shard.places.extend(places);
            Ok(())
        });
        try_join_all(pages).await.map(|_| ())
    }

    /// Goes on to the next day, if there is one.
    fn end_day(&mut self, day: Date) {
        let next = day.saturating_add(1.day());
        self.day = (next <= self.last && next > day).then_some(next);
        self.shards = shards();
        let midnight = next.to_zoned(TimeZone::UTC).map(|midnight| keys::instant(midnight.timestamp()));
        let midnight = midnight.unwrap_or_else(|_| self.end.clone());
        self.through = midnight.min(self.end.clone());
    }
}

impl Shard {
    /// Whether it is not known which of its places comes next.
    fn is_dry(&self) -> bool {
        self.places.is_empty() && !self.at_end
    }
}

fn shards() -> Vec<Shard> {
    (0..keys::DAY_SHARDS).map(|_| Shard::default()).collect()
}

impl Store {
    /// A walk over the orders that a tenant placed from an instant on until before another, or over what is left of them
    /// behind a position of an earlier walk.
    pub fn order_walk(&self, tenant: &TenantId, from: Timestamp, to: Timestamp, after: Option<&str>) -> OrderWalk {
        let through = after.map_or_else(|| keys::instant(from), str::to_owned);
        let reached = through.split('#').next().and_then(|digits| digits.parse().ok());
        let reached = reached.and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(from);
        let last = keys::day_of(to.saturating_sub(1.millisecond()).unwrap_or(to));
        let day = keys::day_of(reached);
        OrderWalk {
            store: self.clone(),
            tenant: tenant.clone(),
            end: keys::instant(to),
            last,
            day: (reached < to && day <= last).then_some(day),
            shards: shards(),
            through,
        }
    }

    /// The orders at some places, in their order, without the lines of those in parts. One that the first read does not
    /// find is read again consistently, since it was in the index; one that cannot be read holds up no other. Half a read
    /// unit for each order of up to 4 KB.
    ///
    /// # Errors
    /// When the table gives no answer.
    pub async fn orders_found(
        &self,
        tenant: &TenantId,
        places: Vec<(String, OrderId)>,
    ) -> Result<Vec<FoundOrder>, StoreError> {
        let key = |id: &OrderId| keys::order(tenant, *id);
        let mut items = self.batch_get(places.iter().map(|(_, id)| key(id)).collect(), false).await?;
        if items.len() < places.len() {
            let missing: Vec<_> = places.iter().map(|(_, id)| key(id)).filter(|key| !items.contains_key(key)).collect();
            items.extend(self.batch_get(missing, true).await?);
        }
        let found = places.into_iter().filter_map(|(position, id)| {
            let item = items.remove(&key(&id))?;
            Some((position, id, stored_order(item)))
        });
        Ok(found.collect())
    }

    /// The places of a shard behind `after` and before `end`, and whether there are more.
    async fn shard_between(
        &self,
        partition: String,
        after: &str,
        end: &str,
    ) -> Result<(Vec<String>, bool), StoreError> {
        if after >= end {
            return Ok((Vec::new(), false));
        }
        // BETWEEN includes both ends. Nothing is at `end`, which is an instant alone; what is at `after` is left out.
        let request = self
            .client
            .query()
            .table_name(&*self.table)
            .index_name(keys::GSI2)
            .key_condition_expression("gsi2pk = :partition AND gsisk BETWEEN :after AND :end")
            .expression_attribute_values(":partition", AttributeValue::S(partition))
            .expression_attribute_values(":after", AttributeValue::S(after.to_owned()))
            .expression_attribute_values(":end", AttributeValue::S(end.to_owned()))
            .limit(SHARD_PAGE)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = self.timed(request.send()).await.map_err(StoreError::of)?;
        self.meter.count_reads(&output.consumed_capacity);
        let has_more = output.last_evaluated_key.is_some();
        let place = |mut item: crate::item::Item| match item.remove("gsisk") {
            Some(AttributeValue::S(place)) => Some(place),
            _ => None,
        };
        let places = output.items.unwrap_or_default().into_iter().filter_map(place);
        Ok((places.filter(|place| place != after).collect(), has_more))
    }
}
