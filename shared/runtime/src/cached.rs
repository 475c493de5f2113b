//! What functions share through the cache: one place for each kind, with its times and sizes (CACHE-2).

use crate::clock::Clock;
use crate::config;
use crate::valkey::Valkey;
use holdfast_cache::{Cache, Key, Level2, Limits, Sources};
use holdfast_domain::ids::{ProductId, TenantId};
use holdfast_domain::product::Product;
use std::sync::Arc;
use std::time::Duration;

/// The variable with the URL of the cache that all environments share; empty where there is none.
const URL: &str = "CACHE_URL";

/// Products: an hour where a change is told, five minutes where it is not, and ten more while the table fails. The process
/// keeps 32 MB of them, an eighth of its memory: some 50,000 with short descriptions.
const PRODUCTS: Limits = Limits {
    local_max: 32 << 20,
    local: Duration::from_secs(300),
    shared: Duration::from_secs(3_600),
    stale: Duration::from_secs(600),
    absent: Duration::from_secs(30),
};

/// What a value takes beside its own bytes, about: its key, its times, and its place in the cache.
const OVERHEAD: usize = 300;

/// The key of a product.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProductKey {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub product: ProductId,
}

impl Key for ProductKey {
    type Value = Product;
    const KIND: &'static str = "product";
    const SCHEMA: u16 = 1;

    fn tenant(&self) -> &str {
        self.tenant.as_str()
    }

    fn text(&self) -> String {
        self.product.to_string()
    }

    fn weight(product: &Product) -> u32 {
        let texts = product.name.len() + product.description.len() + product.category.len();
        let windows = size_of_val(&*product.windows);
        u32::try_from(size_of::<Product>() + texts + windows + OVERHEAD).unwrap_or(u32::MAX)
    }

    fn version(product: &Product) -> u64 {
        product.version
    }
}

/// The products that an environment reads through the cache.
pub fn products(clock: &Clock, shared: Option<Arc<dyn Level2>>) -> Cache<ProductKey> {
    Cache::new(PRODUCTS, shared, sources(clock))
}

/// The same for an environment that only tells of changes, and remembers nothing itself.
pub fn products_told(clock: &Clock, shared: Option<Arc<dyn Level2>>) -> Cache<ProductKey> {
    Cache::new(Limits { local_max: 0, ..PRODUCTS }, shared, sources(clock))
}

/// The cache that all environments share, for those of the table's name; none where there is none. A URL that is none is
/// logged: it is no reason not to start.
pub fn shared_from_environment() -> Option<Arc<dyn Level2>> {
    let url = config::text(URL).ok()?;
    let installation = config::text("TABLE_NAME").ok()?;
    match Valkey::new(&url, &installation) {
        Ok(valkey) => Some(Arc::new(valkey)),
        Err(error) => {
            tracing::error!(%error, "cache_url_unreadable");
            None
        }
    }
}

fn sources(clock: &Clock) -> Sources {
    let clock = clock.clone();
    Sources { now: Arc::new(move || clock.now().as_millisecond()), ..Sources::system() }
}
