//! `cargo dev bench`: measurements, each printed as a table or as one JSON object.

mod orders;

use std::process::ExitCode;

use clap::{Args, Subcommand};

/// What to measure.
#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The order path: calls, units and time of placing an order, size and memory of every function
    Orders(orders::OrdersArgs),
}

/// Runs a measurement.
///
/// # Errors
/// When something it needs does not build or start.
pub async fn run(args: BenchArgs) -> anyhow::Result<ExitCode> {
    match args.what {
        What::Orders(args) => orders::run(args).await,
    }
}
