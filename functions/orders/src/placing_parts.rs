//! Placing an order that one transaction does not take: a header, its parts at the same time, and a single commit point
//! (a saga; H. Garcia-Molina and K. Salem, "Sagas", 1987).
//!
//! Whoever gives an attempt up flips its header first, then voids the parts that are missing and releases those that are
//! there. So a writer that comes late finds a tombstone, and nothing stays held for longer than the recovery time.

use crate::App;
use crate::claiming::{Claimed, Owner, Written};
use crate::placing::{NotPlaced, Offered, Placed};
use futures_util::{StreamExt, stream};
use holdfast_domain::event::Trace;
use holdfast_domain::ids::ProductId;
use holdfast_domain::order::{Actor, Change, IllegalTransition, Order, OrderState, PlaceOrder, Priced, Refusal};
use holdfast_domain::pool::{AllowanceOf, Claim, PoolId, Take};
use holdfast_store::{Changed, Opening, PARTS_AT_ONCE, PartWriting, Store};
use jiff::SignedDuration;
use std::collections::{HashMap, HashSet};

/// How long an attempt may take before anybody may give it up. The function itself has 10 s.
pub const RECOVERS_IN: SignedDuration = SignedDuration::from_secs(30);

/// How often an attempt is opened while others come between.
const OPENINGS_MAX: usize = 4;

/// Why an attempt does not go on.
enum GivenUp {
    Outdated,
    Refused(Refusal),
    Busy,
    /// Somebody else gave it up.
    Void,
    Failed(NotPlaced),
}

/// The lines of a part, by position, and the first line of each product of the order.
struct Portion<'a> {
    number: u16,
    positions: &'a [usize],
    first_lines: &'a HashMap<&'a ProductId, usize>,
}

impl App {
    /// Places an order in parts of at most so many products.
    pub(crate) async fn place_in_parts(
        &self,
        store: &Store,
        request: &PlaceOrder,
        (offered, part_products): (&Offered, usize),
        expires_in: SignedDuration,
        trace: &Trace,
    ) -> Result<Claimed<Result<Placed, NotPlaced>>, NotPlaced> {
        let priced = &offered.priced;
        // What is known to be sold out is not worth a header.
        let all = offered.wanted(request, &priced.demands, &[], false);
        if let Some(refusal) = self.sold_out(&all, self.now_ms()) {
            return Ok(Claimed::Refused(refusal));
        }
        let (order, dealt) = request.opening(priced, part_products, self.clock.now(), RECOVERS_IN);
        let first_lines = priced.first_lines();
        let mut order = match self.open(store, request, order, trace).await? {
            Ok(order) => order,
            Err(existing) => return Ok(Claimed::Done(existing)),
        };
        let by = Actor::Customer(request.customer.id.clone());
        let parts = dealt.iter().enumerate().map(|(number, positions)| {
            let number = u16::try_from(number).unwrap_or(u16::MAX);
            self.part(store, request, offered, &order, Portion { number, positions, first_lines: &first_lines })
        });
        let parts: Vec<_> = parts.collect();
        let mut parts = stream::iter(parts).buffer_unordered(PARTS_AT_ONCE);
        let mut given_up = None;
        while let Some(part) = parts.next().await {
            if let Err(reason) = part {
                given_up = Some(reason);
                break;
            }
        }
        drop(parts);
        let Some(reason) = given_up else {
            let change = order.complete(&by, self.clock.now(), expires_in);
            return Ok(match self.written(store, change, trace).await? {
                Some(placed) => {
                    order = placed;
                    store.order_lines_read(&mut order).await?;
                    Claimed::Done(Ok(Placed::New(order)))
                }
                None => Claimed::Busy,
            });
        };
        let why = match &reason {
            GivenUp::Refused(refusal) => refusal.to_string(),
            GivenUp::Outdated => "the terms changed".to_owned(),
            GivenUp::Busy | GivenUp::Void | GivenUp::Failed(_) => "the parts could not be written".to_owned(),
        };
        let aborted = order.abort(&by, self.clock.now(), Some(why));
        // What fails here is done by the timer of the attempt.
        let aborted = self.written(store, aborted, trace).await;
        match reason {
            GivenUp::Failed(failed) => Err(failed),
            _ if aborted.is_err() => Err(NotPlaced::Busy),
            GivenUp::Refused(refusal) => Ok(Claimed::Refused(refusal)),
            GivenUp::Outdated => Ok(Claimed::Outdated),
            GivenUp::Busy | GivenUp::Void => Ok(Claimed::Busy),
        }
    }

