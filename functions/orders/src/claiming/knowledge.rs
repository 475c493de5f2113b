//! What to know before claiming: which pools to ask by the tenant's strategy, and what their stripes hold.

use super::{Plan, Want, Wanted, out_of_stock};
use crate::App;
use crate::placing::NotPlaced;
use holdfast_domain::ids::{ProductId, TenantId};
use holdfast_domain::order::Demand;
use holdfast_domain::pool::{PoolId, SOLD_OUT_MS, StripeLevel, StripeNumber};
use holdfast_domain::terms::allocation::{WarehouseStock, allocate};
use holdfast_store::{StockHeader, Store};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::sync::Arc;

/// From how many stripes on it is worth a write to tell other environments that all of them were read in vain.
const TOLD_STRIPES_MIN: usize = 8;

/// How long it counts that all stripes were read in vain.
const SOLD_OUT: SignedDuration = SignedDuration::from_millis(SOLD_OUT_MS as i64);

/// How long before it is over it is renewed by those who ask.
const RENEWAL: SignedDuration = SignedDuration::from_millis(300);

impl App {
    /// Which pools to claim from, by the tenant's strategy over what they may have; the demands that they cannot meet, if
    /// there are any. `headers` are those read for this request.
    pub(super) async fn allocated<'a>(
        &self,
        store: &Store,
        wanted: &Wanted<'a>,
        headers: &HashMap<ProductId, Vec<StockHeader>>,
        now_ms: u64,
    ) -> Result<Result<Vec<Want>, Vec<&'a Demand>>, NotPlaced> {
        let remembered = |product| wanted.offers.get(product).map(|offer| offer.headers.as_slice());
        let headers_of =
            |product| headers.get(product).map(Vec::as_slice).or_else(|| remembered(product)).unwrap_or_default();
        let mut stock = Vec::with_capacity(wanted.demands.len());
        let mut choice = false;
        for demand in wanted.demands {
            let headers = headers_of(&demand.product);
            choice |= headers.len() > 1;
            stock.extend(headers.iter().map(|header| {
                let (product, warehouse) = (demand.product.clone(), header.warehouse.clone());
                let pool = PoolId::Stock { product: product.clone(), warehouse: warehouse.clone() };
                WarehouseStock { product, warehouse, available: self.memory.room(wanted.tenant, &pool, now_ms) }
            }));
        }
        // Without a choice there is no strategy to read.
        let policy = match choice {
            true => self.terms.policy(store, wanted.tenant).await.map_err(NotPlaced::Failed)?,
            false => Arc::default(),
        };
        let needs: Vec<_> = wanted.demands.iter().map(|demand| (demand.product.clone(), demand.quantity)).collect();
        let Ok(allocations) = allocate(&policy, wanted.country, &needs, &stock) else {
            let is_short = |demand: &&Demand| {
                let rooms = stock.iter().filter(|stock| stock.product == demand.product).map(|stock| stock.available);
                rooms.fold(0_u64, u64::saturating_add) < u64::from(demand.quantity)
            };
            return Ok(Err(wanted.demands.iter().filter(is_short).collect()));
        };
        let mut wants = Vec::with_capacity(allocations.len() + 1);
        for allocation in allocations {
            let demand = wanted.demands.iter().find(|demand| demand.product == allocation.product);
            let Some(demand) = demand else { continue };
            let mut headers = headers_of(&demand.product).iter();
            if let Some(header) = headers.find(|header| header.warehouse == allocation.warehouse) {
                wants.push(Want {
                    stripes: header.stripes,
                    terms: demand.price_version,
                    quantity: allocation.quantity,
                    pool: PoolId::Stock { product: allocation.product, warehouse: allocation.warehouse },
                });
            }
        }
        let coupon = wanted.coupon.clone();
        wants.extend(coupon.map(|(code, terms, stripes)| Want {
            pool: PoolId::Coupon { code },
            stripes,
            quantity: 1,
            terms,
        }));
        Ok(Ok(wants))
    }

    /// Reads some stripes of a pool. What does not exist holds nothing.
    pub(super) async fn look(
        &self,
        store: &Store,
        tenant: &TenantId,
        (pool, stripes, numbers): (PoolId, StripeNumber, Vec<StripeNumber>),
    ) -> Result<(), NotPlaced> {
        let begun_ms = self.now_ms();
        let found = store.stripe_levels(tenant, &pool, &numbers).await?;
        let levels = levels_of(&numbers, &found);
        let all = numbers.len() == usize::from(stripes);
        self.memory.learn(tenant, &pool, |memory| memory.looked(&levels, all, begun_ms));
        Ok(())
    }

    /// Reads everything about the stock of a product, consistently, before it is called sold out (ORD-2): its headers,
    /// and all its stripes unless the headers say that another environment read them within the last second. The
    /// headers, when there is enough.
    pub(super) async fn look_everywhere(
        &self,
        store: &Store,
        tenant: &TenantId,
        demand: &Demand,
    ) -> Result<Result<(ProductId, Vec<StockHeader>), Plan>, NotPlaced> {
        let begun = self.clock.now();
        let begun_ms = milliseconds(begun);
        let product = &demand.product;
        let headers = store.stock_headers(tenant, product).await?;
        self.terms.correct(tenant, product, &headers).await;
        let renewed_at = begun.saturating_add(RENEWAL).unwrap_or(begun);
        let told = headers.iter().map(|header| header.sold_out.filter(|told| told.until > renewed_at));
        if let Some(told) = told.collect::<Option<Vec<_>>>().filter(|told| !told.is_empty()) {
            let available = told.iter().map(|told| told.available).sum();
            let until = told.iter().map(|told| told.until).min().unwrap_or(begun);
            if available < u64::from(demand.quantity) {
                self.memory.sold_out(tenant, product, available, milliseconds(until) - early_ms());
                return Ok(Err(Plan::Refused(out_of_stock(demand, available))));
            }
        }
        let (headers, levels) = store.stock_settled(tenant, product, headers).await?;
        self.terms.correct(tenant, product, &headers).await;
        if levels.iter().any(|level| level.price_version > demand.price_version) {
            return Ok(Err(Plan::Outdated));
        }
        let mut rooms = Vec::with_capacity(headers.len());
        for header in &headers {
            let pool = PoolId::Stock { product: product.clone(), warehouse: header.warehouse.clone() };
            let numbers: Vec<_> = (0..header.stripes).collect();
            let here: Vec<_> = levels.iter().filter(|level| level.stripe.pool == pool).cloned().collect();
            let known = levels_of(&numbers, &here);
            rooms.push((header.warehouse.clone(), known.iter().map(|(_, units)| units).sum::<u64>()));
            self.memory.learn(tenant, &pool, |memory| memory.looked(&known, true, begun_ms));
        }
        let available = rooms.iter().map(|(_, units)| units).sum();
        if available >= u64::from(demand.quantity) {
            return Ok(Ok((product.clone(), headers)));
        }
        self.memory.sold_out(tenant, product, available, begun_ms + SOLD_OUT_MS - early_ms());
        if levels.len() >= TOLD_STRIPES_MIN {
            let until = begun.saturating_add(SOLD_OUT).unwrap_or(begun);
            // Best effort: without it others look for themselves.
            if let Err(error) = store.stock_sold_out(tenant, product, &rooms, until).await {
                tracing::debug!(error = holdfast_runtime::telemetry::chain(&error), "sold_out_not_told");
            }
        }
        Ok(Err(Plan::Refused(out_of_stock(demand, available))))
    }
}

pub fn milliseconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap_or_default()
}

/// How much sooner this environment asks again: a random part of the last moments, so that one of all environments renews
/// what is known before it is over, and the others find it renewed.
fn early_ms() -> u64 {
    fastrand::u64(0..=u64::try_from(RENEWAL.as_millis()).unwrap_or_default())
}

fn levels_of(numbers: &[StripeNumber], found: &[StripeLevel]) -> Vec<(StripeNumber, u64)> {
    let units: HashMap<_, _> = found.iter().map(|level| (level.stripe.number, level.available)).collect();
    numbers.iter().map(|number| (*number, units.get(number).copied().unwrap_or_default())).collect()
}
