//! Deliveries of webhooks.

use crate::item::number;
use crate::webhook_items::{delivery_item, delivery_of};
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure};
use holdfast_domain::ids::{EndpointId, MessageId, TenantId};
use holdfast_domain::webhook::{Delivery, DeliveryState};

/// How many queries one page takes before it gives back what it found, so that a rare state cannot hold it up.
const ROUNDS_MAX: usize = 8;

/// What came of writing a delivery.
#[derive(Debug)]
pub enum Written {
    /// It is written.
    Done,
    /// Somebody else wrote it first: this is it now.
    Stale(Box<Delivery>),
    /// It is not there any more.
    Gone,
}

/// A page of deliveries.
#[derive(Debug)]
pub struct DeliveryPage {
    /// Newest first. May be short, or empty, although more follow: see `next`.
    pub deliveries: Vec<Delivery>,
    /// The message to go on behind; none at the end.
    pub next: Option<MessageId>,
}

impl Store {
    /// Writes a delivery if it is new, or still at the version before its own. So one attempt begins where several want to,
    /// and what was delivered is not sent again.
    ///
    /// # Errors
    /// As for any write.
    pub async fn delivery_write(&self, delivery: &Delivery) -> Result<Written, StoreError> {
        let mut request = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(delivery_item(delivery)))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        request = match delivery.version {
            1 => request.condition_expression("attribute_not_exists(pk)"),
            version => request
                .condition_expression("version = :before")
                .expression_attribute_values(":before", number(version - 1)),
        };
        match self.timed(request.send()).await {
            Ok(output) => {
                self.meter.count_writes(&output.consumed_capacity);
                Ok(Written::Done)
            }
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                let PutItemError::ConditionalCheckFailedException(refused) = error.into_err() else {
                    unreachable!("the guard of this arm saw the kind of the error")
                };
                let current = refused.item.map(|item| delivery_of(&delivery.tenant, &delivery.endpoint, item));
                Ok(current.transpose()?.map_or(Written::Gone, |current| Written::Stale(Box::new(current))))
            }
            Err(error) => Err(StoreError::of(error)),
        }
    }

    /// Reads a delivery, consistently.
    ///
    /// # Errors
    /// When the table gives no answer, or the item is not readable.
    pub async fn delivery_read(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        message: &MessageId,
    ) -> Result<Option<Delivery>, StoreError> {
        let item = self.get(keys::delivery(tenant, endpoint, message)).await?;
        item.map(|item| delivery_of(tenant, endpoint, item)).transpose()
    }

    /// The deliveries to an endpoint, newest first, behind `after`: at most `limit`, in this state if one is given.
    ///
    /// # Errors
    /// As [`Store::delivery_read`].
    pub async fn deliveries_of(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        state: Option<DeliveryState>,
        limit: usize,
        after: Option<MessageId>,
    ) -> Result<DeliveryPage, StoreError> {
        let mut page = DeliveryPage { deliveries: Vec::new(), next: after };
        for _ in 0..ROUNDS_MAX {
            let start = page.next.as_ref().map(|message| keys::delivery(tenant, endpoint, message).attributes());
            let mut request = self
                .client
                .query()
                .table_name(&*self.table)
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":pk", AttributeValue::S(keys::deliveries(tenant, endpoint)))
                .expression_attribute_values(":prefix", AttributeValue::S(keys::DELIVERY_PREFIX.to_owned()))
                .scan_index_forward(false)
                .set_exclusive_start_key(start)
                .limit(i32::try_from(limit - page.deliveries.len()).unwrap_or(i32::MAX))
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            if let Some(state) = state {
                request = request
                    .filter_expression("#state = :state")
                    .expression_attribute_names("#state", "state")
                    .expression_attribute_values(":state", AttributeValue::S(state.name().to_owned()));
            }
            let output = self.timed(request.send()).await.map_err(StoreError::of)?;
            self.meter.count_reads(&output.consumed_capacity);
            for item in output.items.unwrap_or_default() {
                page.deliveries.push(delivery_of(tenant, endpoint, item)?);
            }
            page.next = output.last_evaluated_key.and_then(|key| keys::parse_delivery_sk(key.get("sk")?.as_s().ok()?));
            if page.next.is_none() || page.deliveries.len() >= limit {
                break;
            }
        }
        Ok(page)
    }
}
