//! What the small model does with a command.

use super::commands::{Command, Wanted};
use super::model::{Back, Life, Model, Package, Place, Provider, Refusal, Step};
use crate::order::{Cause, OrderState};
use std::collections::BTreeMap;

impl Model {
    /// Does what a command says, or refuses it.
    pub fn obey(&mut self, command: &Command) -> Result<(), Refusal> {
        use OrderState as S;
        let state = self.state();
        match command {
            Command::Begin if self.step() == Step::Start => self.provider = Provider::Asked,
            Command::Confirm if self.step() == Step::Confirm => self.life = Life::Sold,
            Command::Expire if state == S::Placed => self.life = Life::Expired,
            Command::Cancel(by) if matches!(state, S::Placed | S::Paid) && !by.is_worker() => {
                self.life = Life::Cancelled;
                self.owe(self.captured() - self.going_back());
            }
            Command::Begin | Command::Confirm | Command::Expire | Command::Cancel(_) => return Err("illegal"),
            Command::Answer { attempt: 1, yes } if self.provider == Provider::Asked => self.answered(*yes),
            Command::Answer { .. } => return Err("known"),
            Command::Abandon if matches!(self.life, Life::Expired | Life::Failed) && !self.abandoned => {
                self.abandoned = true;
            }
            Command::Abandon => return Err("known"),
            Command::Step { yes } => return self.walk(*yes),
            Command::CaptureAgain => return self.captures.first().map(|_| ()).ok_or("nothing"),
            Command::CaptureTooMuch => return Err("beyond"),
            Command::CaptureLate => {
                if !(self.step() == Step::Void && self.at_once) {
                    return Err("nothing");
                }
                self.captures.push((Cause::Order, self.total()));
                self.owe(self.total());
            }
            Command::Ship { wanted, by } => {
                if !matches!(state, S::Paid | S::Shipping | S::PartiallyShipped) || !by.is_staff() {
                    return Err("illegal");
                }
                return self.ship(wanted);
            }
            Command::Booked(number) => self.book(*number)?,
            Command::Refused(number) => match self.package(*number) {
                Some(package) if package.place == Place::Asked => package.place = Place::Refused,
                _ => return Err("known"),
            },
            Command::Arrived { number, by } => match self.package(*number) {
                Some(package) if package.place == Place::Carried && by.is_staff() => package.place = Place::Arrived,
                Some(package) if package.place == Place::Carried => return Err("illegal"),
                Some(package) if package.place == Place::Arrived => return Err("known"),
                _ => return Err("not shipped"),
            },
            Command::TakeBack { units, late, by } => return self.take_back(units, *late, by.is_staff()),
            Command::Goodwill(amount) if *amount > self.captured() - self.going_back() => return Err("over"),
            Command::Goodwill(amount) => self.owe(*amount),
            Command::RefundAnswer { number, yes } => return self.refund_answered(usize::from(*number), *yes),
        }
        Ok(())
    }

    fn package(&mut self, number: u16) -> Option<&mut Package> {
        self.packages.get_mut(usize::from(number).checked_sub(1)?)
    }

    /// Money goes back for another reason than a return.
    fn owe(&mut self, amount: i64) {
        if amount > 0 {
            self.refunds.push((amount, Back::Open));
            self.only_returns = false;
        }
    }

    fn answered(&mut self, yes: bool) {
        self.provider = if yes { Provider::Authorised } else { Provider::Declined };
        self.authorised = if yes { self.total() } else { 0 };
        if self.life == Life::Waiting {
            self.life = if yes { Life::Sold } else { Life::Failed };
        }
    }

    fn walk(&mut self, yes: bool) -> Result<(), Refusal> {
        match self.step() {
            Step::Done => return Err("nothing"),
            Step::Confirm => self.life = Life::Sold,
            Step::Start => self.provider = Provider::Asked,
            Step::Authorise => self.answered(yes),
            Step::Void => {
                self.provider = Provider::Voided;
                self.voided = self.authorised;
            }
            Step::Capture { cause, amount, .. } if yes => self.captures.push((cause, amount)),
            Step::Capture { .. } => self.capture_failed(),
            Step::Refund { number, .. } => return self.refund_answered(number, yes),
        }
        Ok(())
    }

