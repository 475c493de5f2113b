//! What this process knows of the counters by which values are removed.
//!
//! A value says which numbers its counters had. So a tag, or all of a kind, is removed by raising one counter, however many
//! values there are (namespacing by generations: memcached, "Programming FAQ"). The process hears of a raised counter with
//! the next answer of the shared cache that has it, or when it raises one itself.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most counters that are known at a time; then all are forgotten, and every value in the process with them.
const KNOWN_MAX: usize = 10_000;

/// The counters known to this process.
#[derive(Default)]
pub(crate) struct Marks {
    /// Raised with every change of any mark.
    epoch: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: HashMap<String, Known>,
    /// The mark of those that are not known.
    floor: u64,
}

struct Known {
    generation: Option<u64>,
    mark: u64,
}

impl Marks {
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The marks of these counters, and the epoch before they were read.
    pub fn of(&self, counters: &[String]) -> (Vec<u64>, u64) {
        let epoch = self.epoch();
        let state = self.state();
        let mark = |counter: &String| state.known.get(counter).map_or(state.floor, |known| known.mark);
        (counters.iter().map(mark).collect(), epoch)
    }

    /// Notes which number a counter has in the shared cache. If it had another before, what was kept under that is gone.
    pub fn learn(&self, counter: &str, generation: u64) {
        let mut state = self.state();
        match state.entry(counter) {
            known if known.generation.is_none() => known.generation = Some(generation),
            known if known.generation == Some(generation) => {}
            known => {
                known.generation = Some(generation);
                known.mark += 1;
                self.epoch.fetch_add(1, Ordering::Release);
            }
        }
    }

    /// Forgets in this process what was kept under a counter.
    pub fn raise(&self, counter: &str) {
        self.state().entry(counter).mark += 1;
        self.epoch.fetch_add(1, Ordering::Release);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.known.len() > KNOWN_MAX {
            state.floor = state.known.values().map(|known| known.mark).max().unwrap_or_default() + 1;
            state.known.clear();
            self.epoch.fetch_add(1, Ordering::Release);
        }
        state
    }
}

impl State {
    fn entry(&mut self, counter: &str) -> &mut Known {
        let mark = self.floor;
        self.known.entry(counter.to_owned()).or_insert(Known { generation: None, mark })
    }
}
