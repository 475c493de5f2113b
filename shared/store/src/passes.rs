//! How far a job that looks at everything has come, so that the next run goes on there.

use crate::item::{self, Item};
use crate::keys::DayList;
use crate::{Store, StoreError, keys};
use holdfast_domain::ids::TenantId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A pass over the orders of all tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// When it began: what it looks at is counted from there.
    pub begun_at: Timestamp,
    /// Where it goes on; none when it is over.
    pub next: Option<PassPosition>,
}

/// A place in a pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassPosition {
    /// The tenant that is looked at.
    pub tenant: TenantId,
    /// Which of its lists: orders first, then holds.
    #[serde(default)]
    pub list: DayList,
    /// The position in the list; none at its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct PassItem {
    pk: String,
    sk: String,
    begun_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<PassPosition>,
}

impl Store {
    /// How far the last pass of a job came; none before the first.
    ///
    /// # Errors
    /// When the table gives no answer, or the item is not readable.
    pub async fn pass_read(&self, job: &str) -> Result<Option<Pass>, StoreError> {
        let read = |item: Item| {
            let item: PassItem = item::read(item)?;
            let begun_at = Timestamp::from_millisecond(item.begun_at)
                .map_err(|error| StoreError::Corrupt { key: item.pk, problem: error.to_string() })?;
            Ok(Pass { begun_at, next: item.next })
        };
        self.get(keys::pass(job)).await?.map(read).transpose()
    }

    /// Notes how far a pass came.
    ///
    /// # Errors
    /// When the table gives no answer: the next run looks at some orders again, which is harmless.
    pub async fn pass_write(&self, job: &str, pass: &Pass) -> Result<(), StoreError> {
        let keys::Key { pk, sk } = keys::pass(job);
        let item = PassItem { pk, sk, begun_at: pass.begun_at.as_millisecond(), next: pass.next.clone() };
        self.put(item::written(&item)).await
    }
}
