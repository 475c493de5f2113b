//! The handler against a bare transaction, in this process.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnConsumedCapacity, TransactWriteItem, Update};
use aws_smithy_http_client::Builder;
use axum::Router;
use hdrhistogram::Histogram;
use holdfast_runtime::clients::{Aws, Endpoints};
use holdfast_runtime::clock::Clock;
use holdfast_runtime::http::{CursorKey, observed};
use holdfast_store::{Spent, Store};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::large::{self, LargeFigures};
use super::sold_out::{self, SoldOutFigures};
use crate::engines::aws::JsonService;
use crate::engines::dynamodb::DynamoDb;
use crate::template::{LocalValues, Template};
use crate::workspace;

/// Placements of each side before the counting begins.
const WARM_UP: usize = 50;
/// The product that is ordered, and how many there are.
const STOCK: u64 = 10_000_000;

/// Both sides.
#[derive(Serialize, Deserialize)]
pub struct HandlerFigures {
    /// The `orders` function's handler, from the event to the answer.
    pub handler: Side,
    /// `TransactWriteItems` of the same items.
    pub bare: Side,
    /// Calls of a request that is a retry.
    pub replay_calls: u64,
    /// Handler over bare, at the median.
    pub ratio_p50: f64,
    /// Placements of each side.
    pub orders: usize,
    /// An order in parts.
    pub large: LargeFigures,
    /// Attempts at a product that is sold out.
    pub sold_out: SoldOutFigures,
}

/// One side.
#[derive(Serialize, Deserialize)]
pub struct Side {
    /// Round trips of one placement.
    pub calls: u64,
    /// Write capacity units of one placement, with both indices.
    pub wcu: f64,
    /// Median, in µs.
    pub p50_us: f64,
    /// 95th percentile, in µs.
    pub p95_us: f64,
    /// 99th percentile, in µs.
    pub p99_us: f64,
}

/// Places `orders` orders by either side, in turn; then large orders, and `attempts` at a product that is sold out.
///
/// # Errors
/// When the engine does not start, or a placement fails.
pub async fn measure(orders: usize, attempts: usize) -> anyhow::Result<HandlerFigures> {
    let engine = DynamoDb::start(&workspace::stack("bench")).await?;
    let template = Template::read(&workspace::root().join("template.yaml"))?;
    let table = template.application(&LocalValues::default())?.table;
    let service = JsonService::dynamodb(reqwest::Client::new(), engine.url());
    service.call("CreateTable", &table.create).await?;
    let client = aws(engine.url()).dynamodb();
    stock(&service, &table.name, "mug-blue", 1, STOCK).await?;
    let store = Store::new(client.clone(), &table.name);
    let handler = Handler::new(&store)?;

    let (first, _) = handler.place("first").await?;
    let order_id = first["order_id"].as_str().context("the order has an id")?;
    let bare = Bare::like(&client, &table.name, order_id).await?;
    let mut times = [Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?];
    let mut bare_wcu = 0.0;
    for n in 0..WARM_UP + orders {
        let begun = Instant::now();
        handler.place(&format!("k-{n}")).await?;
        let handled = begun.elapsed();
        let begun = Instant::now();
        bare_wcu = bare.place(n).await?;
        let sent = begun.elapsed();
        if n >= WARM_UP {
            times[0].record(micros(handled))?;
            times[1].record(micros(sent))?;
        }
    }
    let placed = handler.place("one-more").await?.1;
    let replayed = handler.place("one-more").await?.1;
    let [handler_times, bare_times] = &times;
    let large = large::measure(&service, &client, &table.name).await?;
    let sold_out = sold_out::measure(&service, &store, &table.name, attempts).await?;
    let ratio_p50 = handler_times.value_at_quantile(0.5) as f64 / bare_times.value_at_quantile(0.5) as f64;
    Ok(HandlerFigures {
        handler: side(handler_times, placed.calls, placed.wcu),
        bare: side(bare_times, 1, bare_wcu),
        replay_calls: replayed.calls,
        ratio_p50,
        orders,
        large,
        sold_out,
    })
}

