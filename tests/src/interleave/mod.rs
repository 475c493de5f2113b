//! Seeded interleavings: the real functions and store over the embedded engine, one call at a time, in an order that a
//! seed decides, with faults that it decides, on virtual time.
//!
//! A run of a seed:
//! 1. [`plan`] draws what there is and who asks for what: lanes of operations, some of them twice.
//! 2. Each lane is an environment of Lambda: it serves one request at a time and keeps its memory until it is stopped.
//!    Every call it makes waits at the [`switchboard`].
//! 3. The [`scheduler`] wakes when all lanes wait, lets one call go, applies it whole, and may let it fail.
//! 4. Callers repeat what got no answer, without faults, until they know what became of it.
//! 5. [`laws`] judges the raw items and what everybody was told.
//!
//! The idea is that of FoundationDB's simulation (Zhou et al., "FoundationDB: A Distributed Unbundled Transactional Key
//! Value Store", SIGMOD 2021, section 4) and of TigerBeetle's VOPR: one thread, one source of randomness, so that a seed
//! is a replay.
//!
//! Ages of entries in a cache are told by the machine's clock, so none grows old in a run.
//!
//! # Adding an operation
//! 1. A variant of [`operation::Operation`], and what it sends in [`operation::Environment::perform`]. An operation of
//!    another function gets its router in `Environment`.
//! 2. What it needs in [`plan::Plan`], a `Draw` and its weight in the themes where it belongs.
//! 3. In [`laws`], what must be true of its answers. The laws of the table hold without a word.
//!
//! A condition that the code sends and [`controls`] does not name fails the test; add its control there.

pub mod carrier;
pub mod controls;
mod engine;
pub mod guards;
pub mod laws;
pub mod operation;
pub mod payments;
pub mod plan;
pub mod scheduler;
pub mod switchboard;

use holdfast_runtime::clock::Clock;
use jiff::{SignedDuration, Timestamp};
use laws::Breach;
use operation::{Clients, Environment, Operation, Reply};
use plan::{AHEAD_MS, Plan};
use scheduler::Scheduler;
use serde_json::json;
use std::cell::LazyCell;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use switchboard::{LANE, Switchboard};
use tokio::runtime::Runtime;
use tokio::time::Instant;

/// How many runs share a database. The engine remembers the tokens of transactions, and looks through all of them.
const RUNS_PER_DATABASE: usize = 100;
/// How often a caller repeats a request once nothing fails any more.
const RECOVERIES_MAX: usize = 4;
/// The instant at which every run begins.
const BEGIN: &str = "2026-03-01T12:00:00Z";

/// The lane of what happens before the operations begin.
pub const BEFORE: usize = 90;
/// The lane of the repetitions after they ended.
pub const AFTERWARDS: usize = 91;

/// An operation that was asked for once.
#[derive(Debug, Clone)]
pub struct Run {
    /// By whom.
    pub lane: usize,
    /// What.
    pub operation: Operation,
    /// The moment at which it was asked for.
    pub begun: usize,
    /// The moment at which it was answered or stopped.
    pub ended: usize,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of an operation for those who asked.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// An answer.
    Replied(Reply),
    /// The process stopped.
    Stopped,
    /// The code panicked.
    Panicked,
}

impl Run {
    /// The answer, if there was one.
    pub fn reply(&self) -> Option<&Reply> {
        match &self.outcome {
            Outcome::Replied(reply) => Some(reply),
            _ => None,
        }
    }

    fn is_final(&self) -> bool {
        self.reply().is_some_and(Reply::is_final)
    }
}

/// What became of a seed.
pub struct Report {
    /// What was planned.
    pub plan: Arc<Plan>,
    /// What happened, line by line.
    pub trace: Vec<String>,
    /// The laws that are broken.
    pub breaches: Vec<Breach>,
    /// Every guard that was sent.
    pub guards: BTreeSet<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.plan)?;
        self.trace.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        self.breaches.iter().try_for_each(|breach| writeln!(f, "  BROKEN {}: {}", breach.law, breach.detail))
    }
}

