//! Stock: the headers of its pools, and what their stripes hold.

use crate::item::{self, Item, number};
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnConsumedCapacity};
use futures_util::{StreamExt, TryStreamExt, stream};
use holdfast_domain::ids::{ProductId, TenantId, WarehouseId};
use holdfast_domain::pool::{PoolId, StripeId, StripeLevel, StripeNumber};
use holdfast_domain::product::PriceVersion;
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::HashMap;
use std::time::Duration;

/// The greatest number of keys of one BatchGetItem (Amazon DynamoDB, `BatchGetItem`).
pub(crate) const BATCH_GET_MAX: usize = 100;
/// How many batches are read at the same time: 1,024 stripes take two round-trip times.
const BATCHES_AT_ONCE: usize = 8;

/// The stock of a product in a warehouse: how many stripes it is kept in, and how much ever came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockHeader {
    /// Where.
    pub warehouse: WarehouseId,
    /// The number of stripes, numbered from 0.
    pub stripes: StripeNumber,
    /// The units received since the beginning.
    pub received: u64,
    /// How often stripes were made or ended.
    pub shape: u64,
    /// That it is known to be sold out, if it is.
    pub sold_out: Option<SoldOut>,
}

/// That all stripes of a pool were read and had less than somebody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoldOut {
    /// How long that may be taken for true.
    pub until: Timestamp,
    /// What there was: this many can still be asked for.
    pub available: u64,
}

#[derive(Deserialize)]
struct HeaderItem {
    sk: String,
    stripes: StripeNumber,
    received: u64,
    #[serde(default)]
    shape: u64,
    sold_out_until: Option<i64>,
    #[serde(default)]
    sold_out_available: u64,
}

#[derive(Deserialize)]
struct StripeItem {
    available: u64,
    price_version: PriceVersion,
}

