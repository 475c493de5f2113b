//! `cargo dev job`: runs a job of maintenance now.

use super::StackArgs;
use super::client::Operator;
use crate::cli::print;
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};
use std::process::ExitCode;

/// What `cargo dev job` takes.
#[derive(Debug, Args)]
pub struct JobArgs {
    #[command(flatten)]
    stack: StackArgs,
    /// The job, by the name that its schedule uses, such as outbox-sweep, dead-letters, pulse or republish
    name: String,
    /// Of republish: changes from this instant on, such as 2026-03-30T01:30:00Z
    #[arg(long)]
    from: Option<String>,
    /// Of republish: until before this instant; the present without it
    #[arg(long)]
    to: Option<String>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// When no stack runs, or the job refuses its task.
pub async fn run(args: JobArgs) -> anyhow::Result<ExitCode> {
    let mut task = json!({"job": args.name});
    for (name, value) in [("from", args.from), ("to", args.to)] {
        if let Some(value) = value {
            task[name] = json!(value);
        }
    }
    let report = Operator::of(&args.stack.endpoints()?)?.job(&task).await?;
    let text = if args.json { format!("{report}\n") } else { shown(&report) };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn shown(report: &Value) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for (name, value) in report.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        table.add_row([name.clone(), value]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}
