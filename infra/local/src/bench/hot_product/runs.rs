//! Which scenarios are run, and what they are to reach.

use std::sync::atomic::{AtomicUsize, Ordering};

use holdfast_domain::pool::StripeNumber;
use serde::{Deserialize, Serialize};

use super::buyer::Choice;
use super::figures::{Part, Summary};
use super::simulation::{Dispatch, Scenario, run};

/// The sizes of pools that are compared.
pub const STRIPES: [StripeNumber; 6] = [1, 8, 64, 256, 512, 1_024];

/// Orders a second that one product is to take.
pub const RATE: f64 = 10_000.0;

/// Units in the pool: ten seconds' worth.
const STOCK: u64 = 100_000;

/// Orders offered: more than there are units, so that all can be sold.
const ORDERS: u64 = 130_000;

/// What an order may take at the knee, in ms, and the share that may be told to come again.
const KNEE_P99_MS: f64 = 300.0;
const KNEE_BUSY: f64 = 0.001;

/// All that the model found.
#[derive(Debug, Serialize, Deserialize)]
pub struct Results {
    /// One product at 10,000 orders a second, until it is sold out and beyond.
    pub runs: Vec<Run>,
    /// The most orders a second that pools take.
    pub knees: Vec<Knee>,
    /// What is to be reached.
    pub goals: Vec<Goal>,
}

/// A scenario and what it came to.
#[derive(Debug, Serialize, Deserialize)]
pub struct Run {
    /// What was simulated.
    pub scenario: Scenario,
    /// Environments at the end.
    pub environments: usize,
    /// Orders that came until 95 % was sold.
    pub main: Summary,
    /// Orders that came from then until all was sold.
    pub last: Summary,
    /// Orders that came when nothing was left.
    pub after: Summary,
    /// Units sold that were not there.
    pub oversold: u64,
    /// Units nobody got.
    pub unsold: u64,
    /// Orders told that there is too little, while there was enough.
    pub lied: u64,
}

/// The most orders a second that a pool takes: 99 of 100 orders within 300 ms, and less than one in a thousand told to
/// come again.
#[derive(Debug, Serialize, Deserialize)]
pub struct Knee {
    /// How environments choose stripes.
    pub choice: Choice,
    /// Stripes of the pool.
    pub stripes: StripeNumber,
    /// Orders offered a second.
    pub rate: f64,
}

/// Something to be reached.
#[derive(Debug, Serialize, Deserialize)]
pub struct Goal {
    /// What is measured.
    pub what: String,
    /// What it may be at most, or must be at least.
    pub limit: String,
    /// What it is.
    pub measured: f64,
    /// Whether that is within the limit.
    pub met: bool,
}

/// Runs everything.
pub fn all(seed: u64) -> Results {
    let runs = side_by_side(&scenarios(seed), measured);
    let choices = [Choice::Sticky, Choice::Random].into_iter().flat_map(|choice| STRIPES.map(|n| (choice, n)));
    let pools: Vec<_> = choices.chain([(Choice::Plain, 1)]).collect();
    let knees = side_by_side(&pools, |(choice, stripes)| knee(*choice, *stripes, seed));
    let goals = goals(&runs, &knees);
    Results { runs, knees, goals }
}

fn scenarios(seed: u64) -> Vec<Scenario> {
    let base = Scenario {
        stripes: 1,
        rate: RATE,
        orders: ORDERS,
        stock: STOCK,
        quantity_max: 1,
        choice: Choice::Plain,
        dispatch: Dispatch::MostRecent,
        environments: 1,
        warm_up_ms: 0,
        seed,
    };
    let mut scenarios = vec![base.clone()];
    for (dispatch, environments) in [(Dispatch::MostRecent, 1), (Dispatch::Uniform, 1), (Dispatch::Uniform, 4)] {
        for choice in [Choice::Sticky, Choice::Random] {
            let scenario = |stripes| Scenario { stripes, choice, dispatch, environments, ..base.clone() };
            scenarios.extend(STRIPES.map(scenario));
        }
    }
    // Orders of up to five units, so that several stripes have to be gathered at the end; two units an order on average.
    for (dispatch, environments, stripes) in [(Dispatch::MostRecent, 1, 256), (Dispatch::Uniform, 4, 1_024)] {
        let (choice, stock) = (Choice::Sticky, 2 * STOCK);
        scenarios.push(Scenario { stripes, choice, dispatch, environments, stock, quantity_max: 5, ..base.clone() });
    }
    scenarios
}

