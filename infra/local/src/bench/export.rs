//! `cargo dev bench export`: how fast orders are exported, and in how much memory.
//!
//! The release binary of `exporter` exports shops of growing size from the engine to S3. Before and after it, the same
//! engine is read bare: pages of the index by `Query`, and their orders by `BatchGetItem`, with the same number of calls
//! at once; what they answer is thrown away. Everything but the function is in an optimised build of this tool.

mod bare;
mod exporting;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{optimised, table};
use crate::engines::build;
use crate::progress::Progress;

/// The sizes of the shops, in orders.
const SIZES: [usize; 3] = [10_000, 100_000, 1_000_000];
/// How many orders a second an export has to write, unless the engine gives no more.
const ORDERS_PER_SECOND_MIN: f64 = 20_000.0;
/// What of the bare read's speed is enough.
const RATIO_MIN: f64 = 0.8;
/// How much memory the function may ever take, in bytes.
const RSS_MAX: u64 = 30_000_000;

/// How to measure.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Leave out shops of more orders than this; a million takes some minutes to write
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(10_000..))]
    orders_max: u64,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
    /// The function, built: measure in this process
    #[arg(long, hide = true)]
    program: Option<PathBuf>,
}

/// What was measured.
#[derive(Serialize, Deserialize)]
pub struct Figures {
    shops: Vec<ShopFigures>,
    /// Whether every shop met the goals.
    #[serde(default)]
    met: bool,
}

/// The export of one shop.
#[derive(Serialize, Deserialize)]
pub struct ShopFigures {
    orders: usize,
    parts: u32,
    bytes: u64,
    /// From the message to its answer, in seconds.
    seconds: f64,
    orders_per_second: f64,
    /// Of the bare reads before and after.
    bare_orders_per_second: f64,
    /// The export's speed over that of the bare reads.
    ratio: f64,
    rss_bytes: u64,
    rss_peak_bytes: u64,
}

impl ShopFigures {
    fn meets_goals(&self) -> bool {
        let fast = self.orders_per_second >= ORDERS_PER_SECOND_MIN || self.ratio >= RATIO_MIN;
        fast && self.rss_peak_bytes <= RSS_MAX
    }
}

/// Measures and prints.
///
/// # Errors
/// When something does not build or start, or an export is not complete.
pub async fn run(args: ExportArgs) -> anyhow::Result<ExitCode> {
    let sizes = SIZES.into_iter().filter(|orders| *orders as u64 <= args.orders_max);
    if let Some(program) = &args.program {
        let figures = Figures { shops: exporting::measure(program, sizes).await?, met: false };
        crate::cli::print(&serde_json::to_string(&figures)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let progress = Progress::visible();
    let program = build::released("exporter", &progress).await?.to_string_lossy().into_owned();
    let step = progress.step("exports");
    step.note("building with optimisation; the first build takes some minutes");
    let orders_max = args.orders_max.to_string();
    let mut figures: Figures =
        optimised::figures(&["export", "--program", &program, "--orders-max", &orders_max]).await?;
    step.done("");
    figures.met = figures.shops.iter().all(ShopFigures::meets_goals);
    match args.json {
        true => crate::cli::print(&serde_json::to_string(&figures)?)?,
        false => crate::cli::print(&shown(&figures))?,
    }
    Ok(if figures.met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn shown(figures: &Figures) -> String {
    let mut rows =
        table(&["orders", "s", "orders/s", "bare orders/s", "ratio", "parts", "MB", "RSS MB", "peak RSS MB"]);
    for shop in &figures.shops {
        let megabytes = |bytes: u64| format!("{:.1}", bytes as f64 / 1e6);
        rows.add_row([
            shop.orders.to_string(),
            format!("{:.2}", shop.seconds),
            format!("{:.0}", shop.orders_per_second),
            format!("{:.0}", shop.bare_orders_per_second),
            format!("{:.2}", shop.ratio),
            shop.parts.to_string(),
            megabytes(shop.bytes),
            megabytes(shop.rss_bytes),
            megabytes(shop.rss_peak_bytes),
        ]);
    }
    let verdict = if figures.met { "met" } else { "missed" };
    format!(
        "{rows}\nThe goals are {verdict}: {ORDERS_PER_SECOND_MIN:.0} orders a second, or {RATIO_MIN} of what a bare paged \
         read takes; and at most {} MB.",
        RSS_MAX / 1_000_000
    )
}
