//! DynamoDB as the model sees it: items that take so many units a second, and transactions that are in each other's way.

use holdfast_domain::pool::StripeNumber;
use rand::Rng;
use rand::rngs::StdRng;

use super::latency;

/// What a key takes a second (Developer Guide, "DynamoDB burst and adaptive capacity": a partition, and so an item).
const WCU_A_SECOND: f64 = 1_000.0;
const RCU_A_SECOND: f64 = 3_000.0;

/// Shards of a day in the index by day; a placed order writes one key of it.
const DAY_SHARDS: usize = 32;

/// Units of a write of at most 1 KB in a transaction: one to prepare, one to commit.
const TRANSACTED_WCU: u64 = 2;

/// What a key may save up, in seconds: a partition's limit holds within a second as well.
const SAVED_SECONDS: f64 = 0.1;

/// An allowance that fills up at a steady rate, to what may be saved up.
#[derive(Debug, Clone)]
struct Throughput {
    a_second: f64,
    units: f64,
    filled_us: u64,
}

impl Throughput {
    fn new(a_second: f64) -> Self {
        Self { a_second, units: a_second * SAVED_SECONDS, filled_us: 0 }
    }

    /// Whether there is room for so many units now; they are used if so.
    fn admits(&mut self, units: u64, now_us: u64) -> bool {
        let passed_s = now_us.saturating_sub(self.filled_us) as f64 / 1e6;
        self.units = (self.units + passed_s * self.a_second).min(self.a_second * SAVED_SECONDS);
        self.filled_us = self.filled_us.max(now_us);
        let admitted = self.units >= units as f64;
        if admitted {
            self.units -= units as f64;
        }
        admitted
    }
}

#[derive(Debug, Clone)]
struct Stripe {
    available: u64,
    /// The transaction that holds it does so until then, and takes so many units at its end.
    held_until_us: u64,
    taking: u64,
    wcu: Throughput,
    rcu: Throughput,
}

impl Stripe {
    /// Applies what a transaction took that has ended.
    fn settle(&mut self, now_us: u64) {
        if self.held_until_us <= now_us {
            self.available -= std::mem::take(&mut self.taking);
        }
    }
}

/// How a transaction ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It took its units.
    Placed,
    /// It was cancelled; why, for each stripe that it was cancelled for.
    Cancelled(Vec<(StripeNumber, Reason)>),
    /// A key of the table or of an index was beyond its throughput, and it was not a stripe's.
    Throttled,
}

/// Why a stripe cancelled a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Another transaction was there, or the key was beyond its throughput.
    Conflict,
    /// It had fewer units than wanted: this many.
    Short(u64),
}

/// The pool's items and the index, in memory.
#[derive(Debug)]
pub struct Engine {
    stripes: Vec<Stripe>,
    days: Vec<Throughput>,
    /// What the header says while the pool is sold out: units there were, and until when.
    header: (u64, u64),
    /// Units that no transaction has taken.
    pub unsold: u64,
    /// Units that were taken although there were none.
    pub oversold: u64,
    /// Write units used.
    pub wcu: u64,
    /// Read units used.
    pub rcu: u64,
}

impl Engine {
    /// A pool of `stripes` stripes that share `stock` evenly.
    pub fn new(stripes: StripeNumber, stock: u64) -> Self {
        let count = u64::from(stripes);
        let share = |number| stock / count + u64::from(number < stock % count);
        let stripe = |number| Stripe {
            available: share(number),
            held_until_us: 0,
            taking: 0,
            wcu: Throughput::new(WCU_A_SECOND),
            rcu: Throughput::new(RCU_A_SECOND),
        };
        Self {
            stripes: (0..count).map(stripe).collect(),
            days: vec![Throughput::new(WCU_A_SECOND); DAY_SHARDS],
            header: (0, 0),
            unsold: stock,
            oversold: 0,
            wcu: 0,
            rcu: 0,
        }
    }

