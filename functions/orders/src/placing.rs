//! Placing an order: one transaction on the warm path, and what to do when it is refused.

use crate::App;
use crate::catalogue::Offer;
use futures_util::{StreamExt, TryStreamExt, stream};
use holdfast_domain::event::Trace;
use holdfast_domain::ids::ProductId;
use holdfast_domain::order::{Demand, LINES_MAX, Order, PlaceOrder, Priced, Refusal};
use holdfast_domain::pool::{Claim, Shortage, gather};
use holdfast_domain::product::{PriceVersion, Product};
use holdfast_store::contention::{ATTEMPTS_MAX, back_off};
use holdfast_store::{Placing, RefusedClaim, Store, StoreError, StoredOrder};
use std::collections::HashMap;
use std::sync::Arc;

/// How many products are looked up at the same time.
const LOOKUPS_AT_ONCE: usize = 16;

/// An order that exists now.
pub enum Placed {
    /// This request placed it.
    New(Order),
    /// An earlier request with the same key did.
    Before(Order),
}

/// Why there is no order to show.
pub enum NotPlaced {
    /// By the rules of the shop.
    Refused(Refusal),
    /// The key belongs to an order with another body.
    KeyReused,
    /// Others were faster each time.
    Busy,
    /// The table failed.
    Failed(Arc<StoreError>),
}

impl From<StoreError> for NotPlaced {
    fn from(error: StoreError) -> Self {
        Self::Failed(Arc::new(error))
    }
}

/// What a request has found out so far.
#[derive(Default)]
struct Progress {
    /// The offers were read for this request, not remembered.
    fresh: bool,
    /// Claims chosen by what stripes really hold, for products that were short at the first stripe asked.
    chosen: HashMap<ProductId, Vec<Claim>>,
}

