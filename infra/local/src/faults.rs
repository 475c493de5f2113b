//! `cargo dev faults`: seeded interleavings with faults, many seeds or the replay of one.

use std::process::ExitCode;

use clap::Args;

use crate::engines::build::cargo;
use crate::engines::process::watched;

/// The test that runs seeds.
const TEST: &str = "interleave::seeds_keep_every_law";

/// Which seeds to run.
#[derive(Debug, Args)]
#[command(after_help = "A test that fails prints its seed. The replay of it prints the plan, every call in its order \
                        and the laws that are broken: the same each time, until the code changes.")]
pub struct FaultsArgs {
    /// Replay this seed and print what happens in it
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Run this many seeds, from 0 on
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
}

/// Runs the seeds.
///
/// # Errors
/// When cargo could not be started.
pub async fn run(args: FaultsArgs) -> anyhow::Result<ExitCode> {
    let mut command = watched(&cargo());
    command.args(["test", "--quiet", "--package", "holdfast-tests", "--test", "it", TEST, "--", "--exact"]);
    command.arg("--nocapture");
    match args.seed {
        Some(seed) => command.env("HOLDFAST_SEED", seed.to_string()),
        None => command.env("HOLDFAST_SEEDS", args.seeds.to_string()),
    };
    let mut child = command.spawn()?;
    let lifeline = child.stdin.take();
    let status = child.wait().await?;
    drop(lifeline);
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
