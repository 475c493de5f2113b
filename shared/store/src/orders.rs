//! Placing, reading and changing orders.

use crate::claims::{Contention, Granted, RefusedClaim};
use crate::contention::repeated;
use crate::item::{Item, number, value};
use crate::order_item::{HistoryItem, PaymentItem, Place, order_item, stored_order};
use crate::reconciliation::ReleaseEntry;
use crate::transact::{Refused, cancelled, is_condition};
use crate::{Store, StoreError, StoredOrder, keys};
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, Put, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use holdfast_domain::event::Trace;
use holdfast_domain::ids::{OrderId, TenantId};
use holdfast_domain::order::{Change, Order, OrderState, StockEffect};
use holdfast_domain::pool::{Claim, Take, merged};
use jiff::SignedDuration;

/// What came of placing an order.
#[derive(Debug)]
pub enum Placing {
    /// It is placed and its stock is held.
    Placed,
    /// An order of this id was there already: this was a retry.
    Existing(Box<StoredOrder>),
    /// Stripes refused their claims; nothing was written.
    Refused(Vec<RefusedClaim>),
    /// Others were at the same items; nothing was written.
    Contended(Contention),
}

/// What came of changing an order.
#[derive(Debug)]
pub enum Changed {
    /// The change is written.
    Done,
    /// The order was at another version than the change was made for: this is it now, without its parts.
    Stale(Box<StoredOrder>),
}

impl Store {
    /// Places an order, or makes a reservation, and claims what it needs, in one transaction and one round trip (ORD-1,
    /// ORD-2).
    ///
    /// A retry finds its order whatever became of the stock. 4 WCU for a one-line order of at most 1 KB, and 1 for each index it is in.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it is not known whether the order was placed.
    pub async fn order_place(&self, order: &Order, takes: &[Take], trace: &Trace) -> Result<Placing, StoreError> {
        let put = self.order_put(order, trace, "attribute_not_exists(pk)", None);
        Ok(match self.granted(&order.tenant, put, takes).await? {
            Granted::Done => Placing::Placed,
            Granted::Existing(item) => Placing::Existing(Box::new(stored_order(item)?)),
            Granted::Refused(refused) => Placing::Refused(refused),
            Granted::Contended(contention) => Placing::Contended(contention),
        })
    }

    /// The action that writes the whole item of an order.
    pub(crate) fn order_put(
        &self,
        order: &Order,
        trace: &Trace,
        condition: &str,
        before: Option<u64>,
    ) -> TransactWriteItem {
        let values = before.map(|version| [(":before".to_owned(), number(version))].into());
        let put = Put::builder()
            .table_name(&*self.table)
            .set_item(Some(order_item(order, trace)))
            .condition_expression(condition)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        TransactWriteItem::builder().put(put.build().expect("a put has its table and item")).build()
    }

    /// Reads an order with the lines of its parts, consistently: half a read unit for each 2 KB, at least one, and for an
    /// order in parts that much again for them.
    ///
    /// # Errors
    /// When the table gives no answer, or the item is not readable.
    pub async fn order_read(&self, tenant: &TenantId, id: OrderId) -> Result<Option<StoredOrder>, StoreError> {
        let Some(mut stored) = self.order_head_read(tenant, id).await? else { return Ok(None) };
        self.order_lines_read(&mut stored.order).await?;
        Ok(Some(stored))
    }

    /// Reads an order without the lines of its parts, consistently.
    ///
    /// # Errors
    /// When the table gives no answer, or the item is not readable.
    pub async fn order_head_read(&self, tenant: &TenantId, id: OrderId) -> Result<Option<StoredOrder>, StoreError> {
        self.get(keys::order(tenant, id)).await?.map(stored_order).transpose()
    }