    fn capture_failed(&mut self) {
        if self.state() == OrderState::Paid {
            self.life = Life::Failed;
        }
        self.provider = Provider::CaptureFailed;
        let mut left = self.captured() - self.refunded();
        for (amount, back) in self.refunds.iter_mut().filter(|(_, back)| *back == Back::Open) {
            if *amount <= left {
                left -= *amount;
            } else {
                *back = Back::Refused;
            }
        }
    }

    fn refund_answered(&mut self, number: usize, yes: bool) -> Result<(), Refusal> {
        let room = self.captured() - self.refunded();
        match self.refunds.get_mut(number.wrapping_sub(1)) {
            Some((amount, Back::Open)) if yes && *amount > room => Err("beyond"),
            Some((_, back @ Back::Open)) => {
                *back = if yes { Back::Done } else { Back::Refused };
                self.only_returns &= yes;
                Ok(())
            }
            _ => Err("known"),
        }
    }

    fn book(&mut self, number: u16) -> Result<(), Refusal> {
        let before = self.worth(|model, line| model.units_at(line, &[Place::Carried, Place::Arrived]));
        let package = self.package(number).filter(|package| package.place == Place::Asked);
        package.ok_or("known")?.place = Place::Carried;
        let after = self.worth(|model, line| model.units_at(line, &[Place::Carried, Place::Arrived]));
        self.package(number).ok_or("known")?.price = after - before;
        Ok(())
    }

    fn ship(&mut self, wanted: &Wanted) -> Result<(), Refusal> {
        let mut asked = [u32::MAX; 8];
        if let Wanted::Units(units, _) = wanted {
            asked = [0; 8];
            units.iter().for_each(|(line, units)| asked[*line] += units);
            if units.iter().any(|(line, _)| *line >= self.lines.len()) {
                return Err("unknown line");
            }
        }
        let mut packages: BTreeMap<u8, Vec<(usize, u32)>> = BTreeMap::new();
        for (line, ordered) in self.lines.iter().enumerate() {
            for warehouse in 0..4 {
                let under_way = self
                    .packages
                    .iter()
                    .filter(|package| package.warehouse == warehouse && package.place != Place::Refused);
                let gone = under_way.flat_map(|package| &package.units).filter(|(of, _)| *of == line);
                let waits = ordered.units_in(warehouse) - gone.map(|(_, units)| units).sum::<u32>();
                let units = if wanted.includes(warehouse) { waits.min(asked[line]) } else { 0 };
                asked[line] -= units;
                if units > 0 {
                    packages.entry(warehouse).or_default().push((line, units));
                }
            }
        }
        if matches!(wanted, Wanted::Units(..)) && asked.iter().any(|missing| *missing > 0) {
            return Err("too many");
        }
        if packages.is_empty() {
            return Err("nothing");
        }
        for (warehouse, units) in packages {
            self.packages.push(Package { warehouse, units, place: Place::Asked, price: 0 });
        }
        Ok(())
    }

    fn take_back(&mut self, units: &[(usize, u32, bool)], late: bool, by_staff: bool) -> Result<(), Refusal> {
        use OrderState as S;
        if !matches!(self.state(), S::Shipping | S::PartiallyShipped | S::Shipped | S::Delivered) {
            return Err("illegal");
        }
        let before = self.worth(|model, line| model.back[line]);
        let mut after = self.clone();
        for (line, units, restock) in units {
            if *line >= self.lines.len() {
                return Err("unknown line");
            }
            after.back[*line] += units;
            after.restocked[*line] += if *restock { *units } else { 0 };
            if after.back[*line] > self.units_at(*line, &[Place::Arrived]) {
                return Err("too many");
            }
        }
        if !by_staff || late {
            return Err(if by_staff { "late" } else { "illegal" });
        }
        let open: i64 = if self.provider == Provider::Authorised {
            self.open_captures().iter().map(|(_, amount)| amount).sum()
        } else {
            0
        };
        let left = self.captured() + open - self.going_back();
        let worth = (after.worth(|model, line| model.back[line]) - before).min(left);
        if worth > 0 {
            after.refunds.push((worth, Back::Open));
        }
        *self = after;
        Ok(())
    }
}
