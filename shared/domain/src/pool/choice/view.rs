//! What one buyer sees of a pool now, and which stripes to ask when none is settled on.

use super::levels::Level;
use super::{Next, PoolMemory};
use crate::pool::StripeNumber;
use crate::pool::gather::gather_units;
use std::cmp::Reverse;

/// How many stripes are read to compare them, and at first when the one asked was short or taken.
const SAMPLE: usize = 32;

/// How much a further read grows beyond what is known: all reads together cost at most half more than one of all.
const SAMPLE_GROWTH: usize = 3;

/// Of how many stripes that suffice, drawn at random, the fullest is asked.
const DRAWN: usize = 4;

/// A source of random numbers, even over all `u64`.
pub(super) type Random<'a> = &'a mut dyn FnMut() -> u64;

/// A memory as one buyer sees it now.
pub(super) struct View<'a> {
    pub memory: &'a PoolMemory,
    pub stripes: StripeNumber,
    pub quantity: u32,
    pub now_ms: u64,
}

impl View<'_> {
    /// Chooses stripes when none is settled on.
    pub fn choose(&self, random: Random<'_>) -> Next {
        let is_free = |level: Level, busy: bool| level.has(self.wanted()) && !busy;
        let is_plenty = self.meant(|level, _| level.is_short_of(self.wanted())).next().is_none();
        // The fullest of many is likely one that nobody is at.
        if self.memory.is_lost && usize::from(self.stripes) > SAMPLE && self.meant(is_free).count() < SAMPLE / 4 {
            let some = self.some(None, random);
            if !some.is_empty() {
                return Next::Look(some);
            }
        }
        let free = (0..DRAWN).filter_map(|_| self.drawn(is_free, random));
        if let Some(fullest) = free.max_by_key(|stripe| self.level(*stripe).units()) {
            return self.ask(fullest);
        }
        if is_plenty {
            let any = self.drawn(|_, busy| !busy, random).or_else(|| self.drawn(|_, _| true, random));
            return self.ask(any.unwrap_or_default());
        }
        let unread = self.meant(|level, _| level.is_worth_reading()).count();
        if unread == 0
            && let Some(busy) = self.drawn(|level, _| level.has(self.wanted()), random)
        {
            return self.ask(busy);
        }
        let known = self.meant(|level, _| level.units().is_some()).count();
        if (unread == 0 || known >= SAMPLE)
            && let Some(claims) = self.gathered(random)
        {
            return Next::Ask(claims);
        }
        match unread {
            0 => Next::Look((0..self.stripes).collect()),
            _ => Next::Look(self.unread(unread, SAMPLE.max(known * SAMPLE_GROWTH), random)),
        }
    }

    /// All from one stripe.
    pub fn ask(&self, stripe: StripeNumber) -> Next {
        Next::Ask(vec![(stripe, self.quantity)])
    }

    /// The current stripe and some others, to be compared.
    pub fn compared(&self, current: StripeNumber, random: Random<'_>) -> Vec<StripeNumber> {
        self.some(Some(current), random)
    }

    /// Whether a stripe is known to have less than is wanted.
    pub fn is_short(&self, stripe: StripeNumber) -> bool {
        self.level(stripe).is_short_of(self.wanted())
    }

    fn wanted(&self) -> u64 {
        u64::from(self.quantity)
    }

    fn level(&self, stripe: StripeNumber) -> Level {
        self.memory.levels.at(stripe, self.now_ms)
    }

    /// Units of several stripes that together have the quantity. Stripes of similar level come in random order, so that
    /// buyers do not meet at the fullest; busy ones are left out if the others suffice.
    fn gathered(&self, random: Random<'_>) -> Option<Vec<(StripeNumber, u32)>> {
        let levels = (0..self.stripes).filter_map(|stripe| Some((stripe, self.level(stripe).fresh_units()?, random())));
        let mut levels: Vec<_> = levels.collect();
        levels.sort_unstable_by_key(|(_, units, draw)| (Reverse(units.ilog2()), *draw));
        let mut units: Vec<_> = levels.into_iter().map(|(stripe, units, _)| (stripe, units)).collect();
        let all = gather_units(self.quantity, &units).ok()?;
        units.retain(|(stripe, _)| !self.memory.is_busy(*stripe, self.now_ms));
        Some(gather_units(self.quantity, &units).unwrap_or(all))
    }

    /// Some stripes that are not known to be empty, at most [`SAMPLE`], besides `first`.
    fn some(&self, first: Option<StripeNumber>, random: Random<'_>) -> Vec<StripeNumber> {
        let mut some: Vec<_> = first.into_iter().collect();
        for _ in 0..SAMPLE {
            let stripe = (random() % u64::from(self.stripes)) as StripeNumber;
            if !some.contains(&stripe) && self.level(stripe).units() != Some(0) {
                some.push(stripe);
            }
        }
        some
    }

    /// At most `size` of the `count` stripes worth reading, evenly drawn (Knuth, algorithm S).
    fn unread(&self, count: usize, size: usize, random: Random<'_>) -> Vec<StripeNumber> {
        let mut remaining = count;
        let mut missing = size.min(count);
        let mut unread = Vec::with_capacity(missing);
        for stripe in self.meant(|level, _| level.is_worth_reading()) {
            if below(remaining, random) < missing {
                unread.push(stripe);
                missing -= 1;
            }
            remaining -= 1;
        }
        unread
    }

    /// One of the stripes meant, evenly drawn.
    fn drawn(&self, is_meant: impl Fn(Level, bool) -> bool, random: Random<'_>) -> Option<StripeNumber> {
        match self.meant(&is_meant).count() {
            0 => None,
            count => self.meant(&is_meant).nth(below(count, random)),
        }
    }

    /// The stripes that are meant, judged by what is known of them and by whether they are busy.
    fn meant(&self, is_meant: impl Fn(Level, bool) -> bool) -> impl Iterator<Item = StripeNumber> {
        let is_busy = |stripe| self.memory.is_busy(stripe, self.now_ms);
        (0..self.stripes).filter(move |stripe| is_meant(self.level(*stripe), is_busy(*stripe)))
    }
}

/// A number below `count`, which is at least 1.
fn below(count: usize, random: Random<'_>) -> usize {
    usize::try_from(random() % count as u64).unwrap_or_default()
}
