//! A large order against its bare transactions, sent by the same parallelism.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::Context as _;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hdrhistogram::Histogram;
use holdfast_store::{PARTS_AT_ONCE, Store};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::handler::{Handler, stock};
use crate::engines::aws::JsonService;

/// Lines of the order, each of a product of its own.
const LINES: usize = 1_000;
/// Placements of each side, after one that is not counted.
const ORDERS: usize = 15;

/// Both sides.
#[derive(Serialize, Deserialize)]
pub struct LargeFigures {
    /// Lines of the order.
    pub lines: usize,
    /// Its transactions: header, parts and commit.
    pub transactions: usize,
    /// The handler's median, in ms.
    pub handler_p50_ms: f64,
    /// The bare transactions' median, in ms.
    pub bare_p50_ms: f64,
}

impl LargeFigures {
    /// Handler over bare, at the median.
    pub fn ratio(&self) -> f64 {
        self.handler_p50_ms / self.bare_p50_ms
    }
}

type Item = HashMap<String, AttributeValue>;

/// Places large orders by either side, in turn.
///
/// # Errors
/// When a placement fails.
pub async fn measure(service: &JsonService, client: &Client, table: &str) -> anyhow::Result<LargeFigures> {
    for product in 0..LINES {
        stock(service, table, &format!("large-{product}"), 1, 1_000_000).await?;
    }
    let lines: Vec<_> = (0..LINES).map(|n| json!({"product_id": format!("large-{n}"), "quantity": 1})).collect();
    let handler = Handler::new(&Store::new(client.clone(), table))?.with_lines(json!(lines))?;
    let (first, _) = handler.place("large").await?;
    let bare = Bare::like(client, table, first["order_id"].as_str().context("the order has an id")?).await?;
    let mut times = [Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?];
    for n in 0..=ORDERS {
        let begun = Instant::now();
        handler.place(&format!("large-{n}")).await?;
        let handled = begun.elapsed();
        let begun = Instant::now();
        bare.place().await?;
        let sent = begun.elapsed();
        if n > 0 {
            times[0].record(u64::try_from(handled.as_micros())?)?;
            times[1].record(u64::try_from(sent.as_micros())?)?;
        }
    }
    let [handler_p50_ms, bare_p50_ms] = times.map(|times| times.value_at_quantile(0.5) as f64 / 1_000.0);
    Ok(LargeFigures { lines: LINES, transactions: bare.parts.len() + 2, handler_p50_ms, bare_p50_ms })
}

/// The transactions of an order that was placed, without anything around them.
struct Bare {
    client: Client,
    table: String,
    header: Item,
    parts: Vec<Item>,
}

impl Bare {
    async fn like(client: &Client, table: &str, order_id: &str) -> anyhow::Result<Self> {
        let request = client.query().table_name(table).key_condition_expression("pk = :pk").consistent_read(true);
        let pk = AttributeValue::S(format!("acme#order#{order_id}"));
        let pages = request.expression_attribute_values(":pk", pk).into_paginator().items().send();
        let items: Vec<Item> = pages.try_collect().await?;
        let is_part = |item: &Item| item.get("sk").and_then(|sk| sk.as_s().ok()).is_some_and(|sk| sk != "order");
        let (parts, mut header): (Vec<_>, Vec<_>) = items.into_iter().partition(is_part);
        let header = header.pop().context("the order has a header")?;
        Ok(Self { client: client.clone(), table: table.to_owned(), header, parts })
    }

    async fn place(&self) -> anyhow::Result<()> {
        let pk = AttributeValue::S(format!("acme#order#{}", uuid::Uuid::now_v7()));
        let mut header = self.header.clone();
        header.insert("pk".to_owned(), pk.clone());
        self.send(vec![self.put(header.clone())?]).await?;
        let sent = stream::iter(&self.parts).map(|part| self.place_part(part, &pk)).buffer_unordered(PARTS_AT_ONCE);
        sent.try_collect::<()>().await?;
        let commit = self.client.update_item().table_name(&self.table).key("pk", pk).key("sk", header["sk"].clone());
        let commit = commit.update_expression("SET version = version + :one");
        commit.expression_attribute_values(":one", AttributeValue::N("1".to_owned())).send().await?;
        Ok(())
    }

    async fn place_part(&self, part: &Item, pk: &AttributeValue) -> anyhow::Result<()> {
        let lines = part.get("lines").and_then(|lines| lines.as_l().ok()).context("a part has lines")?;
        let mut actions = Vec::with_capacity(lines.len() + 1);
        for line in lines {
            let product = line.as_m().ok().and_then(|line| line.get("product")?.as_s().ok());
            actions.push(self.claim(product.context("a line has a product")?)?);
        }
        let mut part = part.clone();
        part.insert("pk".to_owned(), pk.clone());
        actions.insert(0, self.put(part)?);
        self.send(actions).await
    }

    fn put(&self, item: Item) -> anyhow::Result<TransactWriteItem> {
        let put = Put::builder().table_name(&self.table).set_item(Some(item));
        let put = put.condition_expression("attribute_not_exists(pk)").build()?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    fn claim(&self, product: &str) -> anyhow::Result<TransactWriteItem> {
        let update = Update::builder()
            .table_name(&self.table)
            .key("pk", AttributeValue::S(format!("acme#pool#stock#{product}@main#0")))
            .key("sk", AttributeValue::S("stripe".to_owned()))
            .update_expression("SET available = available - :one, version = version + :one")
            .condition_expression("available >= :one AND price_version <= :one")
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .build()?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    async fn send(&self, actions: Vec<TransactWriteItem>) -> anyhow::Result<()> {
        self.client.transact_write_items().set_transact_items(Some(actions)).send().await?;
        Ok(())
    }
}