impl App {
    /// Places an order exactly once (ORD-1): a retry finds the first order, whatever changed since.
    pub async fn place(&self, store: &Store, request: &PlaceOrder, trace: &Trace) -> Result<Placed, NotPlaced> {
        let mut progress = Progress::default();
        for attempt in 0..ATTEMPTS_MAX {
            let offers = self.offers(store, request, progress.fresh).await?;
            let products: HashMap<ProductId, Product> =
                offers.iter().map(|(id, offer)| (id.clone(), offer.product.clone())).collect();
            let priced = match request.priced(&products) {
                Ok(priced) => priced,
                Err(refusal) if progress.fresh => return self.refuse(store, request, refusal).await,
                Err(_) => {
                    progress.fresh = true;
                    continue;
                }
            };
            let claims = match self.claims(request, &priced, &offers, &mut progress) {
                Ok(claims) if claims.len() > LINES_MAX => {
                    return self.refuse(store, request, Refusal::TooManyClaims).await;
                }
                Ok(claims) => claims,
                Err(demand) => match self.gather(store, request, demand, &mut progress).await? {
                    Some(shortage) => return self.refuse(store, request, shortage).await,
                    None => continue,
                },
            };
            let plain: Vec<_> = claims.iter().map(|(claim, _)| claim.clone()).collect();
            let order = request.placed(&priced, &plain, self.clock.now(), self.settings.expires_in);
            match store.order_place(&order, &claims, trace).await {
                Ok(Placing::Placed) => {
                    plain.iter().for_each(|claim| self.stripes.remember(&request.tenant, &claim.stripe));
                    return Ok(Placed::New(order));
                }
                Ok(Placing::Existing(existing)) => return replayed(request, *existing),
                Ok(Placing::Refused(refused)) => {
                    if let Some(refusal) = self.learn(store, request, &priced, refused, &mut progress).await? {
                        return self.refuse(store, request, refusal).await;
                    }
                }
                Err(StoreError::Conflict | StoreError::Throttled) => {
                    priced.demands.iter().for_each(|demand| self.stripes.forget(&request.tenant, &demand.product));
                    progress.chosen.clear();
                    back_off(attempt).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(NotPlaced::Busy)
    }

    async fn offers(
        &self,
        store: &Store,
        request: &PlaceOrder,
        fresh: bool,
    ) -> Result<HashMap<ProductId, Arc<Offer>>, NotPlaced> {
        let lookups = stream::iter(request.products()).map(|id| async move {
            let offer = self.catalogue.offer(store, &request.tenant, &id, fresh).await;
            offer.map(|offer| offer.map(|offer| (id, offer))).map_err(NotPlaced::Failed)
        });
        lookups.buffer_unordered(LOOKUPS_AT_ONCE).try_filter_map(|found| async { Ok(found) }).try_collect().await
    }

    /// A claim for every demand; the demand that has no stripe to ask, if there is one.
    fn claims(
        &self,
        request: &PlaceOrder,
        priced: &Priced,
        offers: &HashMap<ProductId, Arc<Offer>>,
        progress: &mut Progress,
    ) -> Result<Vec<(Claim, PriceVersion)>, Demand> {
        let mut claims = Vec::with_capacity(priced.demands.len());
        for demand in &priced.demands {
            if let Some(chosen) = progress.chosen.get(&demand.product) {
                claims.extend(chosen.iter().map(|claim| (claim.clone(), demand.price_version)));
                continue;
            }
            let headers = offers.get(&demand.product).map(|offer| offer.headers.as_slice()).unwrap_or_default();
            let stripe = self.stripes.choose(&request.tenant, &demand.product, headers, rand::random());
            let stripe = stripe.ok_or_else(|| demand.clone())?;
            claims.push((Claim { stripe, quantity: demand.quantity }, demand.price_version));
        }
        Ok(claims)
    }

    /// Takes in what stripes said when they refused; a refusal of the order when the stock is really short.
    async fn learn(
        &self,
        store: &Store,
        request: &PlaceOrder,
        priced: &Priced,
        refused: Vec<RefusedClaim>,
        progress: &mut Progress,
    ) -> Result<Option<Refusal>, NotPlaced> {
        for RefusedClaim { stripe, level } in refused {
            let holdfast_domain::pool::PoolId::Stock { product, .. } = &stripe.pool;
            let Some(demand) = priced.demands.iter().find(|demand| demand.product == *product) else { continue };
            self.stripes.forget(&request.tenant, product);
            match level {
                Some(level) if level.price_version <= demand.price_version => {
                    if let Some(refusal) = self.gather(store, request, demand.clone(), progress).await? {
                        return Ok(Some(refusal));
                    }
                }
                // The price moved on, or the stock lies elsewhere than remembered: look again.
                _ => {
                    progress.fresh = true;
                    progress.chosen.remove(product);
                }
            }
        }
        Ok(None)
    }

    /// Chooses stripes by what all of them really hold. Sold out is said only after all were read (ORD-2).
    async fn gather(
        &self,
        store: &Store,
        request: &PlaceOrder,
        demand: Demand,
        progress: &mut Progress,
    ) -> Result<Option<Refusal>, NotPlaced> {
        let headers = store.stock_headers(&request.tenant, &demand.product).await?;
        self.catalogue.correct(&request.tenant, &demand.product, &headers).await;
        let mut levels = store.stock_levels(&request.tenant, &demand.product, &headers).await?;
        if levels.iter().any(|level| level.price_version > demand.price_version) {
            progress.fresh = true;
        }
        if !levels.is_empty() {
            let start = rand::random_range(0..levels.len());
            levels.rotate_left(start);
        }
        match gather(demand.quantity, &levels) {
            Ok(claims) => {
                progress.chosen.insert(demand.product, claims);
                Ok(None)
            }
            Err(Shortage { available }) => {
                let Demand { product, quantity: requested, .. } = demand;
                Ok(Some(Refusal::OutOfStock { product, requested, available }))
            }
        }
    }

    /// Refuses, unless the order was placed before: that is read first, consistently (1 RCU), since a retry of a placed
    /// order must get that order.
    async fn refuse(&self, store: &Store, request: &PlaceOrder, refusal: Refusal) -> Result<Placed, NotPlaced> {
        match store.order_read(&request.tenant, request.order_id).await? {
            Some(existing) => replayed(request, existing),
            None => Err(NotPlaced::Refused(refusal)),
        }
    }
}

fn replayed(request: &PlaceOrder, existing: StoredOrder) -> Result<Placed, NotPlaced> {
    match existing.order.fingerprint == request.fingerprint {
        true => Ok(Placed::Before(existing.order)),
        false => Err(NotPlaced::KeyReused),
    }
}
