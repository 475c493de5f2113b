//! Stock that comes in, over the stripes of its pool.

use super::plan;
use crate::contention::{ATTEMPTS_MAX, back_off};
use crate::item::{self, Item, number};
use crate::transact::{Refused, cancelled, is_condition};
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update};
use holdfast_domain::ids::{Fingerprint, IdempotencyKey, ProductId, TenantId, WarehouseId};
use holdfast_domain::pool::PoolId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The most stripes that one receipt goes to: a transaction takes 100 actions.
const STRIPES_AT_ONCE: usize = 90;

/// Stock that came in, under the caller's idempotency key.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// Of what.
    pub product: ProductId,
    /// The caller's name for it.
    pub key: IdempotencyKey,
    /// Where it lies.
    pub warehouse: WarehouseId,
    /// How many units, at least 1.
    pub quantity: u32,
    /// What the caller asked for, to tell a retry from a second use of the key.
    pub fingerprint: Fingerprint,
    /// When.
    pub at: Timestamp,
}

/// What came of receiving stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It is available now.
    Added,
    /// It was added before, under this key, at this instant: a retry.
    Before(Timestamp),
    /// The key belongs to another receipt.
    KeyReused,
    /// There is no such product.
    UnknownProduct,
}

#[derive(Serialize, Deserialize)]
struct ReceiptItem {
    pk: String,
    sk: String,
    warehouse: WarehouseId,
    quantity: u32,
    fingerprint: String,
    at: i64,
}

impl Store {
    /// Adds received units to a warehouse, exactly once a key. The first receipt of a warehouse makes its header and
    /// stripe, at the price version that the product has in the same transaction. A later one is spread over the
    /// stripes, over fewer with every try that others came between, and ends the memory that the pool is sold out.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] and [`StoreError::Throttled`] when nothing was written and another try may succeed;
    /// [`StoreError::Unavailable`] when it is not known whether the receipt was written.
    pub async fn stock_receive(&self, tenant: &TenantId, receipt: &Receipt) -> Result<Received, StoreError> {
        let mut last = StoreError::Conflict;
        for attempt in 0..ATTEMPTS_MAX {
            match self.stock_receive_once(tenant, receipt, STRIPES_AT_ONCE >> attempt).await {
                Err(error @ (StoreError::Conflict | StoreError::Throttled)) => last = error,
                other => return other,
            }
            if attempt + 1 < ATTEMPTS_MAX {
                back_off(attempt).await;
            }
        }
        Err(last)
    }

    async fn stock_receive_once(
        &self,
        tenant: &TenantId,
        receipt: &Receipt,
        width: usize,
    ) -> Result<Received, StoreError> {
        let actions = self.pool_actions(tenant, &receipt.product, &receipt.warehouse);
        let mut items = vec![self.receipt_put(tenant, receipt)];
        match self.stock_header(tenant, &receipt.product, &receipt.warehouse).await? {
            Some(header) => {
                let units = plan::spread(receipt.quantity, header.stripes, width, fastrand::u64(..));
                let expression = "ADD received :quantity REMOVE sold_out_until, sold_out_available";
                items.push(self.header_update(tenant, receipt, expression));
                items.extend(units.into_iter().map(|units| actions.give(units)));
            }
            None => {
                let Some(product) = self.product_read(tenant, &receipt.product).await? else {
                    return Ok(Received::UnknownProduct);
                };
                let expression =
                    "ADD received :quantity SET stripes = if_not_exists(stripes, :one), gsi1pk = :pools, gsisk = :name";
                items.push(self.header_update(tenant, receipt, expression));
                items.push(actions.make((0, u64::from(receipt.quantity)), product.price_version));
                items.push(actions.price_check(product.price_version));
            }
        }
        match self.transact(items).await {
            Ok(()) => Ok(Received::Added),
            Err(Refused::Other(error)) => Err(error),
            Err(Refused::Cancelled(reasons)) => match reasons.first().filter(|reason| is_condition(reason)) {
                Some(earlier) => known_receipt(receipt, earlier.item.clone()),
                // A merge, another first receipt or a price change came between.
                None if reasons.iter().any(is_condition) => Err(StoreError::Conflict),
                None => Err(cancelled(&reasons)),
            },
        }
    }

    fn receipt_put(&self, tenant: &TenantId, receipt: &Receipt) -> TransactWriteItem {
        let keys::Key { pk, sk } = keys::receipt(tenant, &receipt.product, &receipt.key);
        let item = item::written(&ReceiptItem {
            pk,
            sk,
            warehouse: receipt.warehouse.clone(),
            quantity: receipt.quantity,
            fingerprint: receipt.fingerprint.to_string(),
            at: receipt.at.as_millisecond(),
        });
        let put = Put::builder()
            .table_name(&*self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        TransactWriteItem::builder().put(put.build().expect("a put has its table and item")).build()
    }

    fn header_update(&self, tenant: &TenantId, receipt: &Receipt, expression: &str) -> TransactWriteItem {
        let key = keys::stock_header(tenant, &receipt.product, &receipt.warehouse).attributes();
        let pool = PoolId::Stock { product: receipt.product.clone(), warehouse: receipt.warehouse.clone() };
        let name = keys::pool_name(&pool).unwrap_or_default();
        let update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(key))
            .update_expression(expression)
            .expression_attribute_values(":quantity", number(receipt.quantity));
        let update = match expression.contains(":one") {
            // The first receipt enters the pool in the list of its tenant's pools.
            true => update
                .expression_attribute_values(":one", number(1))
                .expression_attribute_values(":pools", AttributeValue::S(keys::pools(tenant)))
                .expression_attribute_values(":name", AttributeValue::S(name)),
            false => update.condition_expression("attribute_exists(pk)"),
        };
        let update = update.build().expect("an update has its table, key and expression");
        TransactWriteItem::builder().update(update).build()
    }
}

fn known_receipt(receipt: &Receipt, earlier: Option<Item>) -> Result<Received, StoreError> {
    let earlier: ReceiptItem = item::read(earlier.unwrap_or_default())?;
    match Timestamp::from_millisecond(earlier.at) {
        Ok(at) if earlier.fingerprint == receipt.fingerprint.to_string() => Ok(Received::Before(at)),
        _ => Ok(Received::KeyReused),
    }
}
