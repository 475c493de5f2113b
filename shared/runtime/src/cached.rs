//! What functions share through the cache: one place for each kind, with its times and sizes (CACHE-2).

use crate::clock::Clock;
use crate::config::{self, ConfigError};
use crate::valkey::Valkey;
use holdfast_cache::{Cache, Key, Level2, Limits, Sources};
use holdfast_domain::ids::{ProductId, TenantId};
use holdfast_domain::product::Product;
use std::sync::Arc;
use std::time::Duration;

/// The variable with the URL of the cache that all environments share; empty where there is none.
const URL: &str = "CACHE_URL";

/// Products: an hour where a change is told, five minutes where it is not, and ten more while the table fails.
const PRODUCTS: Limits = Limits {
    entries_max: 5_000,
    local: Duration::from_secs(300),
    shared: Duration::from_secs(3_600),
    stale: Duration::from_secs(600),
    absent: Duration::from_secs(30),
};

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
    Cache::new(Limits { entries_max: 0, ..PRODUCTS }, shared, sources(clock))
}

/// The cache that all environments share, by the environment; none where there is none.
///
/// # Errors
/// When its URL is none.
pub fn shared_from_environment() -> Result<Option<Arc<dyn Level2>>, ConfigError> {
    let Ok(url) = config::text(URL) else { return Ok(None) };
    let valkey = Valkey::new(&url).map_err(|_| ConfigError::Unreadable { name: URL, expected: "redis://host:port" })?;
    Ok(Some(Arc::new(valkey)))
}

fn sources(clock: &Clock) -> Sources {
    let clock = clock.clone();
    Sources { now: Arc::new(move || clock.now().as_millisecond()), ..Sources::system() }
}
