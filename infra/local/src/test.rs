//! `cargo dev test`: everything that must pass before a change is good, and all that CI runs.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use tokio::process::Command;

use crate::cli::print;
use crate::engines::build::cargo;
use crate::engines::process::{missing_program, watched};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::setup::Venv;
use crate::stack::{Stack, StackOptions};

/// Which tests to run.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Only the tests, without format, lints and template
    #[arg(long)]
    tests_only: bool,
    /// Passed on to `cargo test`, such as `-- some_test`
    #[arg(last = true)]
    rest: Vec<String>,
}

/// How long an unpaid order lives in tests, in seconds.
const ORDER_EXPIRY: u32 = 30;
/// Instances of a function: enough that requests of a test truly run at once.
const CONCURRENCY: u16 = 8;

/// A step that ended.
struct Ended {
    name: &'static str,
    duration: Duration,
    passed: bool,
}

/// Runs the steps up to the first that fails, and prints a summary.
///
/// # Errors
/// When a step could not be run at all.
pub async fn run(args: TestArgs) -> anyhow::Result<ExitCode> {
    let mut steps = Vec::new();
    let result = run_steps(&args, &mut steps).await;
    print(&summary(&steps))?;
    result?;
    let failed = steps.iter().any(|step| !step.passed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn run_steps(args: &TestArgs, steps: &mut Vec<Ended>) -> anyhow::Result<()> {
    let progress = Progress::visible();
    // A test of the template asks one of them, too.
    let linters = Venv::linters(&progress).await?;
    if !args.tests_only {
        let format = cargo_command(&["fmt", "--all", "--", "--check"]);
        let lints = cargo_command(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]);
        for (name, command) in [("format", format), ("lints", lints)] {
            if !step(name, command, steps).await? {
                return Ok(());
            }
        }
        let mut sam = watched(&linters.program("sam"));
        // It validates with the translator it brings, and needs a region but no account.
        sam.args(["validate", "--lint", "--template", "template.yaml", "--region", "us-east-1"]).envs([
            ("SAM_CLI_TELEMETRY", "0"),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
        ]);
        let mut cfn_lint = watched(&linters.program("cfn-lint"));
        cfn_lint.arg("template.yaml");
        for (name, command) in [("sam validate", sam), ("cfn-lint", cfn_lint)] {
            if !step(name, command, steps).await? {
                return Ok(());
            }
        }
    }
    // Built before the stack starts, so that compiling does not slow down the requests of the first tests.
    if !step("build", cargo_command(&["test", "--workspace", "--no-run", "--quiet"]), steps).await? {
        return Ok(());
    }
    let began = Instant::now();
    let options = StackOptions {
        concurrency: CONCURRENCY,
        order_expiry_seconds: Some(ORDER_EXPIRY),
        ..StackOptions::named("test")
    };
    let stack = Stack::start(options, &progress).await?;
    steps.push(Ended { name: "stack", duration: began.elapsed(), passed: true });
    let mut tests = cargo_command(&["test", "--workspace"]);
    tests.args(&args.rest).env("HOLDFAST_STACK", stack.endpoints_path());
    let passed = stack.run(step("tests", tests, steps)).await;
    stack.stop().await;
    passed.map(|_| ())
}

fn cargo_command(arguments: &[&str]) -> Command {
    let mut command = watched(&cargo());
    command.args(arguments);
    command
}

/// Runs one step, a [`watched`] command, with its output for all to see.
async fn step(name: &'static str, mut command: Command, steps: &mut Vec<Ended>) -> anyhow::Result<bool> {
    eprintln!("── {name}");
    let began = Instant::now();
    let mut child = command.spawn().with_context(|| format!("{name} did not start"))?;
    let lifeline = child.stdin.take();
    let status = child.wait().await?;
    drop(lifeline);
    if let Some(program) = missing_program(&command, status) {
        let next = "install it, or remove the folder under target/dev that it belongs to, then run the command again";
        return Err(Failure::new(format!("{name} did not start: {program} was not found"), next).into());
    }
    steps.push(Ended { name, duration: began.elapsed(), passed: status.success() });
    Ok(status.success())
}

fn summary(steps: &[Ended]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["step", "seconds", "outcome"]);
    for step in steps {
        let outcome = if step.passed { "passed" } else { "FAILED" };
        table.add_row([step.name.to_owned(), format!("{:.1}", step.duration.as_secs_f64()), outcome.to_owned()]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("\n{table}\n")
}
