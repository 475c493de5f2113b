//! Getting what an order needs: which stripes to ask, and what to learn when they refuse. One loop for every kind of
//! pool and every owner: an order, a reservation, or a part of a large order.

mod knowledge;

use crate::App;
use crate::placing::NotPlaced;
use crate::terms::Offer;
use futures_util::{StreamExt, TryStreamExt, stream};
use holdfast_domain::ids::{CouponCode, ProductId, TenantId};
use holdfast_domain::order::{CLAIMS_MAX, Demand, Refusal};
use holdfast_domain::pool::{AllowanceOf, Claim, Guard, Next, PoolId, StripeId, StripeLevel, StripeNumber, Take};
use holdfast_domain::product::PriceVersion;
use holdfast_domain::text::Country;
use holdfast_store::contention::{ATTEMPTS_MAX, back_off};
use holdfast_store::{Contention, Found, RefusedClaim, StockHeader, Store};
use knowledge::milliseconds;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// How often knowledge is gathered before one attempt to write.
const LOOKS_MAX: usize = 12;

/// How many looks are taken at the same time.
const LOOKS_AT_ONCE: usize = 16;

/// How many conflicts on one pool within a request count as pressure on it.
const PRESSING_CONFLICTS: u32 = 2;

/// What is to be claimed together.
pub struct Wanted<'a> {
    /// Whose shop.
    pub tenant: &'a TenantId,
    /// Where it goes, as far as is known.
    pub country: Option<&'a Country>,
    /// The products.
    pub offers: &'a HashMap<ProductId, Arc<Offer>>,
    /// The stock.
    pub demands: &'a [Demand],
    /// A use of a coupon: its code, the version of its terms, and the number of stripes that its uses are kept in.
    pub coupon: Option<(CouponCode, PriceVersion, StripeNumber)>,
    /// Allowances.
    pub allowances: &'a [Take],
}

/// What came of writing claims together with their owner.
pub enum Written<T> {
    /// They are written.
    Done(T),
    /// Stripes refused; nothing was written.
    Refused(Vec<RefusedClaim>),
    /// Others were there; nothing was written.
    Contended(Contention),
}

/// What claims are made for: it is written in the transaction that makes them.
pub trait Owner: Sync {
    /// What writing gives.
    type Done: Send;

    /// Writes the owner with these claims, all or nothing.
    fn write(
        &self,
        store: &Store,
        takes: &[Take],
    ) -> impl Future<Output = Result<Written<Self::Done>, NotPlaced>> + Send;
}

/// What came of claiming.
pub enum Claimed<T> {
    /// Everything is claimed, and the owner written.
    Done(T),
    /// The terms have changed: everything has to be priced anew.
    Outdated,
    /// It is not to be had.
    Refused(Refusal),
    /// Others were faster each time.
    Busy,
}

/// What one look at what is known gives.
enum Plan {
    Takes(Vec<Take>),
    Outdated,
    Busy,
    Refused(Refusal),
}

/// Units wanted of one pool.
struct Want {
    pool: PoolId,
    stripes: StripeNumber,
    quantity: u32,
    terms: PriceVersion,
}

