//! `cargo dev bench lifecycle`: what a one-line order costs from placed to delivered, step by step.
//!
//! The handlers of `orders` and `order-worker` run in this process, over the engine; payment and carrier answer at once,
//! since what is counted is the table. Every message that the relay sends the worker for such an order is delivered, its
//! timer included. The shop has no webhooks and no mails: what they take is theirs.

mod life;
mod outside;

use std::process::ExitCode;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{optimised, table};
use crate::progress::Progress;

/// How many write capacity units an order may take, from placed to delivered.
const WCU_MAX: f64 = 15.0;

/// How to measure.
#[derive(Debug, Args)]
pub struct LifecycleArgs {
    /// Orders that are followed
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    orders: u32,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
    /// Measure in this process
    #[arg(long, hide = true)]
    in_process: bool,
}

/// What was measured.
#[derive(Serialize, Deserialize)]
pub struct Figures {
    orders: u32,
    steps: Vec<StepFigures>,
    /// Of whole lives: sums over the steps of an order. The most units are those of one order.
    total: StepFigures,
    /// The goal for the total's units.
    wcu_max: f64,
    /// Whether it is met.
    met: bool,
}

/// One step of many orders.
#[derive(Serialize, Deserialize)]
pub struct StepFigures {
    step: String,
    /// Round trips to the table, at the median.
    calls: f64,
    /// Read capacity units, at the median.
    rcu: f64,
    /// Write capacity units with indices: the most that any order took.
    wcu: f64,
    /// Time, payment and carrier excluded, at the median.
    p50_us: f64,
    /// Size of the largest order's item after the step, as DynamoDB counts it.
    item_bytes: usize,
}

/// Measures and prints. Fails if orders take more units than they may.
///
/// # Errors
/// When something does not build or start, or an order does not come to its end.
pub async fn run(args: LifecycleArgs) -> anyhow::Result<ExitCode> {
    if args.in_process {
        let figures = life::measure(args.orders).await?;
        crate::cli::print(&serde_json::to_string(&figures)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let progress = Progress::visible();
    let step = progress.step("orders' lives");
    step.note("building with optimisation; the first build takes some minutes");
    let orders = args.orders.to_string();
    let figures: Figures = optimised::figures(&["lifecycle", "--in-process", "--orders", &orders]).await?;
    step.done("");
    match args.json {
        true => crate::cli::print(&serde_json::to_string(&figures)?)?,
        false => crate::cli::print(&shown(&figures))?,
    }
    Ok(if figures.met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn shown(figures: &Figures) -> String {
    let mut steps = table(&["step of a one-line order", "calls", "RCU", "WCU", "p50 µs", "item B"]);
    for step in figures.steps.iter().chain([&figures.total]) {
        steps.add_row([
            step.step.clone(),
            format!("{:.0}", step.calls),
            format!("{:.1}", step.rcu),
            format!("{:.1}", step.wcu),
            format!("{:.0}", step.p50_us),
            step.item_bytes.to_string(),
        ]);
    }
    let mut goals = table(&["goal", "limit", "measured", ""]);
    let verdict = if figures.met { "met" } else { "MISSED" };
    let (limit, measured) = (format!("≤ {}", figures.wcu_max), format!("{:.1}", figures.total.wcu));
    goals.add_row(["WCU from placed to delivered", &limit, &measured, verdict]);
    format!(
        "{steps}\nCalls, RCU and times are medians of {} orders; WCU and sizes are the most of any.\n\n{goals}",
        figures.orders
    )
}
