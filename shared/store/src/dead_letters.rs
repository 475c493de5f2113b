//! Dead letters, and what people did about them.

use crate::item::{self, Item, number};
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use holdfast_domain::dead_letter::DeadLetter;
use holdfast_domain::ids::TenantId;
use holdfast_domain::routing::Queue;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How long it is kept what people did.
const ACTIONS_KEPT: SignedDuration = SignedDuration::from_hours(24 * 400);

/// Whose dead letters are looked at.
#[derive(Debug, Clone, Copy)]
pub enum DeadOf<'a> {
    /// One tenant's.
    Tenant(&'a TenantId),
    /// Those that do not say whose they are.
    Nobody,
    /// All: for those who run the installation.
    All,
}

/// A page of dead letters.
#[derive(Debug)]
pub struct DeadPage {
    /// By tenant, then by fingerprint. Those that cannot be read are left out, and logged.
    pub letters: Vec<DeadLetter>,
    /// Where the next page begins; none at the end.
    pub next: Option<String>,
}

/// What somebody did about dead letters.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeadAction {
    /// Whose letters; none for those of any tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// Who: the `sub` of the token.
    pub by: String,
    /// `replay` or `discard`.
    pub action: String,
    /// What was chosen, in words.
    pub chosen: String,
    /// How many letters it was done to.
    pub letters: u32,
    /// When, in milliseconds since the epoch.
    pub at: i64,
    /// The request.
    pub correlation_id: String,
}

#[derive(Serialize, Deserialize)]
struct LetterItem {
    pk: String,
    sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<TenantId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    queue: Option<Queue>,
    consumer: String,
    kind: String,
    event_type: String,
    name: String,
    error: String,
    body: String,
    is_whole: bool,
    deliveries: u32,
    replays: u32,
    died_at: i64,
    correlation_id: String,
}

#[derive(Serialize, Deserialize)]
struct ActionItem {
    pk: String,
    sk: String,
    #[serde(flatten)]
    action: DeadAction,
    ttl: i64,
}

impl Store {
    /// Keeps a dead letter. The same message that died before of the same is replaced.
    ///
    /// # Errors
    /// When the table gives no answer: the message must stay in its queue.
    pub async fn dead_letter_put(&self, letter: &DeadLetter) -> Result<(), StoreError> {
        self.put(dead_item(letter)).await
    }

    /// Reads a dead letter by its id, consistently.
    ///
    /// # Errors
    /// When the table gives no answer, or the item is not readable.
    pub async fn dead_letter_read(
        &self,
        tenant: Option<&TenantId>,
        id: &str,
    ) -> Result<Option<DeadLetter>, StoreError> {
        self.get(keys::dead_letter(tenant, id)).await?.map(letter).transpose()
    }

