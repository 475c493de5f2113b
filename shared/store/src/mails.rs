//! How a tenant's mails are sent, and what became of each.

use crate::item::{self, Item, number};
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure,
};
use holdfast_domain::contact::Email;
use holdfast_domain::ids::{OrderId, TenantId};
use holdfast_domain::mail::MailSettings;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How long what became of a mail is kept: longer than any message about it lives.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * 30);

/// How long the sending of a mail keeps others from sending it: longer than it takes.
const LEASE: SignedDuration = SignedDuration::from_secs(60);

/// What came of beginning to send a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailBegun {
    /// It is the caller's to send.
    Yours,
    /// Somebody is sending it; whether that succeeds is known by this instant.
    UnderWay(Timestamp),
    /// It is settled.
    Over,
}

/// What became of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailEnd {
    /// The mail service took it.
    Sent,
    /// The mail service will never take it: why.
    Refused(String),
    /// It is not known, or it was not taken for now: it is sent again.
    Open,
}

#[derive(Serialize, Deserialize)]
struct SettingsItem {
    pk: String,
    sk: String,
    sender: Email,
    shop_name: String,
}

#[derive(Serialize, Deserialize)]
struct MailItem {
    pk: String,
    sk: String,
    state: MailState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    leased_until: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    at: i64,
    ttl: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum MailState {
    Sending,
    Sent,
    Refused,
}

impl Store {
    /// How a tenant's mails are sent, read consistently; none if it sends none.
    ///
    /// # Errors
    /// When the table gives no answer, or the item is not readable.
    pub async fn mail_settings_read(&self, tenant: &TenantId) -> Result<Option<MailSettings>, StoreError> {
        let item = self.get(keys::mail_settings(tenant)).await?.map(item::read).transpose()?;
        Ok(item.map(|SettingsItem { sender, shop_name, .. }| MailSettings { sender, shop_name }))
    }

    /// Says how a tenant's mails are sent; whether it is the first time.
    ///
    /// # Errors
    /// As for any write.
    pub async fn mail_settings_put(&self, tenant: &TenantId, settings: &MailSettings) -> Result<bool, StoreError> {
        let keys::Key { pk, sk } = keys::mail_settings(tenant);
        let MailSettings { sender, shop_name } = settings.clone();
        let request = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item::written(&SettingsItem { pk, sk, sender, shop_name })))
            .return_values(ReturnValue::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = self.timed(request.send()).await.map_err(StoreError::of)?;
        self.meter.count_writes(&output.consumed_capacity);
        Ok(output.attributes.is_none_or(|before| before.is_empty()))
    }

    /// Ends a tenant's mails.
    ///
    /// # Errors
    /// As for any write.
    pub async fn mail_settings_delete(&self, tenant: &TenantId) -> Result<(), StoreError> {
        let request = self
            .client
            .delete_item()
            .table_name(&*self.table)
            .set_key(Some(keys::mail_settings(tenant).attributes()))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = self.timed(request.send()).await.map_err(StoreError::of)?;
        self.meter.count_writes(&output.consumed_capacity);
        Ok(())
    }

    /// Takes on the sending of the mail about a version of an order, if nobody has and it is not settled.
    ///
    /// # Errors
    /// As for any write.
    pub async fn mail_begin(
        &self,
        tenant: &TenantId,
        (order, version): (OrderId, u64),
        now: Timestamp,
    ) -> Result<MailBegun, StoreError> {
        let leased_until = now.saturating_add(LEASE).unwrap_or(Timestamp::MAX).as_millisecond();
        let item = mail_item(tenant, (order, version), MailState::Sending, Some(leased_until), None, now);
        let request = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk) OR (#state = :sending AND leased_until <= :now)")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":sending", AttributeValue::S("sending".to_owned()))
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match self.timed(request.send()).await {
            Ok(output) => {
                self.meter.count_writes(&output.consumed_capacity);
                Ok(MailBegun::Yours)
            }
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                let PutItemError::ConditionalCheckFailedException(refused) = error.into_err() else {
                    unreachable!("the guard of this arm saw the kind of the error")
                };
                let mail: MailItem = item::read(refused.item.unwrap_or_default())?;
                let until = mail.leased_until.and_then(|until| Timestamp::from_millisecond(until).ok());
                Ok(match (mail.state, until) {
                    (MailState::Sending, Some(until)) => MailBegun::UnderWay(until),
                    _ => MailBegun::Over,
                })
            }
            Err(error) => Err(StoreError::of(error)),
        }
    }

    /// Notes what became of a mail that was begun.
    ///
    /// # Errors
    /// As for any write.
    pub async fn mail_end(
        &self,
        tenant: &TenantId,
        change: (OrderId, u64),
        end: MailEnd,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let item = match end {
            MailEnd::Sent => mail_item(tenant, change, MailState::Sent, None, None, now),
            MailEnd::Refused(error) => mail_item(tenant, change, MailState::Refused, None, Some(error), now),
            MailEnd::Open => mail_item(tenant, change, MailState::Sending, Some(0), None, now),
        };
        let request = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = self.timed(request.send()).await.map_err(StoreError::of)?;
        self.meter.count_writes(&output.consumed_capacity);
        Ok(())
    }
}

fn mail_item(
    tenant: &TenantId,
    (order, version): (OrderId, u64),
    state: MailState,
    leased_until: Option<i64>,
    error: Option<String>,
    now: Timestamp,
) -> Item {
    let keys::Key { pk, sk } = keys::mail(tenant, order, version);
    let ttl = now.saturating_add(KEPT).unwrap_or(Timestamp::MAX).as_second();
    item::written(&MailItem { pk, sk, state, leased_until, error, at: now.as_millisecond(), ttl })
}
