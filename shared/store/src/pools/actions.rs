//! The parts of the transactions that move units between stripes, and make and end stripes.

use super::plan::{Stripe, Units};
use crate::item::{Item, number};
use crate::{StockHeader, Store, keys};
use aws_sdk_dynamodb::types::{ConditionCheck, Delete, Put, TransactWriteItem, Update};
use holdfast_domain::ids::{ProductId, TenantId, WarehouseId};
use holdfast_domain::pool::{PoolId, StripeId, StripeNumber};
use holdfast_domain::product::PriceVersion;

/// A pool of stock and how to write to it.
#[derive(Clone, Copy)]
pub(crate) struct PoolActions<'a> {
    store: &'a Store,
    tenant: &'a TenantId,
    product: &'a ProductId,
    warehouse: &'a WarehouseId,
}

impl Store {
    pub(crate) fn pool_actions<'a>(
        &'a self,
        tenant: &'a TenantId,
        product: &'a ProductId,
        warehouse: &'a WarehouseId,
    ) -> PoolActions<'a> {
        PoolActions { store: self, tenant, product, warehouse }
    }
}

impl PoolActions<'_> {
    /// Sets the number of stripes in the header as it was read: every step of a reshaping raises `shape`, so a step
    /// that was planned from an older header is refused, however late it comes.
    pub fn reshape(&self, header: &StockHeader, stripes: StripeNumber) -> TransactWriteItem {
        let update = Update::builder()
            .table_name(&*self.store.table)
            .set_key(Some(keys::stock_header(self.tenant, self.product, self.warehouse).attributes()))
            .update_expression("SET stripes = :stripes ADD shape :one")
            .expression_attribute_values(":stripes", number(stripes))
            .expression_attribute_values(":one", number(1));
        let update = match header.shape {
            0 => update.condition_expression("attribute_exists(pk) AND attribute_not_exists(shape)"),
            shape => update.condition_expression("shape = :shape").expression_attribute_values(":shape", number(shape)),
        };
        TransactWriteItem::builder()
            .update(update.build().expect("an update has its table, key and expression"))
            .build()
    }

    /// Refuses when the product has another price by now: a new stripe must not be born with a floor that a price
    /// change, acknowledged meanwhile, has passed.
    pub fn price_check(&self, price_version: PriceVersion) -> TransactWriteItem {
        let check = ConditionCheck::builder()
            .table_name(&*self.store.table)
            .set_key(Some(keys::product(self.tenant, self.product).attributes()))
            .condition_expression("price_version = :price_version")
            .expression_attribute_values(":price_version", number(price_version));
        let check = check.build().expect("a check has its table, key and condition");
        TransactWriteItem::builder().condition_check(check).build()
    }

    /// A new stripe, which must not exist.
    pub fn make(&self, (stripe, available): Units, price_version: PriceVersion) -> TransactWriteItem {
        let item = Item::from([
            ("available".to_owned(), number(available)),
            ("price_version".to_owned(), number(price_version)),
            ("version".to_owned(), number(1)),
        ]);
        let put = Put::builder()
            .table_name(&*self.store.table)
            .set_item(Some(item.into_iter().chain(self.key(stripe).attributes()).collect()))
            .condition_expression("attribute_not_exists(pk)");
        TransactWriteItem::builder().put(put.build().expect("a put has its table and item")).build()
    }

    /// The end of a stripe whose units are moved: it must be as it was read.
    pub fn end(&self, stripe: StripeNumber, version: u64) -> TransactWriteItem {
        let delete = Delete::builder()
            .table_name(&*self.store.table)
            .set_key(Some(self.key(stripe).attributes()))
            .condition_expression("version = :seen")
            .expression_attribute_values(":seen", number(version));
        TransactWriteItem::builder().delete(delete.build().expect("a delete has its table and key")).build()
    }

    /// Units out of a stripe that still has them.
    pub fn take(&self, units: Units) -> TransactWriteItem {
        self.moved(units, "SET available = available - :quantity, version = version + :one", "available >= :quantity")
    }

    /// Units into a stripe that exists.
    pub fn give(&self, units: Units) -> TransactWriteItem {
        self.moved(units, "SET available = available + :quantity, version = version + :one", "attribute_exists(pk)")
    }

    fn moved(&self, (stripe, quantity): Units, expression: &str, condition: &str) -> TransactWriteItem {
        let update = Update::builder()
            .table_name(&*self.store.table)
            .set_key(Some(self.key(stripe).attributes()))
            .update_expression(expression)
            .condition_expression(condition)
            .expression_attribute_values(":quantity", number(quantity))
            .expression_attribute_values(":one", number(1))
            .build();
        TransactWriteItem::builder().update(update.expect("an update has its table, key and expression")).build()
    }

    /// The stripes of these numbers that exist, read consistently.
    pub async fn stripes(&self, numbers: std::ops::Range<StripeNumber>) -> Result<Vec<Stripe>, crate::StoreError> {
        let keys = numbers.clone().map(|number| self.key(number)).collect();
        let mut items = self.store.batch_get(keys, true).await?;
        let found = numbers.filter_map(|number| Some((number, items.remove(&self.key(number))?)));
        found
            .map(|(number, item)| {
                let StripeCounts { available, version } = crate::item::read(item)?;
                Ok(Stripe { number, available, version })
            })
            .collect()
    }

    fn key(&self, number: StripeNumber) -> keys::Key {
        keys::stripe(self.tenant, &StripeId { pool: self.pool(), number })
    }

    fn pool(&self) -> PoolId {
        PoolId::Stock { product: self.product.clone(), warehouse: self.warehouse.clone() }
    }
}

#[derive(serde::Deserialize)]
struct StripeCounts {
    available: u64,
    version: u64,
}
