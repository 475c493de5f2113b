//! Orders of closed days that every pass looks at: those that have not ended, those that keep too much for a balance,
//! and those that could not be read when their day was closed.

use super::closing::is_surely_open;
use super::keeping::Keep;
use crate::contention::repeated;
use crate::item::{self, Item, number};
use crate::transact::{Refused, cancelled, is_condition};
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, TransactWriteItem, Update};
use holdfast_domain::ids::{OrderId, TenantId};
use holdfast_domain::order::Order;
use jiff::Timestamp;
use serde::Deserialize;

/// How many entries are read at once.
const PAGE: i32 = 100;

/// An order that every pass looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carried {
    /// Which.
    pub id: OrderId,
    /// For what: when a cancellation of it began, or its day was closed. In milliseconds, as it was written.
    pub since_ms: i64,
    /// Whether it is in no balance only because it could not be read.
    pub unsummed: bool,
}

#[derive(Deserialize)]
struct CarriedItem {
    sk: String,
    #[serde(default)]
    since: i64,
    #[serde(default)]
    unsummed: bool,
}

impl Store {
    /// Has an order of a closed day looked at by every pass from now on. May be repeated.
    ///
    /// # Errors
    /// When the table gives no answer.
    pub async fn order_carry(&self, order: &Order) -> Result<(), StoreError> {
        // A cancellation that is under way keeps its own time.
        self.carried_write(&order.tenant, order.id, "SET since = if_not_exists(since, :since)", order.placed_at).await
    }

    /// The same for one that could not be read: it goes into the balances when it is readable again.
    ///
    /// # Errors
    /// When the table gives no answer.
    pub async fn order_carry_unsummed(&self, tenant: &TenantId, id: OrderId) -> Result<(), StoreError> {
        let expression = "SET since = if_not_exists(since, :since), unsummed = :unsummed";
        self.carried_write(tenant, id, expression, Timestamp::UNIX_EPOCH).await
    }

    /// Before an order in parts ends at `at`: if its day may be closed by then, passes look at it until its parts are settled.
    pub(crate) async fn settling_carry(&self, order: &Order, at: Timestamp) -> Result<(), StoreError> {
        match order.was_placed() && !is_surely_open(order, at) {
            true => self.carried_write(&order.tenant, order.id, "SET since = :since", at).await,
            false => Ok(()),
        }
    }

    async fn carried_write(
        &self,
        tenant: &TenantId,
        id: OrderId,
        expression: &str,
        since: Timestamp,
    ) -> Result<(), StoreError> {
        let mut request = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(keys::carried_order(tenant, id).attributes()))
            .update_expression(expression)
            .expression_attribute_values(":since", number(since.as_millisecond()))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        if expression.contains(":unsummed") {
            request = request.expression_attribute_values(":unsummed", AttributeValue::Bool(true));
        }
        let output = self.timed(request.send()).await.map_err(StoreError::of)?;
        self.meter.count_writes(&output.consumed_capacity);
        Ok(())
    }

    /// Has an order looked at no more, unless another reason to look at it came meanwhile.
    ///
    /// # Errors
    /// When the table gives no answer: the next pass tries again.
    pub async fn order_carry_end(&self, tenant: &TenantId, carried: &Carried) -> Result<(), StoreError> {
        let request = self
            .client
            .delete_item()
            .table_name(&*self.table)
            .set_key(Some(keys::carried_order(tenant, carried.id).attributes()))
            .condition_expression("attribute_not_exists(pk) OR attribute_not_exists(since) OR since = :since")
            .expression_attribute_values(":since", number(carried.since_ms))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        self.applied(request.send(), |output| &output.consumed_capacity).await.map(|_| ())
    }

    /// Adds what an order keeps to the balances that it was left out of, once; nothing if it was added meanwhile.
    ///
    /// # Errors
    /// When the table gives no answer, or others were at the same items each time: then it is to be repeated.
    pub async fn order_carried_sum(&self, order: &Order, keep: &Keep) -> Result<(), StoreError> {
        let update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::carried_order(&order.tenant, order.id).attributes()))
            .update_expression("REMOVE unsummed")
            .condition_expression("attribute_exists(unsummed)");
        let update = update.build().expect("an update has its table, key and expression");
        let mut writes = vec![TransactWriteItem::builder().update(update).build()];
        writes.extend(self.balance_with(&order.tenant, keep));
        repeated(|| async {
            match self.transact(writes.clone()).await {
                Ok(()) => Ok(()),
                Err(Refused::Other(error)) => Err(error),
                Err(Refused::Cancelled(reasons)) if reasons.iter().any(is_condition) => Ok(()),
                Err(Refused::Cancelled(reasons)) => Err(cancelled(&reasons)),
            }
        })
        .await
    }

    /// The next orders that every pass looks at, by id, behind one.
    ///
    /// # Errors
    /// When the table gives no answer, or an entry is not readable.
    pub async fn orders_carried(&self, tenant: &TenantId, after: Option<&str>) -> Result<Vec<Carried>, StoreError> {
        let request = self
            .client
            .query()
            .table_name(&*self.table)
            .key_condition_expression("pk = :pk AND sk > :after")
            .expression_attribute_values(":pk", AttributeValue::S(keys::carried(tenant)))
            .expression_attribute_values(":after", AttributeValue::S(after.unwrap_or(" ").to_owned()))
            .consistent_read(true)
            .limit(PAGE)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = self.timed(request.send()).await.map_err(StoreError::of)?;
        self.meter.count_reads(&output.consumed_capacity);
        let read = |item: Item| {
            let CarriedItem { sk, since, unsummed } = item::read(item)?;
            Ok(OrderId::parse(&sk).ok().map(|id| Carried { id, since_ms: since, unsummed }))
        };
        let entries = output.items.unwrap_or_default().into_iter();
        entries.filter_map(|item| read(item).transpose()).collect()
    }
}
