//! Publishing anew what was changed in a window: a full pass over the table, since no index knows when an order changed last.
//!
//! This is the one place that scans. It is for the day on which the relay was silent for longer than the stream keeps
//! records (24 hours), and costs half a read unit for each 4 KB of the whole table.

use crate::item::{self, Item, number};
use crate::stream::{OrderChange, OrderImage};
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use holdfast_domain::ids::{OrderId, TenantId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The name under which the pass is noted.
const PASS: &str = "republish";

/// A pass that publishes what was changed in a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Republishing {
    /// Changes from this instant on.
    pub from: Timestamp,
    /// Until before this one.
    pub to: Timestamp,
    /// Where it goes on; none at its beginning.
    pub after: Option<(String, String)>,
    /// Whether it came to its end.
    pub is_over: bool,
    /// How many orders had changes in the window.
    pub orders: u64,
    /// How many events and timers were published.
    pub published: u64,
    /// How often it, and those before it, were written.
    step: u64,
}

impl Republishing {
    /// A pass over a window, after the last one.
    pub fn over(from: Timestamp, to: Timestamp, last: Option<&Self>) -> Self {
        let step = last.map_or(1, |last| last.step + 1);
        Self { from, to, after: None, is_over: false, orders: 0, published: 0, step }
    }

    /// The pass after a page with so many orders, of which so many messages were published.
    pub fn on(&self, after: Option<(String, String)>, orders: usize, published: usize) -> Self {
        Self {
            is_over: after.is_none(),
            after,
            orders: self.orders + orders as u64,
            published: self.published + published as u64,
            step: self.step + 1,
            ..self.clone()
        }
    }
}

#[derive(Serialize, Deserialize)]
struct RepublishingItem {
    pk: String,
    sk: String,
    from: i64,
    to: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<(String, String)>,
    is_over: bool,
    orders: u64,
    published: u64,
    step: u64,
}

/// A page of orders that changed.
#[derive(Debug, Default)]
pub struct ChangedPage {
    /// For each order its changes in the window, oldest first.
    pub orders: Vec<Vec<OrderChange>>,
    /// The keys of orders that cannot be read, with what is wrong.
    pub unreadable: Vec<StoreError>,
    /// Where the next page begins; none at the end.
    pub next: Option<(String, String)>,
}

impl Store {
    /// How far the last such pass came; none before the first.
    ///
    /// # Errors
    /// When the table gives no answer, or the item is not readable.
    pub async fn republishing_read(&self) -> Result<Option<Republishing>, StoreError> {
        let Some(item) = self.get(keys::pass(PASS)).await? else { return Ok(None) };
        let item: RepublishingItem = item::read(item)?;
        let instant = |ms| {
            Timestamp::from_millisecond(ms)
                .map_err(|error| StoreError::Corrupt { key: PASS.to_owned(), problem: error.to_string() })
        };
        Ok(Some(Republishing {
            from: instant(item.from)?,
            to: instant(item.to)?,
            after: item.after,
            is_over: item.is_over,
            orders: item.orders,
            published: item.published,
            step: item.step,
        }))
    }

    /// Notes how far such a pass came, if nobody noted anything since; whether it was noted.
    ///
    /// # Errors
    /// When the table gives no answer: the next run publishes some events again, which consumers bear.
    pub async fn republishing_step(&self, pass: &Republishing) -> Result<bool, StoreError> {
        let keys::Key { pk, sk } = keys::pass(PASS);
        let Republishing { after, is_over, orders, published, step, .. } = pass.clone();
        let (from, to) = (pass.from.as_millisecond(), pass.to.as_millisecond());
        let item = RepublishingItem { pk, sk, from, to, after, is_over, orders, published, step };
        let request = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item::written(&item)))
            .condition_expression("attribute_not_exists(pk) OR step = :before")
            .expression_attribute_values(":before", number(step - 1))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        self.applied(request.send(), |output| &output.consumed_capacity).await
    }

    /// The orders behind `after` that changed between two instants, among the next `limit` items of the table.
    ///
    /// # Errors
    /// When the table gives no answer.
    pub async fn changed_between(
        &self,
        (from, to): (Timestamp, Timestamp),
        after: Option<(String, String)>,
        limit: i32,
    ) -> Result<ChangedPage, StoreError> {
        let start = after.map(|(pk, sk)| keys::Key { pk, sk }.attributes());
        let request = self
            .client
            .scan()
            .table_name(&*self.table)
            .filter_expression("sk = :order")
            .projection_expression("pk, sk, version, #state, expires_at, history, event")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":order", AttributeValue::S(keys::ORDER_SK.to_owned()))
            .set_exclusive_start_key(start)
            .limit(limit)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = self.timed(request.send()).await.map_err(StoreError::of)?;
        self.meter.count_reads(&output.consumed_capacity);
        let text = |value: Option<AttributeValue>| match value {
            Some(AttributeValue::S(text)) => text,
            _ => String::new(),
        };
        let next = output.last_evaluated_key.map(|mut key| (text(key.remove("pk")), text(key.remove("sk"))));
        let mut page = ChangedPage { next, ..ChangedPage::default() };
        for item in output.items.unwrap_or_default() {
            match changes(item) {
                Ok(changes) => {
                    let changes: Vec<_> =
                        changes.into_iter().filter(|change| from <= change.at && change.at < to).collect();
                    page.orders.extend((!changes.is_empty()).then_some(changes));
                }
                Err(error) => page.unreadable.push(error),
            }
        }
        Ok(page)
    }

    /// Every change of an order, oldest first; none if there is no such order.
    ///
    /// # Errors
    /// When the table gives no answer, or the item is not readable.
    pub async fn order_changes_read(
        &self,
        tenant: &TenantId,
        id: OrderId,
    ) -> Result<Option<Vec<OrderChange>>, StoreError> {
        self.get(keys::order(tenant, id)).await?.map(changes).transpose()
    }
}

fn changes(item: Item) -> Result<Vec<OrderChange>, StoreError> {
    item::read::<OrderImage>(item)?.changes()
}
