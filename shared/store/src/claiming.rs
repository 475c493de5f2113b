//! Which stripe to ask.
//!
//! A Lambda environment serves one request at a time, so a stripe that served it last is likely to be free: stripes
//! are sticky. On refusal or conflict the memory is dropped and another stripe is drawn at random.

use crate::StockHeader;
use holdfast_domain::ids::{ProductId, TenantId};
use holdfast_domain::pool::{PoolId, StripeId};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// How many products are remembered before the memory starts anew; a product takes about 150 bytes.
const REMEMBERED_MAX: usize = 4_096;

/// The stripes that last served this environment.
#[derive(Debug, Default)]
pub struct StripeMemory(Mutex<HashMap<(TenantId, ProductId), StripeId>>);

impl StripeMemory {
    /// The stripe to ask for a product: the one that last served it if the product still has it, otherwise one drawn
    /// by `random` from the first warehouse. None when the product lies nowhere.
    pub fn choose(
        &self,
        tenant: &TenantId,
        product: &ProductId,
        headers: &[StockHeader],
        random: u64,
    ) -> Option<StripeId> {
        let key = (tenant.clone(), product.clone());
        let remembered = self.entries().get(&key).cloned();
        let exists = |stripe: &StripeId| {
            let PoolId::Stock { warehouse, .. } = &stripe.pool;
            headers.iter().any(|header| header.warehouse == *warehouse && stripe.number < header.stripes)
        };
        remembered.filter(exists).or_else(|| {
            let first = headers.first()?;
            let number = random % u64::from(first.stripes.max(1));
            first.stripe_ids(product).nth(usize::try_from(number).unwrap_or_default())
        })
    }

    /// Remembers that a stripe served a product.
    pub fn remember(&self, tenant: &TenantId, stripe: &StripeId) {
        let PoolId::Stock { product, .. } = &stripe.pool;
        let mut entries = self.entries();
        if entries.len() >= REMEMBERED_MAX {
            entries.clear();
        }
        entries.insert((tenant.clone(), product.clone()), stripe.clone());
    }

    /// Forgets which stripe served a product.
    pub fn forget(&self, tenant: &TenantId, product: &ProductId) {
        self.entries().remove(&(tenant.clone(), product.clone()));
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, HashMap<(TenantId, ProductId), StripeId>> {
        // Entries are replaced whole, so a panic elsewhere leaves none half-written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
