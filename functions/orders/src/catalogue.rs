//! What products cost and where they lie, from memory where possible: the warm path to an order reads nothing.
//!
//! What is remembered may be old. That is safe, since every claim carries the price version it was priced at and a
//! stripe refuses an older one; and nothing is refused on the word of the memory alone.

use holdfast_cache::ReadThrough;
use holdfast_domain::ids::{ProductId, TenantId};
use holdfast_domain::product::Product;
use holdfast_store::{StockHeader, Store, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// How long an offer is remembered (CACHE-2: products, 5 minutes in the process).
const AGE_MAX: Duration = Duration::from_secs(300);
/// How many offers are remembered; one takes about 500 bytes.
const ENTRIES_MAX: u64 = 5_000;

/// A product and the warehouses that keep it.
pub struct Offer {
    /// The product.
    pub product: Product,
    /// Its stock, by warehouse.
    pub headers: Vec<StockHeader>,
}

/// The offers that this environment remembers.
pub struct Catalogue(ReadThrough<(TenantId, ProductId), Offer>);

impl Default for Catalogue {
    fn default() -> Self {
        Self(ReadThrough::new(ENTRIES_MAX, AGE_MAX))
    }
}

impl Catalogue {
    /// The offer of a product, from memory or by two reads. `fresh` insists on the reads.
    pub async fn offer(
        &self,
        store: &Store,
        tenant: &TenantId,
        product: &ProductId,
        fresh: bool,
    ) -> Result<Option<Arc<Offer>>, Arc<StoreError>> {
        let key = (tenant.clone(), product.clone());
        if fresh {
            self.0.remove(&key).await;
        }
        self.0.get(&key, load(store, tenant, product)).await
    }
}

impl Catalogue {
    /// Forgets the offer of a product that lies elsewhere than remembered.
    pub async fn correct(&self, tenant: &TenantId, product: &ProductId, headers: &[StockHeader]) {
        let key = (tenant.clone(), product.clone());
        let places = |headers: &[StockHeader]| -> Vec<_> {
            headers.iter().map(|header| (header.warehouse.clone(), header.stripes)).collect()
        };
        let remembered = self.0.peek(&key).await;
        if remembered.is_some_and(|offer| places(&offer.headers) != places(headers)) {
            self.0.remove(&key).await;
        }
    }
}

async fn load(store: &Store, tenant: &TenantId, id: &ProductId) -> Result<Option<Offer>, StoreError> {
    let (product, headers) = futures_util::try_join!(store.product_read(tenant, id), store.stock_headers(tenant, id))?;
    Ok(product.map(|product| Offer { product, headers }))
}
