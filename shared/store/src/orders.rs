//! Placing, reading and changing orders.

use crate::contention::repeated;
use crate::item::{Item, number, value};
use crate::order_item::{HistoryItem, PaymentItem, order_item, stored_order};
use crate::stock::{give_back_update, level_of};
use crate::{Store, StoreError, StoredOrder, keys};
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Put, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem, Update,
};
use holdfast_domain::event::Trace;
use holdfast_domain::ids::{OrderId, TenantId};
use holdfast_domain::order::{Change, Order, StockEffect};
use holdfast_domain::pool::{Claim, StripeId, StripeLevel};
use holdfast_domain::product::PriceVersion;

/// What came of placing an order.
#[derive(Debug)]
pub enum Placing {
    /// It is placed and its stock is held.
    Placed,
    /// An order of this id was there already: this was a retry.
    Existing(Box<StoredOrder>),
    /// Stripes refused their claims; nothing was written.
    Refused(Vec<RefusedClaim>),
}

/// A claim that its stripe refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedClaim {
    /// The stripe that was asked.
    pub stripe: StripeId,
    /// What it held at that moment; none if there is no such stripe.
    pub level: Option<StripeLevel>,
}

/// What came of changing an order.
#[derive(Debug)]
pub enum Changed {
    /// The change is written.
    Done,
    /// The order was at another version than the change was made for: this is it now.
    Stale(Box<StoredOrder>),
}

/// Which guards a stripe's claim passes: enough units, and no later price than the one it was priced at.
const CLAIM_CONDITION: &str = "available >= :quantity AND price_version <= :price_version";

impl Store {
    /// Places an order and claims its stock, in one transaction and one round trip (ORD-1, ORD-2).
    ///
    /// The order's own "must not exist" is read first among the reasons of a refusal: a retry must find its order
    /// whatever became of the stock. 4 WCU for a one-line order of at most 1 KB, and 1 for each index it is in.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] and [`StoreError::Throttled`] when nothing was written and another try may succeed;
    /// [`StoreError::Unavailable`] when it is not known whether the order was placed.
    pub async fn order_place(
        &self,
        order: &Order,
        claims: &[(Claim, PriceVersion)],
        trace: &Trace,
    ) -> Result<Placing, StoreError> {
        let put = Put::builder()
            .table_name(&*self.table)
            .set_item(Some(order_item(order, trace)))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = TransactWriteItem::builder().put(put.build().expect("a put has its table and item")).build();
        let claimed = claims.iter().map(|(claim, price_version)| self.claim(&order.tenant, claim, *price_version));
        let items = std::iter::once(put).chain(claimed).collect();
        let reasons = match self.transact(items).await {
            Ok(()) => return Ok(Placing::Placed),
            Err(Refused::Other(error)) => return Err(error),
            Err(Refused::Cancelled(reasons)) => reasons,
        };
        let mut reasons = reasons.into_iter();
        if let Some(existing) = reasons.next().filter(is_condition) {
            return Ok(Placing::Existing(Box::new(stored_order(existing.item.unwrap_or_default())?)));
        }
        let mut refused = Vec::new();
        let mut others = Vec::new();
        for (reason, (claim, _)) in reasons.zip(claims) {
            match is_condition(&reason) {
                true => {
                    let level = reason.item.map(|item| level_of(&claim.stripe, item)).transpose()?;
                    refused.push(RefusedClaim { stripe: claim.stripe.clone(), level });
                }
                false => others.push(reason),
            }
        }
        match refused.is_empty() {
            true => Err(cancelled(&others)),
            false => Ok(Placing::Refused(refused)),
        }
    }

    /// Reads an order, consistently: half a read unit for each 2 KB, at least one.
    ///
    /// # Errors
    /// When the table gives no answer, or the item is not readable.
    pub async fn order_read(&self, tenant: &TenantId, id: OrderId) -> Result<Option<StoredOrder>, StoreError> {
        self.get(keys::order(tenant, id)).await?.map(stored_order).transpose()
    }

    /// Writes a change if the order is still at the version the change was made from. Stock that goes back does so in
    /// the same transaction, which is tried again while others are at the same stock.
    ///
    /// # Errors
    /// As [`Store::order_place`]; [`StoreError::StripeMissing`] when stock cannot go back to where it came from.
    pub async fn order_change(&self, change: &Change, trace: &Trace) -> Result<Changed, StoreError> {
        match &change.stock {
            StockEffect::Keep => self.order_update(change, trace).await,
            StockEffect::GiveBack(claims) => repeated(|| self.order_update_giving_back(change, claims, trace)).await,
        }
    }

