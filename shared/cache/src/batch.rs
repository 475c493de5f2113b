//! Several keys of a kind at once: one call of the shared cache, and one of the origin for what is left.

use crate::cache::{Cache, Cached};
use crate::entry::{self, Entry};
use crate::kind::{Key, counters_of, name_of};
use crate::level2::{Kept, Level2};
use futures_util::future::join_all;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl<K: Key> Cache<K> {
    /// What each of these keys leads to, in their order: by one `load` of those that neither level has fresh, which answers
    /// in the order of what it is given. Loads of the same keys at the same time are not one load.
    ///
    /// # Errors
    /// What `load` failed with.
    pub async fn get_many<E, F>(&self, keys: &[K], load: impl FnOnce(Vec<K>) -> F) -> Result<Vec<Cached<K::Value>>, E>
    where
        F: Future<Output = Result<Vec<Option<K::Value>>, E>>,
    {
        let mut found: Vec<Option<Arc<Entry<K::Value>>>> = Vec::with_capacity(keys.len());
        for key in keys {
            let known = self.local.get(key).await.filter(|entry| self.is_current(key, entry));
            let fresh = known.filter(|entry| self.now() < entry.local_until.load(Ordering::Relaxed));
            if fresh.is_some() {
                self.counters.hits_local.count();
            }
            found.push(fresh);
        }
        let missing = missing_of(&found);
        let marks: Vec<_> = missing.iter().map(|at| self.marks.of(&counters_of(&keys[*at]))).collect();
        let mut generations = None;
        if let Some(shared) = self.shared.as_deref().filter(|_| !missing.is_empty()) {
            generations = self.found_many(shared, keys, &missing, &mut found).await;
        }
        let wanted = missing_of(&found);
        if wanted.is_empty() {
            return Ok(answered(found));
        }
        self.counters.loads.count();
        let began = self.now();
        let loaded = load(wanted.iter().map(|at| keys[*at].clone()).collect()).await;
        let loaded = loaded.inspect_err(|_| self.counters.loads_failed.count())?;
        let now = self.now();
        let mut kept = Vec::new();
        for (at, value) in wanted.into_iter().zip(loaded) {
            let key = &keys[at];
            let place = missing.iter().position(|missing| *missing == at).unwrap_or_default();
            let times = self.times(value.is_some(), now, now - began);
            let version = value.as_ref().map_or(0, K::version);
            let counted = generations.as_ref().map(|all: &Vec<Vec<u64>>| all[place].clone());
            if let Some(counted) = &counted {
                let bytes = entry::written(value.as_ref(), version, times, counted);
                kept.push(Kept { name: name_of(key), version, bytes, keep_for: self.kept_for() });
            }
            let entry = self.adopted(value.map(Arc::new), version, times, marks[place].clone());
            self.local.insert(key.clone(), Arc::clone(&entry)).await;
            found[at] = Some(entry);
        }
        if let Some(shared) = &self.shared {
            let kept = join_all(kept.into_iter().map(|kept| shared.keep(kept))).await;
            kept.iter().filter(|kept| kept.is_err()).for_each(|_| self.counters.shared_failed.count());
        }
        Ok(answered(found))
    }

    /// Finds what the shared cache has; the counters of each key, unless it gives no answer.
    async fn found_many(
        &self,
        shared: &dyn Level2,
        keys: &[K],
        missing: &[usize],
        found: &mut [Option<Arc<Entry<K::Value>>>],
    ) -> Option<Vec<Vec<u64>>> {
        let counters: Vec<_> = missing.iter().map(|at| counters_of(&keys[*at])).collect();
        let mut names: Vec<_> = missing.iter().map(|at| name_of(&keys[*at])).collect();
        names.extend(counters.iter().flatten().cloned());
        let Ok(mut values) = shared.fetch(&names).await else {
            self.counters.shared_failed.count();
            return None;
        };
        let mut numbers = values.split_off(missing.len());
        let mut generations = Vec::with_capacity(missing.len());
        for counters in &counters {
            let rest = numbers.split_off(counters.len().min(numbers.len()));
            generations.push(self.learned(counters, &numbers));
            numbers = rest;
        }
        let now = self.now();
        for ((at, bytes), (counters, counted)) in missing.iter().zip(values).zip(counters.iter().zip(&generations)) {
            let read = bytes.and_then(|bytes| entry::read::<K::Value>(&bytes));
            let Some(read) = read.filter(|read| read.generations == *counted && now < read.times.fresh_until) else {
                continue;
            };
            let marks = self.marks.of(counters);
            let entry = self.adopted(read.value.map(Arc::new), read.version, read.times, marks);
            self.local.insert(keys[*at].clone(), Arc::clone(&entry)).await;
            self.counters.hits_shared.count();
            found[*at] = Some(entry);
        }
        Some(generations)
    }
}

fn missing_of<V>(found: &[Option<V>]) -> Vec<usize> {
    (0..found.len()).filter(|at| found[*at].is_none()).collect()
}

fn answered<V>(found: Vec<Option<Arc<Entry<V>>>>) -> Vec<Cached<V>> {
    let absent = || Cached { value: None, version: 0, loaded_at: 0 };
    found.iter().map(|entry| entry.as_ref().map_or_else(absent, |entry| Cached::of(entry))).collect()
}
