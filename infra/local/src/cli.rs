//! The commands of `cargo dev`.

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use comfy_table::{CellAlignment, Table, presets};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::engines::process::log_file;
use crate::progress::Progress;
use crate::stack::{Endpoints, Published, Stack, StackOptions};
use crate::token::{self, Claims};
use crate::{bench, demo, failure, faults, openapi, ops, test, workspace};

/// The exit code of a command that Ctrl-C ended, as shells give it.
const INTERRUPTED: u8 = 130;

/// Runs Holdfast on this machine: engines, functions, event sources and gateway.
#[derive(Debug, Parser)]
#[command(name = "cargo dev", bin_name = "cargo dev", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything, say where it is, and run until Ctrl-C
    Up(UpArgs),
    /// Place orders through the whole system and check its laws
    Demo(demo::DemoArgs),
    /// Print a token for the local gateway and nothing else
    Token(TokenArgs),
    /// Run everything that must pass: format, lints, template, tests
    Test(test::TestArgs),
    /// Run concurrent operations by seeds, with faults and late deliveries, and judge the laws
    Faults(faults::FaultsArgs),
    /// Write the description of the API, infra/openapi.json, from the code
    Openapi,
    /// See, replay or discard the dead letters of a running stack
    Dlq(ops::DlqArgs),
    /// Run a job of maintenance on a running stack now
    Job(ops::JobArgs),
    /// Measure
    Bench(bench::BenchArgs),
}

#[derive(Debug, Args)]
struct UpArgs {
    /// Build the functions with optimisation
    #[arg(long)]
    release: bool,
    /// Instances of a function that may run at once
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=32))]
    concurrency: u16,
    /// Seconds an order may stay unpaid (the template's default is 900)
    #[arg(long)]
    order_expiry_seconds: Option<u32>,
}

#[derive(Debug, Args)]
struct TokenArgs {
    /// The shop
    #[arg(long)]
    tenant: String,
    /// The customer
    #[arg(long)]
    customer: String,
    /// Rights, separated by spaces
    #[arg(long, default_value = "orders")]
    scope: String,
    /// The person has no account
    #[arg(long)]
    guest: bool,
    /// How long the token is good for
    #[arg(long, default_value_t = 12 * 60 * 60)]
    ttl_seconds: u64,
}

/// Runs the command of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no threads could be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(run(cli.command));
    runtime.shutdown_timeout(Duration::from_secs(1));
    result.unwrap_or_else(|error| {
        if error.is::<Interrupted>() {
            return ExitCode::from(INTERRUPTED);
        }
        eprintln!("{}", failure::report(&error));
        ExitCode::FAILURE
    })
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Token(args) => print_token(args),
        Command::Openapi => openapi::write(),
        Command::Up(args) => {
            log_to("up")?;
            up(args).await
        }
        Command::Demo(args) => {
            log_to("demo")?;
            interruptible(demo::run(args)).await?
        }
        Command::Test(args) => {
            log_to("test")?;
            interruptible(test::run(args)).await?
        }
        Command::Faults(args) => {
            log_to("faults")?;
            interruptible(faults::run(args)).await?
        }
        Command::Dlq(args) => ops::dlq(args).await,
        Command::Job(args) => ops::job(args).await,
        Command::Bench(args) => {
            log_to("bench")?;
            interruptible(bench::run(args)).await?
        }
    }
}

/// Sends the warnings of this process to `target/dev/<name>/logs/dev.log`.
fn log_to(name: &str) -> anyhow::Result<()> {
    let file = log_file(&workspace::stack(name).join("logs/dev.log"))?;
    // The engine warns of every refused condition, and these are part of the normal course.
    let filter = EnvFilter::new("warn,dynoxide=error");
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(file).init();
    Ok(())
}

/// Runs `command` unless Ctrl-C or SIGTERM comes first. Whatever it started then ends with this process.
async fn interruptible<T>(command: impl Future<Output = T>) -> anyhow::Result<T> {
    tokio::select! {
        result = command => Ok(result),
        () = asked_to_stop() => Err(Interrupted.into()),
    }
}

/// Somebody wanted this command to end.
#[derive(Debug)]
struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Returns when Ctrl-C was pressed or SIGTERM came.
async fn asked_to_stop() {
    let mut interrupt = signal(SignalKind::interrupt()).expect("signals can be watched");
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be watched");
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

async fn up(args: UpArgs) -> anyhow::Result<ExitCode> {
    let progress = Progress::visible();
    let options = StackOptions {
        release: args.release,
        concurrency: args.concurrency,
        order_expiry_seconds: args.order_expiry_seconds,
        reload: true,
        ..StackOptions::named("up")
    };
    let everywhere = workspace::dev().join("stack.json");
    Published::withdraw(&everywhere);
    let stack = interruptible(Stack::start(options, &progress)).await??;
    let everywhere = Published::new(&stack.endpoints, &everywhere)?;
    print(&described(&stack.endpoints)?)?;
    let ended = tokio::select! {
        () = asked_to_stop() => None,
        failure = stack.failure() => Some(failure),
    };
    let step = progress.step("stopping");
    drop(everywhere);
    interruptible(stack.stop()).await?;
    step.done("");
    ended.map_or(Ok(ExitCode::SUCCESS), |failure| Err(failure.into()))
}

/// Where everything is, and a first request.
fn described(endpoints: &Endpoints) -> anyhow::Result<String> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let logs = workspace::shown(std::path::Path::new(&endpoints.logs));
    let rows = [
        ("api", &endpoints.api_url),
        ("dynamodb", &endpoints.dynamodb_url),
        ("table", &endpoints.table),
        ("sqs", &endpoints.sqs_url),
        ("valkey", &endpoints.redis_url),
        ("functions", &endpoints.functions_url),
        ("payment", &endpoints.payment_url),
        ("carrier", &endpoints.carrier_url),
        ("control", &endpoints.control_url),
        ("logs", &logs),
    ];
    for (name, place) in rows {
        table.add_row([name, place]);
    }
    if let Some(column) = table.column_mut(0) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    Ok(format!(
        r#"
{table}

The same is in target/dev/stack.json. Ctrl-C stops everything. A first product, for example:

  TOKEN=$(cargo dev token --tenant acme --customer ada --scope "orders stock catalog staff operator")
  curl -i -X PUT {api}/products/mug-blue -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \
    -d '{{"name":"Mug","description":"A mug","category":"kitchen","price":{{"amount":1999,"currency":"EUR"}}}}'
"#,
        api = endpoints.api_url
    ))
}

fn print_token(args: TokenArgs) -> anyhow::Result<ExitCode> {
    let claims = Claims { tenant: args.tenant, sub: args.customer, scope: args.scope, guest: args.guest };
    let token = token::sign_for(&claims, Duration::from_secs(args.ttl_seconds))?;
    print(&format!("{token}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes to standard output.
///
/// # Errors
/// When nobody reads it any more.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    output.write_all(text.as_bytes()).and_then(|()| output.flush()).context("standard output is closed")
}
