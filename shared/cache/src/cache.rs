//! The cache of one kind of values.

use crate::entry::{self, Entry, Times};
use crate::figures::{Counters, Figures};
use crate::kind::{Key, Limits, counter, counters_of, kind_counter, name_of};
use crate::level2::{Kept, Level2};
use crate::marks::Marks;
use moka::ops::compute::{CompResult, Op};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// By which share of its time a value's end is moved to and fro, so that what was loaded together does not end together.
const JITTER: f64 = 0.1;

/// Where a cache gets the time and chance from.
#[derive(Clone)]
pub struct Sources {
    /// Milliseconds since the epoch.
    pub now: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// A number from 0 to just below 1.
    pub random: Arc<dyn Fn() -> f64 + Send + Sync>,
}

impl Sources {
    /// Those of the machine.
    pub fn system() -> Self {
        let now = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        };
        Self { now: Arc::new(now), random: Arc::new(fastrand::f64) }
    }
}

/// What a cache knows of a key.
#[derive(Debug)]
pub struct Cached<V> {
    /// The value; none if there is none.
    pub value: Option<Arc<V>>,
    /// Its version, or 0.
    pub version: u64,
    /// When it was loaded, in milliseconds since the epoch.
    pub loaded_at: i64,
}

/// The values of one kind.
pub struct Cache<K: Key> {
    pub(crate) limits: Limits,
    pub(crate) local: moka::future::Cache<K, Arc<Entry<K::Value>>>,
    pub(crate) shared: Option<Arc<dyn Level2>>,
    pub(crate) marks: Marks,
    pub(crate) counters: Counters,
    pub(crate) sources: Sources,
}

impl<K: Key> Cache<K> {
    /// An empty cache, before the shared one if there is one.
    pub fn new(limits: Limits, shared: Option<Arc<dyn Level2>>, sources: Sources) -> Self {
        let weigh = |_: &K, entry: &Arc<Entry<K::Value>>| entry.value.as_deref().map_or(1, K::weight);
        let local = moka::future::Cache::builder().max_capacity(limits.local_max).weigher(weigh).build();
        let (marks, counters) = (Marks::default(), Counters::default());
        Self { limits, local, shared, marks, counters, sources }
    }

    /// What a key leads to, by `load` if neither level has it.
    ///
    /// # Errors
    /// What `load` failed with, shared by all who waited for it, if there is no value that is just a little too old.
    pub async fn get<E, F>(&self, key: &K, load: impl Fn() -> F + Sync) -> Result<Cached<K::Value>, Arc<E>>
    where
        E: Send + Sync + 'static,
        F: Future<Output = Result<Option<K::Value>, E>> + Send,
    {
        self.get_at_least(key, 0, load).await
    }

