//! How a tenant's mails are sent.

use crate::{Store, StoreError, item, keys};
use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValue};
use holdfast_domain::contact::Email;
use holdfast_domain::ids::TenantId;
use holdfast_domain::mail::MailSettings;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct SettingsItem {
    pk: String,
    sk: String,
    sender: Email,
    shop_name: String,
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
}
