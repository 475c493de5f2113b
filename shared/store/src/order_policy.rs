//! Tenants' policies of orders, and what else an order is placed by that a tenant rules for all of them.

use crate::item;
use crate::taxes::tax_policy;
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, ReturnValue};
use holdfast_domain::ids::TenantId;
use holdfast_domain::payment::CapturePolicy;
use holdfast_domain::terms::orders::OrderPolicy;
use holdfast_domain::terms::tax::TaxPolicy;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct PolicyItem {
    pk: String,
    sk: String,
    capture: CapturePolicy,
    return_days: u16,
}

/// What a tenant rules for all its orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TenantRules {
    /// How they are paid and taken back.
    pub orders: OrderPolicy,
    /// Whether they are taxed.
    pub tax: TaxPolicy,
}

impl Store {
    /// Reads what a tenant rules for all its orders, consistently and in one call; without it, the defaults hold.
    ///
    /// # Errors
    /// When the table gives no answer, or an item is not readable.
    pub async fn tenant_rules_read(&self, tenant: &TenantId) -> Result<TenantRules, StoreError> {
        let keys::Key { pk, sk: orders } = keys::order_policy(tenant);
        let request = self
            .client
            .query()
            .key_condition_expression("pk = :config")
            .expression_attribute_values(":config", AttributeValue::S(pk))
            .consistent_read(true);
        let mut rules = TenantRules::default();
        for item in self.query_all(request).await? {
            let sk = item.get("sk").and_then(|sk| sk.as_s().ok()).cloned().unwrap_or_default();
            if sk == orders {
                let PolicyItem { capture, return_days, .. } = item::read(item)?;
                rules.orders = OrderPolicy { capture, return_days };
            } else if sk == keys::tax_policy(tenant).sk {
                rules.tax = tax_policy(item)?;
            }
        }
        Ok(rules)
    }

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
