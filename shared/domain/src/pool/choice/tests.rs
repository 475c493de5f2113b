//! The memory against a pool in memory: what it asks, and what it says is sold out.

use super::{Next, PoolMemory, Room, SOLD_OUT_MS};
use crate::pool::StripeNumber;
use proptest::prelude::*;

/// A generator of Sebastiano Vigna's SplitMix64, so that cases repeat.
fn random(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Stripes, and the least total of each instant that is not long ago.
struct Pool {
    levels: Vec<u64>,
    totals: Vec<(u64, u64)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Bought {
    Units { attempts: u32 },
    SoldOut { available: u64 },
    Busy,
}

impl Pool {
    fn new(levels: &[u64]) -> Self {
        Self { levels: levels.to_vec(), totals: Vec::new() }
    }

    fn total(&self) -> u64 {
        self.levels.iter().sum()
    }

    /// What one buyer gets who tries eight times; `conflicts` says of each transaction whether another is in its way.
    fn buy(
        &mut self,
        memory: &mut PoolMemory,
        quantity: u32,
        now_ms: u64,
        random: &mut dyn FnMut() -> u64,
        mut conflicts: impl FnMut() -> bool,
    ) -> Bought {
        let stripes = self.levels.len() as StripeNumber;
        let mut attempts = 0;
        for _ in 0..40 {
            self.totals.push((now_ms, self.total()));
            match memory.next(stripes, quantity, now_ms, random) {
                Next::SoldOut { available } => return Bought::SoldOut { available },
                Next::Look(wanted) => {
                    assert!(!wanted.is_empty() && wanted.iter().all(|stripe| *stripe < stripes));
                    let levels: Vec<_> = wanted.iter().map(|s| (*s, self.levels[usize::from(*s)])).collect();
                    memory.looked(&levels, levels.len() == self.levels.len(), now_ms);
                }
                Next::Ask(claims) => {
                    attempts += 1;
                    assert_eq!(claims.iter().map(|(_, units)| units).sum::<u32>(), quantity, "all that is wanted");
                    let mut stripes_asked: Vec<_> = claims.iter().map(|(stripe, _)| *stripe).collect();
                    stripes_asked.dedup();
                    assert_eq!(stripes_asked.len(), claims.len(), "a stripe once");
                    assert!(claims.iter().all(|(stripe, units)| *stripe < stripes && *units > 0));
                    let short = claims.iter().filter(|(s, units)| self.levels[usize::from(*s)] < u64::from(*units));
                    let short: Vec<_> = short.map(|(stripe, _)| *stripe).collect();
                    if conflicts() {
                        memory.conflicted(claims[0].0, now_ms);
                    } else if short.is_empty() {
                        claims.iter().for_each(|(s, units)| self.levels[usize::from(*s)] -= u64::from(*units));
                        memory.served(&claims, now_ms);
                        return Bought::Units { attempts };
                    }
                    for stripe in short {
                        memory.refused(stripe, Some(self.levels[usize::from(stripe)]), now_ms);
                    }
                    if attempts == 8 {
                        return Bought::Busy;
                    }
                }
            }
        }
        panic!("it neither asks nor gives up: {memory:?}");
    }

    /// The least that there was within the last second.
    fn least_lately(&self, now_ms: u64) -> u64 {
        let lately = self.totals.iter().filter(|(at_ms, _)| at_ms + SOLD_OUT_MS > now_ms);
        lately.map(|(_, total)| *total).min().unwrap_or(u64::MAX)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Buy { buyer: usize, quantity: u32, conflicts: u8 },
    Release { stripe: usize, units: u64 },
    Wait { ms: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let buy = (0usize..3, 1u32..6, any::<u8>()).prop_map(|(buyer, quantity, conflicts)| Step::Buy {
        buyer,
        quantity,
        conflicts: conflicts & (conflicts >> 3),
    });
    let release = (any::<usize>(), 1u64..4).prop_map(|(stripe, units)| Step::Release { stripe, units });
    let wait = (1u64..1_500).prop_map(|ms| Step::Wait { ms });
    prop::collection::vec(prop_oneof![6 => buy, 1 => release, 2 => wait], 0..80)
}

proptest! {
    #[test]
    fn ord_2_one_buyer_gets_exactly_what_there_is(
        levels in prop::collection::vec(0u64..12, 1..200), quantities in prop::collection::vec(1u32..30, 1..80), seed: u64,
    ) {
        let mut pool = Pool::new(&levels);
        let mut memory = PoolMemory::default();
        let mut random = random(seed);
        for (n, quantity) in quantities.into_iter().enumerate() {
            let total = pool.total();
            match pool.buy(&mut memory, quantity, n as u64 * 40, &mut random, || false) {
                Bought::Units { attempts } => prop_assert!(attempts <= 4, "{attempts} attempts"),
                Bought::SoldOut { available } => {
                    prop_assert!(total <= available && available < u64::from(quantity));
                }
                Bought::Busy => prop_assert!(false, "nobody is in the way"),
            }
        }
    }

    #[test]
    fn ord_2_sold_out_is_said_only_if_it_was_so_within_the_last_second(
        levels in prop::collection::vec(0u64..5, 1..70), steps in steps(), seed: u64,
    ) {
        let mut pool = Pool::new(&levels);
        let mut memories = [PoolMemory::default(), PoolMemory::default(), PoolMemory::default()];
        let mut random = random(seed);
        let mut now_ms = 5_000;
        for step in steps {
            match step {
                Step::Wait { ms } => now_ms += ms,
                Step::Release { stripe, units } => {
                    let count = pool.levels.len();
                    pool.levels[stripe % count] += units;
                }
                Step::Buy { buyer, quantity, mut conflicts } => {
                    let conflict = || {
                        conflicts >>= 1;
                        conflicts & 1 == 1
                    };
                    let bought = pool.buy(&mut memories[buyer], quantity, now_ms, &mut random, conflict);
                    if let Bought::SoldOut { .. } = bought {
                        prop_assert!(pool.least_lately(now_ms) < u64::from(quantity));
                    }
                }
            }
        }
    }

    #[test]
    fn ord_2_stock_that_comes_back_sells_within_two_seconds(
        stripes in 1usize..300, stripe: usize, units in 1u32..50, seed: u64, after_ms in 0u64..3_000,
    ) {
        let mut pool = Pool::new(&vec![0; stripes]);
        let mut memory = PoolMemory::default();
        let mut random = random(seed);
        let sold_out = Bought::SoldOut { available: 0 };
        prop_assert_eq!(pool.buy(&mut memory, 1, 7_000, &mut random, || false), sold_out);
        pool.buy(&mut memory, 1, 7_000 + after_ms, &mut random, || false);
        pool.levels[stripe % stripes] = u64::from(units);
        let bought = pool.buy(&mut memory, units, 9_000 + after_ms, &mut random, || false);
        prop_assert!(matches!(bought, Bought::Units { attempts: 1..=2 }), "{:?}", bought);
    }

    #[test]
    fn ord_2_a_smaller_quantity_sells_after_a_larger_was_refused(
        levels in prop::collection::vec(0u64..3, 1..100), seed: u64,
    ) {
        let mut pool = Pool::new(&levels);
        let mut memory = PoolMemory::default();
        let mut random = random(seed);
        let total = pool.total();
        let refused = pool.buy(&mut memory, total as u32 + 1, 0, &mut random, || false);
        prop_assert_eq!(refused, Bought::SoldOut { available: total });
        prop_assert_eq!(memory.room(999), Room::AtMost(total));
        prop_assert_eq!(memory.room(1_000), Room::Unknown);
        for _ in 0..total {
            let bought = pool.buy(&mut memory, 1, 500, &mut random, || false);
            prop_assert_eq!(bought, Bought::Units { attempts: 1 });
        }
        let bought = pool.buy(&mut memory, 1, 500, &mut random, || false);
        prop_assert_eq!(bought, Bought::SoldOut { available: 0 });
    }
}

#[test]
fn who_is_served_stays_and_who_loses_moves() {
    let mut memory = PoolMemory::default();
    let mut random = random(1);
    let ask = |memory: &PoolMemory, random: &mut dyn FnMut() -> u64| match memory.next(8, 1, 0, random) {
        Next::Ask(claims) => claims[0].0,
        other => panic!("{other:?}"),
    };
    memory.served(&[(5, 1)], 0);
    assert!((0..20).all(|_| ask(&memory, &mut random) == 5));
    memory.conflicted(5, 0);
    assert!((0..20).all(|_| ask(&memory, &mut random) != 5));
}

#[test]
fn who_tries_a_fuller_stripe_and_meets_another_goes_back() {
    let mut memory = PoolMemory::default();
    let mut random = random(1);
    (0..16).for_each(|_| memory.served(&[(5, 1)], 0));
    let Next::Look(compared) = memory.next(100, 1, 0, &mut random) else { panic!("it compares") };
    assert!(compared.contains(&5) && compared.len() > 20);
    memory.looked(&[(5, 20), (7, 30), (9, 22)], false, 0);
    assert_eq!(memory.next(100, 1, 0, &mut random), Next::Ask(vec![(7, 1)]));
    memory.conflicted(7, 0);
    assert_eq!(memory.next(100, 1, 0, &mut random), Next::Ask(vec![(5, 1)]));
}

#[test]
fn a_pool_at_rest_is_not_compared() {
    let mut memory = PoolMemory::default();
    let mut random = random(1);
    for n in 0..200 {
        memory.served(&[(5, 1)], n * 1_000);
        assert_eq!(memory.next(100, 1, n * 1_000, &mut random), Next::Ask(vec![(5, 1)]));
    }
}

#[test]
fn buyers_who_know_the_same_spread() {
    let levels: Vec<_> = (0..64).map(|stripe| (stripe, 10)).collect();
    let asked = |seed, quantity| {
        let mut memory = PoolMemory::default();
        memory.looked(&levels, true, 0);
        match memory.next(64, quantity, 0, &mut random(seed)) {
            Next::Ask(claims) => claims[0].0,
            other => panic!("{other:?}"),
        }
    };
    for quantity in [1, 25] {
        let stripes: std::collections::BTreeSet<_> = (0..64).map(|seed| asked(seed, quantity)).collect();
        assert!(stripes.len() > 24, "{quantity} units from {} stripes", stripes.len());
    }
}
