//! Stock: headers, receipts and the stripes of its pools.

use crate::item::{self, Item, number};
use crate::orders::{Refused, cancelled, is_condition};
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, KeysAndAttributes, Put, ReturnConsumedCapacity,
    ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use holdfast_domain::ids::{Fingerprint, IdempotencyKey, ProductId, TenantId, WarehouseId};
use holdfast_domain::pool::{Claim, PoolId, StripeId, StripeLevel, StripeNumber};
use holdfast_domain::product::PriceVersion;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::Duration;

/// The greatest number of keys of one BatchGetItem (Amazon DynamoDB, `BatchGetItem`).
pub(crate) const BATCH_GET_MAX: usize = 100;

/// The stock of a product in a warehouse: how many stripes it is kept in, and how much ever came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockHeader {
    /// Where.
    pub warehouse: WarehouseId,
    /// The number of stripes, numbered from 0.
    pub stripes: StripeNumber,
    /// The units received since the beginning.
    pub received: u64,
}

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
struct HeaderItem {
    sk: String,
    stripes: StripeNumber,
    received: u64,
}

#[derive(Deserialize)]
struct StripeItem {
    available: u64,
    price_version: PriceVersion,
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
    /// stripe, at the price version that the product has in the same transaction.
    ///
    /// # Errors
    /// As [`Store::order_place`].
    pub async fn stock_receive(&self, tenant: &TenantId, receipt: &Receipt) -> Result<Received, StoreError> {
        // The stripe to add to is that of number 0 until pools are split.
        let stripe = StripeId { pool: pool(&receipt.product, &receipt.warehouse), number: 0 };
        let to_existing = vec![
            self.receipt_put(tenant, receipt),
            self.header_update(tenant, receipt, "ADD received :quantity"),
            self.update(give_back_update(
                &self.table,
                tenant,
                &Claim { stripe: stripe.clone(), quantity: receipt.quantity },
            )),
        ];
        match self.transact(to_existing).await {
            Ok(()) => return Ok(Received::Added),
            Err(Refused::Other(error)) => return Err(error),
            Err(Refused::Cancelled(reasons)) => match reasons.first().filter(|reason| is_condition(reason)) {
                Some(earlier) => return known_receipt(receipt, earlier.item.clone()),
                None if reasons.iter().any(is_condition) => {}
                None => return Err(cancelled(&reasons)),
            },
        }
        let Some(product) = self.product_read(tenant, &receipt.product).await? else {
            return Ok(Received::UnknownProduct);
        };
        let to_new = vec![
            self.receipt_put(tenant, receipt),
            self.header_update(tenant, receipt, "ADD received :quantity SET stripes = if_not_exists(stripes, :one)"),
            self.first_stripe(tenant, &stripe, receipt.quantity, product.price_version),
            self.price_check(tenant, &receipt.product, product.price_version),
        ];
        match self.transact(to_new).await {
            Ok(()) => Ok(Received::Added),
            Err(Refused::Other(error)) => Err(error),
            Err(Refused::Cancelled(reasons)) => match reasons.first().filter(|reason| is_condition(reason)) {
                Some(earlier) => known_receipt(receipt, earlier.item.clone()),
                // Another first receipt or a price change came between: the caller tries again.
                None if reasons.iter().any(is_condition) => Err(StoreError::Conflict),
                None => Err(cancelled(&reasons)),
            },
        }
    }

    /// The warehouses that a product lies in, read consistently.
    ///
    /// # Errors
    /// When the table gives no answer, or an item is not readable.
    pub async fn stock_headers(&self, tenant: &TenantId, product: &ProductId) -> Result<Vec<StockHeader>, StoreError> {
        let request = self
            .client
            .query()
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", AttributeValue::S(keys::stock(tenant, product)))
            .expression_attribute_values(":prefix", AttributeValue::S(keys::WAREHOUSE_PREFIX.to_owned()))
            .consistent_read(true);
        let items = self.query_all(request).await?;
        items.into_iter().map(|item| header(item::read(item)?)).collect()
    }

    /// What the stripes of these warehouses hold, read consistently.
    ///
    /// # Errors
    /// When the table gives no answer, or an item is not readable.
    pub async fn stock_levels(
        &self,
        tenant: &TenantId,
        product: &ProductId,
        headers: &[StockHeader],
    ) -> Result<Vec<StripeLevel>, StoreError> {
        let stripes: Vec<_> = headers.iter().flat_map(|header| header.stripe_ids(product)).collect();
        let keys = stripes.iter().map(|stripe| keys::stripe(tenant, stripe)).collect();
        let mut items = self.batch_get(keys, true).await?;
        let mut levels = Vec::with_capacity(stripes.len());
        for stripe in stripes {
            if let Some(item) = items.remove(&keys::stripe(tenant, &stripe)) {
                levels.push(level_of(&stripe, item)?);
            }
        }
        Ok(levels)
    }

