//! Ending parts: what they claim goes back, and what is missing of them is never written.

use super::{HeldPart, PARTS_AT_ONCE, PartItem, PartState, SETTLES_MAX};
use crate::contention::repeated;
use crate::item::{self, number, written};
use crate::order_changes::forgotten_at;
use crate::reconciliation::Keep;
use crate::transact::{Refused, cancelled, is_condition};
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, TransactWriteItem, Update};
use futures_util::{StreamExt, TryStreamExt, stream};
use holdfast_domain::order::{Order, Parts};
use holdfast_domain::pool::{Claim, merged};

impl Store {
    /// Gives back what the parts of an order claim that has ended, and lets no missing part be written any more. May be
    /// repeated; does nothing for an order without parts or one that keeps its stock.
    ///
    /// # Errors
    /// When the table gives no answer, or others were at the same items each time: then it is to be repeated.
    pub async fn order_parts_settle(&self, order: &Order) -> Result<(), StoreError> {
        let Some(parts) = order.parts.filter(|_| !order.state.keeps_stock()) else { return Ok(()) };
        let mut found = self.parts_read(order, parts).await?;
        let numbers: Vec<_> = (0..parts.count).map(|number| (number, found.remove(&number))).collect();
        let settled = stream::iter(numbers)
            .map(|(number, item)| async move { self.part_settle(order, parts, number, item).await });
        settled.buffer_unordered(PARTS_AT_ONCE).try_collect().await
    }

    async fn part_settle(
        &self,
        order: &Order,
        parts: Parts,
        number: u16,
        mut there: Option<PartItem>,
    ) -> Result<(), StoreError> {
        let key = keys::order_part(&order.tenant, order.id, parts.attempt, number);
        for _ in 0..SETTLES_MAX {
            let settled = match &there {
                None => self.part_void(order, &key).await?,
                Some(item) if item.state == PartState::Held => self.part_release(order, &key, item).await?,
                Some(_) => true,
            };
            if settled {
                return Ok(());
            }
            // Somebody else wrote, released or voided it meanwhile.
            there = self.get(key.clone()).await?.map(item::read).transpose()?;
        }
        Err(StoreError::Conflict)
    }

    /// Puts a tombstone in the place of a part that is not there; false if it is there by now.
    async fn part_void(&self, order: &Order, key: &keys::Key) -> Result<bool, StoreError> {
        let tombstone = PartItem {
            pk: key.pk.clone(),
            sk: key.sk.clone(),
            state: PartState::Void,
            ttl: forgotten_at(order),
            customer: None,
            lines: vec![],
            positions: vec![],
            claims: vec![],
            summed: false,
        };
        let request = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(written(&tombstone)))
            .condition_expression("attribute_not_exists(pk)")
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        self.applied(request.send(), |output| &output.consumed_capacity).await
    }

    /// Gives back what a part claims, once; false if it is to be looked at again.
    async fn part_release(&self, order: &Order, key: &keys::Key, item: &PartItem) -> Result<bool, StoreError> {
        let mut claims = self.part_claims(order, item)?;
        let summed = item.summed.then(|| Keep::of(&claims));
        for _ in 0..SETTLES_MAX {
            let reasons = match repeated(|| self.part_release_once(order, key, &claims, summed.as_ref())).await? {
                Ok(()) => return Ok(true),
                Err(reasons) => reasons,
            };
            let (first, rest) = reasons.split_first().expect("a cancelled transaction has a reason for each item");
            if is_condition(first) {
                return Ok(false);
            }
            let missing: Vec<_> = (0..claims.len()).filter(|at| is_condition(&rest[*at])).collect();
            claims = merged(self.replaced(&order.tenant, claims, &missing).await?);
        }
        Err(StoreError::StripeMissing)
    }

    async fn part_release_once(
        &self,
        order: &Order,
        key: &keys::Key,
        claims: &[Claim],
        summed: Option<&Keep>,
    ) -> Result<Result<(), Vec<aws_sdk_dynamodb::types::CancellationReason>>, StoreError> {
        let released = Update::builder().table_name(&*self.table).set_key(Some(key.clone().attributes()));
        let released = match forgotten_at(order) {
            None => released.update_expression("SET #state = :released"),
            Some(at) => released
                .update_expression("SET #state = :released, #ttl = :ttl")
                .expression_attribute_names("#ttl", "ttl")
                .expression_attribute_values(":ttl", number(at)),
        };
        let released = released
            .condition_expression(match summed {
                None => "#state = :held AND attribute_not_exists(summed)",
                Some(_) => "#state = :held AND attribute_exists(summed)",
            })
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":released", item::value(&PartState::Released))
            .expression_attribute_values(":held", item::value(&PartState::Held));
        let released = released.build().expect("an update has its table, key and expression");
        let released = TransactWriteItem::builder().update(released).build();
        let given_back = claims.iter().map(|claim| self.give_back(&order.tenant, claim));
        let from_balance = summed.map(|keep| self.balance_without(&order.tenant, keep)).unwrap_or_default();
        match self.transact(std::iter::once(released).chain(given_back).chain(from_balance).collect()).await {
            Ok(()) => Ok(Ok(())),
            Err(Refused::Other(error)) => Err(error),
            Err(Refused::Cancelled(reasons)) => match reasons.iter().any(is_condition) {
                true => Ok(Err(reasons)),
                false => Err(cancelled(&reasons)),
            },
        }
    }

    /// Adds what a part keeps to the balances of closed days, once. Does nothing when it is there already, or was
    /// released meanwhile.
    ///
    /// # Errors
    /// When the table gives no answer, or others were at the same items each time: then it is to be repeated.
    pub async fn order_part_sum(&self, order: &Order, part: &HeldPart) -> Result<(), StoreError> {
        let key = keys::Key { pk: keys::order(&order.tenant, order.id).pk, sk: part.position.clone() };
        let summed = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(key.attributes()))
            .update_expression("SET summed = :summed")
            .condition_expression("#state = :held AND attribute_not_exists(summed)")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":summed", AttributeValue::Bool(true))
            .expression_attribute_values(":held", item::value(&PartState::Held));
        let summed = summed.build().expect("an update has its table, key and expression");
        let mut writes = vec![TransactWriteItem::builder().update(summed).build()];
        writes.extend(self.balance_with(&order.tenant, &part.keep));
        repeated(|| async {
            match self.transact(writes.clone()).await {
                Ok(()) => Ok(()),
                Err(Refused::Other(error)) => Err(error),
                Err(Refused::Cancelled(reasons)) if reasons.iter().any(is_condition) => Ok(()),
                Err(Refused::Cancelled(reasons)) => Err(cancelled(&reasons)),
            }
        })
        .await
    }
}