    /// Opens an attempt: the first, or the next after one that was given up. The answer to a retry otherwise.
    async fn open(
        &self,
        store: &Store,
        request: &PlaceOrder,
        order: Order,
        trace: &Trace,
    ) -> Result<Result<Order, Result<Placed, NotPlaced>>, NotPlaced> {
        let mut attempt = order.clone();
        for _ in 0..OPENINGS_MAX {
            let existing = match store.order_open(&attempt, trace).await? {
                Opening::Opened => return Ok(Ok(attempt)),
                Opening::Existing(existing) => *existing,
            };
            let now = self.clock.now();
            let mut there = existing.order.clone();
            if there.state == OrderState::Placing && there.expires_at <= now {
                match self.written(store, there.expire(now), trace).await? {
                    Some(aborted) => there = aborted,
                    None => continue,
                }
            }
            if there.state != OrderState::Aborted {
                return Ok(Err(self.existing(store, request, existing).await));
            }
            // Nothing of the earlier attempt may be left when its number is no longer in the header.
            store.order_parts_settle(&there).await?;
            attempt = order.clone().reopening(&there).map_err(|_| NotPlaced::Busy)?;
        }
        Err(NotPlaced::Busy)
    }

    /// Writes one part with its claims. Its first product's position decides which part has an allowance; the coupon
    /// goes with the first.
    async fn part(
        &self,
        store: &Store,
        request: &PlaceOrder,
        offered: &Offered,
        order: &Order,
        Portion { number, positions, first_lines }: Portion<'_>,
    ) -> Result<(), GivenUp> {
        let priced = &offered.priced;
        let demands = priced.demands_of(positions);
        let here: HashSet<usize> = positions.iter().copied().collect();
        let first_is_here = |take: &&Take| match &take.claim.stripe.pool {
            PoolId::Allowance { of: AllowanceOf::Product { product, .. }, .. } => {
                first_lines.get(product).is_some_and(|first| here.contains(first))
            }
            _ => number == 0,
        };
        let allowances: Vec<Take> = priced.allowances.iter().filter(first_is_here).cloned().collect();
        let wanted = offered.wanted(request, &demands, &allowances, number == 0);
        match self.claimed(store, &wanted, &OrderPart { order, priced, number, positions }).await {
            Ok(Claimed::Done(true)) => Ok(()),
            Ok(Claimed::Done(false)) => Err(GivenUp::Void),
            Ok(Claimed::Outdated) => Err(GivenUp::Outdated),
            Ok(Claimed::Refused(refusal)) => Err(GivenUp::Refused(refusal)),
            Ok(Claimed::Busy) => Err(GivenUp::Busy),
            Err(failed) => Err(GivenUp::Failed(failed)),
        }
    }

    /// Writes a change of the header; none when the order has moved on.
    async fn written(
        &self,
        store: &Store,
        change: Result<Change, IllegalTransition>,
        trace: &Trace,
    ) -> Result<Option<Order>, NotPlaced> {
        let Ok(change) = change else { return Ok(None) };
        match store.order_change(&change, trace).await? {
            Changed::Done => Ok(Some(change.order)),
            Changed::Stale(_) => Ok(None),
        }
    }
}

/// A part of an order.
struct OrderPart<'a> {
    order: &'a Order,
    priced: &'a Priced,
    number: u16,
    positions: &'a [usize],
}

impl Owner for OrderPart<'_> {
    /// Whether it is written; otherwise the attempt was given up.
    type Done = bool;

    async fn write(&self, store: &Store, takes: &[Take]) -> Result<Written<bool>, NotPlaced> {
        let claims: Vec<Claim> = takes.iter().map(|take| take.claim.clone()).collect();
        let part = self.priced.part(self.number, self.positions, &claims);
        Ok(match store.order_part_write(self.order, &part, takes).await? {
            PartWriting::Written => Written::Done(true),
            PartWriting::Void => Written::Done(false),
            PartWriting::Refused(refused) => Written::Refused(refused),
            PartWriting::Contended(contention) => Written::Contended(contention),
        })
    }
}
