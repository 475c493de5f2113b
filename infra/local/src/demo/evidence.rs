//! What the table holds, read item by item from its raw attributes: no type of the code under test has a say in it.

mod items;
mod money;

pub use money::{EntryFacts, RefundFacts, Sums};

use crate::engines::aws::{JsonService, ServiceError};
use items::{number, order, part, text};
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
    /// Claimed by orders that are not paid yet.
    pub held: i64,
    /// Sold by orders that are paid, also what came back of it.
    pub sold: i64,
    /// What came back and is free again.
    pub restocked: i64,
}

/// The uses of a coupon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coupon {
    /// What its header says there were in all.
    pub uses: i64,
    /// The sum over its stripes.
    pub available: i64,
    /// What is left in its emptiest stripe.
    pub lowest: i64,
    /// Claimed by orders that keep theirs.
    pub kept: i64,
}

/// A customer's allowance of something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowance {
    /// What its item says is used.
    pub used: i64,
    /// Claimed by orders that keep theirs.
    pub kept: i64,
}

/// A part of a large order.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PartFacts {
    order: String,
    attempt: String,
    state: String,
    lines: Vec<LineFacts>,
    claims: Vec<ClaimFacts>,
}

/// A claim that no line makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimFacts {
    /// What is claimed from: a coupon's code, or an allowance's key.
    pub pool: String,
    /// How many.
    pub quantity: i64,
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
    /// What a coupon takes off, in minor units.
    pub discount: i64,
    /// What it is taxed, in minor units.
    pub tax: i64,
    /// Whether the tax is paid beside the prices.
    pub tax_is_beside: bool,
    /// Its lines, also those that are kept in parts.
    pub lines: Vec<LineFacts>,
    /// Its further claims.
    pub claims: Vec<ClaimFacts>,
    /// The attempt whose parts it consists of, if it is kept in parts.
    pub attempt: Option<i64>,
    /// Whether its parts, if it has any, are all still held.
    pub whole: bool,
    /// How far its payment got.
    pub payment: String,
    /// What money moved, oldest first.
    pub ledger: Vec<EntryFacts>,
    /// What is to go back, or went back.
    pub refunds: Vec<RefundFacts>,
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
    /// The price of all in the order's currency, if it had to be converted.
    pub converted: Option<i64>,
    /// What a coupon takes off it.
    pub discount: i64,
    /// What it is taxed.
    pub tax: i64,
    /// The units claimed from stripes.
    pub claimed: i64,
    /// Those of them that came back and were given back.
    pub restocked: i64,
}

