//! Signs of life: when the relay, the sweep and each schedule last did what they are for.

use crate::item::{self, Item, number};
use crate::stream::Image;
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The last success of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// Who.
    pub name: String,
    /// When.
    pub at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct BeatItem {
    pk: String,
    sk: String,
    at: i64,
}

impl Store {
    /// Notes a success of `name`. A later one that is noted already stays.
    ///
    /// # Errors
    /// As for any write.
    pub async fn heartbeat(&self, name: &str, at: Timestamp) -> Result<(), StoreError> {
        let keys::Key { pk, sk } = keys::heartbeat(name);
        let request = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item::written(&BeatItem { pk, sk, at: at.as_millisecond() })))
            .condition_expression("attribute_not_exists(pk) OR #at < :at")
            .expression_attribute_names("#at", "at")
            .expression_attribute_values(":at", number(at.as_millisecond()))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        self.applied(request.send(), |output| &output.consumed_capacity).await.map(|_| ())
    }

    /// Writes the pulse: a change that the relay gets to see, whether or not there are orders.
    ///
    /// # Errors
    /// As for any write.
    pub async fn pulse(&self, at: Timestamp) -> Result<(), StoreError> {
        let keys::Key { pk, sk } = keys::pulse();
        self.put(item::written(&BeatItem { pk, sk, at: at.as_millisecond() })).await
    }

    /// Every sign of life, by name, read consistently.
    ///
    /// # Errors
    /// When the table gives no answer, or an item is not readable.
    pub async fn heartbeats(&self) -> Result<Vec<Heartbeat>, StoreError> {
        let request = self
            .client
            .query()
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", AttributeValue::S(keys::HEARTBEATS.to_owned()))
            .expression_attribute_values(":prefix", AttributeValue::S(keys::heartbeat("").sk))
            .consistent_read(true);
        let read = |item: Item| {
            let item: BeatItem = item::read(item)?;
            let corrupt = |problem: String| StoreError::Corrupt { key: item.sk.clone(), problem };
            let name = item.sk.strip_prefix(keys::heartbeat("").sk.as_str()).unwrap_or_default().to_owned();
            Ok(Heartbeat {
                name,
                at: Timestamp::from_millisecond(item.at).map_err(|error| corrupt(error.to_string()))?,
            })
        };
        self.query_all(request).await?.into_iter().map(read).collect()
    }
}

/// Whether the keys of a stream record are those of the pulse.
pub fn is_pulse(keys: &Image) -> bool {
    let is =
        |name: &str, text: &str| matches!(keys.get(name), Some(serde_dynamo::AttributeValue::S(key)) if key == text);
    is("pk", keys::HEARTBEATS) && is("sk", keys::PULSE_SK)
}

/// When the pulse of a stream record's new image was written; none if that cannot be read.
pub fn pulse_of_image(image: Image) -> Option<Timestamp> {
    let item: BeatItem = serde_dynamo::from_item(image).ok()?;
    Timestamp::from_millisecond(item.at).ok()
}
