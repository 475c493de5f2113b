//! `cargo dev demo`: the main job, from placing orders to the last delivered event, on a stack of its own; then the laws.

pub mod chaos;
mod data;
mod drain;
pub mod evidence;
pub mod laws;
mod lives;
mod load;
pub mod payments;
mod plan;
mod report;
mod shop;
mod spending;

use crate::cli;
use crate::engines::aws::JsonService;
use crate::progress::Progress;
use crate::stack::{Stack, StackOptions};
use anyhow::Context;
use chaos::Chaos;
use indicatif::{ProgressBar, ProgressStyle};
use laws::Facts;
use load::Sender;
use plan::{Plan, Sending};
use report::Report;
use serde_json::json;
use spending::Costs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Orders that are sent unless the caller asks for another number.
const ORDERS: usize = 500;

/// Orders that are sent before their payments are waited for: as many as the worker gets to before they expire.
const WAVE: usize = 1_000;

/// How much longer orders live in chaos.
const CHAOS_SECONDS: u32 = 120;

/// What `cargo dev demo` takes.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Number of orders; with --data, 0 means every order of the file
    #[arg(long, default_value_t = ORDERS)]
    orders: usize,
    /// Gzipped file of invoices, one JSON object a line; without it the orders are made up
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Seed of the made-up orders, or of the sample of the file
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Build the functions with optimisation
    #[arg(long)]
    release: bool,
    /// Kill processes, send poison and take the outside down meanwhile; then mend it, as an operator would
    #[arg(long)]
    chaos: bool,
}

