//! Placing and reading orders.

use crate::claims::{Contention, Granted, RefusedClaim};
use crate::item::number;
use crate::order_item::{order_item, stored_order};
use crate::{Store, StoreError, StoredOrder, keys};
use aws_sdk_dynamodb::types::{Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use holdfast_domain::event::Trace;
use holdfast_domain::ids::{OrderId, TenantId};
use holdfast_domain::order::Order;
use holdfast_domain::pool::Take;

/// What came of placing an order.
#[derive(Debug)]
pub enum Placing {
    /// It is placed and its stock is held.
    Placed,
    /// An order of this id was there already: this was a retry.
    Existing(Box<StoredOrder>),
    /// Stripes refused their claims; nothing was written.
    Refused(Vec<RefusedClaim>),
    /// Others were at the same items; nothing was written.
    Contended(Contention),
}

impl Store {
    /// Places an order, or makes a reservation, and claims what it needs, in one transaction and one round trip (ORD-1,
    /// ORD-2).
    ///
    /// A retry finds its order whatever became of the stock. 4 WCU for a one-line order of at most 1 KB, and 1 for each index it is in.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it is not known whether the order was placed.
    pub async fn order_place(&self, order: &Order, takes: &[Take], trace: &Trace) -> Result<Placing, StoreError> {
        let put = self.order_put(order, trace, "attribute_not_exists(pk)", None);
        Ok(match self.granted(&order.tenant, put, takes).await? {
            Granted::Done => Placing::Placed,
            Granted::Existing(item) => Placing::Existing(Box::new(stored_order(item)?)),
            Granted::Refused(refused) => Placing::Refused(refused),
            Granted::Contended(contention) => Placing::Contended(contention),
        })
    }

    /// The action that writes the whole item of an order.
    pub(crate) fn order_put(
        &self,
        order: &Order,
        trace: &Trace,
        condition: &str,
        before: Option<u64>,
    ) -> TransactWriteItem {
        let values = before.map(|version| [(":before".to_owned(), number(version))].into());
        let put = Put::builder()
            .table_name(&*self.table)
            .set_item(Some(order_item(order, trace)))
            .condition_expression(condition)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        TransactWriteItem::builder().put(put.build().expect("a put has its table and item")).build()
    }

    /// Reads an order with the lines of its parts, consistently: half a read unit for each 2 KB, at least one, and for an
    /// order in parts that much again for them.
    ///
    /// # Errors
    /// When the table gives no answer, or the item is not readable.
    pub async fn order_read(&self, tenant: &TenantId, id: OrderId) -> Result<Option<StoredOrder>, StoreError> {
        let Some(mut stored) = self.order_head_read(tenant, id).await? else { return Ok(None) };
        self.order_lines_read(&mut stored.order).await?;
        Ok(Some(stored))
    }

    /// Reads an order without the lines of its parts, consistently.
    ///
    /// # Errors
    /// When the table gives no answer, or the item is not readable.
    pub async fn order_head_read(&self, tenant: &TenantId, id: OrderId) -> Result<Option<StoredOrder>, StoreError> {
        self.get(keys::order(tenant, id)).await?.map(stored_order).transpose()
    }
}
