//! `cargo dev bench outbox`: how soon a committed change can be received, what relaying it takes, and how well the workers'
//! kit uses the time that somebody outside takes.
//!
//! The release binary of `outbox-relay` gets what the table's stream has every 250 ms, which is how often Lambda asks a shard
//! (AWS Lambda, "Polling and batching streams"), and a reader takes messages off the queue as they come. The kit runs in an
//! optimised build of this tool, over messages whose work waits 20 ms.

mod relaying;
mod working;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{optimised, table};
use crate::engines::build;
use crate::progress::Progress;

/// From commit to visible, at the 99th percentile, in milliseconds.
const P99_MS_MAX: f64 = 1_000.0;
/// What relaying a record may take of the processor, in microseconds.
const CPU_US_MAX: f64 = 60.0;
/// What of its limit the kit has to use: the throughput over the limit times that of one message at a time.
const USE_MIN: f64 = 0.9;

/// How to measure.
#[derive(Debug, Args)]
pub struct OutboxArgs {
    /// Changes a second
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rate: u32,
    /// For how many seconds
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(5..=600))]
    seconds: u32,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
    /// The relay, built: measure in this process
    #[arg(long, hide = true)]
    program: Option<PathBuf>,
}

/// What was measured.
#[derive(Serialize, Deserialize)]
pub struct Figures {
    /// The changes of whole lives; and placed orders alone, which become the most messages.
    relay: [RelayFigures; 2],
    worker: WorkerFigures,
    /// Whether every goal is met.
    #[serde(default)]
    met: bool,
}

/// Relaying.
#[derive(Serialize, Deserialize)]
pub struct RelayFigures {
    kinds: String,
    messages_per_record: f64,
    records: u64,
    rate: u32,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    /// Processor time of the relay's process for each record.
    cpu_us_per_record: f64,
    /// Items that the relay wrote to the table.
    items_written: u64,
    /// Records in a batch, at the median.
    batch_p50: u64,
}

/// Working.
#[derive(Serialize, Deserialize)]
pub struct WorkerFigures {
    /// Messages that are worked on at the same time, at most.
    limit: usize,
    /// How long the outside takes.
    outside_ms: u64,
    one_at_a_time_per_second: f64,
    per_second: f64,
    /// The throughput over the limit times that of one at a time.
    used: f64,
    /// The same in batches of eight, as queues hand them over.
    used_in_eights: f64,
}

/// Measures and prints.
///
/// # Errors
/// When something does not build or start, or an event does not arrive.
pub async fn run(args: OutboxArgs) -> anyhow::Result<ExitCode> {
    if let Some(program) = &args.program {
        let (rate, seconds) = (args.rate, args.seconds);
        let lives = relaying::measure(program, rate, seconds, &relaying::LIFE).await?;
        let relay = [lives, relaying::measure(program, rate, seconds, &["placed"]).await?];
        let figures = Figures { relay, worker: working::measure().await?, met: false };
        crate::cli::print(&serde_json::to_string(&figures)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let progress = Progress::visible();
    let program = build::released("outbox-relay", &progress).await?.to_string_lossy().into_owned();
    let step = progress.step("events");
    step.note("building with optimisation; the first build takes some minutes");
    let (rate, seconds) = (args.rate.to_string(), args.seconds.to_string());
    let arguments = ["outbox", "--program", &program, "--rate", &rate, "--seconds", &seconds];
    let mut figures: Figures = optimised::figures(&arguments).await?;
    step.done("");
    let goals = goals(&figures);
    figures.met = goals.iter().all(|goal| goal.met);
    match args.json {
        true => crate::cli::print(&serde_json::to_string(&figures)?)?,
        false => crate::cli::print(&shown(&figures, &goals))?,
    }
    Ok(if figures.met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Goal {
    name: &'static str,
    limit: String,
    measured: String,
    met: bool,
}

fn goals(figures: &Figures) -> [Goal; 4] {
    let Figures { relay: [lives, placed], worker, .. } = figures;
    let most = |name, limit: f64, measured: f64| Goal {
        name,
        limit: format!("≤ {limit:.0}"),
        measured: format!("{measured:.1}"),
        met: measured <= limit,
    };
    [
        most("commit to visible, p99, ms", P99_MS_MAX, lives.p99_ms.max(placed.p99_ms)),
        most("relay, µs of CPU a record", CPU_US_MAX, lives.cpu_us_per_record.max(placed.cpu_us_per_record)),
        most("items written by the relay", 0.0, (lives.items_written + placed.items_written) as f64),
        Goal {
            name: "worker, of limit × one at a time",
            limit: format!("≥ {USE_MIN}"),
            measured: format!("{:.2}", worker.used),
            met: worker.used >= USE_MIN,
        },
    ]
}

fn shown(figures: &Figures, goals: &[Goal]) -> String {
    let mut relay =
        table(&["changes", "records", "a second", "a batch", "messages each", "p50 ms", "p99 ms", "max ms", "CPU µs"]);
    for (name, figures) in ["of whole lives", "placed"].into_iter().zip(&figures.relay) {
        relay.add_row([
            name.to_owned(),
            figures.records.to_string(),
            figures.rate.to_string(),
            figures.batch_p50.to_string(),
            format!("{:.2}", figures.messages_per_record),
            format!("{:.0}", figures.p50_ms),
            format!("{:.0}", figures.p99_ms),
            format!("{:.0}", figures.max_ms),
            format!("{:.1}", figures.cpu_us_per_record),
        ]);
    }
    let WorkerFigures { limit, outside_ms, one_at_a_time_per_second, per_second, used_in_eights, .. } = &figures.worker;
    let mut rows = table(&["goal", "limit", "measured", ""]);
    for goal in goals {
        rows.add_row([goal.name, &goal.limit, &goal.measured, if goal.met { "met" } else { "MISSED" }]);
    }
    format!(
        "{relay}\n{rows}\nThe worker, {outside_ms} ms outside: {one_at_a_time_per_second:.1} messages a second one \
         at a time, {per_second:.1} at most {limit} at a time; in batches of eight {used_in_eights:.2} of that limit."
    )
}