/// Everything the laws are about.
#[derive(Debug, Default)]
pub struct Evidence {
    /// The stock of every product.
    pub stock: BTreeMap<ProductKey, Stock>,
    /// Every order and reservation, and every attempt to place one.
    pub orders: Vec<OrderFacts>,
    /// The coupons, by tenant and code.
    pub coupons: BTreeMap<(String, String), Coupon>,
    /// The allowances, by tenant and key.
    pub allowances: BTreeMap<(String, String), Allowance>,
    /// Parts whose claims are still held, although no order keeps them.
    pub stray_parts: Vec<String>,
    /// Keys of the outbox's entries that wait to be published.
    pub outbox: Vec<String>,
    /// Keys of the dead letters.
    pub dead: Vec<String>,
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
        self.is_held() || self.is_sold()
    }

    /// Whether its units wait for it to be paid or completed.
    pub fn is_held(&self) -> bool {
        matches!(self.state.as_str(), "placed" | "reserved" | "placing")
    }

    /// Whether its units are sold.
    pub fn is_sold(&self) -> bool {
        let states = ["paid", "shipping", "partially_shipped", "shipped", "delivered", "returned"];
        states.contains(&self.state.as_str())
    }

    /// Whether it was placed at some time: what never was is no order.
    pub fn was_placed(&self) -> bool {
        self.history.iter().any(|entry| entry == "placed")
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
        let mut parts = Vec::new();
        items.into_iter().for_each(|item| evidence.add(item, &mut parts));
        evidence.add_parts(parts);
        evidence.count_claims();
        evidence
    }

    fn add(&mut self, item: &Value, parts: &mut Vec<(String, PartFacts)>) {
        let (pk, sk) = (text(item, "pk"), text(item, "sk"));
        if pk == "dead" {
            self.dead.push(sk.to_owned());
        }
        // Those that were published in the end are kept for a week.
        if pk.starts_with("outbox#") && pk != "outbox#done" {
            self.outbox.push(format!("{pk}/{sk}"));
            return;
        }
        let Some((tenant, key)) = pk.split_once('#') else { return };
        if let Some(id) = key.strip_prefix("order#") {
            match sk.strip_prefix("lines#").and_then(|rest| rest.split_once('#')) {
                Some((attempt, _)) => parts.push((tenant.to_owned(), part(id, attempt, item))),
                None if sk == "order" => self.orders.push(order(tenant, id, item)),
                None => {}
            }
        } else if let Some(product) = key.strip_prefix("stock#") {
            let stock = self.stock.entry(ProductKey::new(tenant, product)).or_default();
            match sk.split_once('#') {
                Some(("receipt", _)) => stock.receipts += number(item, "quantity"),
                Some(("warehouse", _)) => stock.received += number(item, "received"),
                _ => {}
            }
        } else if let Some(code) = key.strip_prefix("coupon#").filter(|_| sk == "pool") {
            self.coupon(tenant, code).uses += number(item, "received");
        } else if let Some((kind, stripe)) = key.strip_prefix("pool#").and_then(|pool| pool.split_once('#')) {
            let pool = stripe.rsplit_once('#').map_or(stripe, |(pool, _)| pool);
            self.add_stripe(tenant, kind, pool, item);
        }
    }

    fn add_stripe(&mut self, tenant: &str, kind: &str, pool: &str, item: &Value) {
        match kind {
            "stock" => {
                let product = pool.rsplit_once('@').map_or(pool, |(product, _)| product);
                let stock = self.stock.entry(ProductKey::new(tenant, product)).or_default();
                let available = number(item, "available");
                stock.available += available;
                stock.lowest = stock.lowest.min(available);
            }
            "coupon" => {
                let available = number(item, "available");
                let coupon = self.coupon(tenant, pool);
                coupon.available += available;
                coupon.lowest = coupon.lowest.min(available);
            }
            "allowance" => self.allowance(tenant, &format!("allowance#{pool}")).used += number(item, "used"),
            _ => {}
        }
    }

    fn coupon(&mut self, tenant: &str, code: &str) -> &mut Coupon {
        self.coupons.entry((tenant.to_owned(), code.to_owned())).or_default()
    }

    fn allowance(&mut self, tenant: &str, key: &str) -> &mut Allowance {
        self.allowances.entry((tenant.to_owned(), key.to_owned())).or_default()
    }

    /// Gives orders the lines of their parts. A part that is held counts as held whatever its order says.
    fn add_parts(&mut self, mut parts: Vec<(String, PartFacts)>) {
        for order in &mut self.orders {
            let Some(attempt) = order.attempt else { continue };
            let own = |(tenant, part): &(String, PartFacts)| {
                *tenant == order.tenant && part.order == order.id && part.attempt.parse() == Ok(attempt)
            };
            let (mine, others): (Vec<_>, Vec<_>) = parts.into_iter().partition(own);
            parts = others;
            order.whole = mine.iter().all(|(_, part)| part.state == "held");
            for (_, part) in mine {
                if part.state == "held" && !order.keeps_stock() {
                    self.stray_parts.push(format!("{} of order {}", part.attempt, part.order));
                }
                order.lines.extend(part.lines);
                order.claims.extend(part.claims);
            }
        }
        let stray = parts.into_iter().filter(|(_, part)| part.state == "held");
        self.stray_parts.extend(stray.map(|(_, part)| format!("{} of order {}", part.attempt, part.order)));
    }

    fn count_claims(&mut self) {
        let orders = std::mem::take(&mut self.orders);
        for order in orders.iter().filter(|order| order.keeps_stock()) {
            for line in &order.lines {
                let stock = self.stock.entry(ProductKey::new(&order.tenant, &line.product)).or_default();
                match order.is_sold() {
                    true => stock.sold += line.claimed,
                    false => stock.held += line.claimed,
                }
                stock.restocked += line.restocked;
            }
            for claim in &order.claims {
                match claim.pool.strip_prefix("coupon#") {
                    Some(code) => self.coupon(&order.tenant, code).kept += claim.quantity,
                    None => self.allowance(&order.tenant, &claim.pool).kept += claim.quantity,
                }
            }
        }
        self.orders = orders;
    }
}
