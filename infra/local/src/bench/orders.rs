//! `cargo dev bench orders`: what placing an order costs.
//!
//! Time is compared in one run and in turn: the `orders` function's handler, and a bare `TransactWriteItems` of the same
//! items by the same SDK against the same engine. Size and memory are those of the release binaries, which place orders
//! under the local Lambda runtime.

pub(super) mod handler;
mod large;
mod processes;
mod sold_out;

use std::process::ExitCode;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{optimised, table};
use crate::progress::Progress;
use handler::HandlerFigures;
use processes::ProcessFigures;

/// How to measure.
#[derive(Debug, Args)]
pub struct OrdersArgs {
    /// Orders that each side places
    #[arg(long, default_value_t = 1_000)]
    orders: usize,
    /// Attempts at a product that is sold out
    #[arg(long, default_value_t = 100_000)]
    attempts: usize,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Only the comparison of the handler, in this process
    #[arg(long, hide = true)]
    handler_only: bool,
}

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
        let figures = handler::measure(args.orders, args.attempts).await?;
        return print(&serde_json::to_string(&figures)?);
    }
    let progress = Progress::visible();
    let handler = progress.step("handler");
    handler.note("building with optimisation, then placing orders; the first build takes some minutes");
    let (orders, attempts) = (args.orders.to_string(), args.attempts.to_string());
    let arguments = ["orders", "--handler-only", "--orders", &orders, "--attempts", &attempts];
    let measured = optimised::figures(&arguments).await?;
    handler.done("");
    let functions = processes::measure(args.orders, &progress).await?;
    let figures = Figures { handler: measured, functions };
    match args.json {
        true => print(&serde_json::to_string(&figures)?),
        false => print(&tables(&figures, args.orders)),
    }
}

fn tables(figures: &Figures, orders: usize) -> String {
    let HandlerFigures { handler, bare, replay_calls, ratio_p50, large, sold_out, .. } = &figures.handler;
    let mut times = table(&["placing a one-line order", "calls", "WCU", "p50 µs", "p95 µs", "p99 µs"]);
    for (name, side) in [("handler", handler), ("bare TransactWriteItems", bare)] {
        let calls = side.calls.to_string();
        let numbers = [side.p50_us, side.p95_us, side.p99_us].map(|us| format!("{us:.0}"));
        times.add_row([name, &calls, &format!("{:.1}", side.wcu)].into_iter().map(str::to_owned).chain(numbers));
    }
    let mut others = table(&["placing an order in parts", "transactions", "p50 ms"]);
    for (name, p50_ms) in [("handler", large.handler_p50_ms), ("bare transactions", large.bare_p50_ms)] {
        others.add_row([name.to_owned(), large.transactions.to_string(), format!("{p50_ms:.1}")]);
    }
    let mut refusals = table(&["sold out", "attempts", "calls", "RCU", "WCU"]);
    refusals.add_row([
        format!("{} environments, {} stripes", sold_out.environments, sold_out.stripes),
        sold_out.attempts.to_string(),
        format!("{:.3}", sold_out.calls),
        format!("{:.3}", sold_out.rcu),
        format!("{:.4}", sold_out.wcu),
    ]);
    let (lines, large_ratio, seconds) = (large.lines, large.ratio(), sold_out.seconds);
    let mut sizes = table(&["function", "binary MB", "RSS MB", "peak RSS MB"]);
    for function in &figures.functions {
        let megabytes = [function.binary_bytes, function.rss_bytes, function.rss_peak_bytes];
        let megabytes = megabytes.map(|bytes| format!("{:.1}", bytes as f64 / 1e6));
        sizes.add_row(std::iter::once(function.name.clone()).chain(megabytes));
    }
    format!(
        "{times}\nThe handler takes {ratio_p50:.2} times as long as the bare transaction, at the median of {orders} each, \
         in turn. A replay is {replay_calls} call.\n\n{others}\nAn order of {lines} lines, each of its own product, takes {large_ratio:.2} \
         times as long as its bare transactions sent by the same parallelism.\n\n{refusals}\nUnits and calls of one attempt, \
         on average over {seconds:.0} s.\n\n{sizes}\nRelease binaries, measured after {orders} orders."
    )
}

fn print(text: &str) -> anyhow::Result<ExitCode> {
    crate::cli::print(text)?;
    Ok(ExitCode::SUCCESS)
}
