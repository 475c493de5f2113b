//! Lists of orders by time: a customer's, or a day's.
//!
//! The indices carry keys only, so that placing an order pays one unit for each. A page is one query (for a day, one a
//! shard, at the same time) and one batch of reads: never a read an order.

use crate::keys::DayList;
use crate::order_item::stored_order;
use crate::stock::BATCH_GET_MAX;
use crate::{Store, StoreError, StoredOrder, keys};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use futures_util::future::try_join_all;
use holdfast_domain::ids::{CustomerId, OrderId, TenantId};
use holdfast_domain::order::OrderState;
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};

/// How many index pages, and as many batches of orders, one call reads before it gives back what it found, so that a rare state cannot hold it up.
const ROUNDS_MAX: usize = 8;

/// How many days one call of a tenant's list visits, each of [`keys::DAY_SHARDS`] queries, before it gives back what
/// it found.
const DAYS_MAX: usize = 7;

/// Which orders to list, newest first.
#[derive(Debug, Clone)]
pub struct ListRange {
    /// From this instant on.
    pub from: Timestamp,
    /// Until before this instant.
    pub to: Timestamp,
    /// Only orders in this state.
    pub state: Option<OrderState>,
    /// At most so many, 1 to 100.
    pub limit: usize,
    /// Only orders that stand behind this position of an earlier page.
    pub after: Option<String>,
}

/// A page of orders.
#[derive(Debug)]
pub struct Page {
    /// Newest first. May be shorter than asked for, or empty, although more follow: see `next`.
    pub orders: Vec<StoredOrder>,
    /// The position to go on from; none at the end.
    pub next: Option<String>,
    /// What is wrong with orders of the page that could not be read.
    pub unreadable: Vec<StoreError>,
}

impl Page {
    fn readable(mut self) -> Result<Self, StoreError> {
        self.unreadable.pop().map_or(Ok(self), Err)
    }
}

impl Store {
    /// The orders of a customer. Those in parts come without their lines.
    ///
    /// # Errors
    /// When the table gives no answer, or an item is not readable.
    pub async fn orders_of_customer(
        &self,
        tenant: &TenantId,
        customer: &CustomerId,
        range: &ListRange,
    ) -> Result<Page, StoreError> {
        let index = (keys::GSI1, "gsi1pk", keys::customer_orders(tenant, customer));
        let mut page = Page { orders: Vec::new(), next: range.after.clone(), unreadable: Vec::new() };
        for _ in 0..ROUNDS_MAX {
            let upper = page.next.clone().unwrap_or_else(|| keys::instant(range.to));
            let positions = self.positions(&index, range.from, &upper, range.limit).await?;
            let at_end = positions.len() < range.limit;
            if self.fill(tenant, range, positions, &mut page).await? {
                return page.readable();
            }
            if at_end {
                page.next = None;
                return page.readable();
            }
        }
        page.readable()
    }

    /// The orders of a tenant, by day. Those in parts come without their lines.
    ///
    /// # Errors
    /// When the table gives no answer, or an item is not readable.
    pub async fn orders_of_tenant(&self, tenant: &TenantId, range: &ListRange) -> Result<Page, StoreError> {
        self.list_of_tenant(tenant, DayList::Orders, range).await?.readable()
    }

    /// A list of a tenant, by day. Orders that cannot be read hold up no others.
    ///
    /// # Errors
    /// When the table gives no answer.
    pub async fn list_of_tenant(
        &self,
        tenant: &TenantId,
        list: DayList,
        range: &ListRange,
    ) -> Result<Page, StoreError> {
        let mut page = Page { orders: Vec::new(), next: range.after.clone(), unreadable: Vec::new() };
        let first = keys::day_of(range.from);
        let mut day = newest_day(range);
        let mut rounds = 0;
        for _ in 0..DAYS_MAX {
            loop {
                rounds += 1;
                if rounds > ROUNDS_MAX {
                    return Ok(page);
                }
                let upper = page.next.clone().unwrap_or_else(|| keys::instant(range.to));
                let positions = self.day_positions(tenant, (list, day), range, &upper).await?;
                let at_end = positions.len() < range.limit;
                if self.fill(tenant, range, positions, &mut page).await? {
                    return Ok(page);
                }
                if at_end {
                    break;
                }
            }
            if day <= first {
                page.next = None;
                return Ok(page);
            }
            day = day.saturating_sub(1.day());
        }
        // Go on below the midnight that ends the next day to visit.
        let midnight = day.saturating_add(1.day()).to_zoned(TimeZone::UTC).map_or(range.to, |at| at.timestamp());
        page.next = Some(keys::instant(midnight));
        Ok(page)
    }

