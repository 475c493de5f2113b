//! Tenants' tax policies and rates.

use crate::item::{self, Item, number, value};
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, ReturnValue};
use holdfast_domain::ids::{TaxClass, TenantId};
use holdfast_domain::terms::tax::{TaxPercent, TaxPolicy, TaxRate, TaxTable};
use holdfast_domain::text::Country;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct PolicyItem {
    pk: String,
    sk: String,
    /// `inclusive`, `exclusive` or `none`.
    mode: String,
}

#[derive(Deserialize)]
struct RateItem {
    pk: String,
    sk: TaxClass,
    /// Millionths of the amount.
    percent: u32,
    version: u64,
}

/// Reads the item of a tax policy.
pub(crate) fn tax_policy(item: Item) -> Result<TaxPolicy, StoreError> {
    let PolicyItem { pk, mode, .. } = item::read(item)?;
    TaxPolicy::parse(&mode).map_err(|invalid| StoreError::Corrupt { key: pk, problem: invalid.to_string() })
}

impl Store {
    /// Reads a tenant's tax policy, consistently; without one, nothing is taxed.
    ///
    /// # Errors
    /// When the table gives no answer, or the item is not readable.
    pub async fn tax_policy_read(&self, tenant: &TenantId) -> Result<TaxPolicy, StoreError> {
        self.get(keys::tax_policy(tenant)).await?.map_or_else(|| Ok(TaxPolicy::default()), tax_policy)
    }

    /// Writes a tenant's tax policy, whatever it was before; whether it is the first.
    ///
    /// # Errors
    /// As for any write.
    pub async fn tax_policy_put(&self, tenant: &TenantId, policy: TaxPolicy) -> Result<bool, StoreError> {
        let keys::Key { pk, sk } = keys::tax_policy(tenant);
        let request = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item::written(&PolicyItem { pk, sk, mode: policy.name().to_owned() })))
            .return_values(ReturnValue::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = self.timed(request.send()).await.map_err(StoreError::of)?;
        self.meter.count_writes(&output.consumed_capacity);
        Ok(output.attributes.is_none_or(|before| before.is_empty()))
    }

    /// Reads the rate of a class in a country, consistently.
    ///
    /// # Errors
    /// When the table gives no answer, or the item is not readable.
    pub async fn tax_rate_read(
        &self,
        tenant: &TenantId,
        country: &Country,
        class: &TaxClass,
    ) -> Result<Option<TaxRate>, StoreError> {
        let item = self.get(keys::tax_rate(tenant, country, class)).await?;
        item.map(|item| rate_of(country, item)).transpose()
    }

    /// Every rate of a country by class, consistently: half a read unit for each 2 KB, which some twenty classes fill.
    ///
    /// # Errors
    /// When the table gives no answer, or an item is not readable.
    pub async fn tax_rates(&self, tenant: &TenantId, country: &Country) -> Result<Vec<TaxRate>, StoreError> {
        let request = self
            .client
            .query()
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(keys::tax_rates(tenant, country)))
            .consistent_read(true);
        self.query_all(request).await?.into_iter().map(|item| rate_of(country, item)).collect()
    }

    /// The rates of a country as orders are taxed by them.
    ///
    /// # Errors
    /// As [`Store::tax_rates`].
    pub async fn tax_table(&self, tenant: &TenantId, country: &Country) -> Result<TaxTable, StoreError> {
        let rates = self.tax_rates(tenant, country).await?;
        let rates = rates.into_iter().map(|rate| (rate.class, rate.percent)).collect();
        Ok(TaxTable { country: country.clone(), rates })
    }

    /// Writes the rate of a class in a country, whatever it was before: the rate after the write, whose version is 1 if
    /// there was none.
    ///
    /// # Errors
    /// As for any write.
    pub async fn tax_rate_put(
        &self,
        tenant: &TenantId,
        country: &Country,
        class: &TaxClass,
        percent: TaxPercent,
    ) -> Result<TaxRate, StoreError> {
        let request = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(keys::tax_rate(tenant, country, class).attributes()))
            .update_expression("SET #percent = :percent ADD version :one")
            .expression_attribute_names("#percent", "percent")
            .expression_attribute_values(":percent", value(&percent.millionths()))
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::AllNew)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = self.timed(request.send()).await.map_err(StoreError::of)?;
        self.meter.count_writes(&output.consumed_capacity);
        rate_of(country, output.attributes.unwrap_or_default())
    }
}

fn rate_of(country: &Country, item: Item) -> Result<TaxRate, StoreError> {
    let RateItem { pk, sk: class, percent, version } = item::read(item)?;
    let percent = TaxPercent::new(percent);
    let percent = percent.map_err(|invalid| StoreError::Corrupt { key: pk, problem: invalid.to_string() })?;
    Ok(TaxRate { country: country.clone(), class, percent, version })
}
