//! Placing an order, or reserving its stock: one transaction on the warm path, and what to do when it is refused.

use crate::App;
use crate::claiming::{Claimed, Owner, Wanted, Written};
use crate::terms::{CouponOffer, Offer};
use futures_util::{StreamExt, TryStreamExt, stream};
use holdfast_domain::event::Trace;
use holdfast_domain::ids::ProductId;
use holdfast_domain::money::Currency;
use holdfast_domain::order::{
    CLAIMS_MAX, Demand, LINES_AT_ONCE_MAX, Order, OrderState, PART_PRODUCTS_MAX, PlaceOrder, Priced, Refusal, Terms,
};
use holdfast_domain::pool::{Claim, Take};
use holdfast_domain::product::Product;
use holdfast_domain::terms::rate::Rate;
use holdfast_domain::terms::tax::Taxes;
use holdfast_store::{Placing, Store, StoreError, StoredOrder};
use jiff::SignedDuration;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// How many products are looked up at the same time.
pub const LOOKUPS_AT_ONCE: usize = 16;

/// How often an order is priced anew because terms changed under it.
const PRICINGS_MAX: usize = 6;

/// An order or reservation that exists now.
pub enum Placed {
    /// This request made it.
    New(Order),
    /// An earlier request with the same key did.
    Before(Order),
}

/// Why there is nothing to show.
#[derive(Debug)]
pub enum NotPlaced {
    /// By the rules of the shop.
    Refused(Refusal),
    /// The key belongs to an order with another body.
    KeyReused,
    /// An earlier request with the same key is still at it, for at most so many seconds more.
    InProgress(u32),
    /// Others were faster each time.
    Busy,
    /// The table failed.
    Failed(Arc<StoreError>),
}

impl From<StoreError> for NotPlaced {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict | StoreError::Throttled => Self::Busy,
            error => Self::Failed(Arc::new(error)),
        }
    }
}

/// A request with its prices, and what they were made of.
pub(crate) struct Offered {
    pub priced: Priced,
    pub offers: HashMap<ProductId, Arc<Offer>>,
    pub coupon: Option<Arc<CouponOffer>>,
}

impl Offered {
    /// What is wanted for some of the demands, with these allowances; the coupon's use as well, if it is to be.
    pub fn wanted<'a>(
        &'a self,
        request: &'a PlaceOrder,
        demands: &'a [Demand],
        allowances: &'a [Take],
        with_coupon: bool,
    ) -> Wanted<'a> {
        let stripes = self.coupon.as_ref().map_or(1, |coupon| coupon.stripes);
        let coupon = self.priced.coupon.clone().filter(|_| with_coupon);
        Wanted {
            tenant: &request.tenant,
            country: request.country(),
            offers: &self.offers,
            demands,
            coupon: coupon.map(|(code, version)| (code, version, stripes)),
            allowances,
        }
    }
}

impl App {
    /// Places an order, or makes a reservation, exactly once (ORD-1): a retry finds the first, whatever changed since.
    pub async fn place(
        &self,
        store: &Store,
        request: &PlaceOrder,
        expires_in: SignedDuration,
        trace: &Trace,
    ) -> Result<Placed, NotPlaced> {
        let mut fresh = false;
        let mut part_products = PART_PRODUCTS_MAX;
        for _ in 0..PRICINGS_MAX {
            let offered = match self.offered(store, request, fresh).await? {
                Ok(offered) => offered,
                Err(refusal) if fresh => return self.refuse(store, request, refusal).await,
                Err(_) => {
                    fresh = true;
                    continue;
                }
            };
            // Prices in memory may be old, and what refuses an order must not be.
            fresh = true;
            let at_once = match fits_one_transaction(&offered.priced) {
                true => self.place_at_once(store, request, &offered, expires_in, trace).await?,
                false if !request.is_order() => {
                    return self.refuse(store, request, Refusal::TooManyClaims).await;
                }
                false => Claimed::Done(None),
            };
            match at_once {
                Claimed::Done(Some(placed)) => return placed,
                Claimed::Done(None) => {
                    let parts = (&offered, part_products);
                    let placed = Box::pin(self.place_in_parts(store, request, parts, expires_in, trace));
                    match placed.await? {
                        Claimed::Done(placed) => return placed,
                        // The units lie in so many stripes that a part has to have fewer products.
                        Claimed::Refused(Refusal::TooManyClaims) if part_products > 1 => part_products /= 3,
                        Claimed::Outdated => {}
                        Claimed::Refused(refusal) => return self.refuse(store, request, refusal).await,
                        Claimed::Busy => return Err(NotPlaced::Busy),
                    }
                }
                Claimed::Outdated => {}
                Claimed::Refused(refusal) => return self.refuse(store, request, refusal).await,
                Claimed::Busy => return Err(NotPlaced::Busy),
            }
        }
        Err(NotPlaced::Busy)
    }

    /// Places an order in one transaction. None when it has to be in parts: one transaction does not take it, or its id is
    /// that of an attempt in parts that was given up, which only another such attempt may follow.
    async fn place_at_once(
        &self,
        store: &Store,
        request: &PlaceOrder,
        offered: &Offered,
        expires_in: SignedDuration,
        trace: &Trace,
    ) -> Result<Claimed<Option<Result<Placed, NotPlaced>>>, NotPlaced> {
        let priced = &offered.priced;
        let wanted = offered.wanted(request, &priced.demands, &priced.allowances, true);
        let placed = self.claimed(store, &wanted, &AtOnce { app: self, request, priced, expires_in, trace }).await?;
        Ok(match placed {
            // The units lie in more stripes than one transaction reaches, but parts may.
            Claimed::Refused(Refusal::TooManyClaims) if request.is_order() => Claimed::Done(None),
            placed => placed,
        })
    }

