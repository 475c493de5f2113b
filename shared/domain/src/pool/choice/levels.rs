//! What is remembered of each stripe, in 4 bytes, and for less than two seconds.

use crate::pool::{STRIPES_MAX, StripeNumber};

/// A level is fresh for at most this long, in ms, and forgotten after at most twice this long.
const FRESH_MS: u64 = 900;

/// What is known of a stripe: nothing (0), or its level plus 1, with the highest bit set once it is old.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Level(u32);

impl Level {
    const UNKNOWN: Self = Self(0);
    const OLD: u32 = 1 << 31;

    /// A level just seen; more than 2^31 - 2 units count as that many.
    fn fresh(units: u64) -> Self {
        Self(u32::try_from(units).unwrap_or(u32::MAX).min(Self::OLD - 2) + 1)
    }

    fn aged(self) -> Self {
        match self.is_fresh() {
            true => Self(self.0 | Self::OLD),
            false => Self::UNKNOWN,
        }
    }

    fn is_fresh(self) -> bool {
        self != Self::UNKNOWN && self.0 & Self::OLD == 0
    }

    /// The units that it had, seen lately or a little earlier.
    pub fn units(self) -> Option<u64> {
        (self.0 & !Self::OLD).checked_sub(1).map(u64::from)
    }

    /// The units that it had, if there were any and it was seen lately.
    pub fn fresh_units(self) -> Option<u64> {
        self.units().filter(|units| *units > 0 && self.is_fresh())
    }

    /// Had less than `wanted`, lately or a little earlier: units seldom come back.
    pub fn is_short_of(self, wanted: u64) -> bool {
        self.units().is_some_and(|units| units < wanted)
    }

    /// Had `wanted` lately.
    pub fn has(self, wanted: u64) -> bool {
        self.fresh_units().is_some_and(|units| units >= wanted)
    }

    /// Not known, or it had something a little earlier: reading it may be of use.
    pub fn is_worth_reading(self) -> bool {
        !self.is_fresh() && self.units() != Some(0)
    }
}

/// What is known of the stripes of a pool.
#[derive(Debug, Clone, Default)]
pub(super) struct Levels {
    /// By stripe; those beyond the end are unknown.
    known: Vec<Level>,
    /// When the levels that are fresh began to be.
    turned_ms: u64,
}

impl Levels {
    /// What is known of a stripe at `now_ms`.
    pub fn at(&self, stripe: StripeNumber, now_ms: u64) -> Level {
        let level = self.known.get(usize::from(stripe)).copied().unwrap_or_default();
        match now_ms.saturating_sub(self.turned_ms) / FRESH_MS {
            0 => level,
            1 => level.aged(),
            _ => Level::UNKNOWN,
        }
    }

    /// A stripe was seen with `units`.
    pub fn note(&mut self, stripe: StripeNumber, units: u64, now_ms: u64) {
        self.turn(now_ms);
        if stripe >= STRIPES_MAX {
            return;
        }
        let index = usize::from(stripe);
        if self.known.len() <= index {
            self.known.resize(index + 1, Level::UNKNOWN);
        }
        self.known[index] = Level::fresh(units);
    }

    /// A claim took `units` of a stripe.
    pub fn take(&mut self, stripe: StripeNumber, units: u32, now_ms: u64) {
        self.turn(now_ms);
        if let Some(level) = self.known.get_mut(usize::from(stripe))
            && let Some(had) = level.units()
        {
            let left = Level::fresh(had.saturating_sub(u64::from(units)));
            *level = if level.is_fresh() { left } else { left.aged() };
        }
    }

    /// What is known to be there is no longer relied on, as others may have taken it. What is known to be empty most
    /// likely still is.
    pub fn doubt(&mut self) {
        for level in &mut self.known {
            if level.fresh_units().is_some() {
                *level = level.aged();
            }
        }
    }

    /// Makes what is fresh old and forgets what is old, as time passes.
    fn turn(&mut self, now_ms: u64) {
        let turns = now_ms.saturating_sub(self.turned_ms) / FRESH_MS;
        for _ in 0..turns.min(2) {
            self.known.iter_mut().for_each(|level| *level = level.aged());
        }
        if turns > 0 {
            self.turned_ms = now_ms;
        }
    }
}
