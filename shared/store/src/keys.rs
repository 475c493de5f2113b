//! Keys of the table, built here and nowhere else.
//!
//! Every key of what belongs to a tenant begins with the tenant, so that no key of one tenant can equal one of another: ids
//! hold no `#` (see `holdfast_domain::ids`).

mod exports;
mod outbox;
mod told;

pub(crate) use exports::parse_export_pk;
pub use exports::{OPEN_EXPORTS, export, export_position, exports};
pub use outbox::{
    DEAD, DEAD_ACTIONS, HEARTBEATS, OUTBOX_DONE, OUTBOX_SHARDS, PULSE_SK, dead_action, dead_letter, dead_prefix,
    heartbeat, outbox, outbox_position, outbox_shard, pulse,
};
pub use told::{
    DELIVERY_PREFIX, ENDPOINT_PREFIX, deliveries, delivery, endpoint, endpoint_count, endpoints, fence, mail_settings,
    parse_delivery_sk,
};

use aws_sdk_dynamodb::types::AttributeValue;
use holdfast_domain::ids::{
    CouponCode, CustomerId, IdempotencyKey, OrderId, ProductId, TaxClass, TenantId, WarehouseId,
};
use holdfast_domain::money::Currency;
use holdfast_domain::pool::{AllowanceOf, PoolId, StripeId};
use holdfast_domain::text::Country;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The number of partitions that the orders of one day of one tenant are spread over: an index partition takes 1,000
/// writes a second, and one that takes more throttles the table.
pub const DAY_SHARDS: u8 = 32;

/// The index of a customer's orders by time, of a category's products, and of a tenant's pools.
pub const GSI1: &str = "gsi1";
/// The index of a day's orders by time.
pub const GSI2: &str = "gsi2";

/// The primary key of an item.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
}

impl Key {
    fn new(pk: String, sk: impl Into<String>) -> Self {
        Self { pk, sk: sk.into() }
    }

    /// As the SDK takes it.
    pub(crate) fn attributes(self) -> HashMap<String, AttributeValue> {
        let attributes = [("pk", self.pk), ("sk", self.sk)];
        attributes.into_iter().map(|(name, value)| (name.to_owned(), AttributeValue::S(value))).collect()
    }
}

/// The sort key of orders.
pub const ORDER_SK: &str = "order";

/// An order.
pub fn order(tenant: &TenantId, id: OrderId) -> Key {
    Key::new(format!("{tenant}#order#{id}"), ORDER_SK)
}

/// The tenant and the id in the partition key of an order.
pub fn parse_order_pk(pk: &str) -> Option<(TenantId, OrderId)> {
    let (tenant, rest) = pk.split_once('#')?;
    let id = rest.strip_prefix("order#")?;
    Some((TenantId::parse(tenant).ok()?, OrderId::parse(id).ok()?))
}

/// The index partition of a customer's orders.
pub fn customer_orders(tenant: &TenantId, customer: &CustomerId) -> String {
    format!("{tenant}#customer#{customer}")
}

/// The day, in UTC, of an instant.
pub fn day_of(instant: Timestamp) -> Date {
    instant.to_zoned(TimeZone::UTC).date()
}

/// The lists that a day has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DayList {
    /// What was placed.
    #[default]
    Orders,
    /// Reservations and orders that are being placed, also those that ended before they became orders.
    Holds,
}

/// The index partition of one shard of a day's list.
pub fn day_orders(tenant: &TenantId, list: DayList, day: Date, shard: u8) -> String {
    let list = match list {
        DayList::Orders => "day",
        DayList::Holds => "holds",
    };
    format!("{tenant}#{list}#{day}#{shard:02}")
}

/// The shard of a day that an order is in, by its id, which is a hash already.
pub fn day_shard(id: OrderId) -> u8 {
    id.as_bytes()[15] % DAY_SHARDS
}

/// The place of an order among others in time: sorts by instant, then by id.
pub fn order_position(placed_at: Timestamp, id: OrderId) -> String {
    format!("{}#{id}", instant(placed_at))
}

