//! `cargo dev bench orders`: what placing an order costs.
//!
//! Time is compared in one run and in turn: the `orders` function's handler, and a bare `TransactWriteItems` of the same
//! items by the same SDK against the same engine. Size and memory are those of the release binaries, which place orders
//! under the local Lambda runtime.

mod handler;
mod processes;

use std::process::{ExitCode, Stdio};

use anyhow::Context as _;
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use serde::{Deserialize, Serialize};

use crate::engines::build::cargo;
use crate::engines::process::watched;
use crate::failure::Failure;
use crate::progress::Progress;
use handler::HandlerFigures;
use processes::ProcessFigures;

/// How to measure.
#[derive(Debug, Args)]
pub struct OrdersArgs {
    /// Orders that each side places
    #[arg(long, default_value_t = 1_000)]
    orders: usize,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Only the comparison of the handler, in this process
    #[arg(long, hide = true)]
    handler_only: bool,
}

/// The profile that the comparison is built with: optimised like a release, but linked quickly.
const PROFILE: &str = "measured";

#[derive(Serialize, Deserialize)]
struct Figures {
    handler: HandlerFigures,
    functions: Vec<ProcessFigures>,
}

/// Measures and prints.
///
/// # Errors
/// When a build fails or an engine does not start.
pub async fn run(args: OrdersArgs) -> anyhow::Result<ExitCode> {
    if args.handler_only {
        let figures = handler::measure(args.orders).await?;
        return print(&serde_json::to_string(&figures)?);
    }
    let progress = Progress::visible();
    let handler = optimised(&args, &progress).await?;
    let functions = processes::measure(args.orders, &progress).await?;
    let figures = Figures { handler, functions };
    match args.json {
        true => print(&serde_json::to_string(&figures)?),
        false => print(&tables(&figures, args.orders)),
    }
}

/// Runs the comparison in an optimised build of this tool.
async fn optimised(args: &OrdersArgs, progress: &Progress) -> anyhow::Result<HandlerFigures> {
    let step = progress.step("handler");
    step.note("building with optimisation, then placing orders; the first build takes some minutes");
    let orders = args.orders.to_string();
    let mut command = watched(&cargo());
    command
        .args(["run", "--quiet", "--profile", PROFILE, "--package", "holdfast-local", "--bin", "holdfast-dev", "--"])
        .args(["bench", "orders", "--handler-only", "--orders", &orders])
        .stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let lifeline = child.stdin.take();
    let output = child.wait_with_output().await?;
    drop(lifeline);
    let failed = || Failure::new("the comparison of the handler failed", "see what is printed above");
    anyhow::ensure!(output.status.success(), failed());
    let figures = serde_json::from_slice(&output.stdout).with_context(failed)?;
    step.done("");
    Ok(figures)
}

fn tables(figures: &Figures, orders: usize) -> String {
    let HandlerFigures { handler, bare, replay_calls, ratio_p50, .. } = &figures.handler;
    let mut times = table(&["placing a one-line order", "calls", "WCU", "p50 µs", "p95 µs", "p99 µs"]);
    for (name, side) in [("handler", handler), ("bare TransactWriteItems", bare)] {
        let calls = side.calls.to_string();
        let numbers = [side.p50_us, side.p95_us, side.p99_us].map(|us| format!("{us:.0}"));
        times.add_row([name, &calls, &format!("{:.1}", side.wcu)].into_iter().map(str::to_owned).chain(numbers));
    }
    let mut sizes = table(&["function", "binary MB", "RSS MB", "peak RSS MB"]);
    for function in &figures.functions {
        let megabytes = [function.binary_bytes, function.rss_bytes, function.rss_peak_bytes];
        let megabytes = megabytes.map(|bytes| format!("{:.1}", bytes as f64 / 1e6));
        sizes.add_row(std::iter::once(function.name.clone()).chain(megabytes));
    }
    format!(
        "{times}\nThe handler takes {ratio_p50:.2} times as long as the bare transaction, at the median of {orders} each, \
         in turn. A replay is {replay_calls} call.\n\n{sizes}\nRelease binaries, measured after {orders} orders."
    )
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(header);
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table
}

fn print(text: &str) -> anyhow::Result<ExitCode> {
    crate::cli::print(text)?;
    Ok(ExitCode::SUCCESS)
}
