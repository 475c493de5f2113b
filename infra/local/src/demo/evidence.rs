//! What the table holds, read item by item from its raw attributes: no type of the code under test has a say in it.

use crate::engines::aws::{JsonService, ServiceError};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A product of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProductKey {
    /// The shop.
    pub tenant: String,
    /// The product.
    pub product: String,
}

/// The stock of a product, in units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stock {
    /// The sum of the receipts.
    pub receipts: i64,
    /// What the headers of its warehouses say was received.
    pub received: i64,
    /// The sum over its stripes.
    pub available: i64,
    /// What is left in its emptiest stripe.
    pub lowest: i64,
    /// Claimed by orders that are `placed`.
    pub held: i64,
    /// Claimed by orders that are `paid`.
    pub sold: i64,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderFacts {
    /// The shop.
    pub tenant: String,
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub state: String,
    /// The number of its writes.
    pub version: i64,
    /// The currency of its prices.
    pub currency: String,
    /// Its total, in minor units.
    pub total: i64,
    /// Its lines.
    pub lines: Vec<LineFacts>,
    /// How far its payment got.
    pub payment: String,
    /// What happened to it, oldest first.
    pub history: Vec<String>,
}

/// A line of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineFacts {
    /// What.
    pub product: String,
    /// How many.
    pub quantity: i64,
    /// The price of one, in minor units.
    pub price: i64,
    /// The units claimed from stripes.
    pub claimed: i64,
}

/// Everything the laws are about.
#[derive(Debug, Default)]
pub struct Evidence {
    /// The stock of every product.
    pub stock: BTreeMap<ProductKey, Stock>,
    /// Every order.
    pub orders: Vec<OrderFacts>,
    /// Keys of the outbox's entries.
    pub outbox: Vec<String>,
}

impl ProductKey {
    fn new(tenant: &str, product: &str) -> Self {
        Self { tenant: tenant.to_owned(), product: product.to_owned() }
    }
}

impl std::fmt::Display for ProductKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "product {} of {}", self.product, self.tenant)
    }
}

impl OrderFacts {
    /// Whether its units are kept from others.
    pub fn keeps_stock(&self) -> bool {
        self.state == "placed" || self.state == "paid"
    }
}

impl Evidence {
    /// Reads all of `table`, consistently.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn read(dynamodb: &JsonService, table: &str) -> Result<Self, ServiceError> {
        let mut items = Vec::new();
        let mut request = json!({"TableName": table, "ConsistentRead": true});
        loop {
            let mut page = dynamodb.call("Scan", &request).await?;
            if let Value::Array(found) = page["Items"].take() {
                items.extend(found);
            }
            match page["LastEvaluatedKey"].take() {
                Value::Null => return Ok(Self::of(&items)),
                last => request["ExclusiveStartKey"] = last,
            }
        }
    }

    /// What these raw items say.
    pub fn of<'a>(items: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut evidence = Self::default();
        items.into_iter().for_each(|item| evidence.add(item));
        evidence.count_claims();
        evidence
    }

    fn add(&mut self, item: &Value) {
        let (pk, sk) = (text(item, "pk"), text(item, "sk"));
        if pk.starts_with("outbox#") {
            self.outbox.push(format!("{pk}/{sk}"));
            return;
        }
        let Some((tenant, key)) = pk.split_once('#') else { return };
        if let Some(id) = key.strip_prefix("order#").filter(|_| sk == "order") {
            self.orders.push(order(tenant, id, item));
        } else if let Some(product) = key.strip_prefix("stock#") {
            let stock = self.stock.entry(ProductKey::new(tenant, product)).or_default();
            match sk.split_once('#') {
                Some(("receipt", _)) => stock.receipts += number(item, "quantity"),
                Some(("warehouse", _)) => stock.received += number(item, "received"),
                _ => {}
            }
        } else if let Some(stripe) = key.strip_prefix("pool#stock#") {
            let pool = stripe.rsplit_once('#').map_or(stripe, |(pool, _)| pool);
            let product = pool.rsplit_once('@').map_or(pool, |(product, _)| product);
            let stock = self.stock.entry(ProductKey::new(tenant, product)).or_default();
            let available = number(item, "available");
            stock.available += available;
            stock.lowest = stock.lowest.min(available);
        }
    }

    fn count_claims(&mut self) {
        for order in self.orders.iter().filter(|order| order.keeps_stock()) {
            for line in &order.lines {
                let stock = self.stock.entry(ProductKey::new(&order.tenant, &line.product)).or_default();
                match order.state == "paid" {
                    true => stock.sold += line.claimed,
                    false => stock.held += line.claimed,
                }
            }
        }
    }
}

fn order(tenant: &str, id: &str, item: &Value) -> OrderFacts {
    let entries = |name: &str| item[name]["L"].as_array().into_iter().flatten().map(|entry| &entry["M"]);
    let line = |line: &Value| LineFacts {
        product: text(line, "product").to_owned(),
        quantity: number(line, "quantity"),
        price: number(line, "price"),
        claimed: line["from"]["L"].as_array().into_iter().flatten().map(|from| number(&from["M"], "quantity")).sum(),
    };
    OrderFacts {
        tenant: tenant.to_owned(),
        id: id.to_owned(),
        state: text(item, "state").to_owned(),
        version: number(item, "version"),
        currency: text(item, "currency").to_owned(),
        total: number(item, "total"),
        lines: entries("lines").map(line).collect(),
        payment: text(&item["payment"]["M"], "status").to_owned(),
        history: entries("history").map(|entry| text(entry, "type").to_owned()).collect(),
    }
}

fn text<'a>(item: &'a Value, name: &str) -> &'a str {
    item[name]["S"].as_str().unwrap_or_default()
}

/// A number that is missing or not whole reads as one that breaks every law it takes part in.
fn number(item: &Value, name: &str) -> i64 {
    item[name]["N"].as_str().and_then(|digits| digits.parse().ok()).unwrap_or(i64::from(i32::MIN))
}
