//! The same orders, read bare.

use std::time::Instant;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use holdfast_domain::export::Export;
use holdfast_runtime::clients::{Aws, Endpoints};
use holdfast_store::keys;
use jiff::ToSpan as _;

use crate::engines::aws::{ACCESS_KEY, REGION};

/// How many batches are read at the same time, as the exporter does.
const BATCHES_AT_ONCE: usize = 3;
/// The most keys of a batch (Amazon DynamoDB, `BatchGetItem`), and of a page.
const BATCH: i32 = 100;

type Item = std::collections::HashMap<String, AttributeValue>;

/// Reads every order of an export's span: day by day, shard by shard, page by page. How long it takes, in seconds.
///
/// # Errors
/// When the engine refuses a call, or not all orders are found.
pub async fn read(url: &str, table: &str, export: &Export, orders: usize) -> anyhow::Result<f64> {
    let credentials = aws_sdk_dynamodb::config::Credentials::new(ACCESS_KEY, ACCESS_KEY, None, None, "bench");
    let endpoints = Endpoints { dynamodb: Some(url.to_owned()), ..Endpoints::default() };
    let http = aws_smithy_http_client::Builder::new().build_http();
    let client = Aws::new(REGION.to_owned(), credentials, http, endpoints).dynamodb();
    let mut partitions = Vec::new();
    let (mut day, last) = (keys::day_of(export.span.from()), keys::day_of(export.span.to()));
    while day <= last {
        let shards = 0..keys::DAY_SHARDS;
        partitions.extend(shards.map(|shard| keys::day_orders(&export.tenant, keys::DayList::Orders, day, shard)));
        day = day.checked_add(1.day())?;
    }
    let begun = Instant::now();
    let pages = partitions.into_iter().map(|partition| pages(&client, table, partition));
    let batches = stream::iter(pages).flatten().map(|page| async {
        let batch = KeysAndAttributes::builder().set_keys(Some(page?)).build()?;
        let output = client.batch_get_item().request_items(table, batch).send().await?;
        anyhow::ensure!(output.unprocessed_keys.is_none_or(|keys| keys.is_empty()), "the engine leaves keys out");
        Ok(output.responses.unwrap_or_default().values().map(Vec::len).sum::<usize>())
    });
    let found: usize = batches.buffered(BATCHES_AT_ONCE).try_fold(0, async |sum, found| Ok(sum + found)).await?;
    anyhow::ensure!(found == orders, "{found} orders were found, not {orders}");
    Ok(begun.elapsed().as_secs_f64())
}

/// The pages of a partition that are not empty: the keys of orders.
fn pages(
    client: &Client,
    table: &str,
    partition: String,
) -> impl futures_util::Stream<Item = anyhow::Result<Vec<Item>>> {
    let request = client
        .query()
        .table_name(table)
        .index_name(keys::GSI2)
        .key_condition_expression("gsi2pk = :partition")
        .expression_attribute_values(":partition", AttributeValue::S(partition))
        .limit(BATCH);
    let pages = stream::try_unfold(Some(None), move |next: Option<Option<Item>>| {
        let request = request.clone();
        async move {
            let Some(start) = next else { return Ok(None) };
            let output = request.set_exclusive_start_key(start).send().await?;
            let next = output.last_evaluated_key.map(Some);
            let key = |mut item: Item| {
                item.retain(|name, _| name == "pk" || name == "sk");
                item
            };
            let keys: Vec<_> = output.items.unwrap_or_default().into_iter().map(key).collect();
            anyhow::Ok(Some((keys, next)))
        }
    });
    Box::pin(pages.try_filter(|page| std::future::ready(!page.is_empty())))
}