    /// Prices the request by the terms that are known, or by those read now.
    pub(crate) async fn offered(
        &self,
        store: &Store,
        request: &PlaceOrder,
        fresh: bool,
    ) -> Result<Result<Offered, Refusal>, NotPlaced> {
        let tenant = &request.tenant;
        let lookups = stream::iter(request.products()).map(|id| async move {
            let offer = self.terms.offer(store, tenant, &id, fresh).await;
            offer.map(|offer| offer.map(|offer| (id, offer))).map_err(NotPlaced::Failed)
        });
        let found = lookups.buffer_unordered(LOOKUPS_AT_ONCE).try_filter_map(|found| async { Ok(found) });
        let found = found.try_collect::<HashMap<ProductId, Arc<Offer>>>();
        let (offers, taxes) = futures_util::try_join!(found, self.taxes_of(store, request, fresh))?;
        let products: HashMap<ProductId, Product> =
            offers.iter().map(|(id, offer)| (id.clone(), offer.product.clone())).collect();
        let at = self.clock.now();
        let rates = self.rates(store, request, &products, fresh).await?;
        let coupon = match &request.coupon {
            Some(code) => self.terms.coupon(store, tenant, code, fresh).await.map_err(NotPlaced::Failed)?,
            None => None,
        };
        let tax = taxes.as_ref().map(|(mode, table)| Taxes { mode: *mode, table });
        let known_coupon = coupon.as_ref().map(|offer| &offer.coupon);
        let terms = Terms { products: &products, rates: &rates, coupon: known_coupon, tax, at };
        Ok(request.priced(&terms).map(|priced| Offered { priced, offers, coupon }))
    }

    /// The rates into the request's currency that its prices need.
    async fn rates(
        &self,
        store: &Store,
        request: &PlaceOrder,
        products: &HashMap<ProductId, Product>,
        fresh: bool,
    ) -> Result<HashMap<Currency, Rate>, NotPlaced> {
        let mut rates = HashMap::new();
        let Some(to) = request.currency_among(products) else { return Ok(rates) };
        let currencies: HashSet<_> = products.values().map(|product| product.price.currency()).collect();
        for from in currencies.into_iter().filter(|from| *from != to) {
            let rate = self.terms.rate(store, &request.tenant, (from, to), fresh).await.map_err(NotPlaced::Failed)?;
            rates.extend(rate.map(|rate| (from, (*rate).clone())));
        }
        Ok(rates)
    }

    /// Refuses, unless the order was placed before: that is read first, consistently (1 RCU), since a retry of a placed
    /// order must get that order.
    async fn refuse(&self, store: &Store, request: &PlaceOrder, refusal: Refusal) -> Result<Placed, NotPlaced> {
        match store.order_head_read(&request.tenant, request.order_id).await? {
            Some(existing) if existing.order.state == OrderState::Aborted => Err(NotPlaced::Refused(refusal)),
            Some(existing) => self.existing(store, request, existing).await,
            None => Err(NotPlaced::Refused(refusal)),
        }
    }

    /// The answer to a retry.
    pub(crate) async fn existing(
        &self,
        store: &Store,
        request: &PlaceOrder,
        existing: StoredOrder,
    ) -> Result<Placed, NotPlaced> {
        let mut order = existing.order;
        if order.fingerprint != request.fingerprint {
            return Err(NotPlaced::KeyReused);
        }
        if order.state == OrderState::Placing {
            let left = order.expires_at.duration_since(self.clock.now()).as_secs().clamp(1, 60);
            return Err(NotPlaced::InProgress(u32::try_from(left).unwrap_or(1)));
        }
        store.order_lines_read(&mut order).await?;
        Ok(Placed::Before(order))
    }
}

/// An order that is one item, with its lines.
struct AtOnce<'a> {
    app: &'a App,
    request: &'a PlaceOrder,
    priced: &'a Priced,
    expires_in: SignedDuration,
    trace: &'a Trace,
}

impl Owner for AtOnce<'_> {
    type Done = Option<Result<Placed, NotPlaced>>;

    async fn write(&self, store: &Store, takes: &[Take]) -> Result<Written<Self::Done>, NotPlaced> {
        let claims: Vec<Claim> = takes.iter().map(|take| take.claim.clone()).collect();
        let order = self.request.placed(self.priced, &claims, self.app.clock.now(), self.expires_in);
        Ok(match store.order_place(&order, takes, self.trace).await? {
            Placing::Placed => Written::Done(Some(Ok(Placed::New(order)))),
            Placing::Existing(existing) if existing.order.state == OrderState::Aborted => Written::Done(None),
            Placing::Existing(existing) => Written::Done(Some(self.app.existing(store, self.request, *existing).await)),
            Placing::Refused(refused) => Written::Refused(refused),
            Placing::Contended(contention) => Written::Contended(contention),
        })
    }
}

/// Whether one transaction takes all claims: the order itself, its stock, its allowances and its coupon. A product
/// whose units have to be gathered from several stripes may take more claims than this counts; then it is refused.
fn fits_one_transaction(priced: &Priced) -> bool {
    let claims = priced.demands.len() + priced.allowances.len() + usize::from(priced.coupon.is_some());
    claims <= CLAIMS_MAX && priced.lines.len() <= LINES_AT_ONCE_MAX
}
