//! Exports: one item each, which every change of it moves on from the step that its writer knows.

use crate::item::{self, Item, number};
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure};
use holdfast_domain::event::Trace;
use holdfast_domain::export::{Compression, Export, ExportSpan, ExportState, Lease, Progress, REMEMBERED};
use holdfast_domain::ids::{CustomerId, ExportId, Fingerprint, TenantId};
use holdfast_domain::order::OrderState;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What came of asking for an export.
#[derive(Debug)]
pub enum ExportPut {
    /// It is new.
    Created,
    /// An export of this id was there already: this was a retry.
    Existing(Box<Export>),
}

/// A page of a tenant's exports.
#[derive(Debug)]
pub struct ExportPage {
    /// The latest first.
    pub exports: Vec<Export>,
    /// The position to go on from; none at the end.
    pub next: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct ExportItem {
    pk: String,
    sk: String,
    gsi1pk: String,
    /// Only while it is not over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gsi2pk: Option<String>,
    gsisk: String,
    state: ExportState,
    step: u64,
    requested_by: CustomerId,
    fingerprint: String,
    span_from: i64,
    span_to: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    states: Vec<OrderState>,
    #[serde(default)]
    compression: Compression,
    requested_at: i64,
    moved_at: i64,
    #[serde(default)]
    parts: u32,
    #[serde(default)]
    orders: u64,
    #[serde(default)]
    unreadable: u64,
    #[serde(default)]
    bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    through: Option<String>,
    #[serde(default)]
    idle_runs: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run_until: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    event: Trace,
    /// In seconds, as DynamoDB wants it.
    ttl: i64,
}

impl Store {
    /// Keeps a new export. 1 WCU, and 1 for each of the two indices it is in.
    ///
    /// # Errors
    /// When the table gives no answer: the retry finds what was written.
    pub async fn export_put(&self, export: &Export) -> Result<ExportPut, StoreError> {
        match self.export_written(export, None).await? {
            None => Ok(ExportPut::Created),
            Some(existing) => Ok(ExportPut::Existing(Box::new(read(existing)?))),
        }
    }

    /// Writes the step of an export that follows the one before; false when another writer was faster, and nothing is
    /// written.
    ///
    /// # Errors
    /// When the table gives no answer: it is not known whether the step was written.
    pub async fn export_step(&self, export: &Export) -> Result<bool, StoreError> {
        let item = item_of(export);
        let existing = self.export_written(export, export.step.checked_sub(1)).await?;
        // The client repeats a call whose answer was lost: then this very item is there.
        Ok(existing.is_none_or(|existing| existing == item))
    }

    /// An export, read consistently.
    ///
    /// # Errors
    /// When the table gives no answer, or the item is not readable.
    pub async fn export_read(&self, tenant: &TenantId, id: ExportId) -> Result<Option<Export>, StoreError> {
        self.get(keys::export(tenant, id)).await?.map(read).transpose()
    }

    /// A tenant's exports, the latest first, from behind a position.
    ///
    /// # Errors
    /// When the table gives no answer, or an item is not readable.
    pub async fn exports_of_tenant(
        &self,
        tenant: &TenantId,
        limit: usize,
        after: Option<&str>,
    ) -> Result<ExportPage, StoreError> {
        let index = (keys::GSI1, "gsi1pk", keys::exports(tenant));
        // It sorts behind every position.
        let upper = after.unwrap_or("~");
        let positions = self.positions(&index, Timestamp::UNIX_EPOCH, upper, limit).await?;
        let next = positions.last().cloned().filter(|_| positions.len() == limit);
        let ids = positions.iter().filter_map(|position| ExportId::parse(position.split_once('#')?.1).ok());
        let wanted: Vec<_> = ids.map(|id| keys::export(tenant, id)).collect();
        let mut items = self.batch_get(wanted.clone(), false).await?;
        let exports = wanted.iter().filter_map(|key| items.remove(key)).map(read).collect::<Result<_, _>>()?;
        Ok(ExportPage { exports, next })
    }

