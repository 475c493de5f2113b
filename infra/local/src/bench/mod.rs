//! `cargo dev bench`: measurements, each printed as a table or as one JSON object.

mod export;
mod hot_product;
mod invoking;
mod lifecycle;
mod optimised;
mod orders;
mod outbox;
mod reconcile;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use comfy_table::{CellAlignment, Table, presets};

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
    /// An order's life: calls, units, time and size at every step from placed to delivered
    Lifecycle(lifecycle::LifecycleArgs),
    /// One product in high demand: the claiming code against a model of the table, on virtual time
    HotProduct(hot_product::HotProductArgs),
    /// An export of orders, against a bare paged read of the same: orders a second, and memory
    Export(export::ExportArgs),
    /// The outbox: how soon an event can be received, what relaying takes, and how well workers use their time
    Outbox(outbox::OutboxArgs),
    /// A pass of reconciliation over shops of growing size: time, units and memory
    Reconcile(reconcile::ReconcileArgs),
}

/// Runs a measurement.
///
/// # Errors
/// When something it needs does not build or start.
pub async fn run(args: BenchArgs) -> anyhow::Result<ExitCode> {
    match args.what {
        What::Orders(args) => orders::run(args).await,
        What::Lifecycle(args) => lifecycle::run(args).await,
        What::HotProduct(args) => hot_product::run(args).await,
        What::Export(args) => export::run(args).await,
        What::Outbox(args) => outbox::run(args).await,
        What::Reconcile(args) => reconcile::run(args).await,
    }
}

/// A table whose first column is text and whose others are numbers.
fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(header);
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table
}
