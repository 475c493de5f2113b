//! Which stripes to ask: what one environment remembers of one pool.
//!
//! A Lambda environment serves one request at a time, so the stripe that served it last is likely to be free: choice is
//! **sticky**, and only the loser of a conflict moves, so that environments drift apart until each has a stripe of its
//! own. Stickiness alone would empty the stripes of busy environments first and leave the end of the stock on a few,
//! which then stand in everyone's way. So an environment **compares** its stripe with some others, read together, each
//! time it has taken a twelfth of it, and moves to one that is clearly fuller; if another is there, it goes back. Where
//! stripes are chosen by level, the fullest of a few drawn at random is taken, so that buyers do not all follow the same
//! one (M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing").
//!
//! A stripe known to be short is passed over for less than two seconds, as stock comes back. After a refusal levels are
//! read, of more stripes each time it was in vain, and at last of all: only that can say that a pool is sold out.

mod levels;
#[cfg(test)]
mod tests;
mod view;

use super::StripeNumber;
use levels::Levels;
use view::View;

/// How long it is remembered that the whole pool is short, in ms.
pub const SOLD_OUT_MS: u64 = 1_000;

/// How long a stripe is avoided after a conflict, in ms: about as long as another transaction holds it.
const BUSY_MS: u64 = 25;

/// How many stripes are remembered as busy.
const BUSY_COUNT: usize = 4;

/// A stripe serves this part of its units, and at least so many, before it is compared with others.
const TRUSTED_PART: u64 = 12;
const TRUSTED_MIN: u32 = 16;

/// Only who takes units as fast as that compares, in ms for all that is trusted: in a pool at rest nothing is to be won.
const TRUSTED_MS: u64 = 4_000;

/// A stripe is clearly fuller if it has this part more.
const FULLER_PART: u64 = 6;

/// What to do next to get units of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Claim these units from these stripes, all in one transaction. They add up to the quantity wanted; usually it is
    /// one stripe.
    Ask(Vec<(StripeNumber, u32)>),
    /// Read the levels of these stripes consistently, tell [`PoolMemory::looked`], and ask again what to do. If it is all
    /// of many, the pool's header may know already that it is sold out.
    Look(Vec<StripeNumber>),
    /// All stripes were read within the last second and together had less than the quantity wanted.
    SoldOut {
        /// The units there were.
        available: u64,
    },
}

/// How many units a pool may have, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Nothing speaks against any quantity.
    Unknown,
    /// All stripes were read within the last second and together had this many.
    AtMost(u64),
}

/// What one environment remembers of one pool: 130 bytes, and 4 a stripe once levels were seen.
#[derive(Debug, Clone, Default)]
pub struct PoolMemory {
    /// The stripe to ask: it served last, or it is fuller than the one that did.
    current: Option<StripeNumber>,
    /// The one before, to go back to if another is at the current one.
    home: Option<StripeNumber>,
    /// It was driven from its stripe, and has seen no levels since.
    is_lost: bool,
    /// Units that the current stripe may serve until it is compared with others.
    trusted: u32,
    /// Since when.
    trusted_since_ms: u64,
    /// Stripes where another transaction was, and until when they are avoided.
    busy: [(StripeNumber, u64); BUSY_COUNT],
    /// All stripes were read: the units they had, and until when that counts.
    read: Option<(u64, u64)>,
    levels: Levels,
}

impl PoolMemory {
    /// What to do next to get `quantity` units (at least 1) of a pool of `stripes` stripes. Stripes asked or looked at are
    /// numbered below `stripes`. `random` draws evenly from all `u64`.
    pub fn next(&self, stripes: StripeNumber, quantity: u32, now_ms: u64, random: &mut dyn FnMut() -> u64) -> Next {
        let wanted = u64::from(quantity);
        match self.read {
            _ if stripes == 0 => return Next::SoldOut { available: 0 },
            Some((available, until_ms)) if available < wanted => {
                return match now_ms < until_ms {
                    true => Next::SoldOut { available },
                    // Most likely it still is, and a claim that is refused costs more than a read.
                    false => Next::Look((0..stripes).collect()),
                };
            }
            _ => {}
        }
        let view = View { memory: self, stripes, quantity, now_ms };
        match self.current.filter(|current| *current < stripes && !view.is_short(*current)) {
            Some(current) if self.trusted == 0 && stripes > 1 => Next::Look(view.compared(current, random)),
            Some(current) => view.ask(current),
            None => view.choose(random),
        }
    }