    /// Writes a change if the order is still at the version the change was made from. Stock that goes back does so in
    /// the same transaction, which is tried again while others are at the same stock; that of parts goes back after it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] and [`StoreError::Throttled`] when nothing was written and another try may succeed;
    /// [`StoreError::Unavailable`] when it is not known whether the change was written.
    pub async fn order_change(&self, change: &Change, trace: &Trace) -> Result<Changed, StoreError> {
        match &change.stock {
            StockEffect::Keep => self.order_update(change, trace).await,
            StockEffect::GiveBack(claims) => self.order_update_giving_back(change, claims.clone(), trace).await,
            StockEffect::GiveBackParts(_) => {
                self.settling_carry(&change.order, change.entry().at).await?;
                let changed = self.order_update(change, trace).await?;
                if matches!(changed, Changed::Done)
                    && let Err(error) = self.order_parts_settle(&change.order).await
                {
                    // The worker gives it back when it hears of the change, which is written.
                    tracing::warn!(order_id = %change.order.id, %error, "parts_not_settled");
                }
                Ok(changed)
            }
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
                let UpdateItemError::ConditionalCheckFailedException(refused) = error.into_err() else {
                    unreachable!("the guard of this arm saw the kind of the error")
                };
                match stale(refused.item)? {
                    // The SDK repeated a call that had been applied: this is the change itself. Its trace is of this
                    // request alone, so no other request's change is taken for it.
                    Changed::Stale(current) if current.trace == *trace && is_same(&current.order, change) => {
                        Ok(Changed::Done)
                    }
                    other => Ok(other),
                }
            }
            Err(error) => Err(StoreError::of(error)),
        }
    }

    /// Writes a change and gives the claims back. Stock goes back to any stripe of its pool: one that was merged into
    /// others since the claim is replaced by one that is there.
    async fn order_update_giving_back(
        &self,
        change: &Change,
        mut claims: Vec<Claim>,
        trace: &Trace,
    ) -> Result<Changed, StoreError> {
        let (tenant, at) = (&change.order.tenant, change.entry().at);
        let claimed = claims.clone();
        let mut entry = self.release_entry(&change.order, &claimed, at).await?;
        for _ in 0..STAND_INS_MAX {
            let given = repeated(|| self.order_update_once(change, &claims, &entry, trace)).await?;
            match given {
                GivenBack::Done => return Ok(Changed::Done),
                GivenBack::Stale(current) => return Ok(Changed::Stale(current)),
                GivenBack::DayClosed => entry = self.release_entry(&change.order, &claimed, at).await?,
                GivenBack::Missing(missing) => claims = merged(self.replaced(tenant, claims, &missing).await?),
            }
        }
        Err(StoreError::StripeMissing)
    }

    async fn order_update_once(
        &self,
        change: &Change,
        claims: &[Claim],
        entry: &ReleaseEntry,
        trace: &Trace,
    ) -> Result<GivenBack, StoreError> {
        let mut update = self.change_update(change, trace);
        if entry.is_late() {
            update.update_expression += ", released_late = :late";
            let late = (":late".to_owned(), AttributeValue::Bool(true));
            update.expression_attribute_values.get_or_insert_default().extend([late]);
        }
        let order = TransactWriteItem::builder().update(update).build();
        let tenant = &change.order.tenant;
        let given_back = claims.iter().map(|claim| self.give_back(tenant, claim));
        let entered = self.release_actions(tenant, entry);
        let items = std::iter::once(order).chain(given_back).chain(entered).collect();
        let reasons = match self.transact(items).await {
            Ok(()) => return Ok(GivenBack::Done),
            Err(Refused::Other(error)) => return Err(error),
            Err(Refused::Cancelled(reasons)) => reasons,
        };
        let (first, rest) = reasons.split_first().expect("a cancelled transaction has a reason for each item");
        if is_condition(first) {
            let Changed::Stale(current) = stale(first.item.clone())? else {
                unreachable!("an order that is there is at some version")
            };
            return Ok(GivenBack::Stale(current));
        }
        let (given_back, entered) = rest.split_at(claims.len());
        let missing: Vec<_> = (0..given_back.len()).filter(|at| is_condition(&given_back[*at])).collect();
        match missing.is_empty() {
            true if entered.iter().any(is_condition) => Ok(GivenBack::DayClosed),
            true => Err(cancelled(&reasons)),
            false => Ok(GivenBack::Missing(missing)),
        }
    }

    /// The update of an order's item: only what changed, so that attributes of later releases survive.
    pub(crate) fn change_update(&self, change: &Change, trace: &Trace) -> Update {
        let order = &change.order;
        let entry = HistoryItem::from(change.entry());
        let mut expression = "SET #state = :state, version = :after, payment = :payment, #event = :event, \
             history = list_append(history, :entry)"
            .to_owned();
        let mut values = vec![
            (":state", value(&order.state)),
            (":before", number(order.version - 1)),
            (":after", number(order.version)),
            (":payment", value(&PaymentItem::from(&order.payment))),
            (":event", value(trace)),
            (":entry", value(&[entry])),
        ];
        let mut names = vec![("#state", "state"), ("#event", "event")];
        if let Some(at) = forgotten_at(order) {
            // Another attempt under its key writes the whole item anew.
            expression += ", #ttl = :ttl";
            names.push(("#ttl", "ttl"));
            values.push((":ttl", number(at)));
        }
        if change.becomes_order {
            let place = Place::of(order);
            expression += ", gsi2pk = :gsi2pk, gsisk = :gsisk, placed_at = :placed_at, expires_at = :expires_at";
            values.extend([
                (":gsi2pk", AttributeValue::S(place.gsi2pk)),
                (":gsisk", AttributeValue::S(place.gsisk)),
                (":placed_at", number(order.placed_at.as_millisecond())),
                (":expires_at", number(order.expires_at.as_millisecond())),
            ]);
            if let Some(gsi1pk) = place.gsi1pk {
                expression += ", gsi1pk = :gsi1pk";
                values.push((":gsi1pk", AttributeValue::S(gsi1pk)));
            }
            if let Some(address) = &order.address {
                expression += ", address = :address";
                values.push((":address", value(address)));
            }
            if let Some(contact) = &order.contact {
                expression += ", contact_email = :contact";
                values.push((":contact", value(contact)));
            }
        }
        let values = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let names = names.into_iter().map(|(name, attribute)| (name.to_owned(), attribute.to_owned())).collect();
        Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::order(&order.tenant, order.id).attributes()))
            .update_expression(expression)
            .condition_expression("version = :before")
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .expect("an update has its table, key and expression")
    }
}