    /// Items by their keys, in batches, asking again for what the service left out.
    pub(crate) async fn batch_get(
        &self,
        keys: Vec<keys::Key>,
        consistent: bool,
    ) -> Result<HashMap<keys::Key, Item>, StoreError> {
        let mut found = HashMap::with_capacity(keys.len());
        let mut left: Vec<_> = keys.into_iter().map(keys::Key::attributes).collect();
        let mut pauses = 0;
        while !left.is_empty() {
            let batch = left.split_off(left.len().saturating_sub(BATCH_GET_MAX));
            let asked = batch.len();
            let keys = KeysAndAttributes::builder().set_keys(Some(batch)).consistent_read(consistent).build();
            let request = self
                .client
                .batch_get_item()
                .request_items(&*self.table, keys.expect("a batch has keys"))
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let output = self.timed(request.send()).await.map_err(StoreError::of)?;
            self.meter.count_reads(output.consumed_capacity());
            for item in output.responses.unwrap_or_default().into_values().flatten() {
                found.insert(key_of(&item), item);
            }
            let unprocessed: Vec<_> =
                output.unprocessed_keys.unwrap_or_default().into_values().flat_map(|keys| keys.keys).collect();
            // The service leaves keys out when it is throttled or the answer is too large: only the former waits.
            if unprocessed.len() == asked {
                pauses += 1;
                if pauses > 5 {
                    return Err(StoreError::Throttled);
                }
                tokio::time::sleep(Duration::from_millis(20 << pauses)).await;
            }
            left.extend(unprocessed);
        }
        Ok(found)
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
        let update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(key))
            .update_expression(expression)
            .expression_attribute_values(":quantity", number(receipt.quantity));
        let update = match expression.contains(":one") {
            true => update.expression_attribute_values(":one", number(1)),
            false => update.condition_expression("attribute_exists(pk)"),
        };
        self.update(update.build().expect("an update has its table, key and expression"))
    }

    fn first_stripe(
        &self,
        tenant: &TenantId,
        stripe: &StripeId,
        quantity: u32,
        price_version: PriceVersion,
    ) -> TransactWriteItem {
        let item = Item::from([
            ("available".to_owned(), number(quantity)),
            ("price_version".to_owned(), number(price_version)),
            ("version".to_owned(), number(1)),
        ]);
        let item = item.into_iter().chain(keys::stripe(tenant, stripe).attributes()).collect();
        let put = Put::builder()
            .table_name(&*self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)");
        TransactWriteItem::builder().put(put.build().expect("a put has its table and item")).build()
    }

    fn price_check(&self, tenant: &TenantId, product: &ProductId, price_version: PriceVersion) -> TransactWriteItem {
        let check = ConditionCheck::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::product(tenant, product).attributes()))
            .condition_expression("price_version = :price_version")
            .expression_attribute_values(":price_version", number(price_version));
        let check = check.build().expect("a check has its table, key and condition");
        TransactWriteItem::builder().condition_check(check).build()
    }

    fn update(&self, update: Update) -> TransactWriteItem {
        TransactWriteItem::builder().update(update).build()
    }
}

impl StockHeader {
    /// The stripes of the warehouse's pool.
    pub fn stripe_ids(&self, product: &ProductId) -> impl Iterator<Item = StripeId> {
        let pool = pool(product, &self.warehouse);
        (0..self.stripes).map(move |number| StripeId { pool: pool.clone(), number })
    }
}

/// The update that adds units to a stripe that exists.
pub(crate) fn give_back_update(table: &str, tenant: &TenantId, claim: &Claim) -> Update {
    Update::builder()
        .table_name(table)
        .set_key(Some(keys::stripe(tenant, &claim.stripe).attributes()))
        .update_expression("SET available = available + :quantity, version = version + :one")
        .condition_expression("attribute_exists(pk)")
        .expression_attribute_values(":quantity", number(claim.quantity))
        .expression_attribute_values(":one", number(1))
        .build()
        .expect("an update has its table, key and expression")
}

/// What a stripe's item says it holds.
pub(crate) fn level_of(stripe: &StripeId, item: Item) -> Result<StripeLevel, StoreError> {
    let StripeItem { available, price_version } = item::read(item)?;
    Ok(StripeLevel { stripe: stripe.clone(), available, price_version })
}

fn pool(product: &ProductId, warehouse: &WarehouseId) -> PoolId {
    PoolId::Stock { product: product.clone(), warehouse: warehouse.clone() }
}

fn header(item: HeaderItem) -> Result<StockHeader, StoreError> {
    let name = item.sk.strip_prefix(keys::WAREHOUSE_PREFIX).unwrap_or_default();
    let warehouse = WarehouseId::parse(name)
        .map_err(|invalid| StoreError::Corrupt { key: item.sk.clone(), problem: invalid.to_string() })?;
    Ok(StockHeader { warehouse, stripes: item.stripes, received: item.received })
}

fn known_receipt(receipt: &Receipt, earlier: Option<Item>) -> Result<Received, StoreError> {
    let earlier: ReceiptItem = item::read(earlier.unwrap_or_default())?;
    match Timestamp::from_millisecond(earlier.at) {
        Ok(at) if earlier.fingerprint == receipt.fingerprint.to_string() => Ok(Received::Before(at)),
        _ => Ok(Received::KeyReused),
    }
}

fn key_of(item: &Item) -> keys::Key {
    let text = |name: &str| match item.get(name) {
        Some(AttributeValue::S(text)) => text.clone(),
        _ => String::new(),
    };
    keys::Key { pk: text("pk"), sk: text("sk") }
}
