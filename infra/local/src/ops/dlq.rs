//! `cargo dev dlq`: dead letters of a running stack, by cause; replayed or discarded.

use super::StackArgs;
use super::client::{Group, Operator};
use crate::cli::print;
use clap::{Args, Subcommand};
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};
use std::process::ExitCode;

/// What `cargo dev dlq` takes.
#[derive(Debug, Args)]
pub struct DlqArgs {
    #[command(flatten)]
    stack: StackArgs,
    /// Print one JSON object instead of a table
    #[arg(long, global = true)]
    json: bool,
    /// Only this tenant's; `-` for those that do not say whose they are
    #[arg(long, global = true)]
    tenant: Option<String>,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Count them by cause (the default)
    List {
        /// Only those of orders, fulfilment, notifications, exports or the stream
        #[arg(long)]
        queue: Option<String>,
    },
    /// Send them to their queues again
    Replay {
        #[command(flatten)]
        choice: Choice,
        /// So many a second; all at once without it
        #[arg(long)]
        rate: Option<u32>,
    },
    /// Take them away for good
    Discard {
        #[command(flatten)]
        choice: Choice,
    },
}

#[derive(Debug, Args)]
struct Choice {
    /// Those of this cause
    #[arg(long, required_unless_present = "id", conflicts_with = "id")]
    fingerprint: Option<String>,
    /// The one of this id
    #[arg(long)]
    id: Option<String>,
    /// At most so many, 1 to 200
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// Do nothing, and tell what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command.
///
/// # Errors
/// When no stack runs, or the API refuses.
pub async fn run(args: DlqArgs) -> anyhow::Result<ExitCode> {
    let operator = Operator::of(&args.stack.endpoints()?)?;
    let (action, choice, rate) = match args.action.unwrap_or(Action::List { queue: None }) {
        Action::List { queue } => {
            // What SQS put aside since the last minute is taken along.
            operator.job(&json!({"job": "dead-letters"})).await?;
            let (groups, answer) = operator.groups(queue.as_deref(), args.tenant.as_deref()).await?;
            let text = if args.json { format!("{answer}\n") } else { shown(&groups) };
            print(&text)?;
            return Ok(ExitCode::SUCCESS);
        }
        Action::Replay { choice, rate } => ("replay", choice, rate),
        Action::Discard { choice } => ("discard", choice, None),
    };
    let mut body = json!({"limit": choice.limit, "dry_run": choice.dry_run});
    let given = [("fingerprint", choice.fingerprint), ("id", choice.id), ("tenant", args.tenant)];
    for (name, value) in given.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        body[name] = json!(value);
    }
    if let Some(rate) = rate {
        body["rate"] = json!(rate);
    }
    let answer = operator.act(action, &body).await?;
    let text = if args.json { format!("{answer}\n") } else { done(action, &answer) };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Causes as a table.
pub fn shown(groups: &[Group]) -> String {
    if groups.is_empty() {
        return "There are no dead letters.\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "fingerprint",
        "tenant",
        "queue",
        "letters",
        "replayed",
        "first seen",
        "last seen",
        "last error",
    ]);
    for group in groups {
        let seen = |instant: &str| instant.get(..19).unwrap_or(instant).replace('T', " ");
        let error: String = group.sample.error.chars().take(60).collect();
        table.add_row([
            group.fingerprint.clone(),
            group.tenant.clone().unwrap_or_else(|| "-".to_owned()),
            group.queue.clone().unwrap_or_else(|| "stream".to_owned()),
            group.letters.to_string(),
            group.replayed_before.to_string(),
            seen(&group.first_seen),
            seen(&group.last_seen),
            error,
        ]);
    }
    for column in [3, 4] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!(
        "{table}\nReplay a cause with: cargo dev dlq replay --tenant <tenant> --fingerprint <fingerprint> [--dry-run]\n"
    )
}

fn done(action: &str, answer: &Value) -> String {
    let done = answer["done"].as_u64().unwrap_or_default();
    let word = if action == "replay" { "replayed" } else { "discarded" };
    let mut text = match answer["dry_run"] == true {
        true => format!("would be {word}: {done}\n"),
        false => format!("{word}: {done}\n"),
    };
    for refused in answer["refused"].as_array().into_iter().flatten() {
        let field = |name: &str| refused[name].as_str().unwrap_or_default();
        text += &format!("  not {}: {}\n", field("id"), field("reason"));
    }
    if answer["more"] == true {
        text += "There are more: run it again.\n";
    }
    text
}
