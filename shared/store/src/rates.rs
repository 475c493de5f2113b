//! Rates of currencies.

use crate::item::{self, Item, number};
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure};
use holdfast_domain::ids::TenantId;
use holdfast_domain::money::Currency;
use holdfast_domain::terms::rate::{Rate, RateValue};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What came of writing a rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RatePut {
    /// There was none of these currencies before.
    Created,
    /// It took the place of an earlier one, or corrects one of the same instant.
    Replaced,
    /// A later one is there. Nothing was written.
    Outdated(Box<Rate>),
}

/// Instants are epoch milliseconds.
#[derive(Serialize, Deserialize)]
struct RateItem {
    pk: String,
    sk: String,
    value: RateValue,
    source: String,
    as_of: i64,
    valid_until: i64,
}

impl Store {
    /// Reads the rate of a currency in another, consistently, be it current or not.
    ///
    /// # Errors
    /// When the table gives no answer, or the item is not readable.
    pub async fn rate_read(&self, tenant: &TenantId, from: Currency, to: Currency) -> Result<Option<Rate>, StoreError> {
        let item = self.get(keys::rate(tenant, from, to)).await?;
        item.map(|item| rate_of(from, to, item)).transpose()
    }

    /// Writes a rate, unless a later one is there: messages of a source may arrive in any order.
    ///
    /// # Errors
    /// As for any write.
    pub async fn rate_put(&self, tenant: &TenantId, rate: &Rate) -> Result<RatePut, StoreError> {
        let keys::Key { pk, sk } = keys::rate(tenant, rate.from, rate.to);
        let as_of = rate.as_of.as_millisecond();
        let item = item::written(&RateItem {
            pk,
            sk,
            value: rate.value,
            source: rate.source.clone(),
            as_of,
            valid_until: rate.valid_until.as_millisecond(),
        });
        let request = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk) OR as_of <= :as_of")
            .expression_attribute_values(":as_of", number(as_of))
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let error = match self.timed(request.send()).await {
            Ok(output) => {
                self.meter.count_writes(&output.consumed_capacity);
                let is_new = output.attributes.is_none_or(|before| before.is_empty());
                return Ok(if is_new { RatePut::Created } else { RatePut::Replaced });
            }
            Err(error) => error,
        };
        match error {
            SdkError::ServiceError(error) if error.err().is_conditional_check_failed_exception() => {
                let PutItemError::ConditionalCheckFailedException(refused) = error.into_err() else {
                    unreachable!("the guard of this arm saw the kind of the error")
                };
                let later = rate_of(rate.from, rate.to, refused.item.unwrap_or_default())?;
                Ok(RatePut::Outdated(Box::new(later)))
            }
            error => Err(StoreError::of(error)),
        }
    }
}

fn rate_of(from: Currency, to: Currency, item: Item) -> Result<Rate, StoreError> {
    let item: RateItem = item::read(item)?;
    let instant = |ms: i64| {
        let corrupt = |error: jiff::Error| StoreError::Corrupt { key: item.pk.clone(), problem: error.to_string() };
        Timestamp::from_millisecond(ms).map_err(corrupt)
    };
    let (as_of, valid_until) = (instant(item.as_of)?, instant(item.valid_until)?);
    Ok(Rate { from, to, value: item.value, source: item.source, as_of, valid_until })
}
