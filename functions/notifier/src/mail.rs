//! Mails to customers.
//!
//! The mail service knows no idempotency keys. A record of the mail is written before it is sent, and settled after:
//! whoever stops between the two leaves it open, and after a minute somebody else sends the mail again. So a mail is sent
//! at least once, and twice only if a sender stopped, or got no answer, after the service had taken it. The other way
//! round, a confirmation could be lost, which nobody would notice; a second one is noticed and does no harm.

use crate::{Notifications, WorkError};
use async_trait::async_trait;
use holdfast_domain::event::CloudEvent;
use holdfast_domain::mail::{Mail, MailKind};
use holdfast_domain::webhook::EventType;
use holdfast_store::{MailBegun, MailEnd};

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
            return Err(WorkError::Poison("there is no such order".to_owned()));
        };
        let Some(mail) = kind.compose(&stored.order, &settings) else { return Ok(()) };
        let change = (order_id, event.data.version);
        match self.store.mail_begin(tenant, change, self.clock.now()).await? {
            MailBegun::Yours => {}
            MailBegun::Over => return Ok(()),
            MailBegun::UnderWay(_) => return Err(WorkError::UnderWay),
        }
        let sent = self.mails.notify(&mail).await;
        let (end, result) = match sent {
            Ok(()) => (MailEnd::Sent, Ok(())),
            Err(NotifyError::Refused(why)) => {
                // Not its address: that is personal.
                tracing::error!(tenant = tenant.as_str(), order_id = %order_id, event_id = event.id, why, "mail_refused");
                (MailEnd::Refused(why), Ok(()))
            }
            Err(error) => (MailEnd::Open, Err(WorkError::Mail(error))),
        };
        self.store.mail_end(tenant, change, end, self.clock.now()).await?;
        result
    }
}
