//! What a cache did.

use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};

/// What became of the requests for a kind of values, in this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Answered from the process.
    pub hits_local: u64,
    /// Answered from the shared cache.
    pub hits_shared: u64,
    /// Answered with a value that was no longer fresh.
    pub stale: u64,
    /// Loads from the origin.
    pub loads: u64,
    /// Loads that failed.
    pub loads_failed: u64,
    /// Requests that waited for a load of another process.
    pub waits: u64,
    /// Calls of the shared cache that had no answer.
    pub shared_failed: u64,
    /// Changes that the shared cache did not hear of: others see them when their values' time is over.
    pub invalidations_missed: u64,
}

macro_rules! counters {
    ($($name:ident),*) => {
        #[derive(Default)]
        pub(crate) struct Counters { $(pub $name: Counter),* }

        impl Counters {
            pub fn figures(&self) -> Figures {
                Figures { $($name: self.$name.0.load(Ordering::Relaxed)),* }
            }
        }
    };
}

counters!(hits_local, hits_shared, stale, loads, loads_failed, waits, shared_failed, invalidations_missed);

#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