    /// The newest positions of a day, over all its shards.
    async fn day_positions(
        &self,
        tenant: &TenantId,
        (list, day): (DayList, Date),
        range: &ListRange,
        upper: &str,
    ) -> Result<Vec<String>, StoreError> {
        let shards = (0..keys::DAY_SHARDS).map(|shard| async move {
            let index = (keys::GSI2, "gsi2pk", keys::day_orders(tenant, list, day, shard));
            self.positions(&index, range.from, upper, range.limit).await
        });
        let mut positions: Vec<_> = try_join_all(shards).await?.into_iter().flatten().collect();
        positions.sort_unstable_by(|a, b| b.cmp(a));
        positions.truncate(range.limit);
        Ok(positions)
    }

    /// The newest positions of an index partition from `from` on that stand before `upper`.
    pub(crate) async fn positions(
        &self,
        (index, attribute, partition): &(&str, &str, String),
        from: Timestamp,
        upper: &str,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let lower = keys::instant(from);
        if lower.as_str() > upper {
            return Ok(Vec::new());
        }
        // BETWEEN includes both ends: one more is asked for, since the order at the upper end was listed already.
        let request = self
            .client
            .query()
            .table_name(&*self.table)
            .index_name(*index)
            .key_condition_expression("#partition = :partition AND gsisk BETWEEN :from AND :upper")
            .expression_attribute_names("#partition", *attribute)
            .expression_attribute_values(":partition", AttributeValue::S(partition.clone()))
            .expression_attribute_values(":from", AttributeValue::S(lower))
            .expression_attribute_values(":upper", AttributeValue::S(upper.to_owned()))
            .scan_index_forward(false)
            .limit(i32::try_from(limit + 1).unwrap_or(i32::MAX))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = self.timed(request.send()).await.map_err(StoreError::of)?;
        self.meter.count_reads(&output.consumed_capacity);
        let position = |item: crate::item::Item| match item.get("gsisk") {
            Some(AttributeValue::S(position)) => Some(position.clone()),
            _ => None,
        };
        let positions = output.items.unwrap_or_default().into_iter().filter_map(position);
        Ok(positions.filter(|position| position != upper).take(limit).collect())
    }

    /// Reads the orders at these positions into the page; true when the page is full.
    async fn fill(
        &self,
        tenant: &TenantId,
        range: &ListRange,
        positions: Vec<String>,
        page: &mut Page,
    ) -> Result<bool, StoreError> {
        debug_assert!(range.limit <= BATCH_GET_MAX, "a page is one batch of reads");
        let keys: Vec<_> = positions.iter().filter_map(|position| position_order(position)).collect();
        let keys: Vec<_> = keys.into_iter().map(|id| keys::order(tenant, id)).collect();
        let mut items = self.batch_get(keys.clone(), false).await?;
        for (position, key) in positions.into_iter().zip(keys) {
            page.next = Some(position);
            let Some(item) = items.remove(&key) else { continue };
            let stored = match stored_order(item) {
                Ok(stored) => stored,
                Err(problem) => {
                    page.unreadable.push(problem);
                    continue;
                }
            };
            if range.state.is_none_or(|state| state == stored.order.state) {
                page.orders.push(stored);
                if page.orders.len() == range.limit {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

pub(crate) fn position_order(position: &str) -> Option<OrderId> {
    OrderId::parse(position.split_once('#')?.1).ok()
}

/// The day to begin with. A position is an order's own, or an instant that itself is excluded.
fn newest_day(range: &ListRange) -> Date {
    let before = |at: Timestamp| at.saturating_sub(1.millisecond()).unwrap_or(Timestamp::MIN);
    let of_position = |position: &String| {
        let (digits, of_order) = match position.split_once('#') {
            Some((digits, _)) => (digits, true),
            None => (position.as_str(), false),
        };
        let at = Timestamp::from_millisecond(digits.parse().ok()?).ok()?;
        Some(if of_order { at } else { before(at) })
    };
    keys::day_of(range.after.as_ref().and_then(of_position).unwrap_or_else(|| before(range.to)))
}