/// Runs seeds, one after the other, on its own thread.
pub struct Harness {
    runtime: Runtime,
    board: Arc<Switchboard>,
    clients: Clients,
    runs: usize,
}

impl Default for Harness {
    fn default() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime of one thread can be made");
        let board = Switchboard::open();
        let clients = Clients::new(&board);
        Self { runtime, board, clients, runs: 0 }
    }
}

impl Harness {
    /// Runs a seed, with these guards taken away.
    pub fn run(&mut self, seed: u64, without: &'static [&'static str]) -> Report {
        self.runs += 1;
        if self.runs.is_multiple_of(RUNS_PER_DATABASE) {
            self.board.state().engine = engine::Engine::open();
        }
        self.board.state().reset();
        let plan = Arc::new(Plan::of(seed));
        let history = self.runtime.block_on(Shop::new(&self.board, &self.clients, &plan).run(without));
        let mut state = self.board.state();
        let items = state.engine.items();
        state.engine.remove(&items);
        let breaches = laws::judge(&laws::Facts { plan: &plan, history: &history, items: &items, state: &state });
        Report { plan, trace: std::mem::take(&mut state.trace), breaches, guards: std::mem::take(&mut state.guards) }
    }
}

/// The shop of one run.
#[derive(Clone)]
struct Shop<'a> {
    board: &'a Arc<Switchboard>,
    clients: &'a Clients,
    plan: &'a Arc<Plan>,
    clock: Clock,
    history: Arc<Mutex<Vec<Run>>>,
}

impl<'a> Shop<'a> {
    fn new(board: &'a Arc<Switchboard>, clients: &'a Clients, plan: &'a Arc<Plan>) -> Self {
        let begin: Timestamp = BEGIN.parse().expect("it is an instant");
        let start = Mutex::new(None::<Instant>);
        let clock = Clock::of(move || {
            let start = *start.lock().expect("clocks do not panic").get_or_insert_with(Instant::now);
            begin + SignedDuration::try_from(start.elapsed()).unwrap_or_default()
        });
        Self { board, clients, plan, clock, history: Arc::default() }
    }

