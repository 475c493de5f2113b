//! Buyers on virtual time: orders come, environments serve one each, and the engine answers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use holdfast_domain::pool::{Next, StripeNumber};
use holdfast_store::contention::{ATTEMPTS_MAX, longest_pause_ms};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use super::buyer::{Choice, Memory};
use super::engine::{Ended, Engine, Reason};
use super::figures::{Figures, Outcome, Part, Spent};
use super::latency;

/// Which environment serves the next order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dispatch {
    /// Of those that are free, the one that was busy last.
    MostRecent,
    /// Any that is free.
    Uniform,
}

/// What is simulated.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scenario {
    /// Stripes of the pool.
    pub stripes: StripeNumber,
    /// Orders offered a second; they come independently of each other and of how fast they are served.
    pub rate: f64,
    /// How many are offered.
    pub orders: u64,
    /// Units in the pool, shared evenly by its stripes.
    pub stock: u64,
    /// An order wants 1 unit to this many; the fewer the likelier.
    pub quantity_max: u32,
    /// How environments choose stripes.
    pub choice: Choice,
    /// How orders find environments.
    pub dispatch: Dispatch,
    /// Environments at the start, as a multiple of those needed. More are started when none is free.
    pub environments: u32,
    /// Orders of so long at the start are left out of times and attempts, in ms.
    pub warm_up_ms: u64,
    /// All that is random follows from it.
    pub seed: u64,
}

impl Scenario {
    /// Environments that are busy at once when nobody meets anybody, with room for three standard deviations.
    pub fn environments_needed(&self) -> usize {
        let busy = self.rate * latency::UNDISTURBED_US / 1e6;
        (busy + 3.0 * busy.sqrt()).ceil() as usize
    }
}

/// How often levels are read for one order before it is given up: looking grows, so it takes a few times only.
const LOOKS_MAX: u32 = 16;

type EnvironmentNumber = usize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// An order comes.
    Order,
    /// An environment decides what to do next.
    Decide(EnvironmentNumber),
    /// Its request arrives at the table.
    Arrive(EnvironmentNumber),
    /// The answer is back.
    Answered(EnvironmentNumber),
}

/// What is on its way between an environment and the table.
#[derive(Debug, Clone)]
enum Under {
    Nothing,
    Asking(Vec<(StripeNumber, u32)>),
    Ended(Vec<(StripeNumber, u32)>, Ended),
    AskingHeader,
    ToldHeader(Option<(u64, u64)>),
    Looking(Vec<StripeNumber>, u64),
    Looked(Vec<(StripeNumber, u64)>, u64, Option<(u64, u64)>),
}

struct Environment {
    memory: Memory,
    under: Under,
    quantity: u32,
    arrived_us: u64,
    part: Part,
    spent: Spent,
}

/// Runs a scenario to the end of its last order.
pub fn run(scenario: &Scenario) -> Figures {
    let mut simulation = Simulation {
        random: StdRng::seed_from_u64(scenario.seed),
        engine: Engine::new(scenario.stripes, scenario.stock),
        figures: Figures::new(scenario),
        environments: Vec::new(),
        free: Vec::new(),
        events: BinaryHeap::new(),
        now_us: 0,
        offered: 0,
        scenario,
    };
    for _ in 0..scenario.environments_needed() * scenario.environments as usize {
        let number = simulation.started();
        simulation.free.push(number);
    }
    simulation.events.push(Reverse((0, Event::Order)));
    while let Some(Reverse((at_us, event))) = simulation.events.pop() {
        simulation.now_us = at_us;
        simulation.happen(event);
    }
    let Simulation { engine, mut figures, environments, .. } = simulation;
    figures.end(&engine, environments.len());
    figures
}

struct Simulation<'a> {
    scenario: &'a Scenario,
    random: StdRng,
    engine: Engine,
    figures: Figures,
    environments: Vec<Environment>,
    /// Free environments; the last was busy last.
    free: Vec<EnvironmentNumber>,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    now_us: u64,
    offered: u64,
}

