//! What products cost, where they lie, and what else the shop sells by, from memory where possible: the warm path to an
//! order reads nothing.
//!
//! What is remembered may be old. That is safe for products and coupons, since every claim carries the version that it
//! was priced at and a stripe refuses an older one; rates, taxes and the choice of warehouses are at most a minute old.

use holdfast_cache::ReadThrough;
use holdfast_domain::ids::{CouponCode, ProductId, TenantId};
use holdfast_domain::money::Currency;
use holdfast_domain::pool::{PoolId, StripeNumber};
use holdfast_domain::product::Product;
use holdfast_domain::terms::allocation::AllocationPolicy;
use holdfast_domain::terms::coupon::Coupon;
use holdfast_domain::terms::orders::OrderPolicy;
use holdfast_domain::terms::rate::Rate;
use holdfast_domain::terms::tax::{TaxMode, TaxTable};
use holdfast_domain::text::Country;
use holdfast_store::{StockHeader, Store, StoreError, TenantRules};
use std::sync::Arc;
use std::time::Duration;

/// How long an offer is remembered (CACHE-2: products, 5 minutes in the process).
const OFFER_AGE_MAX: Duration = Duration::from_secs(300);
/// How long rates and policies are remembered: nothing else tells that one changed.
const RULE_AGE_MAX: Duration = Duration::from_secs(60);
/// How many offers are remembered; one takes about 500 bytes.
const OFFERS_MAX: u64 = 5_000;
/// How many of each of the others are remembered.
const RULES_MAX: u64 = 1_000;

/// A product and the warehouses that keep it.
pub struct Offer {
    /// The product.
    pub product: Product,
    /// Its stock, by warehouse.
    pub headers: Vec<StockHeader>,
}

/// A coupon and the number of stripes that its uses are kept in.
pub struct CouponOffer {
    /// The coupon.
    pub coupon: Coupon,
    /// The number of stripes.
    pub stripes: StripeNumber,
}

/// The terms that this environment remembers.
pub struct KnownTerms {
    offers: ReadThrough<(TenantId, ProductId), Offer>,
    coupons: ReadThrough<(TenantId, CouponCode), CouponOffer>,
    rates: ReadThrough<(TenantId, Currency, Currency), Rate>,
    policies: ReadThrough<TenantId, AllocationPolicy>,
    rules: ReadThrough<TenantId, TenantRules>,
    tax_tables: ReadThrough<(TenantId, Country), TaxTable>,
}

impl Default for KnownTerms {
    fn default() -> Self {
        Self {
            offers: ReadThrough::new(OFFERS_MAX, OFFER_AGE_MAX),
            coupons: ReadThrough::new(RULES_MAX, OFFER_AGE_MAX),
            rates: ReadThrough::new(RULES_MAX, RULE_AGE_MAX),
            policies: ReadThrough::new(RULES_MAX, RULE_AGE_MAX),
            rules: ReadThrough::new(RULES_MAX, RULE_AGE_MAX),
            tax_tables: ReadThrough::new(RULES_MAX, RULE_AGE_MAX),
        }
    }
}

impl KnownTerms {
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
            self.offers.remove(&key).await;
        }
        let load = async {
            let product = store.product_read(tenant, product);
            let headers = store.stock_headers(tenant, &key.1);
            let (product, headers) = futures_util::try_join!(product, headers)?;
            Ok(product.map(|product| Offer { product, headers }))
        };
        self.offers.get(&key, load).await
    }

    /// Corrects where a product lies, if it lies elsewhere than remembered.
    pub async fn correct(&self, tenant: &TenantId, product: &ProductId, headers: &[StockHeader]) {
        let key = (tenant.clone(), product.clone());
        let places = |headers: &[StockHeader]| -> Vec<_> {
            headers.iter().map(|header| (header.warehouse.clone(), header.stripes)).collect()
        };
        let Some(offer) = self.offers.peek(&key).await else { return };
        if places(&offer.headers) != places(headers) {
            self.offers.put(key, Offer { product: offer.product.clone(), headers: headers.to_vec() }).await;
        }
    }

    /// A coupon, from memory or by two reads.
    pub async fn coupon(
        &self,
        store: &Store,
        tenant: &TenantId,
        code: &CouponCode,
        fresh: bool,
    ) -> Result<Option<Arc<CouponOffer>>, Arc<StoreError>> {
        let key = (tenant.clone(), code.clone());
        if fresh {
            self.coupons.remove(&key).await;
        }
        let pool = PoolId::Coupon { code: code.clone() };
        let load = async {
            let (coupon, stripes) = (store.coupon_read(tenant, code), store.pool_stripes(tenant, &pool));
            let (coupon, stripes) = futures_util::try_join!(coupon, stripes)?;
            Ok(coupon.map(|coupon| CouponOffer { coupon, stripes: stripes.unwrap_or(1) }))
        };
        self.coupons.get(&key, load).await
    }

    /// The rate from one currency into another, from memory or by a read.
    pub async fn rate(
        &self,
        store: &Store,
        tenant: &TenantId,
        (from, to): (Currency, Currency),
        fresh: bool,
    ) -> Result<Option<Arc<Rate>>, Arc<StoreError>> {
        let key = (tenant.clone(), from, to);
        if fresh {
            self.rates.remove(&key).await;
        }
        self.rates.get(&key, store.rate_read(tenant, from, to)).await
    }

    /// How the tenant chooses among warehouses, from memory or by a read. It is asked only for products that lie in
    /// several.
    pub async fn policy(&self, store: &Store, tenant: &TenantId) -> Result<Arc<AllocationPolicy>, Arc<StoreError>> {
        let policy = self.policies.get(tenant, async { store.allocation_read(tenant).await.map(Some) }).await?;
        Ok(policy.unwrap_or_default())
    }

    /// How the tenant's orders are paid, from memory or by a read.
    pub async fn order_policy(&self, store: &Store, tenant: &TenantId) -> Result<OrderPolicy, Arc<StoreError>> {
        Ok(self.rules(store, tenant).await?.orders)
    }

    /// What the tenant rules for all its orders, from memory or by a read.
    async fn rules(&self, store: &Store, tenant: &TenantId) -> Result<TenantRules, Arc<StoreError>> {
        let rules = self.rules.get(tenant, async { store.tenant_rules_read(tenant).await.map(Some) }).await?;
        Ok(rules.as_deref().copied().unwrap_or_default())
    }

    /// By what orders into a country are taxed: from memory, or by a read of the policy and, if there is one, another of
    /// the country's rates. None if the shop has no tax policy.
    ///
    /// A policy or a rate that is written holds here when what is remembered is a minute old, or as soon as a rate is
    /// missed: what refuses an order is read anew.
    pub async fn taxes(
        &self,
        store: &Store,
        tenant: &TenantId,
        country: &Country,
        fresh: bool,
    ) -> Result<Option<(TaxMode, Arc<TaxTable>)>, Arc<StoreError>> {
        let key = (tenant.clone(), country.clone());
        if fresh {
            // That a shop has no policy refuses nothing.
            if self.rules.peek(tenant).await.is_some_and(|rules| rules.tax.mode.is_some()) {
                self.rules.remove(tenant).await;
            }
            self.tax_tables.remove(&key).await;
        }
        let Some(mode) = self.rules(store, tenant).await?.tax.mode else { return Ok(None) };
        let table = self.tax_tables.get(&key, async { store.tax_table(tenant, country).await.map(Some) }).await?;
        Ok(table.map(|table| (mode, table)))
    }
}
