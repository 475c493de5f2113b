//! Publishing anew what was changed in a window, when the relay was silent for longer than the stream keeps records.
//!
//! Consumers have to bear every event twice anyway, so all of the window's are published, and nobody has to know which
//! arrived. The timers that go with them are sent, too: those that are due find their orders.

use crate::late_holds::RUN;
use crate::{Job, JobError, Maintenance, Report};
use holdfast_domain::dead_letter::{DeadLetter, RecordKey};
use holdfast_runtime::routing::Routed;
use holdfast_runtime::telemetry::chain;
use holdfast_store::{Republishing, StoreError, keys};
use jiff::{SignedDuration, Timestamp};

/// How many items of the table one page looks at.
const PAGE: i32 = 200;
/// How many messages are sent at the same time: ten a call.
const SENT_AT_ONCE: usize = 100;
/// How far back a window may begin. What the outside was told of is remembered for 30 days: of anything earlier, mails and
/// webhooks would be sent again.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(24 * 29);

impl Maintenance {
    /// Begins a pass over the window, which the runs of the next minutes go on with.
    pub(crate) async fn republish(&self, from: Option<Timestamp>, to: Option<Timestamp>) -> Result<Report, JobError> {
        let invalid = |problem: &str| Err(JobError::Invalid(problem.to_owned()));
        let Some(from) = from else { return invalid("from: is required, an instant such as 2026-03-30T01:30:00Z") };
        let to = to.unwrap_or_else(|| self.clock.now());
        if to <= from {
            return invalid("to: must be after from");
        }
        if self.clock.now().duration_since(from) > LOOK_BACK {
            return invalid("from: must be within the last 29 days: what the outside was told is forgotten after 30");
        }
        let last = self.store.republishing_read().await?;
        let under_way = |pass: &Republishing| JobError::UnderWay(format!("from {} to {}", pass.from, pass.to));
        if let Some(pass) = last.clone().filter(|pass| !pass.is_over) {
            if (pass.from, pass.to) != (from, to) {
                return Err(under_way(&pass));
            }
            return Ok(self.republish_on(pass, Job::Republish).await?);
        }
        let pass = Republishing::over(from, to, last.as_ref());
        // Noted before it begins, so that the next run goes on with it whatever becomes of this one.
        match self.store.republishing_step(&pass).await? {
            true => Ok(self.republish_on(pass, Job::Republish).await?),
            false => Err(under_way(&pass)),
        }
    }

    /// Goes on with a pass that is not over, if there is one.
    pub(crate) async fn republish_resume(&self) -> Result<Report, StoreError> {
        match self.store.republishing_read().await?.filter(|pass| !pass.is_over) {
            Some(pass) => self.republish_on(pass, Job::RepublishResume).await,
            None => Ok(Report::new(Job::RepublishResume)),
        }
    }

    async fn republish_on(&self, mut pass: Republishing, job: Job) -> Result<Report, StoreError> {
        let mut report = Report::new(job);
        let until = self.clock.now().saturating_add(RUN).unwrap_or(Timestamp::MAX);
        loop {
            let page = self.store.changed_between((pass.from, pass.to), pass.after.clone(), PAGE).await?;
            for error in &page.unreadable {
                tracing::error!(error = chain(error), "order_unreadable");
                self.store.dead_letter_put(&unreadable(error, self.clock.now())).await?;
            }
            report.unreadable += page.unreadable.len();
            let orders = page.orders.len();
            let now = self.clock.now();
            let changes = page.orders.into_iter().flatten();
            let messages: Vec<_> =
                changes.flat_map(|change| Routed::of_change_again(change, self.recovery_after, now)).collect();
            for some in messages.chunks(SENT_AT_ONCE) {
                if let Some(unpublished) = self.queues.publish(some).await.first() {
                    // The same page is published again by the next run.
                    tracing::error!(error = unpublished.error, "republishing_halted");
                    report.waiting += some.len();
                    return Ok(report);
                }
            }
            report.seen += orders;
            report.published += messages.len();
            pass = pass.on(page.next, orders, messages.len());
            if !self.store.republishing_step(&pass).await? {
                // Another run is at it, and further.
                return Ok(report);
            }
            if pass.is_over {
                tracing::warn!(from = %pass.from, to = %pass.to, orders = pass.orders, published = pass.published, "republished");
                return Ok(report);
            }
            if self.clock.now() >= until {
                return Ok(report);
            }
        }
    }
}

/// The letter of an order that cannot be read: the release that can publishes it on a replay, as for a record of the stream.
fn unreadable(error: &StoreError, now: Timestamp) -> DeadLetter {
    let key = match error {
        StoreError::Corrupt { key, .. } => key.clone(),
        _ => String::new(),
    };
    let order = keys::parse_order_pk(&key).map(|(tenant, order_id)| RecordKey { tenant, order_id });
    DeadLetter {
        tenant: order.as_ref().map(|order| order.tenant.clone()),
        queue: None,
        consumer: "republish".to_owned(),
        kind: "unreadable-order".to_owned(),
        event_type: String::new(),
        body: order.and_then(|order| serde_json::to_string(&order).ok()).unwrap_or_default(),
        name: key,
        error: chain(error),
        is_whole: true,
        deliveries: 1,
        replays: 0,
        died_at: now,
        correlation_id: String::new(),
    }
    .kept()
}