impl Store {
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
        items.into_iter().map(header).collect()
    }

    /// The header of a product's stock in a warehouse, read consistently; none if it never lay there.
    ///
    /// # Errors
    /// When the table gives no answer, or the item is not readable.
    pub async fn stock_header(
        &self,
        tenant: &TenantId,
        product: &ProductId,
        warehouse: &WarehouseId,
    ) -> Result<Option<StockHeader>, StoreError> {
        self.get(keys::stock_header(tenant, product, warehouse)).await?.map(header).transpose()
    }

    /// What the stripes of these warehouses hold, read consistently. A stripe that does not exist is left out.
    ///
    /// # Errors
    /// When the table gives no answer, or an item is not readable.
    pub async fn stock_levels(
        &self,
        tenant: &TenantId,
        product: &ProductId,
        headers: &[StockHeader],
    ) -> Result<Vec<StripeLevel>, StoreError> {
        self.levels(tenant, headers.iter().flat_map(|header| header.stripe_ids(product)).collect()).await
    }

    /// What some stripes of a pool hold, read consistently. A stripe that does not exist is left out.
    ///
    /// # Errors
    /// When the table gives no answer, or an item is not readable.
    pub async fn stripe_levels(
        &self,
        tenant: &TenantId,
        pool: &PoolId,
        numbers: &[StripeNumber],
    ) -> Result<Vec<StripeLevel>, StoreError> {
        self.levels(tenant, numbers.iter().map(|number| StripeId { pool: pool.clone(), number: *number }).collect())
            .await
    }

    async fn levels(&self, tenant: &TenantId, stripes: Vec<StripeId>) -> Result<Vec<StripeLevel>, StoreError> {
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

    /// Notes in the headers that a product is sold out until `until`, with what each warehouse had when all its stripes
    /// were read: a smaller quantity still sells. A note that lasts longer stays, and so does a header that others write
    /// at the same time: a note that is missing costs a reading of the stripes, nothing else.
    ///
    /// # Errors
    /// When the table gives no answer.
    pub async fn stock_sold_out(
        &self,
        tenant: &TenantId,
        product: &ProductId,
        warehouses: &[(WarehouseId, u64)],
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let notes = warehouses.iter().map(|(warehouse, available)| {
            let request = self
                .client
                .update_item()
                .table_name(&*self.table)
                .set_key(Some(keys::stock_header(tenant, product, warehouse).attributes()))
                .update_expression("SET sold_out_until = :until, sold_out_available = :available")
                .condition_expression(
                    "attribute_exists(pk) AND (attribute_not_exists(sold_out_until) OR sold_out_until < :until)",
                )
                .expression_attribute_values(":until", number(until.as_millisecond()))
                .expression_attribute_values(":available", number(available))
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            async move {
                match self.applied(request.send(), |output| &output.consumed_capacity).await {
                    Ok(_) | Err(StoreError::Conflict | StoreError::Throttled) => Ok(()),
                    Err(error) => Err(error),
                }
            }
        });
        futures_util::future::try_join_all(notes).await.map(|_| ())
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
            let asked = left.len();
            let batches: Vec<_> = left.chunks(BATCH_GET_MAX).map(<[Item]>::to_vec).collect();
            let answers = stream::iter(batches).map(|batch| self.batch_get_once(batch, consistent));
            let answers: Vec<_> = answers.buffer_unordered(BATCHES_AT_ONCE).try_collect().await?;
            left.clear();
            for (items, unprocessed) in answers {
                found.extend(items.into_iter().map(|item| (key_of(&item), item)));
                left.extend(unprocessed);
            }
            // The service leaves keys out when it is throttled or the answer is too large: only the former waits.
            if left.len() == asked {
                pauses += 1;
                if pauses > 5 {
                    return Err(StoreError::Throttled);
                }
                tokio::time::sleep(Duration::from_millis(20 << pauses)).await;
            }
        }
        Ok(found)
    }

    /// The items of one batch, and the keys that the service left out.
    async fn batch_get_once(&self, batch: Vec<Item>, consistent: bool) -> Result<(Vec<Item>, Vec<Item>), StoreError> {
        let keys = KeysAndAttributes::builder().set_keys(Some(batch)).consistent_read(consistent).build();
        let request = self
            .client
            .batch_get_item()
            .request_items(&*self.table, keys.expect("a batch has keys"))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = self.timed(request.send()).await.map_err(StoreError::of)?;
        self.meter.count_reads(output.consumed_capacity());
        let unprocessed = output.unprocessed_keys.unwrap_or_default().into_values().flat_map(|keys| keys.keys);
        Ok((output.responses.unwrap_or_default().into_values().flatten().collect(), unprocessed.collect()))
    }
}

impl StockHeader {
    /// The stripes of the warehouse's pool.
    pub fn stripe_ids(&self, product: &ProductId) -> impl Iterator<Item = StripeId> {
        let pool = PoolId::Stock { product: product.clone(), warehouse: self.warehouse.clone() };
        (0..self.stripes).map(move |number| StripeId { pool: pool.clone(), number })
    }
}

/// What a stripe's item says it holds.
pub(crate) fn level_of(stripe: &StripeId, item: Item) -> Result<StripeLevel, StoreError> {
    let StripeItem { available, price_version } = item::read(item)?;
    Ok(StripeLevel { stripe: stripe.clone(), available, price_version })
}

fn header(item: Item) -> Result<StockHeader, StoreError> {
    let item: HeaderItem = item::read(item)?;
    let corrupt = |problem: String| StoreError::Corrupt { key: item.sk.clone(), problem };
    let name = item.sk.strip_prefix(keys::WAREHOUSE_PREFIX).unwrap_or_default();
    let warehouse = WarehouseId::parse(name).map_err(|invalid| corrupt(invalid.to_string()))?;
    let sold_out = item.sold_out_until.map(|until| {
        let until = Timestamp::from_millisecond(until).map_err(|error| corrupt(error.to_string()))?;
        Ok(SoldOut { until, available: item.sold_out_available })
    });
    let HeaderItem { stripes, received, shape, .. } = item;
    Ok(StockHeader { warehouse, stripes, received, shape, sold_out: sold_out.transpose()? })
}

fn key_of(item: &Item) -> keys::Key {
    let text = |name: &str| match item.get(name) {
        Some(AttributeValue::S(text)) => text.clone(),
        _ => String::new(),
    };
    keys::Key { pk: text("pk"), sk: text("sk") }
}
