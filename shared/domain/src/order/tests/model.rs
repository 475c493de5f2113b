//! A small model of an order from placed to its end, written anew from the rules in words: units move between places,
//! money is plain integers, and the state follows from both.

use super::commands::Line;
use crate::order::{Cause, OrderState};

/// Why a command is refused.
pub type Refusal = &'static str;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Life {
    Waiting,
    Sold,
    Failed,
    Cancelled,
    Expired,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Provider {
    Free,
    NotAsked,
    Asked,
    Authorised,
    Declined,
    Voided,
    CaptureFailed,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Place {
    Asked,
    Refused,
    Carried,
    Arrived,
}

#[derive(Debug, Clone)]
pub struct Package {
    pub warehouse: u8,
    pub units: Vec<(usize, u32)>,
    pub place: Place,
    pub price: i64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Back {
    Open,
    Done,
    Refused,
}

/// What the worker is expected to do next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    Done,
    Confirm,
    Start,
    Authorise,
    Void,
    Capture { cause: Cause, amount: i64, is_final: bool },
    Refund { number: usize, amount: i64 },
}

#[derive(Debug, Clone)]
pub struct Model {
    pub lines: Vec<Line>,
    pub at_once: bool,
    pub life: Life,
    pub provider: Provider,
    pub packages: Vec<Package>,
    pub back: Vec<u32>,
    pub restocked: Vec<u32>,
    pub captures: Vec<(Cause, i64)>,
    pub authorised: i64,
    pub voided: i64,
    pub refunds: Vec<(i64, Back)>,
    /// Whether refunds are of returns alone, all of which the provider gave or will give.
    pub only_returns: bool,
    pub abandoned: bool,
}

impl Model {
    pub fn of(lines: &[Line], at_once: bool) -> Self {
        let none = vec![0; lines.len()];
        let free = lines.iter().all(|line| line.payable() == 0);
        Self {
            lines: lines.to_vec(),
            at_once,
            life: Life::Waiting,
            provider: if free { Provider::Free } else { Provider::NotAsked },
            packages: Vec::new(),
            back: none.clone(),
            restocked: none,
            captures: Vec::new(),
            authorised: 0,
            voided: 0,
            refunds: Vec::new(),
            only_returns: true,
            abandoned: false,
        }
    }

    pub fn total(&self) -> i64 {
        self.lines.iter().map(Line::payable).sum()
    }

    pub fn ordered(&self) -> u32 {
        self.lines.iter().map(Line::units).sum()
    }

    /// Units of a line in packages at these places.
    pub fn units_at(&self, line: usize, places: &[Place]) -> u32 {
        let there = self.packages.iter().filter(|package| places.contains(&package.place));
        there.flat_map(|package| &package.units).filter(|(of, _)| *of == line).map(|(_, units)| units).sum()
    }

    pub fn all_at(&self, places: &[Place]) -> bool {
        (0..self.lines.len()).all(|line| self.units_at(line, places) == self.lines[line].units())
    }

    pub fn captured(&self) -> i64 {
        self.captures.iter().map(|(_, amount)| amount).sum()
    }

    pub fn refunded(&self) -> i64 {
        self.refunds.iter().filter(|(_, back)| *back == Back::Done).map(|(amount, _)| amount).sum()
    }

    pub fn going_back(&self) -> i64 {
        self.refunds.iter().filter(|(_, back)| *back != Back::Refused).map(|(amount, _)| amount).sum()
    }

    /// What so many units of each line are worth.
    pub fn worth(&self, units: impl Fn(&Self, usize) -> u32) -> i64 {
        let of = |line: usize| {
            self.lines[line].payable() * i64::from(units(self, line)) / i64::from(self.lines[line].units())
        };
        (0..self.lines.len()).map(of).sum()
    }

    pub fn state(&self) -> OrderState {
        match self.life {
            Life::Waiting => OrderState::Placed,
            Life::Failed => OrderState::PaymentFailed,
            Life::Cancelled => OrderState::Cancelled,
            Life::Expired => OrderState::Expired,
            Life::Sold if self.back.iter().sum::<u32>() == self.ordered() => OrderState::Returned,
            Life::Sold if self.packages.iter().any(|package| package.place == Place::Asked) => OrderState::Shipping,
            Life::Sold if self.all_at(&[Place::Arrived]) => OrderState::Delivered,
            Life::Sold if self.all_at(&[Place::Carried, Place::Arrived]) => OrderState::Shipped,
            Life::Sold if self.packages.iter().any(|package| package.place != Place::Refused) => {
                OrderState::PartiallyShipped
            }
            Life::Sold => OrderState::Paid,
        }
    }

    /// What is to be captured and is not yet.
    pub fn open_captures(&self) -> Vec<(Cause, i64)> {
        let mut due = Vec::new();
        if self.life == Life::Sold && self.at_once {
            due.push((Cause::Order, self.total()));
        } else if self.life == Life::Sold {
            for (number, package) in (1..).zip(&self.packages).filter(|(_, package)| package.price > 0) {
                due.push((Cause::Shipment(number), package.price));
            }
        }
        due.retain(|(cause, _)| !self.captures.iter().any(|(captured, _)| captured == cause));
        due
    }

    pub fn step(&self) -> Step {
        let waits = self.life == Life::Waiting;
        match self.provider {
            Provider::Free if waits => Step::Confirm,
            Provider::NotAsked if waits => Step::Start,
            Provider::Asked => Step::Authorise,
            Provider::Authorised => {
                let open = self.open_captures();
                if self.life != Life::Sold && self.captured() == 0 {
                    Step::Void
                } else if let Some((cause, amount)) = open.first() {
                    let last = open.len() == 1 && (self.at_once || self.all_at(&[Place::Carried, Place::Arrived]));
                    Step::Capture { cause: *cause, amount: *amount, is_final: last }
                } else {
                    self.refund_step()
                }
            }
            Provider::CaptureFailed if self.life != Life::Sold && self.captured() == 0 => Step::Void,
            Provider::CaptureFailed => self.refund_step(),
            _ => Step::Done,
        }
    }

    fn refund_step(&self) -> Step {
        let open = (1..).zip(&self.refunds).find(|(_, (_, back))| *back == Back::Open);
        open.map_or(Step::Done, |(number, (amount, _))| Step::Refund { number, amount: *amount })
    }
}
