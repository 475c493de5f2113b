//! Endpoints of webhooks.

use crate::item::{number, value};
use crate::transact::{Refused, cancelled, is_condition};
use crate::webhook_items::{endpoint_item, endpoint_of};
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, Put, ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem, Update,
};
use holdfast_domain::ids::{EndpointId, TenantId};
use holdfast_domain::webhook::{DisabledWhy, ENDPOINTS_MAX, Endpoint, EndpointState, Health};
use jiff::Timestamp;

/// What came of making an endpoint.
#[derive(Debug)]
pub enum EndpointCreated {
    /// It is made.
    Done,
    /// One of this id was there already: this was a retry.
    Existing(Box<Endpoint>),
    /// The tenant has as many as it may have. Nothing was written.
    TooMany,
}

impl Store {
    /// Makes an endpoint, and counts it, in one transaction.
    ///
    /// # Errors
    /// As for any write.
    pub async fn endpoint_create(&self, endpoint: &Endpoint) -> Result<EndpointCreated, StoreError> {
        let put = Put::builder()
            .table_name(&*self.table)
            .set_item(Some(endpoint_item(endpoint)))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .expect("a put has its table and item");
        let count = self
            .endpoint_counted(&endpoint.tenant, 1)
            .condition_expression("attribute_not_exists(endpoints) OR endpoints < :max")
            .expression_attribute_values(":max", number(ENDPOINTS_MAX));
        let count = count.build().expect("an update has its table, key and expression");
        let writes =
            vec![TransactWriteItem::builder().put(put).build(), TransactWriteItem::builder().update(count).build()];
        let reasons = match self.transact(writes).await {
            Ok(()) => return Ok(EndpointCreated::Done),
            Err(Refused::Other(error)) => return Err(error),
            Err(Refused::Cancelled(reasons)) => reasons,
        };
        match &reasons[..] {
            [first, _] if is_condition(first) => {
                let item = first.item.clone().unwrap_or_default();
                Ok(EndpointCreated::Existing(Box::new(endpoint_of(&endpoint.tenant, item)?)))
            }
            [_, second] if is_condition(second) => Ok(EndpointCreated::TooMany),
            _ => Err(cancelled(&reasons)),
        }
    }