fn measured(scenario: &Scenario) -> Run {
    let figures = run(scenario);
    Run {
        scenario: scenario.clone(),
        environments: figures.environments,
        main: figures.summary(Part::Main),
        last: figures.summary(Part::Last),
        after: figures.summary(Part::After),
        oversold: figures.oversold,
        unsold: figures.unsold,
        lied: figures.lied,
    }
}

/// Searches the highest rate that is taken, to 2 %.
fn knee(choice: Choice, stripes: StripeNumber, seed: u64) -> Knee {
    let is_taken = |rate: f64| {
        let scenario = Scenario {
            stripes,
            rate,
            // Four seconds of orders at least, and enough for a quantile; the stock outlasts them.
            orders: (rate * 4.0).max(4_000.0) as u64,
            stock: (rate * 10.0).max(10_000.0) as u64,
            quantity_max: 1,
            choice,
            dispatch: Dispatch::MostRecent,
            environments: 1,
            warm_up_ms: 1_000,
            seed,
        };
        let main = run(&scenario).summary(Part::Main);
        main.p99_ms < KNEE_P99_MS && main.busy < KNEE_BUSY
    };
    let likely = 10.0 * f64::from(stripes);
    let mut taken = if is_taken(likely) { likely } else { 1.0 };
    let mut refused = 100.0 * f64::from(stripes.min(512)).max(20.0);
    while refused / taken > 1.02 {
        let middle: f64 = taken * refused;
        match middle.sqrt() {
            rate if is_taken(rate) => taken = rate,
            rate => refused = rate,
        }
    }
    Knee { choice, stripes, rate: taken }
}

fn goals(runs: &[Run], knees: &[Knee]) -> Vec<Goal> {
    let mut goals = Vec::new();
    let mut at_most = |what: &str, measured: f64, limit: f64| {
        goals.push(Goal { what: what.to_owned(), limit: format!("≤ {limit}"), measured, met: measured <= limit });
    };
    let cases = [
        ("most recent, 256 stripes", Dispatch::MostRecent, 1, 256, 1.15, 100.0),
        ("uniform over 4 times, 1,024 stripes", Dispatch::Uniform, 4, 1_024, 1.3, 120.0),
    ];
    for (name, dispatch, environments, stripes, attempts, p99_ms) in cases {
        let is_meant = |run: &&Run| {
            let Scenario { stripes: n, choice, dispatch: d, environments: e, quantity_max, .. } = run.scenario;
            (n, choice, d, e, quantity_max) == (stripes, Choice::Sticky, dispatch, environments, 1)
        };
        let Some(run) = runs.iter().find(is_meant) else { continue };
        at_most(&format!("{name}: attempts an order"), run.main.attempts, attempts);
        at_most(&format!("{name}: p99, ms"), run.main.p99_ms, p99_ms);
        at_most(&format!("{name}: attempts an order of the last 5 %"), run.last.attempts, 4.0);
        at_most(&format!("{name}: units left unsold"), run.unsold as f64, 0.0);
    }
    at_most("all runs: units oversold", runs.iter().map(|run| run.oversold).sum::<u64>() as f64, 0.0);
    at_most("all runs: told sold out wrongly", runs.iter().map(|run| run.lied).sum::<u64>() as f64, 0.0);
    let rate = |stripes| {
        let knee = knees.iter().find(|knee| knee.choice == Choice::Sticky && knee.stripes == stripes);
        knee.map_or(0.0, |knee| knee.rate)
    };
    let growth = rate(64) / rate(8);
    let what = "knee, from 8 to 64 stripes: grows by".to_owned();
    goals.push(Goal { what, limit: "≥ 6".to_owned(), measured: growth, met: growth >= 6.0 });
    goals
}

/// Does all work on all processors, in any order; answers in the order given.
fn side_by_side<W: Sync, R: Send>(work: &[W], perform: impl Fn(&W) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = work.get(place) else { return done };
            done.push((place, perform(item)));
        }
    };
    let mut done: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..processors).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a run does not panic")).collect()
    });
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}
