//! The safety net under timers and payment messages: orders that should have ended, and payments left open.
//!
//! Nothing is decided here. The order's timer is sent again, and the worker does what the order needs. A run looks at
//! orders until its time is up and notes where it stopped; a run every few minutes goes on with a pass that is not over.

use crate::{Job, Maintenance, Report};
use holdfast_domain::event::{CloudEvent, OrderNotice};
use holdfast_domain::ids::TenantId;
use holdfast_domain::order::OrderState;
use holdfast_domain::payment::{PaymentStep, next_step};
use holdfast_domain::routing::Queue;
use holdfast_runtime::message::Message;
use holdfast_runtime::routing::Routed;
use holdfast_store::keys::DayList;
use holdfast_store::{ListRange, Pass, PassPosition, StoreError, StoredOrder};
use jiff::{SignedDuration, Timestamp};

/// The name under which the pass is noted.
const PASS: &str = "late-holds";
/// How far back orders are looked at: the longest time that an order waits to be paid (a day), a day between passes, and
/// a day for passes that failed.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(72);
/// Where holds are found.
const LISTS: [DayList; 2] = [DayList::Orders, DayList::Holds];
/// How late something has to be before it counts: the timers' and retries' own time.
pub(crate) const GRACE: SignedDuration = SignedDuration::from_mins(15);
/// How long a run looks at orders, within the function's 50 s.
pub(crate) const RUN: SignedDuration = SignedDuration::from_secs(35);

impl Maintenance {
    /// Begins a pass over the orders of all tenants, or goes on with one that is not over.
    pub(crate) async fn late_holds(&self, resume_only: bool) -> Result<Report, StoreError> {
        let mut report = Report::new(if resume_only { Job::LateHoldsResume } else { Job::LateHolds });
        let mut pass = match self.store.pass_read(PASS).await? {
            Some(pass) if pass.next.is_some() => pass,
            _ if resume_only => return Ok(report),
            _ => Pass { begun_at: self.clock.now(), next: None },
        };
        let until = self.clock.now().saturating_add(RUN).unwrap_or(Timestamp::MAX);
        let tenants = self.store.tenants().await?;
        let lists = tenants.into_iter().flat_map(|tenant| LISTS.map(|list| (tenant.clone(), list)));
        let begin = pass.next.take();
        let passed = |tenant: &TenantId, list: DayList| {
            begin.as_ref().is_some_and(|begin| (tenant, list) < (&begin.tenant, begin.list))
        };
        let mut looked = false;
        for (tenant, list) in lists.filter(|(tenant, list)| !passed(tenant, *list)) {
            let here = begin.as_ref().filter(|begin| begin.tenant == tenant && begin.list == list);
            let mut after = here.and_then(|begin| begin.after.clone());
            loop {
                // Each run looks at a page at least, so a pass ends however many tenants there are.
                if looked && self.clock.now() >= until {
                    pass.next = Some(PassPosition { tenant, list, after });
                    self.store.pass_write(PASS, &pass).await?;
                    return Ok(report);
                }
                looked = true;
                after = self.look_at_page(&tenant, list, pass.begun_at, after, &mut report).await?;
                if after.is_none() {
                    break;
                }
            }
        }
        self.store.pass_write(PASS, &pass).await?;
        Ok(report)
    }

    /// Looks at a page of a tenant's list; where the next one begins.
    async fn look_at_page(
        &self,
        tenant: &TenantId,
        list: DayList,
        begun_at: Timestamp,
        after: Option<String>,
        report: &mut Report,
    ) -> Result<Option<String>, StoreError> {
        let from = begun_at.saturating_sub(LOOK_BACK).unwrap_or(Timestamp::UNIX_EPOCH);
        let late = begun_at.saturating_sub(GRACE).unwrap_or(begun_at);
        let range = ListRange { from, to: late, state: None, limit: 100, after };
        let page = self.store.list_of_tenant(tenant, list, &range).await?;
        for problem in &page.unreadable {
            tracing::error!(tenant = tenant.as_str(), error = %problem, "order_unreadable");
        }
        report.unreadable += page.unreadable.len();
        let messages: Vec<_> = page.orders.iter().filter_map(|stored| timer(stored, late)).collect();
        let failed = self.queues.publish(&messages).await;
        report.seen += page.orders.len();
        report.published += messages.len() - failed.len();
        report.waiting += failed.len();
        Ok(page.next)
    }
}

/// The timer of an order that is late, to the queue of what it is late with.
pub(crate) fn timer(stored: &StoredOrder, late: Timestamp) -> Option<Routed> {
    let order = &stored.order;
    let last = order.history.last()?;
    let expired = matches!(order.state, OrderState::Placed | OrderState::Reserved | OrderState::Placing);
    let open = next_step(order) != PaymentStep::Done || order.next_booking().is_some();
    let is_late = (expired || open) && order.expires_at < late;
    let queue = if order.next_booking().is_some() { Queue::Fulfilment } else { Queue::Orders };
    let timer = || Message::now(CloudEvent::expiry_timer(last.at, &stored.trace, OrderNotice::of(order)));
    is_late.then(|| Routed { queue, message: timer() })
}