    /// Dead letters behind `after`, at most `limit`; of one fingerprint, if one is given, which needs one owner.
    ///
    /// # Errors
    /// When the table gives no answer.
    pub async fn dead_letters(
        &self,
        of: DeadOf<'_>,
        fingerprint: Option<&str>,
        limit: i32,
        after: Option<&str>,
    ) -> Result<DeadPage, StoreError> {
        let owner = match of {
            DeadOf::Tenant(tenant) => keys::dead_prefix(Some(tenant)),
            DeadOf::Nobody => keys::dead_prefix(None),
            DeadOf::All => String::new(),
        };
        let prefix = owner + &fingerprint.map(|fingerprint| format!("{fingerprint}~")).unwrap_or_default();
        let start = after.map(|sk| keys::Key { pk: keys::DEAD.to_owned(), sk: sk.to_owned() }.attributes());
        let mut request = self
            .client
            .query()
            .table_name(&*self.table)
            .expression_attribute_values(":pk", AttributeValue::S(keys::DEAD.to_owned()))
            .consistent_read(true)
            .set_exclusive_start_key(start)
            .limit(limit)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        request = match prefix.as_str() {
            "" => request.key_condition_expression("pk = :pk"),
            prefix => request
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":prefix", AttributeValue::S(prefix.to_owned())),
        };
        let output = self.timed(request.send()).await.map_err(StoreError::of)?;
        self.meter.count_reads(&output.consumed_capacity);
        let next = output.last_evaluated_key.and_then(|mut key| match key.remove("sk") {
            Some(AttributeValue::S(sk)) => Some(sk),
            _ => None,
        });
        let read =
            |item: Item| letter(item).inspect_err(|error| tracing::error!(%error, "dead_letter_unreadable")).ok();
        Ok(DeadPage { letters: output.items.unwrap_or_default().into_iter().filter_map(read).collect(), next })
    }

    /// Takes a dead letter away, if it is still the one that was read; whether it was.
    ///
    /// # Errors
    /// As for any write.
    pub async fn dead_letter_remove(&self, letter: &DeadLetter) -> Result<bool, StoreError> {
        let request = self
            .client
            .delete_item()
            .table_name(&*self.table)
            .set_key(Some(keys::dead_letter(letter.tenant.as_ref(), &letter.id()).attributes()))
            .condition_expression("died_at = :died_at")
            .expression_attribute_values(":died_at", number(letter.died_at.as_millisecond()))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        self.applied(request.send(), |output| &output.consumed_capacity).await
    }

    /// Notes what somebody did about dead letters. `random` tells it from others of the same millisecond.
    ///
    /// # Errors
    /// As for any write.
    pub async fn dead_action_put(&self, action: &DeadAction, random: u64) -> Result<(), StoreError> {
        let at = Timestamp::from_millisecond(action.at).unwrap_or(Timestamp::UNIX_EPOCH);
        let keys::Key { pk, sk } = keys::dead_action(action.tenant.as_ref(), at, random);
        let ttl = at.saturating_add(ACTIONS_KEPT).unwrap_or(Timestamp::MAX).as_second();
        let item = ActionItem { pk, sk, action: action.clone(), ttl };
        self.put(item::written(&item)).await
    }

    /// What was done about dead letters, the latest first, at most `limit`.
    ///
    /// # Errors
    /// When the table gives no answer, or an item is not readable.
    pub async fn dead_actions(&self, tenant: Option<&TenantId>, limit: i32) -> Result<Vec<DeadAction>, StoreError> {
        let request = self
            .client
            .query()
            .table_name(&*self.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", AttributeValue::S(keys::DEAD_ACTIONS.to_owned()))
            .expression_attribute_values(":prefix", AttributeValue::S(keys::dead_prefix(tenant)))
            .scan_index_forward(false)
            .limit(limit)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = self.timed(request.send()).await.map_err(StoreError::of)?;
        self.meter.count_reads(&output.consumed_capacity);
        let action = |item: Item| item::read::<ActionItem>(item).map(|item| item.action);
        output.items.unwrap_or_default().into_iter().map(action).collect()
    }
}

/// The item of a dead letter, cut to what is kept.
pub(crate) fn dead_item(letter: &DeadLetter) -> Item {
    let letter = letter.clone().kept();
    let keys::Key { pk, sk } = keys::dead_letter(letter.tenant.as_ref(), &letter.id());
    item::written(&LetterItem {
        pk,
        sk,
        tenant: letter.tenant,
        queue: letter.queue,
        consumer: letter.consumer,
        kind: letter.kind,
        event_type: letter.event_type,
        name: letter.name,
        error: letter.error,
        is_whole: letter.is_whole,
        body: letter.body,
        deliveries: letter.deliveries,
        replays: letter.replays,
        died_at: letter.died_at.as_millisecond(),
        correlation_id: letter.correlation_id,
    })
}

fn letter(item: Item) -> Result<DeadLetter, StoreError> {
    let item: LetterItem = item::read(item)?;
    let died_at = Timestamp::from_millisecond(item.died_at)
        .map_err(|error| StoreError::Corrupt { key: item.sk, problem: error.to_string() })?;
    Ok(DeadLetter {
        tenant: item.tenant,
        queue: item.queue,
        consumer: item.consumer,
        kind: item.kind,
        event_type: item.event_type,
        name: item.name,
        error: item.error,
        body: item.body,
        is_whole: item.is_whole,
        deliveries: item.deliveries,
        replays: item.replays,
        died_at,
        correlation_id: item.correlation_id,
    })
}
