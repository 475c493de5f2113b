//! Tenants' policies of orders.

use crate::item;
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValue};
use holdfast_domain::ids::TenantId;
use holdfast_domain::payment::CapturePolicy;
use holdfast_domain::terms::orders::OrderPolicy;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct PolicyItem {
    pk: String,
    sk: String,
    capture: CapturePolicy,
    return_days: u16,
}

impl Store {
    /// Reads a tenant's policy of orders, consistently; without one, that is the default.
    ///
    /// # Errors
    /// When the table gives no answer, or the item is not readable.
    pub async fn order_policy_read(&self, tenant: &TenantId) -> Result<OrderPolicy, StoreError> {
        let Some(item) = self.get(keys::order_policy(tenant)).await? else { return Ok(OrderPolicy::default()) };
        let PolicyItem { capture, return_days, .. } = item::read(item)?;
        Ok(OrderPolicy { capture, return_days })
    }

    /// Writes a tenant's policy of orders, whatever it was before; whether it is the first.
    ///
    /// # Errors
    /// As for any write.
    pub async fn order_policy_put(&self, tenant: &TenantId, policy: OrderPolicy) -> Result<bool, StoreError> {
        let keys::Key { pk, sk } = keys::order_policy(tenant);
        let OrderPolicy { capture, return_days } = policy;
        let request = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item::written(&PolicyItem { pk, sk, capture, return_days })))
            .return_values(ReturnValue::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = self.timed(request.send()).await.map_err(StoreError::of)?;
        self.meter.count_writes(&output.consumed_capacity);
        Ok(output.attributes.is_none_or(|before| before.is_empty()))
    }
}
