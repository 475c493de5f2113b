//! Reading and writing items.

use crate::{Store, StoreError, keys::Key};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ConsumedCapacity, ReturnConsumedCapacity};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::HashMap;
use std::time::Instant;

/// An item as the SDK has it.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// Reads an item by its attributes' names.
pub(crate) fn read<T: DeserializeOwned>(item: Item) -> Result<T, StoreError> {
    let key = match item.get("pk") {
        Some(AttributeValue::S(pk)) => pk.clone(),
        _ => String::new(),
    };
    serde_dynamo::from_item(item).map_err(|error| StoreError::Corrupt { key, problem: error.to_string() })
}

/// Writes an item. What this crate writes always fits the format, so there is no error to report.
pub(crate) fn written<T: Serialize>(item: &T) -> Item {
    serde_dynamo::to_item(item).expect("items of this crate are maps with text keys")
}

/// One attribute's value.
pub(crate) fn value<T: Serialize>(value: &T) -> AttributeValue {
    serde_dynamo::to_attribute_value(value).expect("attributes of this crate have a DynamoDB form")
}

/// A number.
pub(crate) fn number(number: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

impl Store {
    /// Sends a request, counting the round trip whether or not it succeeds.
    pub(crate) async fn timed<T>(&self, sent: impl Future<Output = T>) -> T {
        let start = Instant::now();
        let result = sent.await;
        self.meter.count_call(start.elapsed());
        result
    }

    /// Sends a write with a condition, counting what it takes; whether it was applied rather than refused by that
    /// condition.
    pub(crate) async fn applied<T, E>(
        &self,
        sent: impl Future<Output = Result<T, SdkError<E>>>,
        consumed: fn(&T) -> &Option<ConsumedCapacity>,
    ) -> Result<bool, StoreError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match self.timed(sent).await {
            Ok(output) => {
                self.meter.count_writes(consumed(&output));
                Ok(true)
            }
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(false),
            Err(error) => Err(StoreError::of(error)),
        }
    }

    /// Every item that a query of the table finds, page by page. For partitions that stay small.
    pub(crate) async fn query_all(&self, request: QueryFluentBuilder) -> Result<Vec<Item>, StoreError> {
        let request = request.table_name(&*self.table).return_consumed_capacity(ReturnConsumedCapacity::Total);
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let page = request.clone().set_exclusive_start_key(start);
            let output = self.timed(page.send()).await.map_err(StoreError::of)?;
            self.meter.count_reads(&output.consumed_capacity);
            items.extend(output.items.unwrap_or_default());
            start = output.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }

    /// Writes an item, whatever was there.
    pub(crate) async fn put(&self, item: Item) -> Result<(), StoreError> {
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

    /// One item by its key, read consistently.
    pub(crate) async fn get(&self, key: Key) -> Result<Option<Item>, StoreError> {
        let request = self
            .client
            .get_item()
            .table_name(&*self.table)
            .set_key(Some(key.attributes()))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output: GetItemOutput = self.timed(request.send()).await.map_err(StoreError::of)?;
        self.meter.count_reads(&output.consumed_capacity);
        Ok(output.item)
    }
}