    /// A transaction that puts an order and takes units of stripes arrives. Answers how it ends, and when.
    pub fn transact(&mut self, claims: &[(StripeNumber, u32)], now_us: u64, random: &mut StdRng) -> (Ended, u64) {
        let cancelled_us = now_us + latency::cancelled_us(random);
        self.wcu += TRANSACTED_WCU * (claims.len() as u64 + 1);
        let reasons: Vec<_> =
            claims.iter().filter_map(|claim| Some((claim.0, self.refusal(*claim, now_us)?))).collect();
        if !reasons.is_empty() {
            // What could be prepared stays so until the transaction is cancelled.
            for (number, _) in claims.iter().filter(|claim| reasons.iter().all(|reason| reason.0 != claim.0)) {
                self.stripe(*number).held_until_us = cancelled_us;
            }
            return (Ended::Cancelled(reasons), cancelled_us);
        }
        if !self.day_admits(now_us, random) {
            return (Ended::Throttled, cancelled_us);
        }
        let ended_us = now_us + latency::held_us(random);
        for (number, units) in claims {
            let stripe = self.stripe(*number);
            stripe.held_until_us = ended_us;
            stripe.taking = u64::from(*units);
            self.sell(u64::from(*units));
        }
        (Ended::Placed, ended_us)
    }

    /// The two writes of the plain design: the counter is lowered without a transaction, then the order is put. Answers how
    /// it ends, and when. A buyer that stops in between leaks a unit, which is not counted here.
    pub fn write_plainly(&mut self, units: u32, now_us: u64, random: &mut StdRng) -> (Ended, u64) {
        let written_us = now_us + latency::written_us(random);
        let counter = self.stripe(0);
        if !counter.wcu.admits(1, now_us) {
            return (Ended::Cancelled(vec![(0, Reason::Conflict)]), written_us);
        }
        let available = counter.available;
        self.wcu += 1;
        if available < u64::from(units) {
            return (Ended::Cancelled(vec![(0, Reason::Short(available))]), written_us);
        }
        self.stripe(0).available -= u64::from(units);
        self.sell(u64::from(units));
        self.wcu += 1;
        // At 1,000 orders a second at most, the index is never full.
        self.day_admits(written_us, random);
        (Ended::Placed, written_us + latency::written_us(random))
    }

    /// A consistent read of stripes' levels arrives: what they hold, and when the answer leaves. A stripe that is beyond its
    /// throughput is read again by the client after a pause.
    pub fn read(
        &mut self,
        numbers: &[StripeNumber],
        now_us: u64,
        random: &mut StdRng,
    ) -> (Vec<(StripeNumber, u64)>, u64) {
        self.rcu += numbers.len() as u64;
        let mut throttled = false;
        let levels = numbers.iter().map(|number| {
            let stripe = &mut self.stripes[usize::from(*number)];
            stripe.settle(now_us);
            throttled |= !stripe.rcu.admits(1, now_us);
            (*number, stripe.available)
        });
        let levels = levels.collect();
        // Batches of a hundred keys go out side by side, and the slowest counts.
        let batches = numbers.len().div_ceil(100);
        let slowest_us = (0..batches).map(|_| latency::read_us(random)).max().unwrap_or_default();
        let again_us = if throttled { latency::read_us(random) * 4 } else { 0 };
        (levels, now_us + slowest_us + again_us)
    }

    /// What the header says if there are less than `wanted` units: how many, and until when that counts, in ms.
    pub fn header(&mut self, wanted: u32, now_ms: u64) -> Option<(u64, u64)> {
        self.rcu += 1;
        let (available, until_ms) = self.header;
        (now_ms < until_ms && available < u64::from(wanted)).then_some(self.header)
    }

    /// Writes to the header that no more than `available` units are there. Not counted: one environment a second does it.
    pub fn tell_sold_out(&mut self, available: u64, until_ms: u64) {
        if until_ms > self.header.1 {
            self.header = (available, until_ms);
        }
    }

    fn refusal(&mut self, (number, units): (StripeNumber, u32), now_us: u64) -> Option<Reason> {
        let stripe = self.stripe(number);
        stripe.settle(now_us);
        if stripe.held_until_us > now_us || !stripe.wcu.admits(TRANSACTED_WCU, now_us) {
            return Some(Reason::Conflict);
        }
        (stripe.available < u64::from(units)).then_some(Reason::Short(stripe.available))
    }

    /// Whether the index by day has room for the order, and that by customer, which no key of is hot.
    fn day_admits(&mut self, now_us: u64, random: &mut StdRng) -> bool {
        let shard = random.random_range(0..DAY_SHARDS);
        let admitted = self.days[shard].admits(1, now_us);
        self.wcu += if admitted { 2 } else { 0 };
        admitted
    }

    fn sell(&mut self, units: u64) {
        self.oversold += units.saturating_sub(self.unsold);
        self.unsold = self.unsold.saturating_sub(units);
    }

    fn stripe(&mut self, number: StripeNumber) -> &mut Stripe {
        &mut self.stripes[usize::from(number)]
    }
}
