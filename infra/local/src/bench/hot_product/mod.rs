//! `cargo dev bench hot-product`: what one product in high demand takes.
//!
//! The claiming code's own choice of stripes ([`holdfast_domain::pool::PoolMemory`]) and its bounds on attempts and pauses
//! ([`holdfast_store::contention`]) run against a model of the table, on virtual time. What the model takes for granted:
//!
//! - An item takes 1,000 write units and 3,000 read units a second, and so does a key of an index, whose throttling
//!   throttles the table (DynamoDB Developer Guide, "Burst and adaptive capacity" and "Using write sharding"). Of the index
//!   by day the 32 shards of one day are modelled. The table's own limit is taken to be raised far enough.
//! - A write in a transaction costs two units, to prepare and to commit; a cancelled one costs as much. Transactions that
//!   meet at an item do not wait: the later is cancelled with `TransactionConflict` (Developer Guide, "Transactions: how it
//!   works"; Idziorek et al., "Distributed Transactions at Scale in Amazon DynamoDB", USENIX ATC 2023). One holds its
//!   stripes for 10 to 25 ms; a cancelled one holds those it could prepare until it is cancelled. Plain reads do not
//!   conflict and see what is committed.
//! - An environment serves one order at a time and keeps its memory; cold starts are left out. Orders come independently
//!   of each other at a given rate, however slowly they are served, and nobody who is told to come again does.
//! - Latencies are drawn from the distributions in [`latency`].

mod buyer;
mod chart;
mod engine;
mod figures;
mod latency;
mod report;
mod runs;
mod simulation;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::Args;

use super::optimised;
use crate::progress::Progress;
use crate::workspace;

/// How to run the model.
#[derive(Debug, Args)]
pub struct HotProductArgs {
    /// What all random numbers follow from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Only the runs, in this process
    #[arg(long, hide = true)]
    runs_only: bool,
}

/// Runs the model, prints its tables and draws its chart. Fails if a goal is missed.
///
/// # Errors
/// When a build fails or the chart cannot be written.
pub async fn run(args: HotProductArgs) -> anyhow::Result<ExitCode> {
    if args.runs_only {
        let results = tokio::task::spawn_blocking(move || runs::all(args.seed)).await?;
        crate::cli::print(&serde_json::to_string(&results)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let progress = Progress::visible();
    let step = progress.step("model");
    step.note("building with optimisation, then running; the first build takes some minutes");
    let results: runs::Results =
        optimised::figures(&["hot-product", "--runs-only", "--seed", &args.seed.to_string()]).await?;
    let chart = workspace::root().join("target/hot-product.png");
    chart::draw(&results, &chart)?;
    step.done(&workspace::shown(&chart));
    match args.json {
        true => crate::cli::print(&serde_json::to_string(&results)?)?,
        false => crate::cli::print(&report::text(&results))?,
    }
    let missed = results.goals.iter().any(|goal| !goal.met);
    Ok(if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