    /// A transaction took these units.
    pub fn served(&mut self, claims: &[(StripeNumber, u32)], now_ms: u64) {
        self.is_lost = false;
        for (stripe, units) in claims {
            if self.current != Some(*stripe) {
                self.current = Some(*stripe);
                self.trust(*stripe, now_ms);
            }
            self.levels.take(*stripe, *units, now_ms);
            self.trusted = self.trusted.saturating_sub(*units);
            if self.trusted == 0 && now_ms.saturating_sub(self.trusted_since_ms) > TRUSTED_MS {
                self.trust(*stripe, now_ms);
            }
        }
        // What sells again is no longer most likely sold out.
        self.read = self.read.filter(|(_, until_ms)| now_ms < *until_ms);
    }

    /// Another transaction was at this stripe, or it was throttled: it is left to the other, and avoided for a moment.
    pub fn conflicted(&mut self, stripe: StripeNumber, now_ms: u64) {
        if self.current == Some(stripe) {
            self.current = self.home.take();
        }
        self.is_lost = self.current.is_none();
        if let Some(oldest) = self.busy.iter_mut().min_by_key(|(_, until_ms)| *until_ms) {
            *oldest = (stripe, now_ms + BUSY_MS);
        }
    }

    /// A stripe had too few units: `level`, or None when there is no such stripe.
    pub fn refused(&mut self, stripe: StripeNumber, level: Option<u64>, now_ms: u64) {
        self.current = self.current.filter(|current| *current != stripe);
        self.levels.doubt();
        self.levels.note(stripe, level.unwrap_or(0), now_ms);
    }

    /// Levels read consistently, of `all` stripes of the pool or some; `now_ms` is when the read began. A stripe that was to
    /// be read and does not exist has 0.
    pub fn looked(&mut self, levels: &[(StripeNumber, u64)], all: bool, now_ms: u64) {
        let compared = self.current.filter(|_| self.trusted == 0);
        // Levels are compared as they are at one instant; a search adds to what it found.
        if self.is_lost || compared.is_some() {
            self.levels.doubt();
        }
        self.is_lost = false;
        for (stripe, level) in levels {
            self.levels.note(*stripe, *level, now_ms);
        }
        if all {
            let available = levels.iter().map(|(_, level)| level).sum();
            self.read = Some((available, now_ms + SOLD_OUT_MS));
        }
        if let Some(current) = compared {
            let units = self.levels.at(current, now_ms).units().unwrap_or_default();
            let free = levels.iter().filter(|(stripe, _)| !self.is_busy(*stripe, now_ms));
            let fullest = free.max_by_key(|(_, level)| *level);
            if let Some((other, _)) = fullest.filter(|(_, level)| *level > units + units / FULLER_PART) {
                self.home = Some(current);
                self.current = Some(*other);
            }
            self.trust(self.current.unwrap_or(current), now_ms);
        }
    }

    /// The pool's header says that until `until_ms` no more than `available` units are to be had, as another environment
    /// read all stripes.
    pub fn sold_out(&mut self, available: u64, until_ms: u64) {
        self.read = Some((available, until_ms));
    }

    /// How many units the pool may have.
    pub fn room(&self, now_ms: u64) -> Room {
        match self.read {
            Some((available, until_ms)) if now_ms < until_ms => Room::AtMost(available),
            _ => Room::Unknown,
        }
    }

    /// Whether the pool had less than `quantity` when all of it was read last, however long ago.
    pub fn was_short_of(&self, quantity: u32) -> bool {
        self.read.is_some_and(|(available, _)| available < u64::from(quantity))
    }

    /// Lets a stripe serve until a part of what it has is taken.
    fn trust(&mut self, stripe: StripeNumber, now_ms: u64) {
        let part = self.levels.at(stripe, now_ms).units().map_or(0, |units| units / TRUSTED_PART);
        self.trusted = u32::try_from(part).unwrap_or(u32::MAX).max(TRUSTED_MIN);
        self.trusted_since_ms = now_ms;
    }

    fn is_busy(&self, stripe: StripeNumber, now_ms: u64) -> bool {
        self.busy.iter().any(|(busy, until_ms)| *busy == stripe && now_ms < *until_ms)
    }
}
