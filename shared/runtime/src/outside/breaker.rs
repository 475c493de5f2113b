//! The circuit breaker: decides from what came of earlier attempts whether another one is made. It reads no clock.

use super::BreakerSettings;
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// The most outcomes that are remembered, so that memory stays small however many calls there are.
const OUTCOMES_MAX: usize = 256;

/// What a breaker lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything.
    Closed,
    /// Nothing, until its time is over.
    Open,
    /// A few attempts, which tell whether the dependency is back.
    HalfOpen,
}

impl BreakerState {
    /// As logs and metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

impl fmt::Display for BreakerState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// A change of state, to be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub from: BreakerState,
    pub to: BreakerState,
}

/// Which time between two changes an attempt belongs to. What comes of it later says nothing about other times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cycle(u64);

pub(super) struct Breaker {
    settings: BreakerSettings,
    phase: Phase,
    cycle: u64,
}

enum Phase {
    Closed { outcomes: VecDeque<Outcome> },
    Open { until: Instant },
    HalfOpen { probes: usize },
}

struct Outcome {
    at: Instant,
    failed: bool,
}

impl Breaker {
    pub fn new(settings: BreakerSettings) -> Self {
        Self { settings, phase: Phase::Closed { outcomes: VecDeque::new() }, cycle: 0 }
    }

    pub fn state(&self) -> BreakerState {
        match self.phase {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Lets an attempt through, or says after which time to ask again. Whoever is let through tells what came of it
    /// with [`Breaker::record`], and in any case that it ended with [`Breaker::end`].
    pub fn admit(&mut self, now: Instant) -> (Result<Cycle, Duration>, Option<Change>) {
        let mut change = None;
        if let Phase::Open { until } = self.phase {
            if now < until {
                return (Err(until - now), None);
            }
            change = Some(self.turn(Phase::HalfOpen { probes: 0 }));
        }
        if let Phase::HalfOpen { probes } = &mut self.phase {
            if *probes >= self.settings.probes_at_once {
                // As long as it will be if the probes under way fail.
                return (Err(self.settings.open_for), change);
            }
            *probes += 1;
        }
        (Ok(Cycle(self.cycle)), change)
    }

    /// Notes whether an attempt was answered.
    pub fn record(&mut self, cycle: Cycle, answered: bool, now: Instant) -> Option<Change> {
        if cycle != Cycle(self.cycle) {
            return None;
        }
        let opens = match &mut self.phase {
            Phase::Closed { outcomes } => {
                outcomes.push_back(Outcome { at: now, failed: !answered });
                let forgotten = |outcome: &Outcome| now.duration_since(outcome.at) > self.settings.window;
                while outcomes.len() > OUTCOMES_MAX || outcomes.front().is_some_and(forgotten) {
                    outcomes.pop_front();
                }
                too_many_failed(outcomes, &self.settings)
            }
            Phase::HalfOpen { .. } if answered => return Some(self.turn(Phase::Closed { outcomes: VecDeque::new() })),
            Phase::HalfOpen { .. } => true,
            Phase::Open { .. } => false,
        };
        opens.then(|| self.turn(Phase::Open { until: now + self.settings.open_for }))
    }

    /// Gives the place of a probe back that ended, whatever came of it.
    pub fn end(&mut self, cycle: Cycle) {
        if let Phase::HalfOpen { probes } = &mut self.phase
            && cycle == Cycle(self.cycle)
        {
            *probes = probes.saturating_sub(1);
        }
    }

    fn turn(&mut self, phase: Phase) -> Change {
        let from = self.state();
        self.phase = phase;
        self.cycle += 1;
        Change { from, to: self.state() }
    }
}

fn too_many_failed(outcomes: &VecDeque<Outcome>, settings: &BreakerSettings) -> bool {
    let in_a_row = outcomes.iter().rev().take_while(|outcome| outcome.failed).count();
    let failed = outcomes.iter().filter(|outcome| outcome.failed).count();
    // An answer opens nothing: it is the far side at work.
    let last_failed = in_a_row > 0;
    let share = failed * 100 >= outcomes.len() * settings.failures_percent;
    last_failed && (in_a_row >= settings.failures_in_a_row || (outcomes.len() >= settings.attempts_min && share))
}
