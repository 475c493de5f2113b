//! Changes that give claims back: all of an order's, or those of units that came back.

use super::{Changed, stale};
use crate::contention::repeated;
use crate::item::value;
use crate::line_item::LineItem;
use crate::reconciliation::ReleaseEntry;
use crate::transact::{Refused, cancelled, is_condition};
use crate::{Store, StoreError, StoredOrder};
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use holdfast_domain::event::Trace;
use holdfast_domain::order::{Change, Order, Parts, Restock};
use holdfast_domain::pool::{Claim, merged};

/// How often claims are given back to other stripes in place of missing ones.
const STAND_INS_MAX: usize = 4;

/// What came of giving claims back with a change.
enum GivenBack {
    /// Everything is written.
    Done,
    /// The order was at another version.
    Stale(Box<StoredOrder>),
    /// The stripes of these claims, by position, are not there.
    Missing(Vec<usize>),
    /// The day of the order was closed meanwhile.
    DayClosed,
}

impl Store {
    /// Writes a change and gives the claims back. Stock goes back to any stripe of its pool: one that was merged into
    /// others since the claim is replaced by one that is there.
    pub(super) async fn order_update_giving_back(
        &self,
        change: &Change,
        mut claims: Vec<Claim>,
        restocks: &[Restock],
        trace: &Trace,
    ) -> Result<Changed, StoreError> {
        let (tenant, at) = (&change.order.tenant, change.entry().at);
        let claimed = claims.clone();
        let mut entry = self.release_entry(&change.order, &claimed, at).await?;
        for _ in 0..STAND_INS_MAX {
            let given = repeated(|| self.order_update_once(change, &claims, restocks, &entry, trace)).await?;
            match given {
                GivenBack::Done => return Ok(Changed::Done),
                GivenBack::Stale(current) => return Ok(Changed::Stale(current)),
                GivenBack::DayClosed => entry = self.release_entry(&change.order, &claimed, at).await?,
                GivenBack::Missing(missing) => claims = merged(self.replaced(tenant, claims, &missing).await?),
            }
        }
        Err(StoreError::StripeMissing)
    }

    async fn order_update_once(
        &self,
        change: &Change,
        claims: &[Claim],
        restocks: &[Restock],
        entry: &ReleaseEntry,
        trace: &Trace,
    ) -> Result<GivenBack, StoreError> {
        let mut update = self.change_update(change, trace);
        let (assignment, name, written) = match restocks {
            [] => (", released_late = :late", ":late", AttributeValue::Bool(true)),
            restocks => (", #lines = :lines", ":lines", lines_restocked(&change.order, restocks, entry.is_late())),
        };
        if entry.is_late() || !restocks.is_empty() {
            update.update_expression += assignment;
            update.expression_attribute_values.get_or_insert_default().extend([(name.to_owned(), written)]);
        }
        if !restocks.is_empty() {
            // A reserved word of DynamoDB.
            let name = ("#lines".to_owned(), "lines".to_owned());
            update.expression_attribute_names.get_or_insert_default().extend([name]);
        }
        let order = TransactWriteItem::builder().update(update).build();
        let tenant = &change.order.tenant;
        let given_back = claims.iter().map(|claim| self.give_back(tenant, claim));
        let entered = self.release_actions(tenant, entry);
        let items = std::iter::once(order).chain(given_back).chain(entered).collect();
        let reasons = match self.transact(items).await {
            Ok(()) => return Ok(GivenBack::Done),
            Err(Refused::Other(error)) => return Err(error),
            Err(Refused::Cancelled(reasons)) => reasons,
        };
        let (first, rest) = reasons.split_first().expect("a cancelled transaction has a reason for each item");
        if is_condition(first) {
            let Changed::Stale(current) = stale(first.item.clone())? else {
                unreachable!("an order that is there is at some version")
            };
            return Ok(GivenBack::Stale(current));
        }
        let (given_back, entered) = rest.split_at(claims.len());
        let missing: Vec<_> = (0..given_back.len()).filter(|at| is_condition(&given_back[*at])).collect();
        match missing.is_empty() {
            true if entered.iter().any(is_condition) => Ok(GivenBack::DayClosed),
            true => Err(cancelled(&reasons)),
            false => Ok(GivenBack::Missing(missing)),
        }
    }

    /// Writes a change by which units of an order in parts go back to stock, with the parts that they are of.
    pub(super) async fn order_update_restocking_parts(
        &self,
        change: &Change,
        parts: Parts,
        restocks: &[Restock],
        trace: &Trace,
    ) -> Result<Changed, StoreError> {
        let tenant = &change.order.tenant;
        let mut claims = restocked(&change.order, restocks);
        for _ in 0..STAND_INS_MAX {
            let writes = self.parts_restocked(&change.order, parts, restocks).await?;
            let update = TransactWriteItem::builder().update(self.change_update(change, trace)).build();
            let given_back = claims.iter().map(|claim| self.give_back(tenant, claim));
            let items: Vec<_> = std::iter::once(update).chain(given_back).chain(writes).collect();
            let written = repeated(|| async {
                match self.transact(items.clone()).await {
                    Ok(()) => Ok(None),
                    Err(Refused::Other(error)) => Err(error),
                    Err(Refused::Cancelled(reasons)) if reasons.iter().any(is_condition) => Ok(Some(reasons)),
                    Err(Refused::Cancelled(reasons)) => Err(cancelled(&reasons)),
                }
            });
            let Some(reasons) = written.await? else { return Ok(Changed::Done) };
            let (first, rest) = reasons.split_first().expect("a cancelled transaction has a reason for each item");
            if is_condition(first) {
                return stale(first.item.clone());
            }
            // A part that is in other books by now is read again.
            let missing: Vec<_> = (0..claims.len()).filter(|at| is_condition(&rest[*at])).collect();
            claims = merged(self.replaced(tenant, claims, &missing).await?);
        }
        Err(StoreError::StripeMissing)
    }
}

/// What units that came back claim.
pub(super) fn restocked(order: &Order, restocks: &[Restock]) -> Vec<Claim> {
    merged(restocks.iter().map(|restock| {
        let line = &order.lines[restock.line];
        line.claim(&line.from[restock.source], restock.quantity)
    }))
}

/// The lines of an order after units came back, as an attribute.
fn lines_restocked(order: &Order, restocks: &[Restock], is_late: bool) -> AttributeValue {
    let mut lines = order.lines.clone();
    for restock in restocks.iter().filter(|_| is_late) {
        lines[restock.line].from[restock.source].restocked_late += restock.quantity;
    }
    let currency = order.total.currency();
    value(&lines.iter().map(|line| LineItem::of(line, currency)).collect::<Vec<_>>())
}