impl Simulation<'_> {
    fn happen(&mut self, event: Event) {
        match event {
            Event::Order => self.offer(),
            Event::Decide(number) => self.decide(number),
            Event::Arrive(number) => self.arrive(number),
            Event::Answered(number) => self.answered(number),
        }
    }

    fn now_ms(&self) -> u64 {
        self.now_us / 1_000
    }

    fn after(&mut self, delay_us: u64, event: Event) {
        self.events.push(Reverse((self.now_us + delay_us, event)));
    }

    fn started(&mut self) -> EnvironmentNumber {
        self.environments.push(Environment {
            memory: Memory::new(self.scenario.choice),
            under: Under::Nothing,
            quantity: 0,
            arrived_us: 0,
            part: Part::WarmUp,
            spent: Spent::default(),
        });
        self.environments.len() - 1
    }

    fn offer(&mut self) {
        self.offered += 1;
        let free = match self.scenario.dispatch {
            Dispatch::MostRecent => self.free.pop(),
            Dispatch::Uniform if self.free.is_empty() => None,
            Dispatch::Uniform => {
                let place = self.random.random_range(0..self.free.len());
                Some(self.free.swap_remove(place))
            }
        };
        let number = free.unwrap_or_else(|| self.started());
        // The smaller of two draws is more often small.
        let [one, other] = [(); 2].map(|()| self.random.random_range(1..=self.scenario.quantity_max));
        let quantity = one.min(other);
        let environment = &mut self.environments[number];
        environment.quantity = quantity;
        environment.arrived_us = self.now_us;
        environment.part = self.figures.part(self.now_us, self.engine.unsold);
        environment.spent = Spent::default();
        let handling_us = latency::handling_us(&mut self.random);
        self.after(handling_us, Event::Decide(number));
        if self.offered < self.scenario.orders {
            let next_us = latency::between_orders_us(self.scenario.rate, &mut self.random);
            self.after(next_us, Event::Order);
        }
    }

    fn decide(&mut self, number: EnvironmentNumber) {
        let now_ms = self.now_ms();
        let stripes = self.scenario.stripes;
        let environment = &mut self.environments[number];
        let next = environment.memory.next(stripes, environment.quantity, now_ms, &mut self.random);
        match next {
            Next::SoldOut { .. } => {
                self.figures.lied += u64::from(self.engine.unsold >= u64::from(environment.quantity));
                self.finish(number, Outcome::SoldOut);
            }
            Next::Look(stripes) => self.look(number, stripes),
            Next::Ask(claims) => {
                environment.spent.attempts += 1;
                environment.under = Under::Asking(claims);
                self.send(number);
            }
        }
    }

    /// Reads levels, and with them the header, as another may have read all stripes a moment ago. If that is more than
    /// one request takes, the header is read first.
    fn look(&mut self, number: EnvironmentNumber, stripes: Vec<StripeNumber>) {
        let now_ms = self.now_ms();
        let environment = &mut self.environments[number];
        environment.spent.looks += 1;
        if environment.spent.looks > LOOKS_MAX {
            return self.finish(number, Outcome::Busy);
        }
        let all = stripes.len() == usize::from(self.scenario.stripes);
        environment.under = match all && stripes.len() >= 100 {
            true => Under::AskingHeader,
            false => Under::Looking(stripes, now_ms),
        };
        self.send(number);
    }

    fn send(&mut self, number: EnvironmentNumber) {
        let way_us = latency::way_us(&mut self.random);
        self.after(way_us, Event::Arrive(number));
    }

    fn arrive(&mut self, number: EnvironmentNumber) {
        let now_us = self.now_us;
        let now_ms = self.now_ms();
        let Self { engine, random, environments, .. } = self;
        let environment = &mut environments[number];
        let before = (engine.wcu, engine.rcu);
        let (under, done_us) = match std::mem::replace(&mut environment.under, Under::Nothing) {
            Under::Asking(claims) => {
                let (ended, done_us) = match self.scenario.choice {
                    Choice::Plain => engine.write_plainly(environment.quantity, now_us, random),
                    Choice::Sticky | Choice::Random => engine.transact(&claims, now_us, random),
                };
                (Under::Ended(claims, ended), done_us)
            }
            Under::AskingHeader => {
                let told = engine.header(environment.quantity, now_ms);
                (Under::ToldHeader(told), now_us + latency::read_us(random))
            }
            Under::Looking(stripes, began_ms) => {
                // The header is one key more.
                let told = engine.header(environment.quantity, now_ms);
                let (levels, done_us) = engine.read(&stripes, now_us, random);
                (Under::Looked(levels, began_ms, told), done_us)
            }
            other => (other, now_us),
        };
        environment.under = under;
        environment.spent.wcu += engine.wcu - before.0;
        environment.spent.rcu += engine.rcu - before.1;
        let way_us = latency::way_us(random);
        self.after(done_us - now_us + way_us, Event::Answered(number));
    }

    fn answered(&mut self, number: EnvironmentNumber) {
        let now_ms = self.now_ms();
        let all = usize::from(self.scenario.stripes);
        let environment = &mut self.environments[number];
        match std::mem::replace(&mut environment.under, Under::Nothing) {
            Under::Ended(claims, Ended::Placed) => {
                environment.memory.served(&claims, now_ms);
                return self.finish(number, Outcome::Placed);
            }
            Under::Ended(_, Ended::Throttled) => return self.try_again(number, true, false),
            Under::Ended(_, Ended::Cancelled(reasons)) => {
                let mut look = false;
                for (stripe, reason) in &reasons {
                    look |= environment.memory.cancelled(*stripe, *reason, now_ms);
                }
                let conflict = reasons.iter().any(|(_, reason)| *reason == Reason::Conflict);
                return self.try_again(number, conflict, look);
            }
            Under::Looked(levels, began_ms, told) => {
                environment.memory.looked(&levels, levels.len() == all, began_ms);
                if let Some((available, until_ms)) = told {
                    environment.memory.sold_out(available, until_ms);
                }
                let available = levels.iter().map(|(_, level)| level).sum::<u64>();
                if levels.len() == all && available < u64::from(environment.quantity) {
                    self.engine.tell_sold_out(available, began_ms + holdfast_domain::pool::SOLD_OUT_MS);
                }
            }
            Under::ToldHeader(None) => {
                environment.under = Under::Looking((0..self.scenario.stripes).collect(), now_ms);
                return self.send(number);
            }
            Under::ToldHeader(Some((available, until_ms))) => environment.memory.sold_out(available, until_ms),
            _ => {}
        }
        self.decide(number);
    }

    /// After a cancelled transaction: a bounded number of times, with a pause if others were there.
    fn try_again(&mut self, number: EnvironmentNumber, pause: bool, look: bool) {
        let attempts = self.environments[number].spent.attempts;
        if attempts >= ATTEMPTS_MAX {
            return self.finish(number, Outcome::Busy);
        }
        if look {
            return self.look(number, (0..self.scenario.stripes).collect());
        }
        let pause_ms = if pause { self.random.random_range(0..=longest_pause_ms(attempts - 1)) } else { 0 };
        self.after(pause_ms * 1_000, Event::Decide(number));
    }

    fn finish(&mut self, number: EnvironmentNumber, outcome: Outcome) {
        let environment = &mut self.environments[number];
        environment.under = Under::Nothing;
        let Environment { part, spent, arrived_us, .. } = *environment;
        self.figures.finished(part, outcome, spent, arrived_us, self.now_us);
        self.free.push(number);
    }
}
