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

#[derive(Deserialize)]
struct Image {
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
    /// Reads the new image of a record.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it is not an order's.
    pub fn of_image(image: serde_dynamo::Item) -> Result<Self, StoreError> {
        let corrupt = |key: &str, problem: String| StoreError::Corrupt { key: key.to_owned(), problem };
        let image: Image =
            serde_dynamo::from_item(image).map_err(|error| corrupt("of a stream record", error.to_string()))?;
        let last = image.history.last().ok_or_else(|| corrupt(&image.pk, "the history is empty".to_owned()))?;
        let (tenant, order_id) = keys::parse_order_pk(&image.pk)
            .ok_or_else(|| corrupt(&image.pk, "the key is not an order's".to_owned()))?;
        let instant = |ms| Timestamp::from_millisecond(ms).map_err(|error| corrupt(&image.pk, error.to_string()));
        Ok(Self {
            tenant,
            order_id,
            version: image.version,
            state: image.state.clone(),
            kind: last.kind.clone(),
            at: instant(last.at)?,
            expires_at: instant(image.expires_at)?,
            trace: image.event.clone(),
        })
    }
}
