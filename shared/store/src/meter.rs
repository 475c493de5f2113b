//! What a request spent at the database: round trips, capacity units, time.

use aws_sdk_dynamodb::types::ConsumedCapacity;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts calls while they are made. Capacity is kept in tenths of a unit, since half units occur.
#[derive(Debug, Default)]
pub struct Meter {
    calls: AtomicU64,
    micros: AtomicU64,
    write_tenths: AtomicU64,
    read_tenths: AtomicU64,
}

/// What was spent so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spent {
    /// Round trips.
    pub calls: u64,
    /// Time waited for them, added up.
    pub waited: Duration,
    /// Write capacity units, with indices.
    pub wcu: f64,
    /// Read capacity units.
    pub rcu: f64,
}

impl Meter {
    /// What was spent so far.
    pub fn spent(&self) -> Spent {
        let tenths = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64 / 10.0;
        Spent {
            calls: self.calls.load(Ordering::Relaxed),
            waited: Duration::from_micros(self.micros.load(Ordering::Relaxed)),
            wcu: tenths(&self.write_tenths),
            rcu: tenths(&self.read_tenths),
        }
    }

    pub(crate) fn count_call(&self, waited: Duration) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(u64::try_from(waited.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn count_writes<'a>(&self, consumed: impl IntoIterator<Item = &'a ConsumedCapacity>) {
        self.write_tenths.fetch_add(tenths(consumed), Ordering::Relaxed);
    }

    pub(crate) fn count_reads<'a>(&self, consumed: impl IntoIterator<Item = &'a ConsumedCapacity>) {
        self.read_tenths.fetch_add(tenths(consumed), Ordering::Relaxed);
    }
}

fn tenths<'a>(consumed: impl IntoIterator<Item = &'a ConsumedCapacity>) -> u64 {
    let units: f64 = consumed.into_iter().filter_map(|each| each.capacity_units).sum();
    (units * 10.0).round() as u64
}
