//! How a buyer's environment chooses stripes.

use holdfast_domain::pool::{Next, PoolMemory, SOLD_OUT_MS, StripeNumber};
use rand::rngs::StdRng;
use rand::{Rng, RngCore};
use serde::{Deserialize, Serialize};

use super::engine::Reason;

/// A way to choose stripes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// As the functions do: [`PoolMemory`].
    Sticky,
    /// Any stripe, each time; after a shortage all levels are read.
    Random,
    /// There is one counter, lowered by a plain conditional write before the order is put.
    Plain,
}

/// What an environment remembers of the pool.
#[derive(Debug, Clone)]
pub enum Memory {
    /// For [`Choice::Sticky`].
    Pool(PoolMemory),
    /// For the others: what a read of all stripes found, and when.
    Levels(Option<(Vec<(StripeNumber, u64)>, u64)>),
}

impl Memory {
    /// Nothing known yet.
    pub fn new(choice: Choice) -> Self {
        match choice {
            Choice::Sticky => Self::Pool(PoolMemory::default()),
            Choice::Random | Choice::Plain => Self::Levels(None),
        }
    }

    /// What to do next.
    pub fn next(&self, stripes: StripeNumber, quantity: u32, now_ms: u64, random: &mut StdRng) -> Next {
        match self {
            Self::Pool(memory) => memory.next(stripes, quantity, now_ms, &mut || random.next_u64()),
            Self::Levels(Some((levels, read_ms))) if now_ms < read_ms + SOLD_OUT_MS => {
                let enough: Vec<_> = levels.iter().filter(|(_, level)| *level >= u64::from(quantity)).collect();
                let available = levels.iter().map(|(_, level)| level).sum();
                match enough.is_empty() {
                    false => Next::Ask(vec![(enough[random.random_range(0..enough.len())].0, quantity)]),
                    true => Next::SoldOut { available },
                }
            }
            Self::Levels(_) => Next::Ask(vec![(random.random_range(0..stripes), quantity)]),
        }
    }

    /// A transaction took these units.
    pub fn served(&mut self, claims: &[(StripeNumber, u32)], now_ms: u64) {
        if let Self::Pool(memory) = self {
            memory.served(claims, now_ms);
        }
    }

    /// A stripe cancelled a transaction. Answers whether all levels are to be read now.
    pub fn cancelled(&mut self, stripe: StripeNumber, reason: Reason, now_ms: u64) -> bool {
        match (self, reason) {
            (Self::Pool(memory), Reason::Conflict) => memory.conflicted(stripe, now_ms),
            (Self::Pool(memory), Reason::Short(level)) => memory.refused(stripe, Some(level), now_ms),
            (Self::Levels(_), Reason::Conflict) => {}
            (Self::Levels(_), Reason::Short(_)) => return true,
        }
        false
    }

    /// Levels were read.
    pub fn looked(&mut self, levels: &[(StripeNumber, u64)], all: bool, now_ms: u64) {
        match self {
            Self::Pool(memory) => memory.looked(levels, all, now_ms),
            Self::Levels(known) => *known = Some((levels.to_vec(), now_ms)),
        }
    }

    /// The header says that the pool is sold out.
    pub fn sold_out(&mut self, available: u64, until_ms: u64) {
        match self {
            Self::Pool(memory) => memory.sold_out(available, until_ms),
            Self::Levels(known) => *known = Some((vec![(0, available)], until_ms.saturating_sub(SOLD_OUT_MS))),
        }
    }
}
