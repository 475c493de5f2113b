//! A shop with a history, written into the engine as raw items.

use std::collections::HashMap;

use dynoxide::{Database, ImportOptions};
use holdfast_domain::ids::{CustomerId, IdempotencyKey, OrderId, ProductId, TenantId, WarehouseId};
use holdfast_domain::pool::{PoolId, StripeId};
use holdfast_store::keys::{self, DayList, Key};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// How many products there are, each in one warehouse and one stripe.
pub const POOLS: usize = 200;
/// Over how many days the orders are spread.
const DAYS: i64 = 30;
/// How many items are written at once.
const BATCH: usize = 5_000;

type Item = HashMap<String, dynoxide::AttributeValue>;

/// Writes a shop with so many orders, all of one unit and all paid.
///
/// # Errors
/// When the engine refuses an item.
pub fn fill(database: &Database, table: &str, orders: usize) -> anyhow::Result<()> {
    let tenant = TenantId::parse("acme")?;
    let sold = orders.div_ceil(POOLS);
    let mut items = vec![item(&keys::tenant(&tenant), json!({}))?];
    for number in 0..POOLS {
        let pool = PoolId::Stock { product: product(number)?, warehouse: WarehouseId::parse("main")? };
        let name = keys::pool_name(&pool).unwrap_or_default();
        let units = |units: usize| json!({"N": units.to_string()});
        let header = json!({
            "stripes": units(1), "received": units(sold + 1), "gsi1pk": {"S": keys::pools(&tenant)}, "gsisk": {"S": name},
        });
        let key = keys::pool_header(&tenant, &pool);
        items.extend(key.map(|key| item(&key, header)).transpose()?);
        let of_product = orders / POOLS + usize::from(number < orders % POOLS);
        let stripe = json!({
            "available": units(sold + 1 - of_product), "price_version": units(1), "version": units(1),
        });
        items.push(item(&keys::stripe(&tenant, &StripeId { pool, number: 0 }), stripe)?);
    }
    let now = Timestamp::now();
    let customer = CustomerId::parse("bench")?;
    let step = SignedDuration::from_hours(24 * DAYS).checked_div(i32::try_from(orders)?).unwrap_or_default();
    for number in 0..orders {
        let id = OrderId::derive(&tenant, &customer, &IdempotencyKey::parse(format!("k-{number}"))?);
        let before = step.saturating_mul(i32::try_from(orders - number)?);
        items.push(order(&tenant, id, number, now.checked_sub(before)?)?);
        if items.len() >= BATCH {
            database.import_items(table, std::mem::take(&mut items), ImportOptions::default())?;
        }
    }
    database.import_items(table, items, ImportOptions::default())?;
    Ok(())
}

fn product(number: usize) -> anyhow::Result<ProductId> {
    Ok(ProductId::parse(format!("p-{number}"))?)
}

fn order(tenant: &TenantId, id: OrderId, number: usize, at: Timestamp) -> anyhow::Result<Item> {
    let list = keys::day_orders(tenant, DayList::Orders, keys::day_of(at), keys::day_shard(id));
    let at_ms = json!({"N": at.as_millisecond().to_string()});
    let entry = |kind: &str, by: &str| json!({"M": {"type": {"S": kind}, "at": at_ms, "by": {"S": by}}});
    let attributes = json!({
        "gsi1pk": {"S": "acme#customer#bench"}, "gsi2pk": {"S": list}, "gsisk": {"S": keys::order_position(at, id)},
        "state": {"S": "paid"}, "version": {"N": "3"}, "customer": {"S": "bench"}, "currency": {"S": "EUR"},
        "total": {"N": "1999"}, "placed_at": at_ms, "expires_at": at_ms,
        "lines": {"L": [{"M": {
            "product": {"S": product(number % POOLS)?.as_str()}, "quantity": {"N": "1"}, "price": {"N": "1999"},
            "from": {"L": [{"M": {"warehouse": {"S": "main"}, "stripe": {"N": "0"}, "quantity": {"N": "1"}}}]},
        }}]},
        "address": {"M": {
            "name": {"S": "Zoë Müller"}, "line1": {"S": "Torstraße 1"}, "city": {"S": "Berlin"},
            "postal_code": {"S": "10119"}, "country": {"S": "DE"},
        }},
        "payment": {"M": {
            "method": {"S": "pm_card_visa"}, "status": {"S": "authorised"}, "attempt": {"N": "1"},
            "reference": {"S": "pi_0123456789"},
        }},
        "fingerprint": {"S": "0123456789abcdef0123456789abcdef"},
        "history": {"L": [
            entry("placed", "customer:bench"), entry("payment_started", "worker:payment"), entry("paid", "worker:payment"),
        ]},
        "event": {"M": {
            "correlation_id": {"S": "01890000-0000-7000-8000-000000000000"},
            "traceparent": {"S": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
        }},
    });
    item(&keys::order(tenant, id), attributes)
}

fn item(key: &Key, mut attributes: Value) -> anyhow::Result<Item> {
    attributes["pk"] = json!({"S": key.pk});
    attributes["sk"] = json!({"S": key.sk});
    Ok(serde_json::from_value(attributes)?)
}
