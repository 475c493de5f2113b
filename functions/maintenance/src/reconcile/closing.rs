//! Closing days: what their orders keep is added up once.

use super::Run;
use super::repairs::has_ended;
use holdfast_domain::ids::TenantId;
use holdfast_domain::payment::{PaymentStep, next_step};
use holdfast_store::keys::{DayList, day_of};
use holdfast_store::reconciliation::{CLOSING_AGE_DAYS, Keep, ORDERS_AT_ONCE, Place, Span, Stage};
use holdfast_store::{StoreError, StoredOrder};
use jiff::ToSpan;

impl Run<'_> {
    /// Closes the days of a tenant that ended some time ago, if there are any.
    pub(super) async fn begin(&mut self, tenant: TenantId) -> Result<(), StoreError> {
        let from = self.maintenance.store.first_open_day(&tenant).await?;
        let through = day_of(self.pass.begun_at).saturating_sub(CLOSING_AGE_DAYS.days());
        if through < from {
            self.pass.place = Some(Place::at(tenant, Stage::Open));
            return Ok(());
        }
        let stage = Stage::Close { list: DayList::Holds, from, through };
        self.pass.place = Some(Place::at(tenant.clone(), stage));
        self.maintenance.store.days_close(&mut self.pass, &tenant, Span { from, through }).await
    }

    /// Adds up a page of closed days. Orders are read consistently: what changes from now on marks them.
    pub(super) async fn close_page(&mut self, place: Place, list: DayList, days: Span) -> Result<(), StoreError> {
        let store = &self.maintenance.store;
        let page = store.orders_seen(&place.tenant, list, days, place.after.as_deref()).await?;
        for places in page.places.chunks(ORDERS_AT_ONCE) {
            for (position, id, stored) in store.orders_at(&place.tenant, places, true).await? {
                let closed = match stored {
                    Ok(stored) => self.close_order(list, &stored).await,
                    Err(problem) => Err(problem),
                };
                match closed {
                    Ok(()) => {}
                    Err(problem @ StoreError::Corrupt { .. }) => {
                        self.unreadable(&place.tenant, id, &problem);
                        store.order_carry_unsummed(&place.tenant, id).await?;
                    }
                    Err(error) => return Err(error),
                }
                if let Some(place) = &mut self.pass.place {
                    place.after = Some(position);
                }
                if self.is_late() {
                    return Ok(());
                }
            }
        }
        let Span { from, through } = days;
        let next = match list {
            DayList::Holds => Stage::Close { list: DayList::Orders, from, through },
            DayList::Orders => Stage::Open,
        };
        self.move_on(place.tenant, page.next, next).await
    }

    /// Adds an order of a closed day to the balances that could not be read when its day was closed.
    pub(super) async fn close_late(&self, stored: &StoredOrder) -> Result<(), StoreError> {
        let (store, order) = (&self.maintenance.store, &stored.order);
        let keep = Keep::of_closed_order(order);
        let counts = keep.goes_into_balance() && (order.state.keeps_stock() || stored.released_late);
        if order.was_placed() {
            for part in store.order_parts_held(order).await? {
                if part.keep.goes_into_balance() {
                    store.order_part_sum(order, &part).await?;
                }
            }
        }
        let keep = if order.was_placed() && counts { keep } else { Keep::default() };
        store.order_carried_sum(order, &keep).await
    }

    async fn close_order(&mut self, list: DayList, stored: &StoredOrder) -> Result<(), StoreError> {
        let (store, order) = (&self.maintenance.store, &stored.order);
        let keeps = order.state.keeps_stock();
        let parts = store.order_parts_held(order).await?;
        // What no balance takes, and what is still to end, is looked at by every pass.
        let mut carry = if keeps { !has_ended(order) } else { !parts.is_empty() };
        carry |= next_step(order) != PaymentStep::Done;
        let keep = Keep::of_closed_order(order);
        let mut count = false;
        if list == DayList::Holds {
            // An order from here on, or ended: then it is looked at where it is listed by now, or not at all.
            carry &= !order.was_placed();
        } else {
            carry |= keeps && !keep.goes_into_balance();
            count = keep.goes_into_balance() && (keeps || stored.released_late);
            for part in parts {
                match part.keep.goes_into_balance() {
                    true => store.order_part_sum(order, &part).await?,
                    false => carry = true,
                }
            }
        }
        if carry {
            store.order_carry(order).await?;
        }
        if count {
            if !self.tally.has_room(&keep) {
                self.note().await?;
            }
            self.tally.add(&keep, false);
        }
        Ok(())
    }
}