/// Runs the demo and prints its report. The exit code is 1 if a law is broken.
///
/// # Errors
/// When the plan cannot be read, the stack does not start, or it does not come to rest in time.
pub async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let plan = match &args.data {
        Some(path) => data::plan(path, args.orders, args.seed)?,
        None => shop::plan(args.orders, args.seed),
    };
    let progress = Progress::visible();
    // What dies is replayed before it expires.
    let plan = Plan { expiry_seconds: plan.expiry_seconds + if args.chaos { CHAOS_SECONDS } else { 0 }, ..plan };
    let order_expiry_seconds = Some(plan.expiry_seconds);
    let options = StackOptions {
        release: args.release,
        order_expiry_seconds,
        hurried: args.chaos,
        ..StackOptions::named("demo")
    };
    let build = if options.release { "release build" } else { "debug build" };
    let stack = Stack::start(options, &progress).await?;
    let report = stack.run(perform(&plan, &stack, build, args.chaos, &progress)).await;
    stack.stop().await;
    let report = report?;
    let text = match args.json {
        true => format!("{}\n", serde_json::to_string(&report)?),
        false => report.to_string(),
    };
    cli::print(&text)?;
    Ok(if report.broken().is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn perform(
    plan: &Plan,
    stack: &Stack,
    build: &'static str,
    is_chaotic: bool,
    progress: &Progress,
) -> anyhow::Result<Report> {
    let client = reqwest::Client::new();
    let dynamodb = JsonService::dynamodb(client.clone(), &stack.endpoints.dynamodb_url);
    let sender = Sender::new(&stack.endpoints.api_url);
    let day = is_chaotic.then(Mutex::<Chaos>::default);

    let (step, bar) = (progress.step("stock"), progress_bar(progress));
    if is_chaotic {
        step.say(&chaos::hurry());
    }
    sender.stock_up(plan, &bar).await?;
    bar.finish_and_clear();
    step.done(&format!("{} products", plan.products.len()));

    let payable = place(plan, &dynamodb, stack, &sender, progress);
    let pace = through(day.as_ref(), &dynamodb, stack, progress, payable).await?;
    drained(&dynamodb, stack, progress, "payments and events").await?;

    let unpayable: Vec<_> = plan.sent(Sending::WhileUnpayable).collect();
    if !unpayable.is_empty() {
        let faults = format!("{}/_faults", stack.endpoints.payment_url);
        let outage = json!({"path_prefix": "/v1/payment_intents", "mode": "refuse", "times": u32::MAX});
        client.post(&faults).json(&outage).send().await?.error_for_status().context("no outage could be made")?;
        let placed = sender.place(&unpayable, plan.currency, &ProgressBar::hidden()).await;
        let settled = drain::until_settled(&dynamodb, stack, plan.expiry_seconds, progress).await;
        client.delete(&faults).send().await?.error_for_status().context("the outage could not be ended")?;
        placed.and(settled)?;
        drained(&dynamodb, stack, progress, "late payments").await?;
    }

    let carried = carry(&dynamodb, stack, &sender, progress);
    through(day.as_ref(), &dynamodb, stack, progress, carried).await?;

    let step = progress.step("laws");
    let ledger = sender.ledger();
    let evidence = drain::evidence(&dynamodb, stack).await?;
    let costs = Costs::read(Path::new(&stack.endpoints.logs), &ledger.placing)?;
    let facts = Facts {
        plan,
        evidence: &evidence,
        told: &ledger.told,
        acknowledged: &|id| stack.deliveries.acknowledged(id),
        dead_letters: &drain::dead_letters(stack).await?,
        payments: &payments::read(&client, &stack.endpoints.payment_url).await?,
        placements_logged: costs.all.orders,
    };
    let mut report = Report::new(&facts, &ledger, &costs, pace, build);
    if let Some(day) = day {
        let day = day.into_inner().unwrap_or_else(PoisonError::into_inner);
        report.add_chaos(day, chaos::duplicates(stack, &evidence));
    }
    step.done("judged");
    Ok(report)
}

/// Does something calmly, or through a day of failures that is mended afterwards.
async fn through<T>(
    day: Option<&Mutex<Chaos>>,
    dynamodb: &JsonService,
    stack: &Stack,
    progress: &Progress,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let Some(day) = day else { return work.await };
    let done = tokio::select! {
        done = work => done?,
        failed = chaos::reign(stack, day) => return Err(failed.err().context("chaos has no end")?),
    };
    chaos::calm(stack).await?;
    chaos::mend(dynamodb, stack, day, progress).await?;
    Ok(done)
}

/// Places the orders that can be paid. How many were placed, and how long their sending took.
async fn place(
    plan: &Plan,
    dynamodb: &JsonService,
    stack: &Stack,
    sender: &Sender,
    progress: &Progress,
) -> anyhow::Result<(u64, Duration)> {
    let (step, bar) = (progress.step("orders"), progress_bar(progress));
    let mut sending = Duration::ZERO;
    let payable: Vec<_> = plan.orders.iter().filter(|order| order.sending != Sending::WhileUnpayable).collect();
    let later: Vec<_> = plan.sent(Sending::AgainLater).collect();
    let waves = payable.chunks(WAVE).chain(later.chunks(WAVE)).enumerate();
    for (number, wave) in waves {
        // The worker is slower than the callers: without a rest, orders would expire before it gets to them.
        if number > 0 && payable.len() > WAVE {
            drain::until_idle(dynamodb, stack, &step).await?;
        }
        let start = Instant::now();
        sender.place(wave, plan.currency, &bar).await?;
        sending += start.elapsed();
    }
    bar.finish_and_clear();
    step.done(&format!("{} sent", payable.len()));
    Ok((sender.placed(), sending))
}

/// Carries paid orders on: to the carrier, to their buyers, and some of them back.
async fn carry(dynamodb: &JsonService, stack: &Stack, sender: &Sender, progress: &Progress) -> anyhow::Result<()> {
    let looked = async || drain::evidence(dynamodb, stack).await;
    let (step, bar) = (progress.step("shipments"), progress_bar(progress));
    let shipped = lives::ship(sender, &looked().await?, &bar).await?;
    bar.finish_and_clear();
    step.done(&format!("{shipped} asked for"));
    drained(dynamodb, stack, progress, "carrier and captures").await?;

    let (step, bar) = (progress.step("deliveries and returns"), progress_bar(progress));
    let delivered = lives::deliver(sender, &looked().await?, &bar).await?;
    let returned = lives::take_back(sender, &looked().await?, &bar).await?;
    bar.finish_and_clear();
    step.done(&format!("{delivered} delivered, {returned} came back or got money back"));
    drained(dynamodb, stack, progress, "refunds").await
}

async fn drained(dynamodb: &JsonService, stack: &Stack, progress: &Progress, label: &str) -> anyhow::Result<()> {
    let step = progress.step(label);
    drain::until_idle(dynamodb, stack, &step).await?;
    step.done("drained");
    Ok(())
}

/// A bar that grows with what it is given to do.
fn progress_bar(progress: &Progress) -> ProgressBar {
    let style =
        ProgressStyle::with_template("    {wide_bar} {pos}/{len} {per_sec}").expect("the template is well formed");
    progress.bars().add(ProgressBar::new(0).with_style(style))
}