    fn endpoint_counted(&self, tenant: &TenantId, by: i32) -> UpdateBuilder {
        Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::endpoint_count(tenant).attributes()))
            .update_expression("ADD endpoints :by")
            .expression_attribute_values(":by", number(by))
    }

    /// Reads an endpoint, consistently.
    ///
    /// # Errors
    /// When the table gives no answer, or the item is not readable.
    pub async fn endpoint_read(&self, tenant: &TenantId, id: &EndpointId) -> Result<Option<Endpoint>, StoreError> {
        let item = self.get(keys::endpoint(tenant, id)).await?;
        item.map(|item| endpoint_of(tenant, item)).transpose()
    }

    /// The endpoints of a tenant, by id, read consistently: one that was made is told of what happens next.
    ///
    /// # Errors
    /// As [`Store::endpoint_read`].
    pub async fn endpoints_of(&self, tenant: &TenantId) -> Result<Vec<Endpoint>, StoreError> {
        let request = self
            .client
            .query()
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", AttributeValue::S(keys::endpoints(tenant)))
            .expression_attribute_values(":prefix", AttributeValue::S(keys::ENDPOINT_PREFIX.to_owned()))
            .consistent_read(true);
        self.query_all(request).await?.into_iter().map(|item| endpoint_of(tenant, item)).collect()
    }

    /// Writes what people changed of an endpoint: URL, events and secrets, and its state and health if the state is
    /// another than `before`. False if it is at another version by now.
    ///
    /// # Errors
    /// As for any write.
    pub async fn endpoint_change(&self, before: &Endpoint, after: &Endpoint) -> Result<bool, StoreError> {
        let mut expression = "SET #url = :url, events = :events, secrets = :secrets, version = :after".to_owned();
        let mut request = self
            .endpoint_update(&before.tenant, &before.id)
            .condition_expression("version = :before")
            .expression_attribute_names("#url", "url")
            .expression_attribute_values(":url", AttributeValue::S(after.url.clone()))
            .expression_attribute_values(":events", value(&after.events))
            .expression_attribute_values(":secrets", value(&after.secrets))
            .expression_attribute_values(":before", number(before.version))
            .expression_attribute_values(":after", number(after.version));
        match after.state {
            state if state == before.state => {}
            EndpointState::Enabled => expression += " REMOVE disabled_why, disabled_at, failures, failing_since",
            EndpointState::Disabled { why, at } => {
                expression += ", disabled_why = :why, disabled_at = :at";
                request = request
                    .expression_attribute_values(":why", value(&why))
                    .expression_attribute_values(":at", number(at.as_millisecond()));
            }
        }
        let request = request.update_expression(expression);
        self.applied(request.send(), |output| &output.consumed_capacity).await
    }

    /// Removes an endpoint; false if there is none. Its deliveries are forgotten in their time, and nobody can ask for them.
    ///
    /// # Errors
    /// As for any write.
    pub async fn endpoint_delete(&self, tenant: &TenantId, id: &EndpointId) -> Result<bool, StoreError> {
        let delete = Delete::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::endpoint(tenant, id).attributes()))
            .condition_expression("attribute_exists(pk)")
            .build()
            .expect("a delete has its table and key");
        let count = self.endpoint_counted(tenant, -1).build().expect("an update has its table, key and expression");
        let writes = vec![
            TransactWriteItem::builder().delete(delete).build(),
            TransactWriteItem::builder().update(count).build(),
        ];
        match self.transact(writes).await {
            Ok(()) => Ok(true),
            Err(Refused::Other(error)) => Err(error),
            Err(Refused::Cancelled(reasons)) if reasons.first().is_some_and(is_condition) => Ok(false),
            Err(Refused::Cancelled(reasons)) => Err(cancelled(&reasons)),
        }
    }

    /// Counts a failed attempt; how the endpoint does now, or none if it was removed.
    ///
    /// # Errors
    /// As for any write.
    pub async fn endpoint_failed(
        &self,
        tenant: &TenantId,
        id: &EndpointId,
        at: Timestamp,
    ) -> Result<Option<Health>, StoreError> {
        let request = self
            .endpoint_update(tenant, id)
            .condition_expression("attribute_exists(pk)")
            .update_expression("SET failing_since = if_not_exists(failing_since, :at) ADD failures :one")
            .expression_attribute_values(":at", number(at.as_millisecond()))
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::AllNew);
        match self.timed(request.send()).await {
            Ok(output) => {
                self.meter.count_writes(&output.consumed_capacity);
                let after = output.attributes.map(|item| endpoint_of(tenant, item)).transpose()?;
                Ok(after.map(|endpoint| endpoint.health))
            }
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(None),
            Err(error) => Err(StoreError::of(error)),
        }
    }

    /// Notes that an endpoint took a message after others had failed.
    ///
    /// # Errors
    /// As for any write.
    pub async fn endpoint_recovered(&self, tenant: &TenantId, id: &EndpointId) -> Result<(), StoreError> {
        let request = self
            .endpoint_update(tenant, id)
            .condition_expression("attribute_exists(pk)")
            .update_expression("REMOVE failures, failing_since");
        self.applied(request.send(), |output| &output.consumed_capacity).await.map(|_| ())
    }

    /// Disables an endpoint that is enabled and, if `failing_since` is given, has been failing since then: somebody may
    /// have enabled it anew meanwhile. Whether it did.
    ///
    /// # Errors
    /// As for any write.
    pub async fn endpoint_disable(
        &self,
        tenant: &TenantId,
        id: &EndpointId,
        why: DisabledWhy,
        failing_since: Option<Timestamp>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut condition = "attribute_exists(pk) AND attribute_not_exists(disabled_why)".to_owned();
        let mut request = self
            .endpoint_update(tenant, id)
            .update_expression("SET disabled_why = :why, disabled_at = :at")
            .expression_attribute_values(":why", value(&why))
            .expression_attribute_values(":at", number(at.as_millisecond()));
        if let Some(since) = failing_since {
            condition += " AND failing_since = :since";
            request = request.expression_attribute_values(":since", number(since.as_millisecond()));
        }
        let request = request.condition_expression(condition);
        self.applied(request.send(), |output| &output.consumed_capacity).await
    }

    fn endpoint_update(&self, tenant: &TenantId, id: &EndpointId) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(keys::endpoint(tenant, id).attributes()))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
    }
}
