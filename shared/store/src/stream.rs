//! What a stream record tells of an order.
//!
//! Only what an event needs is read, and names are taken as they are: a record that a later release wrote, with states and
//! kinds that this one does not know, is still published.

use crate::{StoreError, keys};
use holdfast_domain::event::Trace;
use holdfast_domain::ids::{OrderId, TenantId};
use jiff::Timestamp;
use serde::Deserialize;

/// The change that made a version of an order.
#[derive(Debug, Clone)]
pub struct OrderChange {
    /// Whose order.
    pub tenant: TenantId,
    /// Which order.
    pub order_id: OrderId,
    /// Its version after the change.
    pub version: u64,
    /// Its state after the change, by name.
    pub state: String,
    /// What happened, by name.
    pub kind: String,
    /// When.
    pub at: Timestamp,
    /// When the order expires unless it is paid.
    pub expires_at: Timestamp,
    /// Which request or message made the change.
    pub trace: Trace,
}

/// Attributes as a stream record has them.
pub type Image = serde_dynamo::Item;

/// The partition key among the keys of a stream record.
pub fn partition_of(keys: &Image) -> Option<String> {
    serde_dynamo::from_attribute_value(keys.get("pk")?.clone()).ok()
}

/// What of an order's item is read.
#[derive(Deserialize)]
pub(crate) struct OrderImage {
    pk: String,
    version: u64,
    state: String,
    expires_at: i64,
    history: Vec<Entry>,
    event: Trace,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    at: i64,
}

impl OrderChange {
    /// Reads the new image of a record: the change that made it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it is not an order's.
    pub fn of_image(image: Image) -> Result<Self, StoreError> {
        let image: OrderImage = serde_dynamo::from_item(image).map_err(|error| StoreError::Corrupt {
            key: "of a stream record".to_owned(),
            problem: error.to_string(),
        })?;
        let first = image.history.len().saturating_sub(1);
        image.changes_from(first)?.pop().ok_or_else(|| image.corrupt("the history is empty"))
    }
}

impl OrderImage {
    /// Every change that the history tells of, oldest first. Its state is the one that the order has now: nobody acts on
    /// another.
    pub(crate) fn changes(&self) -> Result<Vec<OrderChange>, StoreError> {
        self.changes_from(0)
    }

    fn changes_from(&self, first: usize) -> Result<Vec<OrderChange>, StoreError> {
        let (tenant, order_id) =
            keys::parse_order_pk(&self.pk).ok_or_else(|| self.corrupt("the key is not an order's"))?;
        let instant = |ms| Timestamp::from_millisecond(ms).map_err(|error| self.corrupt(error));
        let expires_at = instant(self.expires_at)?;
        let newer = (0..self.history.len() as u64).rev();
        let change = |(entry, newer): (&Entry, u64)| {
            Ok(OrderChange {
                tenant: tenant.clone(),
                order_id,
                version: self.version.saturating_sub(newer),
                state: self.state.clone(),
                kind: entry.kind.clone(),
                at: instant(entry.at)?,
                expires_at,
                trace: self.event.clone(),
            })
        };
        self.history.iter().zip(newer).skip(first).map(change).collect()
    }

    fn corrupt(&self, problem: impl std::fmt::Display) -> StoreError {
        StoreError::Corrupt { key: self.pk.clone(), problem: problem.to_string() }
    }
}
