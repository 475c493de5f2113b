//! Telling the shared cache of products that changed (CACHE-4).

use futures_util::{StreamExt, stream};
use holdfast_cache::Cache;
use holdfast_runtime::cached::ProductKey;
use holdfast_store::{Image, keys, partition_of, product_of_image};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long telling may take in an invocation: the events of orders wait for the next one meanwhile.
const TELLING: Duration = Duration::from_secs(2);
/// How many products are told at the same time.
const AT_ONCE: usize = 16;
/// How many products that were not told are remembered.
const UNTOLD_MAX: usize = 10_000;

/// The shared cache, and what it has not heard yet.
pub struct Told {
    products: Cache<ProductKey>,
    untold: Mutex<HashSet<ProductKey>>,
}

impl Told {
    /// A cache that remembers nothing itself.
    pub fn new(products: Cache<ProductKey>) -> Self {
        Self { products, untold: Mutex::default() }
    }

    /// Tells what each of these products is now, by the new images of their records. A failure fails no record, since the
    /// events of orders would wait with it: the cache is told with the next invocations, as long as this environment lives,
    /// to forget what it did not hear of. What it has ends by itself, too.
    pub(crate) async fn tell(&self, changed: HashMap<ProductKey, Image>) {
        let mut untold = std::mem::take(&mut *self.untold.lock().unwrap_or_else(PoisonError::into_inner));
        untold.retain(|key| !changed.contains_key(key));
        let forgotten = untold.iter().cloned().map(|key| (key, None));
        let calls: Vec<_> = changed.into_iter().map(|(key, image)| (key, Some(image))).chain(forgotten).collect();
        if calls.is_empty() {
            return;
        }
        untold.extend(calls.iter().map(|(key, _)| key.clone()));
        let telling = async {
            let mut told = stream::iter(calls).map(|(key, image)| self.tell_one(key, image)).buffer_unordered(AT_ONCE);
            while let Some((key, missed)) = told.next().await {
                if !missed {
                    untold.remove(&key);
                }
            }
        };
        let in_time = tokio::time::timeout(TELLING, telling).await.is_ok();
        if !untold.is_empty() {
            tracing::warn!(products = untold.len(), in_time, "cache_not_told");
        }
        untold = untold.into_iter().take(UNTOLD_MAX).collect();
        self.untold.lock().unwrap_or_else(PoisonError::into_inner).extend(untold);
    }

    /// Whether the cache missed it.
    async fn tell_one(&self, key: ProductKey, image: Option<Image>) -> (ProductKey, bool) {
        let missed = match image.map(product_of_image) {
            Some(Ok((_, product))) => {
                let version = product.version;
                self.products.put(&key, Some(product), version).await
            }
            // It was not told in time, is gone, or a later release wrote it: whoever asks reads it.
            None | Some(Err(_)) => self.products.remove(&key).await,
        };
        (key, missed)
    }
}

/// Which product the keys of a stream record are of, if they are of one.
pub(crate) fn product_of(keys: &Image) -> Option<ProductKey> {
    let (tenant, product) = keys::parse_product_pk(&partition_of(keys)?)?;
    Some(ProductKey { tenant, product })
}
