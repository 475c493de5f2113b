//! The function at work on one shop after the other.

use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use holdfast_domain::event::Trace;
use holdfast_domain::export::{Compression, Export, ExportSpan, ExportState, Progress};
use holdfast_domain::ids::{CustomerId, ExportId, Fingerprint, IdempotencyKey, TenantId};
use holdfast_runtime::clients::{Aws, Endpoints};
use holdfast_store::{ExportPut, Store};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{ShopFigures, bare};
use crate::bench::invoking::Invoked;
use crate::bench::reconcile::shop;
use crate::engines::aws::{ACCESS_KEY, JsonService, REGION};
use crate::engines::dynamodb::DynamoDb;
use crate::engines::ministack::Ministack;
use crate::setup::Venv;
use crate::template::{LocalValues, Template};
use crate::{progress, workspace};

/// What an invocation may take.
const TIMEOUT: SignedDuration = SignedDuration::from_secs(900);
/// The bucket of parts.
const BUCKET: &str = "exports";

/// Exports shops of these sizes.
///
/// # Errors
/// When an engine or the function does not start, or an export is not complete.
pub async fn measure(program: &Path, sizes: impl Iterator<Item = usize>) -> anyhow::Result<Vec<ShopFigures>> {
    let quiet = progress::Progress::hidden();
    let (venv, client) = (Venv::engines(&quiet).await?, reqwest::Client::new());
    let folder = workspace::stack("bench");
    let ministack = Ministack::start(&venv, &client, &folder.join("logs")).await?;
    client.put(format!("{}/{BUCKET}", ministack.url())).send().await?.error_for_status()?;
    let mut shops = Vec::new();
    for orders in sizes {
        shops.push(shop(program, orders, ministack.url(), &folder).await?);
    }
    ministack.stop().await;
    Ok(shops)
}

async fn shop(program: &Path, orders: usize, s3: &str, folder: &Path) -> anyhow::Result<ShopFigures> {
    let template = Template::read(&workspace::root().join("template.yaml"))?;
    let table = template.application(&LocalValues::default())?.table;
    let engine = DynamoDb::start(folder).await?;
    JsonService::dynamodb(reqwest::Client::new(), engine.url()).call("CreateTable", &table.create).await?;
    shop::fill(engine.database(), &table.name, orders)?;
    let store = store(engine.url(), &table.name)?;
    let export = requested(orders)?;
    anyhow::ensure!(matches!(store.export_put(&export).await?, ExportPut::Created), "the export was there before");
    let variables = [
        ("AWS_ENDPOINT_URL_DYNAMODB", engine.url().to_owned()),
        ("AWS_ENDPOINT_URL_S3", s3.to_owned()),
        ("TABLE_NAME", table.name.clone()),
        // One invocation is enough: nothing is sent.
        ("EXPORTS_QUEUE_URL", "http://127.0.0.1:9/nowhere".to_owned()),
        ("EXPORTS_BUCKET", BUCKET.to_owned()),
    ];
    let mut function = Invoked::start("exporter", program, TIMEOUT, variables).await?;
    let before = bare::read(engine.url(), &table.name, &export, orders).await?;
    let message = json!({"messageId": "m-1", "body": serde_json::to_string(&export.task())?, "attributes": {}});
    let begun = Instant::now();
    let answer: Value = function.invoke(&json!({"Records": [message]})).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let after = bare::read(engine.url(), &table.name, &export, orders).await?;
    let (rss_bytes, rss_peak_bytes) = function.memory()?;
    function.stop().await;
    let done = store.export_read(&export.tenant, export.id).await?.context("the export is kept")?;
    let is_complete = done.state == ExportState::Done && done.progress.orders == orders as u64;
    anyhow::ensure!(is_complete, "the export is not complete: {answer}, {done:?}");
    let per_second = |seconds: f64| orders as f64 / seconds;
    let (orders_per_second, bare) = (per_second(seconds), per_second((before + after) / 2.0));
    Ok(ShopFigures {
        orders,
        parts: done.progress.parts,
        bytes: done.progress.bytes,
        seconds,
        orders_per_second,
        bare_orders_per_second: bare,
        ratio: orders_per_second / bare,
        rss_bytes,
        rss_peak_bytes,
    })
}

fn store(url: &str, table: &str) -> anyhow::Result<Store> {
    let credentials = aws_sdk_dynamodb::config::Credentials::new(ACCESS_KEY, ACCESS_KEY, None, None, "bench");
    let endpoints = Endpoints { dynamodb: Some(url.to_owned()), ..Endpoints::default() };
    let http = aws_smithy_http_client::Builder::new().build_http();
    Ok(Store::new(Aws::new(REGION.to_owned(), credentials, http, endpoints).dynamodb(), table))
}

/// An export of everything that the shop has.
fn requested(orders: usize) -> anyhow::Result<Export> {
    let (tenant, person, now) = (TenantId::parse("acme")?, CustomerId::parse("staff")?, Timestamp::now());
    let key = IdempotencyKey::parse(format!("k-{orders}"))?;
    Ok(Export {
        id: ExportId::derive(&tenant, &person, &key),
        tenant,
        requested_by: person,
        fingerprint: Fingerprint::of(b""),
        span: ExportSpan::new(now.checked_sub(SignedDuration::from_hours(24 * 32))?, now)?,
        states: Vec::new(),
        compression: Compression::Gzip,
        requested_at: now,
        trace: Trace { correlation_id: "bench".to_owned(), traceparent: String::new() },
        state: ExportState::Requested,
        step: 0,
        moved_at: now,
        progress: Progress::default(),
        idle_runs: 0,
        lease: None,
        ended_at: None,
        failure: None,
    })
}
