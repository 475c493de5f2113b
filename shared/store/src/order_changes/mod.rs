//! Changing orders: each change is written if the order is still at the version that it was made from.

mod giving_back;
mod moving;
mod revising;

use crate::fulfilment_item::{LedgerItem, RefundItem, ReturnItem, ShipmentItem};
use crate::item::{Item, number, value};
use crate::line_item::{ClaimItem, LineItem};
use crate::order_item::{DiscountItem, HistoryItem, Place, RateItem, stored_order};
use crate::payment_item::PaymentItem;
use crate::tax_item::{TaxItem, taxed_now};
use crate::{Store, StoreError, StoredOrder, keys};
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure, Update};
use giving_back::restocked;
use holdfast_domain::event::Trace;
use holdfast_domain::order::{Change, Order, OrderState, StockEffect};
use jiff::SignedDuration;
pub use moving::Splitting;
pub use revising::Revising;

/// What came of changing an order.
#[derive(Debug)]
pub enum Changed {
    /// The change is written.
    Done,
    /// The order was at another version than the change was made for: this is it now, without its parts.
    Stale(Box<StoredOrder>),
}

impl Store {
    /// Writes a change if the order is still at the version the change was made from. Stock that goes back does so in
    /// the same transaction, which is tried again while others are at the same stock; that of parts goes back after it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] and [`StoreError::Throttled`] when nothing was written and another try may succeed;
    /// [`StoreError::Unavailable`] when it is not known whether the change was written.
    pub async fn order_change(&self, change: &Change, trace: &Trace) -> Result<Changed, StoreError> {
        match &change.stock {
            StockEffect::Keep => self.order_update(change, trace).await,
            StockEffect::GiveBack(claims) => self.order_update_giving_back(change, claims.clone(), &[], trace).await,
            StockEffect::Restock(restocks) => match change.order.parts {
                None => {
                    self.order_update_giving_back(change, restocked(&change.order, restocks), restocks, trace).await
                }
                Some(parts) => self.order_update_restocking_parts(change, parts, restocks, trace).await,
            },
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
        if let Some((also, taxed)) = taxed_now(change) {
            expression += also;
            names.extend([("#total", "total"), ("#lines", "lines")]);
            values.extend(taxed);
        }
        expression += &sections_written(change, &mut values);
        if change.sections.returns {
            // A reserved word of DynamoDB.
            names.push(("#returns", "returns"));
        }
        if change.sections.terms {
            expression += &terms_written(order, &mut names, &mut values);
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

/// Adds what seldom changes to an update of an order: whatever of it the change has changed.
fn sections_written(change: &Change, values: &mut Vec<(&str, AttributeValue)>) -> String {
    let (order, sections) = (&change.order, change.sections);
    let mut expression = String::new();
    let mut write = |is_changed: bool, assignment: &str, name: &'static str, written: &dyn Fn() -> AttributeValue| {
        if is_changed {
            expression += assignment;
            values.push((name, written()));
        }
    };
    let entered: Vec<_> = order.ledger.iter().filter(|entry| entry.version == order.version).collect();
    let entered: Vec<_> = entered.into_iter().map(LedgerItem::from).collect();
    let any = !entered.is_empty();
    write(any, ", ledger = list_append(if_not_exists(ledger, :no_ledger), :ledger)", ":ledger", &|| value(&entered));
    write(any, "", ":no_ledger", &|| AttributeValue::L(Vec::new()));
    let shipments = || value(&order.shipments.iter().map(ShipmentItem::from).collect::<Vec<_>>());
    write(sections.shipments, ", shipments = :shipments", ":shipments", &shipments);
    let returns = || value(&order.returns.iter().map(ReturnItem::from).collect::<Vec<_>>());
    write(sections.returns, ", #returns = :returns", ":returns", &returns);
    let refunds = || value(&order.refunds.iter().map(RefundItem::from).collect::<Vec<_>>());
    write(sections.refunds, ", refunds = :refunds", ":refunds", &refunds);
    let address = || value(&order.address);
    write(sections.address && !change.becomes_order, ", address = :address", ":address", &address);
    let expires_at = || number(order.expires_at.as_millisecond());
    write(sections.expiry && !change.becomes_order, ", expires_at = :expires_at", ":expires_at", &expires_at);
    expression
}

/// Adds what an order consists of and costs, and takes away what it has none of: to be added last.
fn terms_written<'a>(
    order: &Order,
    names: &mut Vec<(&'a str, &'a str)>,
    values: &mut Vec<(&'a str, AttributeValue)>,
) -> String {
    let currency = order.total.currency();
    let lines: Vec<_> = order.lines.iter().map(|line| LineItem::of(line, currency)).collect();
    let claims: Vec<_> = order.claims.iter().filter_map(ClaimItem::of).collect();
    let rates: Vec<_> = order.rates.iter().map(RateItem::from).collect();
    // Some of these are reserved words of DynamoDB.
    names.extend([("#lines", "lines"), ("#total", "total")]);
    values.extend([(":lines", value(&lines)), (":total", number(order.total.amount()))]);
    let mut expression = ", #lines = :lines, #total = :total".to_owned();
    let mut none = Vec::new();
    let mut write = |is_there: bool, name: &'static str, assignment: &str, written: (&'static str, AttributeValue)| {
        if is_there {
            expression += assignment;
            values.push(written);
        } else {
            none.push(name);
        }
    };
    let tax = order.tax.as_ref().map(TaxItem::from);
    write(tax.is_some(), "tax", ", tax = :tax", (":tax", value(&tax)));
    let discount = order.discount.as_ref().map(DiscountItem::from);
    write(discount.is_some(), "discount", ", discount = :discount", (":discount", value(&discount)));
    write(!claims.is_empty(), "claims", ", claims = :claims", (":claims", value(&claims)));
    write(!rates.is_empty(), "rates", ", rates = :rates", (":rates", value(&rates)));
    if !none.is_empty() {
        expression += &format!(" REMOVE {}", none.join(", "));
    }
    expression
}

/// How long an attempt that was given up is kept.
const GIVEN_UP_KEPT: SignedDuration = SignedDuration::from_hours(24 * 30);

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
