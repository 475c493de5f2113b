//! What a pass repairs: the order's timer is sent again, and parts of orders that ended are settled. Either may be done at
//! any time by anybody; what is not safe to repair is only reported.

use super::Run;
use crate::late_holds::{GRACE, timer};
use holdfast_domain::ids::{OrderId, TenantId};
use holdfast_domain::order::{Order, OrderState};
use holdfast_store::{StoreError, StoredOrder};
use jiff::Timestamp;

/// Whether nothing further happens to an order by itself.
pub(super) fn has_ended(order: &Order) -> bool {
    !matches!(order.state, OrderState::Placed | OrderState::Reserved | OrderState::Placing)
}

impl Run<'_> {
    pub(super) fn late_since(&self) -> Timestamp {
        self.pass.begun_at.saturating_sub(GRACE).unwrap_or(self.pass.begun_at)
    }

    /// Passes over an order that cannot be read: it stops nothing, but no pool of its tenant is judged in this pass.
    pub(super) fn unreadable(&mut self, tenant: &TenantId, id: OrderId, problem: &StoreError) {
        let order = id.to_string();
        tracing::error!(tenant = tenant.as_str(), order, error = %problem, "order_unreadable");
        self.report.unreadable += 1;
        self.pass.figures.unreadable += 1;
        if let Some(place) = &mut self.pass.place {
            place.blind = true;
        }
    }

    /// Sends the timers of orders that should have ended.
    pub(super) async fn remind<'s>(&mut self, orders: impl Iterator<Item = &'s StoredOrder>) {
        let late = self.late_since();
        let messages: Vec<_> = orders.filter_map(|stored| timer(stored, late)).collect();
        let failed = self.maintenance.queues.publish(&messages).await;
        self.report.published += messages.len() - failed.len();
        self.report.waiting += failed.len();
    }

    /// Settles the parts of an order that ended some time ago and still has some.
    pub(super) async fn settle(&mut self, order: &Order) -> Result<(), StoreError> {
        let ended_at = order.history.last().map_or(Timestamp::MAX, |entry| entry.at);
        if order.state.keeps_stock() || ended_at > self.late_since() {
            return Ok(());
        }
        match self.maintenance.store.order_parts_settle(order).await {
            Ok(()) => self.report.changed += 1,
            Err(problem @ StoreError::Corrupt { .. }) => self.unreadable(&order.tenant, order.id, &problem),
            // The next pass, or the worker, tries again.
            Err(StoreError::Conflict | StoreError::Throttled | StoreError::StripeMissing) => self.report.waiting += 1,
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
