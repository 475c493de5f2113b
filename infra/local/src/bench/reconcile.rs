//! `cargo dev bench reconcile`: what a pass of reconciliation takes, from a small shop to a large one.
//!
//! The shop's items are written into the engine directly; the release binary of `maintenance` then runs a pass that
//! closes most days, and one more that looks at what is left.

pub(super) mod shop;

use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use holdfast_runtime::config::VARIABLES;
use jiff::SignedDuration;
use serde::Serialize;
use serde_json::{Value, json};

use super::invoking::Invoked;
use crate::engines::aws::JsonService;
use crate::engines::build;
use crate::engines::dynamodb::DynamoDb;
use crate::progress::Progress;
use crate::template::{LocalValues, Template};
use crate::workspace;

/// The sizes of the shops, in orders.
const SIZES: [usize; 3] = [10_000, 100_000, 1_000_000];

/// What an invocation may take.
const TIMEOUT: SignedDuration = SignedDuration::from_secs(50);

/// How much more memory the largest shop may take than the smallest.
const RSS_RATIO_MAX: f64 = 1.25;

/// How to measure.
#[derive(Debug, Args)]
pub struct ReconcileArgs {
    /// Leave out shops of more orders than this
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(10_000..))]
    orders_max: u64,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Figures {
    shops: Vec<ShopFigures>,
    /// Memory of the largest shop over that of the smallest; none when there was only one shop.
    rss_ratio: Option<f64>,
    /// What that ratio may be.
    rss_ratio_max: f64,
}

/// A shop.
#[derive(Serialize)]
struct ShopFigures {
    orders: usize,
    pools: usize,
    /// Time to write its items, in seconds.
    fill_s: f64,
    /// The pass that closes days.
    closing: PassFigures,
    /// The pass after it.
    next: PassFigures,
    rss_bytes: u64,
    rss_peak_bytes: u64,
}

/// A pass.
#[derive(Serialize)]
struct PassFigures {
    seconds: f64,
    runs: usize,
    rcu_per_order: f64,
    wcu_per_order: f64,
    judged: u64,
}

/// Measures and prints.
///
/// # Errors
/// When the function does not build, a run fails, or a pool is not found in order.
pub async fn run(args: ReconcileArgs) -> anyhow::Result<ExitCode> {
    let progress = Progress::visible();
    let template = Template::read(&workspace::root().join("template.yaml"))?;
    let application = template.application(&LocalValues::default())?;
    let program = build::released("maintenance", &progress).await?;
    let mut shops = Vec::new();
    for orders in SIZES.into_iter().filter(|orders| *orders as u64 <= args.orders_max) {
        let step = progress.step(&format!("{orders} orders"));
        step.note("filling");
        let engine = DynamoDb::start(&workspace::stack("bench")).await?;
        let table = &application.table;
        JsonService::dynamodb(reqwest::Client::new(), engine.url()).call("CreateTable", &table.create).await?;
        let begun = Instant::now();
        shop::fill(engine.database(), &table.name, orders)?;
        let fill_s = begun.elapsed().as_secs_f64();
        // It has no queue: nothing is sent.
        let own = VARIABLES.iter().find(|(function, _)| *function == "maintenance").map_or(&[][..], |(_, own)| own);
        let urls = own.iter().filter(|name| name.ends_with("_URL"));
        let mut variables: Vec<_> = urls.map(|name| (*name, "http://127.0.0.1:9/nowhere".to_owned())).collect();
        variables.extend([
            ("AWS_ENDPOINT_URL_DYNAMODB", engine.url().to_owned()),
            ("TABLE_NAME", table.name.clone()),
            ("RECOVERY_SECONDS", "3600".to_owned()),
        ]);
        let mut function = Invoked::start("maintenance", &program, TIMEOUT, variables).await?;
        step.note("closing");
        let closing = pass(&mut function, orders).await?;
        step.note("looking again");
        let next = pass(&mut function, orders).await?;
        let (rss_bytes, rss_peak_bytes) = function.memory()?;
        function.stop().await;
        shops.push(ShopFigures { orders, pools: shop::POOLS, fill_s, closing, next, rss_bytes, rss_peak_bytes });
        step.done("");
    }
    let rss_ratio = match &shops[..] {
        [smallest, .., largest] => Some(largest.rss_peak_bytes as f64 / smallest.rss_peak_bytes as f64),
        _ => None,
    };
    let figures = Figures { shops, rss_ratio, rss_ratio_max: RSS_RATIO_MAX };
    match args.json {
        true => crate::cli::print(&serde_json::to_string(&figures)?)?,
        false => crate::cli::print(&shown(&figures))?,
    }
    let is_bounded = figures.rss_ratio.is_none_or(|ratio| ratio <= RSS_RATIO_MAX);
    Ok(if is_bounded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs a pass to its end.
async fn pass(function: &mut Invoked, orders: usize) -> anyhow::Result<PassFigures> {
    let begun = Instant::now();
    let mut job = "reconcile";
    let mut runs = 0;
    loop {
        let answer: Value = function.invoke(&json!({"job": job})).await?;
        runs += 1;
        job = "reconcile-resume";
        let found = &answer["reconciled"];
        if found["over"] == true {
            let judged = found["judged"].as_u64().unwrap_or_default();
            anyhow::ensure!(judged == shop::POOLS as u64, "pools were not found in order: {found}");
            let per_order = |name: &str| found[name].as_f64().unwrap_or_default() / orders as f64;
            return Ok(PassFigures {
                seconds: begun.elapsed().as_secs_f64(),
                runs,
                rcu_per_order: per_order("read_units"),
                wcu_per_order: per_order("write_units"),
                judged,
            });
        }
    }
}

fn shown(figures: &Figures) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["orders", "fill s", "pass", "s", "runs", "RCU/order", "WCU/order", "RSS MB", "peak RSS MB"]);
    for shop in &figures.shops {
        for (name, pass) in [("closing", &shop.closing), ("next", &shop.next)] {
            let megabytes = |bytes: u64| format!("{:.1}", bytes as f64 / 1e6);
            table.add_row([
                shop.orders.to_string(),
                format!("{:.0}", shop.fill_s),
                name.to_owned(),
                format!("{:.1}", pass.seconds),
                pass.runs.to_string(),
                format!("{:.3}", pass.rcu_per_order),
                format!("{:.3}", pass.wcu_per_order),
                megabytes(shop.rss_bytes),
                megabytes(shop.rss_peak_bytes),
            ]);
        }
    }
    table.column_iter_mut().for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    let memory = match figures.rss_ratio {
        Some(ratio) => format!(
            "The largest shop takes {ratio:.2} times the memory of the smallest (at most {:.2}).",
            figures.rss_ratio_max
        ),
        None => "No ratio of memory was measured: that takes two shops.".to_owned(),
    };
    format!("{table}\n{} pools. {memory}", shop::POOLS)
}