/// How long an attempt that was given up is kept.
const GIVEN_UP_KEPT: SignedDuration = SignedDuration::from_hours(24 * 30);

/// How often claims are given back to other stripes in place of missing ones.
const STAND_INS_MAX: usize = 4;

/// What came of giving claims back with a change.
enum GivenBack {
    /// Everything is written.
    Done,
    /// The order was at another version.
    Stale(Box<StoredOrder>),
    /// The stripes of these claims, by position, are not there.
    Missing(Vec<usize>),
    /// The day of the order was closed meanwhile.
    DayClosed,
}

/// When an attempt that was given up may be forgotten, in seconds since the epoch: nobody asks for what never was an order.
/// None for anything else.
pub(crate) fn forgotten_at(order: &Order) -> Option<i64> {
    let given_up_at = order.history.last().filter(|_| order.state == OrderState::Aborted)?.at;
    Some(given_up_at.saturating_add(GIVEN_UP_KEPT).ok()?.as_second())
}

/// Whether an order is as a change leaves it.
fn is_same(order: &Order, change: &Change) -> bool {
    order.version == change.order.version && order.history.last() == Some(change.entry())
}

fn stale(item: Option<Item>) -> Result<Changed, StoreError> {
    let item = item.unwrap_or_else(|| Item::from([("pk".to_owned(), AttributeValue::S(String::new()))]));
    Ok(Changed::Stale(Box::new(stored_order(item)?)))
}
