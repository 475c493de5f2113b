//! Values that one process alone remembers: one load a key at a time, bounded in entries and age.
//!
//! An environment of Lambda freezes between requests, so nothing runs behind an answer: entries age out when they are
//! looked at.

use moka::future::Cache;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

/// Values of one kind, each bound to its key's type.
pub struct ReadThrough<K, V> {
    entries: Cache<K, Arc<V>>,
}

/// Why a load gave no value.
enum Miss<E> {
    Absent,
    Failed(E),
}

impl<K, V> ReadThrough<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// A cache of at most `entries_max` values, none older than `age_max`.
    pub fn new(entries_max: u64, age_max: Duration) -> Self {
        Self { entries: Cache::builder().max_capacity(entries_max).time_to_live(age_max).build() }
    }

    /// The value of a key, by `load` if it is not there. Loads of one key at the same time are one load. What does not
    /// exist is not remembered.
    ///
    /// # Errors
    /// What `load` failed with, shared by all who waited for it.
    pub async fn get<E>(
        &self,
        key: &K,
        load: impl Future<Output = Result<Option<V>, E>>,
    ) -> Result<Option<Arc<V>>, Arc<E>>
    where
        E: Send + Sync + 'static,
    {
        let loaded = self.entries.try_get_with_by_ref(key, async {
            match load.await {
                Ok(Some(value)) => Ok(Arc::new(value)),
                Ok(None) => Err(Miss::Absent),
                Err(error) => Err(Miss::Failed(Arc::new(error))),
            }
        });
        match loaded.await {
            Ok(value) => Ok(Some(value)),
            Err(miss) => match &*miss {
                Miss::Absent => Ok(None),
                Miss::Failed(error) => Err(Arc::clone(error)),
            },
        }
    }

    /// The value of a key if it is there.
    pub async fn peek(&self, key: &K) -> Option<Arc<V>> {
        self.entries.get(key).await
    }

    /// Replaces the value of a key by one that is known to be newer.
    pub async fn put(&self, key: K, value: V) {
        self.entries.insert(key, Arc::new(value)).await;
    }

    /// Forgets a key, so that the next look loads it.
    pub async fn remove(&self, key: &K) {
        self.entries.invalidate(key).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn cache_3_a_key_is_loaded_once_by_all_who_ask() {
        let cache = ReadThrough::<u8, u32>::new(10, Duration::from_secs(60));
        let loads = AtomicU32::new(0);
        let load = || async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok::<_, ()>(Some(loads.fetch_add(1, Ordering::SeqCst)))
        };
        let (a, b, c) = tokio::join!(cache.get(&1, load()), cache.get(&1, load()), cache.get(&1, load()));
        assert_eq!([a, b, c].map(|value| *value.unwrap().unwrap()), [0, 0, 0]);
        cache.remove(&1).await;
        assert_eq!(*cache.get(&1, load()).await.unwrap().unwrap(), 1);
    }

    #[tokio::test]
    async fn what_is_absent_or_failed_is_asked_for_again() {
        let cache = ReadThrough::<u8, u32>::new(10, Duration::from_secs(60));
        assert_eq!(cache.get(&1, async { Ok::<_, String>(None) }).await.unwrap(), None);
        assert_eq!(cache.get(&1, async { Err("down".to_owned()) }).await.unwrap_err().as_str(), "down");
        assert_eq!(*cache.get(&1, async { Ok::<_, String>(Some(7)) }).await.unwrap().unwrap(), 7);
    }
}
