//! Tenants' policies of allocation.

use crate::item;
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValue};
use holdfast_domain::ids::TenantId;
use holdfast_domain::terms::allocation::{AllocationPolicy, Strategy, WarehouseRule};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct PolicyItem {
    pk: String,
    sk: String,
    strategy: Strategy,
    warehouses: Vec<WarehouseRule>,
}

impl Store {
    /// Reads a tenant's policy of allocation, consistently; without one, that is the default.
    ///
    /// # Errors
    /// When the table gives no answer, or the item is not readable.
    pub async fn allocation_read(&self, tenant: &TenantId) -> Result<AllocationPolicy, StoreError> {
        let Some(item) = self.get(keys::allocation(tenant)).await? else {
            return Ok(AllocationPolicy::default());
        };
        let PolicyItem { strategy, warehouses, .. } = item::read(item)?;
        Ok(AllocationPolicy { strategy, warehouses })
    }

    /// Writes a tenant's policy of allocation, whatever it was before; whether it is the first.
    ///
    /// # Errors
    /// As for any write.
    pub async fn allocation_put(&self, tenant: &TenantId, policy: &AllocationPolicy) -> Result<bool, StoreError> {
        let keys::Key { pk, sk } = keys::allocation(tenant);
        let AllocationPolicy { strategy, warehouses } = policy.clone();
        let request = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item::written(&PolicyItem { pk, sk, strategy, warehouses })))
            .return_values(ReturnValue::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = self.timed(request.send()).await.map_err(StoreError::of)?;
        self.meter.count_writes(&output.consumed_capacity);
        Ok(output.attributes.is_none_or(|before| before.is_empty()))
    }
}