    /// The same, for somebody who knows that the value is at this version by now: no older one is served.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub async fn get_at_least<E, F>(
        &self,
        key: &K,
        version: u64,
        load: impl Fn() -> F + Sync,
    ) -> Result<Cached<K::Value>, Arc<E>>
    where
        E: Send + Sync + 'static,
        F: Future<Output = Result<Option<K::Value>, E>> + Send,
    {
        let known = self.local.get(key).await.filter(|entry| entry.version >= version && self.is_current(key, entry));
        let now = self.now();
        if let Some(entry) = known {
            let until = entry.local_until.load(Ordering::Relaxed);
            if now < until && !self.is_due(now, until, entry.times.load_ms) {
                self.counters.hits_local.count();
                return Ok(Cached::of(&entry));
            }
            if now < entry.times.stale_until {
                return self.renewed(key, entry, version, load).await;
            }
        }
        self.anew(key, version, load).await
    }

    /// Loads a value again that may be served meanwhile: one who asks does, the others are served.
    async fn renewed<E, F>(
        &self,
        key: &K,
        old: Arc<Entry<K::Value>>,
        version: u64,
        load: impl Fn() -> F + Sync,
    ) -> Result<Cached<K::Value>, Arc<E>>
    where
        E: Send + Sync + 'static,
        F: Future<Output = Result<Option<K::Value>, E>> + Send,
    {
        let mine = AtomicBool::new(false);
        let renewed = self.local.entry_by_ref(key).and_try_compute_if_nobody_else(|_| async {
            mine.store(true, Ordering::Relaxed);
            // Nothing older than what this process knows: the shared cache may have missed a change, or lost one.
            self.obtained(key, version.max(old.version), Some(&old), &load).await.map(Op::Put)
        });
        let entry = match renewed.await.map_err(Arc::new)? {
            CompResult::Inserted(entry) | CompResult::ReplacedWith(entry) => entry.into_value(),
            CompResult::Unchanged(_) | CompResult::Removed(_) | CompResult::StillNone(_) => old,
        };
        if !mine.load(Ordering::Relaxed) {
            self.count_old(&entry);
        }
        Ok(Cached::of(&entry))
    }

    /// Loads what may not be served, or is not there: all who ask wait for one load.
    async fn anew<E, F>(&self, key: &K, version: u64, load: impl Fn() -> F + Sync) -> Result<Cached<K::Value>, Arc<E>>
    where
        E: Send + Sync + 'static,
        F: Future<Output = Result<Option<K::Value>, E>> + Send,
    {
        let began = self.now();
        // What was loaded for somebody who came at the same time is good for this one too, however soon it ends.
        let usable = |entry: &Entry<K::Value>| {
            let lasts = self.now() < entry.times.stale_until || entry.times.loaded_at >= began;
            entry.version >= version && self.is_current(key, entry) && lasts
        };
        // What is there by now is usable, or is taken away: moka waits for no load if there is anything.
        if self.local.get(key).await.is_some_and(|entry| !usable(&entry)) {
            self.local.invalidate(key).await;
        }
        loop {
            let mine = AtomicBool::new(false);
            let obtained = async {
                mine.store(true, Ordering::Relaxed);
                self.obtained(key, version, None, &load).await
            };
            let entry = self.local.try_get_with_by_ref(key, obtained).await?;
            // A load that began earlier may have found less than this one is to find.
            if mine.load(Ordering::Relaxed) || usable(&entry) {
                return Ok(Cached::of(&entry));
            }
            self.local.invalidate(key).await;
        }
    }

    /// What the process has of a key, if it is fresh.
    pub async fn peek(&self, key: &K) -> Option<Cached<K::Value>> {
        let entry = self.local.get(key).await.filter(|entry| self.is_current(key, entry))?;
        (self.now() < entry.local_until.load(Ordering::Relaxed)).then(|| Cached::of(&entry))
    }

    /// Notes what a key leads to from now on: on both levels, unless something newer is there. Whether other processes may
    /// still see what was before, until its time is over.
    pub async fn put(&self, key: &K, value: Option<K::Value>, version: u64) -> bool {
        let name = name_of(key);
        let counters = counters_of(key);
        let (marks, epoch) = self.marks.of(&counters);
        let mut generations = Vec::new();
        if let Some(shared) = &self.shared {
            match shared.fetch(&counters).await {
                Ok(found) => generations = self.learned(&counters, &found),
                Err(_) => self.counters.shared_failed.count(),
            }
        }
        let times = self.times(value.is_some(), self.now(), 0);
        let bytes = entry::written(value.as_ref(), version, times, &generations);
        let entry = self.adopted(value.map(Arc::new), version, times, (marks, epoch));
        let put = self.local.entry_by_ref(key).and_compute_with(|known| {
            let is_newer = known.is_some_and(|known| known.value().version > version);
            std::future::ready(if is_newer { Op::Nop } else { Op::Put(entry) })
        });
        put.await;
        let Some(shared) = &self.shared else { return false };
        let kept = shared.keep(Kept { name, version, bytes, keep_for: self.kept_for() }).await;
        self.missed(kept.is_err())
    }

    /// Forgets a key on both levels. Whether other processes may still see what was before, until its time is over: each has
    /// its own memory.
    pub async fn remove(&self, key: &K) -> bool {
        self.local.invalidate(key).await;
        let Some(shared) = &self.shared else { return false };
        self.missed(shared.forget(&name_of(key)).await.is_err())
    }

    /// Forgets everything of a tenant with a tag, in one call. Whether other processes may still see what was before, until
    /// its time is over.
    pub async fn remove_tagged(&self, tenant: &str, tag: &str) -> bool {
        self.raised(&counter(tenant, tag)).await
    }

    /// Forgets everything of this kind that a tenant has, in one call. Whether other processes may still see what was
    /// before, until its time is over.
    pub async fn remove_all(&self, tenant: &str) -> bool {
        self.raised(&kind_counter::<K>(tenant)).await
    }

    async fn raised(&self, counter: &str) -> bool {
        self.marks.raise(counter);
        let Some(shared) = &self.shared else { return false };
        let raised = shared.raise(counter).await;
        if let Ok(generation) = &raised {
            self.marks.learn(counter, *generation);
        }
        self.missed(raised.is_err())
    }

    fn missed(&self, failed: bool) -> bool {
        if failed {
            self.counters.shared_failed.count();
            self.counters.invalidations_missed.count();
        }
        failed
    }

    /// What became of the requests so far.
    pub fn figures(&self) -> Figures {
        self.counters.figures()
    }

    /// How many values the process has, about.
    pub fn entries(&self) -> u64 {
        self.local.entry_count()
    }

    pub(crate) fn now(&self) -> i64 {
        (self.sources.now)()
    }

    /// Whether a value is one to be loaded before its end, by XFetch with a beta of 1: the longer its load took, the earlier.
    pub(crate) fn is_due(&self, now: i64, until: i64, load_ms: i64) -> bool {
        let ahead = load_ms as f64 * -(1.0 - (self.sources.random)()).ln();
        now as f64 + ahead >= until as f64
    }

    /// Whether no counter of a value was raised since this process took it.
    pub(crate) fn is_current(&self, key: &K, entry: &Entry<K::Value>) -> bool {
        if entry.epoch.load(Ordering::Relaxed) == self.marks.epoch() {
            return true;
        }
        let (marks, epoch) = self.marks.of(&counters_of(key));
        let is_current = marks == entry.marks;
        if is_current {
            entry.epoch.store(epoch, Ordering::Relaxed);
        }
        is_current
    }

    /// The numbers of counters as the shared cache gave them, which the process notes. One that is not there was never
    /// raised, or was forgotten; either way it is 0.
    pub(crate) fn learned(&self, counters: &[String], found: &[Option<Vec<u8>>]) -> Vec<u64> {
        let number = |found: &Option<Vec<u8>>| {
            found.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok()?.parse().ok()).unwrap_or_default()
        };
        let generations: Vec<u64> = found.iter().map(number).collect();
        counters.iter().zip(&generations).for_each(|(counter, number)| self.marks.learn(counter, *number));
        generations
    }

    /// The times of a value that was loaded just now.
    pub(crate) fn times(&self, is_there: bool, now: i64, load_ms: i64) -> Times {
        let (lasts, stale) =
            if is_there { (self.limits.shared, self.limits.stale) } else { (self.limits.absent, Duration::ZERO) };
        let fresh_until = now + self.jittered(lasts);
        Times { loaded_at: now, fresh_until, stale_until: fresh_until + ms(stale), load_ms }
    }

    /// A value as this process takes it.
    pub(crate) fn adopted(
        &self,
        value: Option<Arc<K::Value>>,
        version: u64,
        times: Times,
        (marks, epoch): (Vec<u64>, u64),
    ) -> Arc<Entry<K::Value>> {
        let local_until = (self.now() + self.jittered(self.limits.local)).min(times.fresh_until);
        let (local_until, epoch) = (AtomicI64::new(local_until), AtomicU64::new(epoch));
        Arc::new(Entry { value, version, times, local_until, marks, epoch })
    }

    /// How long the shared cache keeps a value: as long as it may be served.
    pub(crate) fn kept_for(&self) -> Duration {
        self.limits.shared.mul_f64(1.0 + JITTER) + self.limits.stale
    }

    pub(crate) fn jittered(&self, lasts: Duration) -> i64 {
        let share = 1.0 + JITTER * (2.0 * (self.sources.random)() - 1.0);
        (ms(lasts) as f64 * share) as i64
    }

    /// Counts a value that was served, by whether it was fresh.
    pub(crate) fn count_old(&self, entry: &Entry<K::Value>) {
        match self.now() < entry.times.fresh_until {
            true => self.counters.hits_local.count(),
            false => self.counters.stale.count(),
        }
    }
}

impl<V> Cached<V> {
    pub(crate) fn of(entry: &Entry<V>) -> Self {
        Self { value: entry.value.clone(), version: entry.version, loaded_at: entry.times.loaded_at }
    }
}

impl<K: Key> fmt::Debug for Cache<K> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Cache").field("kind", &K::KIND).field("limits", &self.limits).finish_non_exhaustive()
    }
}

pub(crate) fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
