//! Counting what orders keep that are in no balance.

use super::Run;
use super::repairs::has_ended;
use holdfast_domain::event::EventKind;
use holdfast_domain::ids::{OrderId, TenantId};
use holdfast_domain::order::Order;
use holdfast_domain::payment::{PaymentStep, next_step};
use holdfast_store::keys::{DayList, day_of};
use holdfast_store::reconciliation::{Carried, Keep, ORDERS_AT_ONCE, Place, Span, Stage, Within};
use holdfast_store::{StoreError, StoredOrder};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashSet;

/// How much the clocks of functions may differ.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What of an order is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// All that it keeps.
    All,
    /// What no balance takes.
    BesideBalances,
}

impl Run<'_> {
    /// Counts a page of open days.
    pub(super) async fn count_page(&mut self, place: Place) -> Result<(), StoreError> {
        let (list, next) = match place.stage {
            Stage::CountHolds => (DayList::Holds, Stage::CountCarried),
            _ => (DayList::Orders, Stage::Judge),
        };
        let store = &self.maintenance.store;
        let from = store.first_open_day(&place.tenant).await?;
        // Whatever was listed when this list was begun: what came later was counted among the holds, or its pools changed.
        let to = self.maintenance.clock.now().saturating_add(CLOCK_SKEW).unwrap_or(Timestamp::MAX);
        let days = Span { from, through: day_of(to) };
        let page = store.orders_seen(&place.tenant, list, days, place.after.as_deref()).await?;
        for places in page.places.chunks(ORDERS_AT_ONCE) {
            let orders = store.orders_at(&place.tenant, places, false).await?;
            self.remind(orders.iter().filter_map(|(.., stored)| stored.as_ref().ok())).await;
            for (position, id, stored) in orders {
                let counted = match stored {
                    Ok(stored) => {
                        let moved = list == DayList::Orders && self.was_perhaps_a_hold(&stored.order);
                        self.count_order(&position, &stored.order, Which::All, moved).await.map(drop)
                    }
                    Err(problem) => Err(problem),
                };
                self.or_unreadable(&place.tenant, id, counted)?;
                self.counted_up_to(position);
                if self.is_late() {
                    return Ok(());
                }
            }
        }
        self.move_on(place.tenant, page.next, next).await
    }

    /// Counts a page of orders of closed days.
    pub(super) async fn count_carried(&mut self, place: Place) -> Result<(), StoreError> {
        let store = &self.maintenance.store;
        let open = store.first_open_day(&place.tenant).await?;
        let entries = store.orders_carried(&place.tenant, place.after.as_deref()).await?;
        let last = entries.last().map(|carried| carried.id.to_string());
        for carried in entries {
            let counted = match store.order_head_read(&place.tenant, carried.id).await {
                // One that became an order since, or was begun anew, is among those of open days.
                Ok(stored) => match stored.filter(|stored| day_of(stored.order.placed_at) < open) {
                    Some(stored) => self.count_carried_order(&stored, &carried).await,
                    None => Ok(false),
                },
                Err(problem) => Err(problem),
            };
            let goes_on = self.or_unreadable(&place.tenant, carried.id, counted)?.unwrap_or(true);
            // A cancellation writes its entry before it ends the order: it may still be about to.
            let is_fresh = carried.since_ms > self.late_since().as_millisecond();
            if !goes_on && !is_fresh {
                store.order_carry_end(&place.tenant, &carried).await?;
            }
            self.counted_up_to(carried.id.to_string());
            if self.is_late() {
                return Ok(());
            }
        }
        self.move_on(place.tenant, last, Stage::CountOrders).await
    }

    /// Counts a carried order; whether the next pass is to look at it, too.
    async fn count_carried_order(&mut self, stored: &StoredOrder, carried: &Carried) -> Result<bool, StoreError> {
        let order = &stored.order;
        if carried.unsummed {
            self.close_late(stored).await?;
        }
        self.remind(std::iter::once(stored)).await;
        let which = if order.was_placed() { Which::BesideBalances } else { Which::All };
        let keeps = self.count_order(&order.id.to_string(), order, which, false).await?;
        Ok(keeps || !has_ended(order) || next_step(order) != PaymentStep::Done)
    }

    /// Counts an order, from where an earlier run stopped within it; whether it keeps anything that counts, or parts
    /// although it ended.
    async fn count_order(
        &mut self,
        position: &str,
        order: &Order,
        which: Which,
        moved: bool,
    ) -> Result<bool, StoreError> {
        self.report.seen += 1;
        self.pass.figures.orders += 1;
        let within = self.pass.place.as_ref().and_then(|place| place.within.clone());
        let counted = within.filter(|within| within.order == position).map(|within| within.part);
        let counts = |keep: &Keep| which == Which::All || !keep.goes_into_balance();
        let mut keeps = false;
        self.mark_moved(order).await?;
        let own = Keep::of_order(order);
        if order.state.keeps_stock() && counts(&own) {
            keeps = true;
            if counted.is_none() {
                self.count(&own, position, "", moved).await?;
            }
        }
        let parts = self.maintenance.store.order_parts_held(order).await?;
        keeps |= !order.state.keeps_stock() && !parts.is_empty();
        for part in parts.iter().filter(|part| counts(&part.keep)) {
            keeps = true;
            if counted.as_ref().is_none_or(|counted| *counted < part.position) {
                self.count(&part.keep, position, &part.position, moved).await?;
            }
        }
        self.counted_up_to(position.to_owned());
        if !parts.is_empty() {
            self.settle(order).await?;
        }
        Ok(keeps)
    }

    /// What came of an order, or nothing if it could not be read.
    fn or_unreadable<T>(
        &mut self,
        tenant: &TenantId,
        id: OrderId,
        counted: Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match counted {
            Ok(counted) => Ok(Some(counted)),
            Err(problem @ StoreError::Corrupt { .. }) => {
                self.unreadable(tenant, id, &problem);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn counted_up_to(&mut self, position: String) {
        if let Some(place) = &mut self.pass.place {
            place.after = Some(position);
            place.within = None;
        }
    }

    async fn count(&mut self, keep: &Keep, order: &str, part: &str, moved: bool) -> Result<(), StoreError> {
        if !self.tally.has_room(keep) {
            self.note().await?;
        }
        self.tally.add(keep, moved);
        if let Some(place) = &mut self.pass.place {
            place.within = Some(Within { order: order.to_owned(), part: part.to_owned() });
        }
        Ok(())
    }

    /// Whether an order may have been counted among the holds, too: it became one since the pass began.
    fn was_perhaps_a_hold(&self, order: &Order) -> bool {
        let began_as_order = order.history.first().is_none_or(|entry| entry.kind == EventKind::Placed);
        !began_as_order && order.placed_at >= self.since()
    }

    /// Marks the pools of which units went from one order to another since the pass began: no stripe shows it, and the pass
    /// may meet one order before and the other after. A change of an order's lines needs no mark, since the stripes show it.
    async fn mark_moved(&mut self, order: &Order) -> Result<(), StoreError> {
        if !order.moved_units_since(self.since()) {
            return Ok(());
        }
        self.mark(order).await?;
        // What went to orders that were split off is no longer in this one, and may have gone on from there.
        let mut seen = HashSet::from([order.id]);
        let mut next = order.split_off_since(self.since());
        while let Some(id) = next.pop() {
            if !seen.insert(id) {
                continue;
            }
            if let Some(stored) = self.maintenance.store.order_head_read(&order.tenant, id).await? {
                self.mark(&stored.order).await?;
                next.extend(stored.order.split_off_since(self.since()));
            }
        }
        Ok(())
    }

    /// Marks the pools that an order's lines are of, also if it does not keep them any more.
    async fn mark(&mut self, order: &Order) -> Result<(), StoreError> {
        let pools = Keep::of_order(order).without_units();
        if !self.tally.has_room(&pools) {
            self.note().await?;
        }
        self.tally.add(&pools, true);
        Ok(())
    }

    /// From when on something may have happened during this pass.
    fn since(&self) -> Timestamp {
        self.pass.begun_at.saturating_sub(CLOCK_SKEW).unwrap_or(Timestamp::MIN)
    }
}
