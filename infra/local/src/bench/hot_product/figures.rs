//! What a run came to.

use serde::{Deserialize, Serialize};

use super::engine::Engine;
use super::simulation::Scenario;

/// The share of the stock, in per cent, that counts as its end.
const LAST_PERCENT: u64 = 5;

/// How an order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It has its units.
    Placed,
    /// It was told that there are not as many.
    SoldOut,
    /// It was told to come again, after all attempts.
    Busy,
}

/// When in a run an order came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// At the start, when environments know nothing yet.
    WarmUp,
    /// Until 95 % is sold.
    Main,
    /// From then until all is sold.
    Last,
    /// When nothing was left.
    After,
}

/// What one order cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spent {
    /// Transactions sent.
    pub attempts: u32,
    /// Reads of levels.
    pub looks: u32,
    /// Write units.
    pub wcu: u64,
    /// Read units.
    pub rcu: u64,
}

/// The orders that came in one part of a run.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    times_us: Vec<u64>,
    first_us: u64,
    last_us: u64,
    /// Orders that ended.
    pub orders: u64,
    /// Those that were told to come again.
    pub busy: u64,
    attempts: u64,
    looks: u64,
    wcu: u64,
    rcu: u64,
}

/// The means and quantiles of one part of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Summary {
    /// Orders that came.
    pub orders: u64,
    /// Those that were placed.
    pub placed: u64,
    /// Placed a second, from when the first came until those that came last were placed, but for the slowest.
    pub placed_a_second: f64,
    /// Transactions an order, however it ended.
    pub attempts: f64,
    /// Reads of levels an order.
    pub looks: f64,
    /// Write units an order.
    pub wcu: f64,
    /// Read units an order.
    pub rcu: f64,
    /// Time from arrival to being placed, in ms.
    pub p50_ms: f64,
    /// The same, for all but one in a hundred.
    pub p99_ms: f64,
    /// The share of orders told to come again.
    pub busy: f64,
}

/// What a run came to.
#[derive(Debug)]
pub struct Figures {
    warm_up_us: u64,
    stock: u64,
    parts: [Tally; 4],
    /// Units sold that were not there.
    pub oversold: u64,
    /// Units nobody got.
    pub unsold: u64,
    /// Orders told that there is too little, while there was enough.
    pub lied: u64,
    /// Environments at the end.
    pub environments: usize,
}

impl Figures {
    /// Of a run that begins.
    pub fn new(scenario: &Scenario) -> Self {
        Self {
            warm_up_us: scenario.warm_up_ms * 1_000,
            stock: scenario.stock,
            parts: Default::default(),
            oversold: 0,
            unsold: 0,
            lied: 0,
            environments: 0,
        }
    }

    /// The part that an order belongs to that comes now, when `unsold` units are left.
    pub fn part(&self, now_us: u64, unsold: u64) -> Part {
        match unsold {
            0 => Part::After,
            few if few * 100 <= self.stock * LAST_PERCENT => Part::Last,
            _ if now_us < self.warm_up_us => Part::WarmUp,
            _ => Part::Main,
        }
    }

    /// An order ended.
    pub fn finished(&mut self, part: Part, outcome: Outcome, spent: Spent, arrived_us: u64, now_us: u64) {
        let tally = &mut self.parts[part as usize];
        if tally.orders == 0 {
            tally.first_us = arrived_us;
        }
        tally.first_us = tally.first_us.min(arrived_us);
        tally.last_us = tally.last_us.max(arrived_us);
        tally.orders += 1;
        tally.busy += u64::from(outcome == Outcome::Busy);
        tally.attempts += u64::from(spent.attempts);
        tally.looks += u64::from(spent.looks);
        tally.wcu += spent.wcu;
        tally.rcu += spent.rcu;
        if outcome == Outcome::Placed {
            tally.times_us.push(now_us - arrived_us);
        }
    }

    /// The run is over.
    pub fn end(&mut self, engine: &Engine, environments: usize) {
        self.oversold = engine.oversold;
        self.unsold = engine.unsold;
        self.environments = environments;
        self.parts.iter_mut().for_each(|tally| tally.times_us.sort_unstable());
    }

    /// The means and quantiles of a part.
    pub fn summary(&self, part: Part) -> Summary {
        let tally = &self.parts[part as usize];
        let each = |sum: u64| sum as f64 / (tally.orders as f64).max(1.0);
        let placed = tally.times_us.len();
        let quantile_ms = |percent: usize| {
            let rank = (placed * percent).div_ceil(100).saturating_sub(1);
            tally.times_us.get(rank).copied().unwrap_or_default() as f64 / 1e3
        };
        Summary {
            orders: tally.orders,
            placed: placed as u64,
            placed_a_second: placed as f64 * 1e6
                / (tally.last_us + (quantile_ms(99) * 1e3) as u64 - tally.first_us).max(1) as f64,
            attempts: each(tally.attempts),
            looks: each(tally.looks),
            wcu: each(tally.wcu),
            rcu: each(tally.rcu),
            p50_ms: quantile_ms(50),
            p99_ms: quantile_ms(99),
            busy: each(tally.busy),
        }
    }
}