    async fn order_update(&self, change: &Change, trace: &Trace) -> Result<Changed, StoreError> {
        let update = self.change_update(change, trace);
        let request = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(update.key))
            .update_expression(update.update_expression)
            .set_condition_expression(update.condition_expression)
            .set_expression_attribute_names(update.expression_attribute_names)
            .set_expression_attribute_values(update.expression_attribute_values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes);
        match self.timed(request.send()).await {
            Ok(output) => {
                self.meter.count_writes(&output.consumed_capacity);
                Ok(Changed::Done)
            }
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                let aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(refused) =
                    error.into_err()
                else {
                    unreachable!("the guard of this arm saw the kind of the error")
                };
                stale(refused.item)
            }
            Err(error) => Err(StoreError::of(error)),
        }
    }

    async fn order_update_giving_back(
        &self,
        change: &Change,
        claims: &[Claim],
        trace: &Trace,
    ) -> Result<Changed, StoreError> {
        let order = TransactWriteItem::builder().update(self.change_update(change, trace)).build();
        let tenant = &change.order.tenant;
        let given_back = claims.iter().map(|claim| {
            let update = give_back_update(&self.table, tenant, claim);
            TransactWriteItem::builder().update(update).build()
        });
        let items = std::iter::once(order).chain(given_back).collect();
        let reasons = match self.transact(items).await {
            Ok(()) => return Ok(Changed::Done),
            Err(Refused::Other(error)) => return Err(error),
            Err(Refused::Cancelled(reasons)) => reasons,
        };
        let (first, rest) = reasons.split_first().expect("a cancelled transaction has a reason for each item");
        if is_condition(first) {
            return stale(first.item.clone());
        }
        match rest.iter().any(is_condition) {
            true => Err(StoreError::StripeMissing),
            false => Err(cancelled(&reasons)),
        }
    }

    /// The update of an order's item: only what changed, so that attributes of later releases survive.
    fn change_update(&self, change: &Change, trace: &Trace) -> Update {
        let order = &change.order;
        let entry = HistoryItem::from(change.entry());
        Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::order(&order.tenant, order.id).attributes()))
            .update_expression(
                "SET #state = :state, version = :after, payment = :payment, #event = :event, \
                 history = list_append(history, :entry)",
            )
            .condition_expression("version = :before")
            .expression_attribute_names("#state", "state")
            .expression_attribute_names("#event", "event")
            .expression_attribute_values(":state", value(&order.state))
            .expression_attribute_values(":before", number(order.version - 1))
            .expression_attribute_values(":after", number(order.version))
            .expression_attribute_values(":payment", value(&PaymentItem::from(&order.payment)))
            .expression_attribute_values(":event", value(trace))
            .expression_attribute_values(":entry", value(&[entry]))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .expect("an update has its table, key and expression")
    }

    fn claim(&self, tenant: &TenantId, claim: &Claim, price_version: PriceVersion) -> TransactWriteItem {
        let update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::stripe(tenant, &claim.stripe).attributes()))
            .update_expression("SET available = available - :quantity, version = version + :one")
            .condition_expression(CLAIM_CONDITION)
            .expression_attribute_values(":quantity", number(claim.quantity))
            .expression_attribute_values(":price_version", number(price_version))
            .expression_attribute_values(":one", number(1))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .expect("an update has its table, key and expression");
        TransactWriteItem::builder().update(update).build()
    }

    /// Sends a transaction. The SDK makes its ClientRequestToken: a new one for each call of ours, the same for its
    /// own retries of that call.
    pub(crate) async fn transact(&self, items: Vec<TransactWriteItem>) -> Result<(), Refused> {
        let request = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes);
        match self.timed(request.send()).await {
            Ok(output) => {
                self.meter.count_writes(output.consumed_capacity());
                Ok(())
            }
            Err(SdkError::ServiceError(error)) if error.err().is_transaction_canceled_exception() => {
                match error.into_err() {
                    TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                        Err(Refused::Cancelled(cancelled.cancellation_reasons.unwrap_or_default()))
                    }
                    other => Err(Refused::Other(StoreError::Unavailable(Box::new(other)))),
                }
            }
            Err(error) => Err(Refused::Other(StoreError::of(error))),
        }
    }
}

/// Why a transaction was not applied.
pub(crate) enum Refused {
    /// It was cancelled: a reason for each of its items, in order.
    Cancelled(Vec<CancellationReason>),
    /// Anything else.
    Other(StoreError),
}

/// Whether an item's own condition was what failed.
pub(crate) fn is_condition(reason: &CancellationReason) -> bool {
    reason.code() == Some("ConditionalCheckFailed")
}

/// The error of a transaction in which no condition failed.
pub(crate) fn cancelled(reasons: &[CancellationReason]) -> StoreError {
    let mut codes = reasons.iter().filter_map(CancellationReason::code).filter(|code| *code != "None");
    match codes.next() {
        Some("TransactionConflict") => StoreError::Conflict,
        Some("ThrottlingError" | "ProvisionedThroughputExceeded") => StoreError::Throttled,
        code => StoreError::Rejected(format!("the transaction was cancelled: {}", code.unwrap_or("no reason")).into()),
    }
}

fn stale(item: Option<Item>) -> Result<Changed, StoreError> {
    let item = item.unwrap_or_else(|| Item::from([("pk".to_owned(), AttributeValue::S(String::new()))]));
    Ok(Changed::Stale(Box::new(stored_order(item)?)))
}
