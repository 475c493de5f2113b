//! Changing the lines of an order that is not paid: it is priced anew as a whole, and only the difference of what it claims
//! is claimed or given back, in the transaction that changes it.

use crate::App;
use crate::claiming::{Claimed, Owner, Written};
use crate::placing::NotPlaced;
use holdfast_domain::event::Trace;
use holdfast_domain::order::{
    Change, Exchange, LINES_AT_ONCE_MAX, NotChanged, Order, PlaceOrder, Priced, Refusal, RequestedLine,
};
use holdfast_domain::pool::Take;
use holdfast_store::{Revising, Store};

/// How often an order is priced anew because terms changed under it.
const PRICINGS_MAX: usize = 6;

/// What came of changing an order.
pub enum Revised {
    /// It is changed.
    Done(Order),
    /// It was changed by somebody else before: this is it now.
    Stale(Order),
    /// It cannot be changed.
    Not(NotChanged),
}

impl App {
    /// Writes a change with other lines. Terms are read, not remembered: units that stay claimed meet no stripe that would
    /// refuse an old price.
    pub(crate) async fn change_lines(
        &self,
        store: &Store,
        change: Change,
        lines: Vec<RequestedLine>,
        trace: &Trace,
    ) -> Result<Revised, NotPlaced> {
        if lines.len() > LINES_AT_ONCE_MAX || change.order.parts.is_some() {
            return Ok(Revised::Not(NotChanged::TooLarge));
        }
        let request = change.order.request_of(lines);
        for _ in 0..PRICINGS_MAX {
            let offered = self.offered(store, &request, true).await?.map_err(NotPlaced::Refused)?;
            let exchange = change.order.exchange(&offered.priced);
            let wanted = offered.wanted(&request, &exchange.demands, &exchange.allowances, exchange.coupon);
            let relined =
                Relined { change: &change, request: &request, priced: &offered.priced, exchange: &exchange, trace };
            match self.claimed(store, &wanted, &relined).await? {
                Claimed::Done(revised) => return Ok(revised),
                Claimed::Outdated => {}
                Claimed::Refused(Refusal::TooManyClaims) => return Ok(Revised::Not(NotChanged::TooLarge)),
                Claimed::Refused(refusal) => return Err(NotPlaced::Refused(exchange.told_whole(refusal))),
                Claimed::Busy => return Err(NotPlaced::Busy),
            }
        }
        Err(NotPlaced::Busy)
    }
}

/// An order with other lines.
struct Relined<'a> {
    change: &'a Change,
    request: &'a PlaceOrder,
    priced: &'a Priced,
    exchange: &'a Exchange,
    trace: &'a Trace,
}

impl Owner for Relined<'_> {
    type Done = Revised;

    async fn write(&self, store: &Store, takes: &[Take]) -> Result<Written<Revised>, NotPlaced> {
        let Exchange { kept, surplus, .. } = self.exchange;
        // The order and what it takes and gives back are one transaction.
        if takes.len() + surplus.len() > holdfast_domain::order::CLAIMS_MAX {
            return Ok(Written::Done(Revised::Not(NotChanged::TooLarge)));
        }
        let claims: Vec<_> = kept.iter().chain(takes.iter().map(|take| &take.claim)).cloned().collect();
        let change = match self.change.clone().with_lines(self.request, self.priced, &claims) {
            Ok(change) => change,
            Err(refused) => return Ok(Written::Done(Revised::Not(refused))),
        };
        Ok(match store.order_revise(&change, takes, surplus, self.trace).await? {
            Revising::Done => Written::Done(Revised::Done(change.order)),
            Revising::Stale(current) => Written::Done(Revised::Stale(current.order)),
            Revising::Refused(refused) => Written::Refused(refused),
            Revising::Contended(contention) => Written::Contended(contention),
        })
    }
}