/// An instant as text that sorts by time: thirteen digits of milliseconds reach to the year 2286.
pub fn instant(at: Timestamp) -> String {
    format!("{:013}", at.as_millisecond().max(0))
}

/// The partition of a product's stock headers and receipts.
pub fn stock(tenant: &TenantId, product: &ProductId) -> String {
    format!("{tenant}#stock#{product}")
}

/// The prefix of the sort keys of stock headers.
pub const WAREHOUSE_PREFIX: &str = "warehouse#";

/// The header of a product's stock in a warehouse.
pub fn stock_header(tenant: &TenantId, product: &ProductId, warehouse: &WarehouseId) -> Key {
    Key::new(stock(tenant, product), format!("{WAREHOUSE_PREFIX}{warehouse}"))
}

/// A receipt of stock.
pub fn receipt(tenant: &TenantId, product: &ProductId, key: &IdempotencyKey) -> Key {
    Key::new(stock(tenant, product), format!("receipt#{key}"))
}

/// The prefix of the sort keys of an order's parts.
pub const PART_PREFIX: &str = "lines#";

/// A part of a large order.
pub fn order_part(tenant: &TenantId, id: OrderId, attempt: u32, number: u16) -> Key {
    Key::new(order(tenant, id).pk, format!("{}{number:05}", order_parts(attempt)))
}

/// What the sort keys of the parts of one attempt begin with.
pub fn order_parts(attempt: u32) -> String {
    format!("{PART_PREFIX}{attempt:05}#")
}

/// A stripe of a pool. A customer's id may hold anything but `#`, so it stands last before the number.
pub fn stripe(tenant: &TenantId, stripe: &StripeId) -> Key {
    let pool = match &stripe.pool {
        PoolId::Stock { product, warehouse } => format!("stock#{product}@{warehouse}"),
        PoolId::Coupon { code } => format!("coupon#{code}"),
        PoolId::Allowance { customer, of: AllowanceOf::Product { product, window_seconds, window } } => {
            format!("allowance#product#{product}#{window_seconds}.{window}#{customer}")
        }
        PoolId::Allowance { customer, of: AllowanceOf::Coupon { code } } => {
            format!("allowance#coupon#{code}#{customer}")
        }
    };
    Key::new(format!("{tenant}#pool#{pool}#{}", stripe.number), "stripe")
}

/// The header of a pool; none for an allowance, which always has one stripe.
pub fn pool_header(tenant: &TenantId, pool: &PoolId) -> Option<Key> {
    match pool {
        PoolId::Stock { product, warehouse } => Some(stock_header(tenant, product, warehouse)),
        PoolId::Coupon { code } => Some(Key::new(coupon(tenant, code).pk, "pool")),
        PoolId::Allowance { .. } => None,
    }
}

/// The partition of pools at which too many orders met.
pub const PRESSED: &str = "pressed";

/// The note that too many orders met at a pool of stock.
pub fn pressed(tenant: &TenantId, product: &ProductId, warehouse: &WarehouseId) -> Key {
    Key::new(PRESSED.to_owned(), format!("{tenant}#{product}#{warehouse}"))
}

/// The pool in the sort key of such a note.
pub fn parse_pressed_sk(sk: &str) -> Option<(TenantId, ProductId, WarehouseId)> {
    let mut parts = sk.split('#');
    let (tenant, product, warehouse) = (parts.next()?, parts.next()?, parts.next()?);
    let ids = (TenantId::parse(tenant).ok()?, ProductId::parse(product).ok()?, WarehouseId::parse(warehouse).ok()?);
    parts.next().is_none().then_some(ids)
}

/// The index partition of a tenant's pools.
pub fn pools(tenant: &TenantId) -> String {
    format!("{tenant}#pools")
}

