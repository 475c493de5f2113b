//! Mails to customers.
//!
//! The mail service knows no idempotency keys. A fence is taken before a mail is sent, and settled after: whoever stops
//! between the two leaves it open, and after a minute somebody else sends the mail again. So a mail is sent
//! at least once, and twice only if a sender stopped, or got no answer, after the service had taken it. The other way
//! round, a confirmation could be lost, which nobody would notice; a second one is noticed and does no harm.

use crate::{Notifications, WorkError};
use async_trait::async_trait;
use holdfast_domain::event::CloudEvent;
use holdfast_domain::mail::{Mail, MailKind};
use holdfast_domain::webhook::EventType;
use holdfast_store::{FenceEnd, Fenced};
use jiff::SignedDuration;

/// The name of the fence around a mail.
const FENCE: &str = "mail";
/// How long the sending of a mail keeps others from sending it: longer than it takes.
const LEASE: SignedDuration = SignedDuration::from_secs(60);

/// Takes mails to their readers.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Sends a mail.
    ///
    /// # Errors
    /// When it was not taken, or nobody knows whether it was.
    async fn notify(&self, mail: &Mail) -> Result<(), NotifyError>;
}

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// It will never be: the service refuses this mail.
    #[error("the mail was refused: {0}")]
    Refused(String),
    /// It was not taken now, or nobody knows.
    #[error("the mail service took no mail: {0}")]
    Unavailable(String),
}

impl Notifications {
    /// Sends the mail about an event, if it is worth one, its shop sends mails, its customer left an address, and nobody sent
    /// it before.
    pub(crate) async fn mail(&self, event: &CloudEvent, kind: EventType) -> Result<(), WorkError> {
        let Some(kind) = MailKind::of_change(kind.change()) else { return Ok(()) };
        let (tenant, order_id) = (&event.data.tenant, event.data.order_id);
        let Some(settings) = self.store.mail_settings_read(tenant).await? else { return Ok(()) };
        let Some(stored) = self.store.order_head_read(tenant, order_id).await? else {
            return Err(WorkError::NoSuchOrder);
        };
        let Some(mail) = kind.compose(&stored.order, &settings) else { return Ok(()) };
        let change = format!("{order_id}/{}", event.data.version);
        let fence = match self.store.fence_take(tenant, (FENCE, &change), LEASE, self.clock.now()).await? {
            Fenced::Yours(fence) => fence,
            Fenced::Over => return Ok(()),
            Fenced::UnderWay(_) => return Err(WorkError::UnderWay),
        };
        let sent = self.mails.notify(&mail).await;
        let (end, result) = match sent {
            Ok(()) => (FenceEnd::Done, Ok(())),
            Err(NotifyError::Refused(why)) => {
                // Not its address: that is personal.
                tracing::error!(tenant = tenant.as_str(), order_id = %order_id, event_id = event.id, why, "mail_refused");
                (FenceEnd::Refused(why), Ok(()))
            }
            Err(error) => (FenceEnd::Open, Err(WorkError::Mail(error))),
        };
        if !self.store.fence_settle(&fence, end, self.clock.now()).await? {
            // It took longer than the lease. What the other sender notes is as true as this.
            tracing::warn!(tenant = tenant.as_str(), order_id = %order_id, event_id = event.id, "mail_overtaken");
        }
        result
    }
}
