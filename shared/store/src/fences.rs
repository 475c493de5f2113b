//! Fences around effects that leave no trace in what they are about: of those who come to have one effect for one event,
//! one at a time acts, until one has; and who comes back after its time was up changes nothing any more.
//!
//! A fence costs a write before the effect and one after it. Effects that look at the state of an order and write to it
//! need none: see `holdfast_domain::effects`. The lease and its token are those of a fenced lock (Kleppmann, "How to do
//! distributed locking", 2016).

use crate::item::{self, number};
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure};
use holdfast_domain::ids::TenantId;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How long what became of an effect is kept: longer than any message about it lives.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * 30);

/// What came of taking a fence.
#[derive(Debug)]
pub enum Fenced {
    /// The effect is the caller's.
    Yours(Fence),
    /// Somebody is at it, until this instant at the latest.
    UnderWay(Timestamp),
    /// It is settled.
    Over,
}

/// A fence that is taken. It is given back by [`Store::fence_settle`].
#[derive(Debug)]
pub struct Fence {
    key: keys::Key,
    /// How often it was taken: the token of its lease.
    token: u64,
}

/// What became of an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FenceEnd {
    /// It took place.
    Done,
    /// It never will: why.
    Refused(String),
    /// It is not known, or it did not for now: it is tried again.
    Open,
}

#[derive(Serialize, Deserialize)]
struct FenceItem {
    pk: String,
    sk: String,
    state: FenceState,
    token: u64,
    leased_until: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    at: i64,
    ttl: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FenceState {
    Open,
    Done,
    Refused,
}

impl Store {
    /// Takes the fence of a consumer's effect for an event, if nobody has it and the effect is not settled. It is the
    /// caller's for as long as `lease`, which must be longer than the effect takes.
    ///
    /// # Errors
    /// As for any write.
    pub async fn fence_take(
        &self,
        tenant: &TenantId,
        (consumer, event_id): (&str, &str),
        lease: SignedDuration,
        now: Timestamp,
    ) -> Result<Fenced, StoreError> {
        let key = keys::fence(tenant, consumer, event_id);
        // Nobody has had it, as far as is known; who had it and is over time is told by the refusal.
        let mut token = 1;
        loop {
            let leased_until = now.saturating_add(lease).unwrap_or(Timestamp::MAX).as_millisecond();
            let item = fence_item(&key, FenceState::Open, (token, leased_until), None, now);
            let mut request = self
                .client
                .put_item()
                .table_name(&*self.table)
                .set_item(Some(item))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            request = match token {
                1 => request.condition_expression("attribute_not_exists(pk)"),
                token => request
                    .condition_expression("#state = :open AND #token = :before")
                    .expression_attribute_names("#state", "state")
                    .expression_attribute_names("#token", "token")
                    .expression_attribute_values(":open", AttributeValue::S("open".to_owned()))
                    .expression_attribute_values(":before", number(token - 1)),
            };
            match self.timed(request.send()).await {
                Ok(output) => {
                    self.meter.count_writes(&output.consumed_capacity);
                    return Ok(Fenced::Yours(Fence { key, token }));
                }
                Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                    let PutItemError::ConditionalCheckFailedException(refused) = error.into_err() else {
                        unreachable!("the guard of this arm saw the kind of the error")
                    };
                    let held: FenceItem = item::read(refused.item.unwrap_or_default())?;
                    if held.state != FenceState::Open {
                        return Ok(Fenced::Over);
                    }
                    let until = Timestamp::from_millisecond(held.leased_until).unwrap_or(Timestamp::MAX);
                    if until > now {
                        return Ok(Fenced::UnderWay(until));
                    }
                    token = held.token + 1;
                }
                Err(error) => return Err(StoreError::of(error)),
            }
        }
    }

    /// Notes what became of the effect of a fence; false if somebody else has taken the fence meanwhile, and nothing was
    /// noted.
    ///
    /// # Errors
    /// As for any write.
    pub async fn fence_settle(&self, fence: &Fence, end: FenceEnd, now: Timestamp) -> Result<bool, StoreError> {
        let (state, error) = match end {
            FenceEnd::Done => (FenceState::Done, None),
            FenceEnd::Refused(error) => (FenceState::Refused, Some(error)),
            FenceEnd::Open => (FenceState::Open, None),
        };
        let item = fence_item(&fence.key, state, (fence.token, 0), error, now);
        let request = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item))
            .condition_expression("#token = :mine")
            .expression_attribute_names("#token", "token")
            .expression_attribute_values(":mine", number(fence.token))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        self.applied(request.send(), |output| &output.consumed_capacity).await
    }
}

fn fence_item(
    key: &keys::Key,
    state: FenceState,
    (token, leased_until): (u64, i64),
    error: Option<String>,
    now: Timestamp,
) -> item::Item {
    let keys::Key { pk, sk } = key.clone();
    let ttl = now.saturating_add(KEPT).unwrap_or(Timestamp::MAX).as_second();
    item::written(&FenceItem { pk, sk, state, token, leased_until, error, at: now.as_millisecond(), ttl })
}
