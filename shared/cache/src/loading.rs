//! Getting a value that the process does not have, or has for too long: from the shared cache, or by a load that others
//! wait for.

use crate::cache::{Cache, ms};
use crate::entry::{self, Entry};
use crate::kind::{Key, counters_of, name_of};
use crate::level2::{Kept, Level2};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a load of one process keeps others from loading the same.
const LEASE: Duration = Duration::from_secs(2);
/// How often, and with which pauses, the others look whether it is done, before they load themselves.
const LOOKS_MAX: usize = 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);
/// How long an old value is served without another try after a load failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What the shared cache says of a key.
enum Found<V> {
    /// A fresh value.
    Fresh(Arc<Entry<V>>),
    /// Perhaps one that may be served while another is loaded; and the counters as they are.
    Old(Option<Arc<Entry<V>>>, Vec<u64>),
    /// It gave no answer.
    Nothing,
}

impl<K: Key> Cache<K> {
    /// A value to be served: `old` again if there is nothing better.
    pub(crate) async fn obtained<E, F>(
        &self,
        key: &K,
        version: u64,
        old: Option<&Arc<Entry<K::Value>>>,
        load: impl Fn() -> F,
    ) -> Result<Arc<Entry<K::Value>>, E>
    where
        F: Future<Output = Result<Option<K::Value>, E>>,
    {
        let Some(shared) = &self.shared else { return self.loaded(key, None, old, load).await };
        let (mut known, mut counters) = match self.found(&**shared, key, version).await {
            Found::Fresh(entry) => return Ok(self.counted(entry)),
            Found::Nothing => return self.loaded(key, None, old, load).await,
            Found::Old(known, counters) => (known, counters),
        };
        let (lease, holder) = (format!("lease/{}", name_of(key)), fastrand::u64(..));
        let mine = self.leased(&**shared, &lease, holder).await;
        if !mine && let Some(known) = known {
            // Somebody else is at it: the old value is served, and looked for again after a moment.
            self.count_old(&known);
            return Ok(self.postponed(&known));
        }
        if !mine {
            // What this process has is older than it takes for fresh, and nobody vouches for it: it is worth a wait.
            self.counters.waits.count();
            for _ in 0..LOOKS_MAX {
                tokio::time::sleep(BETWEEN_LOOKS).await;
                match self.found(&**shared, key, version).await {
                    Found::Fresh(entry) => return Ok(self.counted(entry)),
                    Found::Nothing => break,
                    Found::Old(found, now) => (known, counters) = (found.or(known), now),
                }
            }
        }
        let old = known.as_ref().or(old);
        let entry = self.loaded(key, Some((&**shared, counters)), old, load).await;
        if mine && shared.release(&lease, holder).await.is_err() {
            self.counters.shared_failed.count();
        }
        entry
    }

    /// Loads a value from the origin, and keeps it on both levels.
    async fn loaded<E, F>(
        &self,
        key: &K,
        shared: Option<(&dyn Level2, Vec<u64>)>,
        old: Option<&Arc<Entry<K::Value>>>,
        load: impl Fn() -> F,
    ) -> Result<Arc<Entry<K::Value>>, E>
    where
        F: Future<Output = Result<Option<K::Value>, E>>,
    {
        // Before the load: what is removed while it runs is removed.
        let marks = self.marks.of(&counters_of(key));
        let began = self.now();
        self.counters.loads.count();
        let value = match load().await {
            Ok(value) => value,
            Err(error) => {
                self.counters.loads_failed.count();
                let Some(old) = old.filter(|old| self.now() < old.times.stale_until) else { return Err(error) };
                self.count_old(old);
                return Ok(self.postponed(old));
            }
        };
        let now = self.now();
        let times = self.times(value.is_some(), now, now - began);
        let version = value.as_ref().map_or(0, K::version);
        let Some((shared, generations)) = shared else {
            return Ok(self.adopted(value.map(Arc::new), version, times, marks));
        };
        let bytes = entry::written(value.as_ref(), version, times, &generations);
        let entry = self.adopted(value.map(Arc::new), version, times, marks);
        let kept = Kept { name: name_of(key), version, bytes, keep_for: self.kept_for() };
        match shared.keep(kept).await {
            Ok(true) => {}
            // Somebody has loaded a newer one meanwhile.
            Ok(false) => {
                if let Found::Fresh(newer) = self.found(shared, key, version).await {
                    return Ok(newer);
                }
            }
            Err(_) => self.counters.shared_failed.count(),
        }
        Ok(entry)
    }

    /// Asks the shared cache for a key and its counters, in one call.
    async fn found(&self, shared: &dyn Level2, key: &K, version: u64) -> Found<K::Value> {
        let counters = counters_of(key);
        let marks = self.marks.of(&counters);
        let names: Vec<_> = std::iter::once(name_of(key)).chain(counters.iter().cloned()).collect();
        let Ok(mut found) = shared.fetch(&names).await else {
            self.counters.shared_failed.count();
            return Found::Nothing;
        };
        let generations = self.learned(&counters, &found.split_off(1));
        // Learning may have raised the marks of what was kept before; what is read now is not older than that.
        let marks = if self.marks.epoch() == marks.1 { marks } else { self.marks.of(&counters) };
        let read = found.pop().flatten().and_then(|bytes| entry::read::<K::Value>(&bytes));
        let usable = read.filter(|read| read.generations == generations && read.version >= version);
        let now = self.now();
        let Some(read) = usable.filter(|read| now < read.times.stale_until) else {
            return Found::Old(None, generations);
        };
        let times = read.times;
        let entry = self.adopted(read.value.map(Arc::new), read.version, times, marks);
        match now < times.fresh_until && !self.is_due(now, times.fresh_until, times.load_ms) {
            true => Found::Fresh(entry),
            false => Found::Old(Some(entry), generations),
        }
    }

    /// Whether this process is the one to load. Without an answer it is: a load too many is better than none.
    async fn leased(&self, shared: &dyn Level2, lease: &str, holder: u64) -> bool {
        shared.lease(lease, holder, LEASE).await.unwrap_or_else(|_| {
            self.counters.shared_failed.count();
            true
        })
    }

    /// A fresh value of the shared cache, counted as such.
    fn counted(&self, entry: Arc<Entry<K::Value>>) -> Arc<Entry<K::Value>> {
        self.counters.hits_shared.count();
        entry
    }

    /// The same value, which nobody looks for anew for a moment.
    fn postponed(&self, old: &Arc<Entry<K::Value>>) -> Arc<Entry<K::Value>> {
        let until = (self.now() + ms(AFTER_FAILURE)).min(old.times.stale_until);
        old.local_until.store(until, Ordering::Relaxed);
        Arc::clone(old)
    }
}