    /// The exports of all tenants that are not over, with what is wrong with those that cannot be read. Half a read unit
    /// when there are none.
    ///
    /// # Errors
    /// When the table gives no answer.
    pub async fn exports_open(&self) -> Result<Vec<Result<Export, StoreError>>, StoreError> {
        let request = self
            .client
            .query()
            .index_name(keys::GSI2)
            .key_condition_expression("gsi2pk = :open")
            .expression_attribute_values(":open", AttributeValue::S(keys::OPEN_EXPORTS.to_owned()));
        let listed = self.query_all(request).await?;
        let listed = listed.iter().filter_map(|item| keys::parse_export_pk(item.get("pk")?.as_s().ok()?));
        let items = self.batch_get(listed.map(|(tenant, id)| keys::export(&tenant, id)).collect(), false).await?;
        Ok(items.into_values().map(read).collect())
    }

    /// Puts the item unless it is at another step than `before`, none meaning that there is none; what was there then.
    async fn export_written(&self, export: &Export, before: Option<u64>) -> Result<Option<Item>, StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item_of(export)))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let put = match before {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(step) => {
                put.condition_expression("step = :before").expression_attribute_values(":before", number(step))
            }
        };
        match self.timed(put.send()).await {
            Ok(output) => {
                self.meter.count_writes(&output.consumed_capacity);
                Ok(None)
            }
            Err(SdkError::ServiceError(refused)) if refused.err().is_conditional_check_failed_exception() => {
                match refused.into_err() {
                    PutItemError::ConditionalCheckFailedException(refused) => {
                        Ok(Some(refused.item.unwrap_or_default()))
                    }
                    _ => Ok(Some(Item::new())),
                }
            }
            Err(error) => Err(StoreError::of(error)),
        }
    }
}

fn item_of(export: &Export) -> Item {
    let keys::Key { pk, sk } = keys::export(&export.tenant, export.id);
    let forgotten_at = export.requested_at.saturating_add(REMEMBERED).unwrap_or(Timestamp::MAX);
    let Progress { parts, orders, unreadable, bytes, through } = export.progress.clone();
    item::written(&ExportItem {
        pk,
        sk,
        gsi1pk: keys::exports(&export.tenant),
        gsi2pk: (!export.state.is_over()).then(|| keys::OPEN_EXPORTS.to_owned()),
        gsisk: keys::export_position(export.requested_at, export.id),
        state: export.state,
        step: export.step,
        requested_by: export.requested_by.clone(),
        fingerprint: export.fingerprint.to_string(),
        span_from: export.span.from().as_millisecond(),
        span_to: export.span.to().as_millisecond(),
        states: export.states.clone(),
        compression: export.compression,
        requested_at: export.requested_at.as_millisecond(),
        moved_at: export.moved_at.as_millisecond(),
        parts,
        orders,
        unreadable,
        bytes,
        through,
        idle_runs: export.idle_runs,
        run: export.lease.as_ref().map(|lease| lease.run.clone()),
        run_until: export.lease.as_ref().map(|lease| lease.until.as_millisecond()),
        ended_at: export.ended_at.map(Timestamp::as_millisecond),
        failure: export.failure.clone(),
        event: export.trace.clone(),
        ttl: forgotten_at.as_second(),
    })
}

fn read(item: Item) -> Result<Export, StoreError> {
    let item: ExportItem = item::read(item)?;
    let key = item.pk.clone();
    export(item).map_err(|problem| StoreError::Corrupt { key, problem })
}

fn export(item: ExportItem) -> Result<Export, String> {
    let (tenant, id) = keys::parse_export_pk(&item.pk).ok_or("the key is not an export's")?;
    let at = |ms: i64| Timestamp::from_millisecond(ms).map_err(|error| error.to_string());
    let fingerprint = u128::from_str_radix(&item.fingerprint, 16).map_err(|error| error.to_string())?;
    let span = ExportSpan::new(at(item.span_from)?, at(item.span_to)?).map_err(|invalid| invalid.to_string())?;
    let run_until = item.run_until.map(at).transpose()?;
    let ExportItem { parts, orders, unreadable, bytes, through, .. } = item;
    Ok(Export {
        id,
        tenant,
        requested_by: item.requested_by,
        fingerprint: Fingerprint::from(fingerprint.to_be_bytes()),
        span,
        states: item.states,
        compression: item.compression,
        requested_at: at(item.requested_at)?,
        trace: item.event,
        state: item.state,
        step: item.step,
        moved_at: at(item.moved_at)?,
        progress: Progress { parts, orders, unreadable, bytes, through },
        idle_runs: item.idle_runs,
        lease: item.run.zip(run_until).map(|(run, until)| Lease { run, until }),
        ended_at: item.ended_at.map(at).transpose()?,
        failure: item.failure,
    })
}