    async fn run(self, without: &'static [&'static str]) -> Vec<Run> {
        let before = LazyCell::new(|| self.environment(false));
        self.prepare(&before).await;
        // The code under test draws its pauses and first stripes from this thread's generator, and so does the SDK.
        fastrand::seed(self.plan.seed);
        for order in (0..self.plan.orders.len()).filter(|order| self.plan.orders[*order].early) {
            self.ask(BEFORE, &before, Operation::Order(order)).await;
        }
        self.board.state().begin(without);
        let left = AtomicUsize::new(self.plan.lanes.len());
        let lanes = self.plan.lanes.iter().enumerate().map(|(number, operations)| {
            let (shop, left) = (&self, &left);
            async move {
                shop.lane(number, operations.clone()).await;
                left.fetch_sub(1, Ordering::Relaxed);
                shop.board.changed.notify_one();
            }
        });
        let mut scheduler = Scheduler::new(self.plan.seed, self.plan.faults_percent);
        let ended = || left.load(Ordering::Relaxed) == 0;
        tokio::join!(futures_util::future::join_all(lanes), scheduler.drive(self.board, ended));
        self.board.state().scheduled = false;
        // What is adrift of large orders may come after everything else that happens to them.
        if self.plan.large().next().is_none() {
            scheduler.leave(self.board);
        }
        self.recover().await;
        scheduler.leave(self.board);
        std::mem::take(&mut *self.history.lock().expect("nobody panics while holding this"))
    }

    /// Puts the plan's products on sale, by the functions themselves the first time and by a copy of the items later.
    async fn prepare(&self, environment: &LazyCell<Arc<Environment>, impl FnOnce() -> Arc<Environment>>) {
        let wanted = self.plan.stocked();
        let known = self.board.state().prepared.get(&wanted).cloned();
        match known {
            Some(items) => self.board.state().engine.put(&items),
            None => {
                environment.prepare().await;
                let mut state = self.board.state();
                let items = state.engine.items();
                state.prepared.insert(wanted, items);
            }
        }
    }

    fn environment(&self, ahead: bool) -> Arc<Environment> {
        Environment::new(self.plan, self.board, self.clients, &self.clock, ahead)
    }

    async fn lane(&self, number: usize, mut operations: Vec<Operation>) {
        if operations.is_empty() {
            return;
        }
        let ahead = self.plan.ahead.contains(&number);
        let mut environment = self.environment(ahead);
        let (planned, mut next) = (operations.len(), 0);
        while next < operations.len() {
            let run = self.ask(number, &environment, operations[next]).await;
            if run.reply().is_none() {
                environment = self.environment(ahead);
            }
            if !run.is_final() && self.plan.repeats && next < planned {
                operations.push(operations[next]);
            }
            next += 1;
        }
    }

    /// Asks an environment for an operation, in a task of its own, so that the scheduler can stop it.
    async fn ask(&self, lane: usize, environment: &Arc<Environment>, operation: Operation) -> Run {
        let environment = Arc::clone(environment);
        let task = tokio::spawn(LANE.scope(lane, async move { environment.perform(operation).await }));
        let begun = {
            let mut state = self.board.state();
            state.running.insert(lane, task.abort_handle());
            state.note(|| format!("lane {lane}: {operation:?} begins"));
            state.tick()
        };
        let outcome = match task.await {
            Ok(reply) => Outcome::Replied(reply),
            Err(error) if error.is_cancelled() => Outcome::Stopped,
            Err(_) => Outcome::Panicked,
        };
        let mut state = self.board.state();
        state.note(|| match &outcome {
            Outcome::Replied(reply) => {
                format!("lane {lane}: {operation:?} is answered {} {}", reply.status, reply.slug)
            }
            other => format!("lane {lane}: {operation:?} ends: {other:?}"),
        });
        let run = Run { lane, operation, begun, ended: state.tick(), outcome };
        self.history.lock().expect("nobody panics while holding this").push(run.clone());
        run
    }

    /// Callers repeat what they have no answer to, and messages about orders are delivered once more: what needs a next
    /// step gets it.
    async fn recover(&self) {
        let environment = LazyCell::new(|| self.environment(false));
        // Messages come last: one about an order that is placed only now would have no answer before.
        let is_message = |operation: &Operation| {
            matches!(operation, Operation::Pay(_) | Operation::Expire(_) | Operation::Settle(_))
        };
        let (messages, callers): (Vec<_>, Vec<_>) = self.plan.operations().into_iter().partition(is_message);
        for operation in callers.into_iter().chain(messages) {
            let answered = |run: &Run| run.operation == operation && run.is_final();
            let mut known = self.history.lock().expect("nobody panics while holding this").iter().any(answered);
            known &= !matches!(operation, Operation::Pay(_));
            for _ in 0..RECOVERIES_MAX {
                if known {
                    break;
                }
                known = self.ask(AFTERWARDS, &environment, operation).await.is_final();
            }
        }
        self.end_large(&environment).await;
        // An order that was cancelled or expired after its last message still lets its payment go.
        for operation in self.plan.operations() {
            if matches!(operation, Operation::Pay(_)) {
                self.ask(AFTERWARDS, &environment, operation).await;
            }
        }
    }

    /// The timers of large orders come due, and the worker hears what ended.
    async fn end_large(&self, environment: &LazyCell<Arc<Environment>, impl FnOnce() -> Arc<Environment>>) {
        if self.plan.large().next().is_some() {
            tokio::time::sleep(Duration::from_millis(AHEAD_MS.unsigned_abs())).await;
        }
        let is_there = |order: &usize| {
            let key = json!({"pk": {"S": format!("{}#order#{}", operation::tenant(), self.plan.order_id(*order))}, "sk": {"S": "order"}});
            let request = json!({"TableName": engine::TABLE, "Key": key, "ProjectionExpression": "version"});
            self.board.state().engine.call("GetItem", request).1.contains("version")
        };
        for order in self.plan.large().filter(is_there) {
            for operation in [Operation::Expire(order), Operation::Settle(order)] {
                for _ in 0..RECOVERIES_MAX {
                    if self.ask(AFTERWARDS, environment, operation).await.is_final() {
                        break;
                    }
                }
            }
        }
    }
}