impl App {
    /// Claims what is wanted, and writes the owner in the same transaction.
    /// The usual order takes one call; what stripes say when they refuse, and what a look at them finds, is remembered.
    pub async fn claimed<O: Owner>(
        &self,
        store: &Store,
        wanted: &Wanted<'_>,
        owner: &O,
    ) -> Result<Claimed<O::Done>, NotPlaced> {
        let mut conflicts: HashMap<PoolId, u32> = HashMap::new();
        let mut short_pools = HashSet::new();
        for attempt in 0..ATTEMPTS_MAX {
            let takes = match self.plan(store, wanted, &short_pools).await? {
                Plan::Takes(takes) if takes.len() > CLAIMS_MAX => return Ok(Claimed::Refused(Refusal::TooManyClaims)),
                Plan::Takes(takes) => takes,
                Plan::Outdated => return Ok(Claimed::Outdated),
                Plan::Busy => return Ok(Claimed::Busy),
                Plan::Refused(refusal) => return Ok(Claimed::Refused(refusal)),
            };
            match owner.write(store, &takes).await? {
                Written::Done(done) => {
                    let claims = takes.iter().map(|take| &take.claim);
                    let shared = claims.filter(|claim| !matches!(claim.stripe.pool, PoolId::Allowance { .. }));
                    self.memory.served(wanted.tenant, shared, self.now_ms());
                    self.press(store, wanted.tenant, &conflicts).await;
                    return Ok(Claimed::Done(done));
                }
                Written::Refused(refused) => {
                    short_pools.extend(refused.iter().map(|refused| refused.stripe.pool.clone()));
                    match self.learn(wanted, &takes, refused) {
                        None => {}
                        Some(Plan::Refused(refusal)) => return Ok(Claimed::Refused(refusal)),
                        Some(_) => return Ok(Claimed::Outdated),
                    }
                }
                Written::Contended(contention) => {
                    for stripe in &contention.stripes {
                        *conflicts.entry(stripe.pool.clone()).or_default() += 1;
                        let now_ms = self.now_ms();
                        self.memory.learn(wanted.tenant, &stripe.pool, |pool| pool.conflicted(stripe.number, now_ms));
                    }
                    back_off(attempt).await;
                }
            }
        }
        self.press(store, wanted.tenant, &conflicts).await;
        Ok(Claimed::Busy)
    }

    /// Decides which stripes to ask, by what is known; gathers knowledge first where it is missing.
    async fn plan(&self, store: &Store, wanted: &Wanted<'_>, short_pools: &HashSet<PoolId>) -> Result<Plan, NotPlaced> {
        let mut headers: HashMap<ProductId, Vec<StockHeader>> = HashMap::new();
        for _ in 0..LOOKS_MAX {
            let now_ms = self.now_ms();
            if let Some(refusal) = self.sold_out(wanted, now_ms) {
                return Ok(Plan::Refused(refusal));
            }
            let (wants, mut unsure) = match self.allocated(store, wanted, &headers, now_ms).await? {
                Ok(wants) => (wants, Vec::new()),
                Err(short) => (Vec::new(), short),
            };
            let mut takes = wanted.allowances.to_vec();
            let mut looks = Vec::new();
            // Whether every want has its claims: an order is never written with fewer.
            let mut complete = unsure.is_empty();
            for Want { pool, stripes, quantity, terms } in wants {
                let next = self.memory.next(wanted.tenant, &pool, stripes, quantity, now_ms);
                complete &= matches!(next, Next::Ask(_));
                match next {
                    Next::Ask(claims) => takes.extend(claims.into_iter().map(|(number, quantity)| Take {
                        claim: Claim { stripe: StripeId { pool: pool.clone(), number }, quantity },
                        guard: Guard::Terms(terms),
                    })),
                    // What has refused, or was short before, is looked at whole, together with the other warehouses of
                    // the product and after its headers, which may say that somebody else has just done so.
                    Next::Look(numbers) => match demand_of(wanted, &pool) {
                        Some(demand)
                            if numbers.len() == usize::from(stripes)
                                && (short_pools.contains(&pool)
                                    || self.memory.was_short_of(wanted.tenant, &pool, quantity)) =>
                        {
                            unsure.push(demand);
                        }
                        _ => looks.push((pool, stripes, numbers)),
                    },
                    Next::SoldOut { .. } => match pool {
                        PoolId::Coupon { code } => return Ok(Plan::Refused(Refusal::CouponUsedUp(code))),
                        // Its room is known now, and the next round allocates by it.
                        PoolId::Stock { .. } | PoolId::Allowance { .. } => {}
                    },
                }
            }
            if !unsure.is_empty() {
                let looks: Vec<_> =
                    unsure.into_iter().map(|demand| self.look_everywhere(store, wanted.tenant, demand)).collect();
                let mut looks = stream::iter(looks).buffer_unordered(LOOKS_AT_ONCE);
                while let Some(found) = looks.next().await {
                    match found? {
                        Ok((product, found)) => drop(headers.insert(product, found)),
                        Err(plan) => return Ok(plan),
                    }
                }
                continue;
            }
            if complete {
                return Ok(Plan::Takes(takes));
            }
            let looks: Vec<_> = looks.into_iter().map(|look| self.look(store, wanted.tenant, look)).collect();
            stream::iter(looks).buffer_unordered(LOOKS_AT_ONCE).try_collect::<()>().await?;
        }
        Ok(Plan::Busy)
    }