fn side(times: &Histogram<u64>, calls: u64, wcu: f64) -> Side {
    let at = |quantile| times.value_at_quantile(quantile) as f64;
    Side { calls, wcu, p50_us: at(0.5), p95_us: at(0.95), p99_us: at(0.99) }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The SDK as the functions use it, against the engine at `url`; there is nothing else.
pub fn aws(url: &str) -> Aws {
    let credentials = Credentials::new("local", "local", None, None, "bench");
    let endpoints = Endpoints { dynamodb: Some(url.to_owned()), ..Endpoints::default() };
    Aws::new("us-east-1".to_owned(), credentials, Builder::new().build_http(), endpoints)
}

/// A product in stock, spread evenly over stripes.
pub async fn stock(dynamodb: &JsonService, table: &str, id: &str, stripes: u64, units: u64) -> anyhow::Result<()> {
    let product = json!({
        "pk": {"S": format!("acme#product#{id}")}, "sk": {"S": "product"}, "name": {"S": "Mug"},
        "description": {"S": ""}, "category": {"S": "all"}, "price": {"N": "1999"}, "currency": {"S": "EUR"},
        "price_version": {"N": "1"}, "version": {"N": "1"},
    });
    let header = json!({
        "pk": {"S": format!("acme#stock#{id}")}, "sk": {"S": "warehouse#main"}, "stripes": {"N": stripes.to_string()},
        "received": {"N": units.to_string()},
    });
    let stripe = |number: u64| {
        let available = units / stripes + u64::from(number < units % stripes);
        json!({
            "pk": {"S": format!("acme#pool#stock#{id}@main#{number}")}, "sk": {"S": "stripe"},
            "available": {"N": available.to_string()}, "price_version": {"N": "1"}, "version": {"N": "1"},
        })
    };
    for item in [product, header].into_iter().chain((0..stripes).map(stripe)) {
        dynamodb.call("PutItem", &json!({"TableName": table, "Item": item})).await?;
    }
    Ok(())
}

/// The `orders` function in this process, invoked with the sample event.
pub struct Handler {
    router: Router,
    event: Value,
}

impl Handler {
    /// An environment of its own over a store.
    ///
    /// # Errors
    /// When the sample is not readable.
    pub fn new(store: &Store) -> anyhow::Result<Self> {
        let event = std::fs::read_to_string(workspace::root().join("events/orders/place.json"))?;
        let expires_in = SignedDuration::from_mins(15);
        let settings = orders::Settings { expires_in, cursor_key: CursorKey::new("bench") };
        let router = observed(orders::router(store.clone(), Clock::system(), settings));
        Ok(Self { router, event: serde_json::from_str(&event)? })
    }

    /// Wants these lines instead of those of the sample.
    ///
    /// # Errors
    /// When the sample has no body.
    pub fn with_lines(mut self, lines: Value) -> anyhow::Result<Self> {
        let body = self.event["body"].as_str().context("the sample has a body")?;
        let mut body: Value = serde_json::from_str(body)?;
        body["lines"] = lines;
        self.event["body"] = json!(body.to_string());
        Ok(self)
    }

    /// Places the order of the sample under a key: from the event's text to the answer's bytes.
    ///
    /// # Errors
    /// When the order is not placed.
    pub async fn place(&self, key: &str) -> anyhow::Result<(Value, Spent)> {
        let (status, body, spent) = self.send(key).await?;
        anyhow::ensure!(status.is_success(), "{status}: {body}");
        Ok((body, spent))
    }

    /// Sends the sample under a key; the answer, whatever it is.
    ///
    /// # Errors
    /// When the handler does not answer in JSON.
    pub async fn send(&self, key: &str) -> anyhow::Result<(axum::http::StatusCode, Value, Spent)> {
        let mut event = self.event.clone();
        event["headers"]["idempotency-key"] = json!(key);
        let request = lambda_http::request::from_str(&event.to_string())?;
        let response = self.router.clone().oneshot(request).await.expect("routers do not fail");
        let spent = *response.extensions().get::<Spent>().context("the answer says what was spent")?;
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await?;
        Ok((status, serde_json::from_slice(&body)?, spent))
    }
}

/// A transaction of the same items, without anything around it.
struct Bare {
    client: Client,
    table: String,
    order: HashMap<String, AttributeValue>,
    stripe: HashMap<String, AttributeValue>,
}

impl Bare {
    /// With items like those of an order that was placed.
    async fn like(client: &Client, table: &str, order_id: &str) -> anyhow::Result<Self> {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let request = client.get_item().table_name(table).consistent_read(true);
        let request = request.key("pk", text(&format!("acme#order#{order_id}"))).key("sk", text("order"));
        let order = request.send().await?.item.context("the order is in the table")?;
        let stripe = [("pk", "acme#pool#stock#mug-blue@main#0"), ("sk", "stripe")];
        let stripe = stripe.into_iter().map(|(name, value)| (name.to_owned(), text(value))).collect();
        Ok(Self { client: client.clone(), table: table.to_owned(), order, stripe })
    }

    /// Places the order of this number; the write units it took.
    async fn place(&self, number: usize) -> anyhow::Result<f64> {
        let mut order = self.order.clone();
        let id = uuid::Uuid::now_v7();
        order.insert("pk".to_owned(), AttributeValue::S(format!("acme#order#{id}")));
        order.insert("gsisk".to_owned(), AttributeValue::S(format!("{number:013}#{id}")));
        let put = Put::builder().table_name(&self.table).set_item(Some(order));
        let put = put.condition_expression("attribute_not_exists(pk)").build()?;
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(self.stripe.clone()))
            .update_expression("SET available = available - :quantity, version = version + :one")
            .condition_expression("available >= :quantity AND price_version <= :price_version")
            .expression_attribute_values(":quantity", AttributeValue::N("2".to_owned()))
            .expression_attribute_values(":price_version", AttributeValue::N("1".to_owned()))
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .build()?;
        let request = self
            .client
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().put(put).build())
            .transact_items(TransactWriteItem::builder().update(update).build())
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes);
        let output = request.send().await?;
        Ok(output.consumed_capacity().iter().filter_map(|consumed| consumed.capacity_units).sum())
    }
}