/// A pool's name among those of its tenant; none for an allowance, which is in no list.
pub fn pool_name(pool: &PoolId) -> Option<String> {
    match pool {
        PoolId::Stock { product, warehouse } => Some(format!("stock#{product}#{warehouse}")),
        PoolId::Coupon { code } => Some(format!("coupon#{code}")),
        PoolId::Allowance { .. } => None,
    }
}

/// The pool of a name.
pub fn parse_pool_name(name: &str) -> Option<PoolId> {
    let (kind, rest) = name.split_once('#')?;
    match kind {
        "stock" => {
            let (product, warehouse) = rest.split_once('#')?;
            let (product, warehouse) = (ProductId::parse(product).ok()?, WarehouseId::parse(warehouse).ok()?);
            Some(PoolId::Stock { product, warehouse })
        }
        "coupon" => Some(PoolId::Coupon { code: CouponCode::parse(rest).ok()? }),
        _ => None,
    }
}

/// What reconciliation notes of a pool while it checks it.
pub fn pool_check(tenant: &TenantId, name: &str) -> Key {
    Key::new(format!("{tenant}#check#{name}"), "check")
}

/// What the orders of closed days keep of a pool.
pub fn pool_balance(tenant: &TenantId, name: &str) -> Key {
    Key::new(format!("{tenant}#check#{name}"), "balance")
}

/// Until which day a tenant's history is closed.
pub fn horizon(tenant: &TenantId) -> Key {
    Key::new(format!("{tenant}#closed"), "horizon")
}

/// The partition of orders of closed days that are still looked at one by one.
pub fn carried(tenant: &TenantId) -> String {
    format!("{tenant}#carried")
}

/// An order of a closed day that is still looked at.
pub fn carried_order(tenant: &TenantId, id: OrderId) -> Key {
    Key::new(carried(tenant), id.to_string())
}

/// A product.
pub fn product(tenant: &TenantId, id: &ProductId) -> Key {
    Key::new(format!("{tenant}#product#{id}"), "product")
}

/// The tenant and product of a product's partition key.
pub fn parse_product_pk(pk: &str) -> Option<(TenantId, ProductId)> {
    let (tenant, rest) = pk.split_once('#')?;
    let id = rest.strip_prefix("product#")?;
    Some((TenantId::parse(tenant).ok()?, ProductId::parse(id).ok()?))
}

/// The partition of the registry of tenants.
pub const TENANTS: &str = "tenants";

/// A tenant's entry in the registry.
pub fn tenant(tenant: &TenantId) -> Key {
    Key::new(TENANTS.to_owned(), tenant.as_str())
}

/// How far a pass of maintenance came.
pub fn pass(job: &str) -> Key {
    Key::new("maintenance".to_owned(), job)
}

/// A coupon.
pub fn coupon(tenant: &TenantId, code: &CouponCode) -> Key {
    Key::new(format!("{tenant}#coupon#{code}"), "coupon")
}

/// The rate of a currency in another.
pub fn rate(tenant: &TenantId, from: Currency, to: Currency) -> Key {
    Key::new(format!("{tenant}#rate#{}", from.code()), to.code())
}

/// A tenant's policy of allocation.
pub fn allocation(tenant: &TenantId) -> Key {
    Key::new(format!("{tenant}#config"), "allocation")
}

/// A tenant's policy of orders.
pub fn order_policy(tenant: &TenantId) -> Key {
    Key::new(format!("{tenant}#config"), "orders")
}

/// A tenant's tax policy.
pub fn tax_policy(tenant: &TenantId) -> Key {
    Key::new(format!("{tenant}#config"), "tax")
}

/// The partition of a country's tax rates.
pub fn tax_rates(tenant: &TenantId, country: &Country) -> String {
    format!("{tenant}#tax#{}", country.as_str())
}

/// The tax rate of a class of products in a country.
pub fn tax_rate(tenant: &TenantId, country: &Country, class: &TaxClass) -> Key {
    Key::new(tax_rates(tenant, country), class.as_str())
}

#[cfg(test)]
mod tests;