    /// The refusal of what is known to be sold out. It was read from all stripes, less than a second ago.
    pub(crate) fn sold_out(&self, wanted: &Wanted<'_>, now_ms: u64) -> Option<Refusal> {
        wanted.demands.iter().find_map(|demand| {
            let available = self.memory.few(wanted.tenant, &demand.product, now_ms)?;
            (available < u64::from(demand.quantity)).then(|| out_of_stock(demand, available))
        })
    }

    /// Takes in what stripes said when they refused. What is over with it, if anything is.
    fn learn(&self, wanted: &Wanted<'_>, takes: &[Take], refused: Vec<RefusedClaim>) -> Option<Plan> {
        let now_ms = self.now_ms();
        let mut outdated = false;
        for RefusedClaim { stripe, found } in refused {
            let take = takes.iter().find(|take| take.claim.stripe == stripe)?;
            match (found, &take.guard) {
                (Found::Used(used), Guard::Limit { units, .. }) => {
                    return Some(Plan::Refused(over_limit(&stripe.pool, *units, used)));
                }
                (Found::Level(StripeLevel { price_version, .. }), Guard::Terms(terms)) if price_version > *terms => {
                    outdated = true;
                }
                (Found::Level(level), _) => {
                    let units = Some(level.available);
                    self.memory.learn(wanted.tenant, &stripe.pool, |pool| pool.refused(stripe.number, units, now_ms));
                }
                // The pool has another shape than remembered.
                (Found::Nothing | Found::Used(_), _) => {
                    self.memory.learn(wanted.tenant, &stripe.pool, |pool| pool.refused(stripe.number, None, now_ms));
                    outdated = true;
                }
            }
        }
        outdated.then_some(Plan::Outdated)
    }

    /// Notes that a pool has more claims than its stripes bear, so that maintenance splits it.
    async fn press(&self, store: &Store, tenant: &TenantId, conflicts: &HashMap<PoolId, u32>) {
        for (pool, conflicts) in conflicts.iter().filter(|(_, conflicts)| **conflicts >= PRESSING_CONFLICTS) {
            let PoolId::Stock { product, warehouse } = pool else { continue };
            if !self.memory.may_press(tenant, pool, self.now_ms()) {
                continue;
            }
            tracing::warn!(
                tenant = tenant.as_str(),
                product = product.as_str(),
                warehouse = warehouse.as_str(),
                count = conflicts,
                "pool_contended"
            );
            if let Err(error) = store.pool_press(tenant, product, warehouse, *conflicts, self.clock.now()).await {
                tracing::debug!(error = holdfast_runtime::telemetry::chain(&error), "pool_not_pressed");
            }
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        milliseconds(self.clock.now())
    }
}

/// The demand that a pool of stock is to meet.
fn demand_of<'a>(wanted: &Wanted<'a>, pool: &PoolId) -> Option<&'a Demand> {
    let product = pool.stock_product()?;
    wanted.demands.iter().find(|demand| demand.product == *product)
}

fn out_of_stock(demand: &Demand, available: u64) -> Refusal {
    Refusal::OutOfStock { product: demand.product.clone(), requested: demand.quantity, available }
}

fn over_limit(pool: &PoolId, limit: u32, used: u32) -> Refusal {
    match pool {
        PoolId::Allowance { of: AllowanceOf::Coupon { code }, .. } => Refusal::CouponUsedByCustomer(code.clone()),
        PoolId::Allowance { of: AllowanceOf::Product { product, .. }, .. } | PoolId::Stock { product, .. } => {
            Refusal::LimitReached { product: product.clone(), limit, left: Some(limit.saturating_sub(used)) }
        }
        PoolId::Coupon { code } => Refusal::CouponUsedUp(code.clone()),
    }
}
