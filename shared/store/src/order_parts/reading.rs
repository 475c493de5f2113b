//! Reading parts.

use super::{HeldPart, PartItem, PartState};
use crate::reconciliation::Keep;
use crate::{Store, StoreError, item, keys};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use holdfast_domain::order::{Order, Parts};
use holdfast_domain::pool::{Claim, merged};
use std::collections::BTreeMap;

impl Store {
    /// Adds the lines that an order keeps in parts. Nothing for an order without parts.
    ///
    /// # Errors
    /// When the table gives no answer, or an item is not readable.
    pub async fn order_lines_read(&self, order: &mut Order) -> Result<(), StoreError> {
        let Some(parts) = order.parts else { return Ok(()) };
        let currency = order.total.currency();
        let mut lines = BTreeMap::new();
        for item in self.parts_read(order, parts).await?.into_values() {
            let corrupt = |problem| StoreError::Corrupt { key: item.pk.clone(), problem };
            for (position, line) in item.positions.iter().copied().zip(item.lines) {
                lines.insert(position, line.line(currency).map_err(corrupt)?);
            }
        }
        order.lines = lines.into_values().collect();
        Ok(())
    }

    /// The parts of an attempt that are there, by number.
    pub(super) async fn parts_read(&self, order: &Order, parts: Parts) -> Result<BTreeMap<u16, PartItem>, StoreError> {
        let items = self.part_items(order, &keys::order_parts(parts.attempt)).await?;
        Ok(items.into_iter().map(|item| (number_of(&item), item)).collect())
    }

    async fn part_items(&self, order: &Order, prefix: &str) -> Result<Vec<PartItem>, StoreError> {
        let request = self
            .client
            .query()
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", AttributeValue::S(keys::order(&order.tenant, order.id).pk))
            .expression_attribute_values(":prefix", AttributeValue::S(prefix.to_owned()))
            .consistent_read(true);
        self.query_all(request).await?.into_iter().map(item::read).collect()
    }

    /// The parts of all attempts that keep what they claim, by position.
    pub(crate) async fn parts_held(&self, order: &Order) -> Result<Vec<HeldPart>, StoreError> {
        // There may be many attempts that were given up: only what is held is sent, and its lines are gone with their page.
        let request = self
            .client
            .query()
            .table_name(&*self.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .filter_expression("#state = :held")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":pk", AttributeValue::S(keys::order(&order.tenant, order.id).pk))
            .expression_attribute_values(":prefix", AttributeValue::S(keys::PART_PREFIX.to_owned()))
            .expression_attribute_values(":held", item::value(&PartState::Held))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let mut held = Vec::new();
        let mut start = None;
        loop {
            let page = request.clone().set_exclusive_start_key(start);
            let output = self.timed(page.send()).await.map_err(StoreError::of)?;
            self.meter.count_reads(&output.consumed_capacity);
            for item in output.items.unwrap_or_default() {
                let item: PartItem = item::read(item)?;
                let keep = Keep::of(&self.part_claims(order, &item)?);
                held.push(HeldPart { position: item.sk, keep, summed: item.summed });
            }
            start = output.last_evaluated_key;
            if start.is_none() {
                return Ok(held);
            }
        }
    }

    pub(super) fn part_claims(&self, order: &Order, item: &PartItem) -> Result<Vec<Claim>, StoreError> {
        let part = item.clone();
        let corrupt = |problem| StoreError::Corrupt { key: item.pk.clone(), problem };
        let mut claims: Vec<_> = part.claims.into_iter().map(|claim| claim.claim(&order.customer)).collect();
        for line in part.lines {
            claims.extend(line.line(order.total.currency()).map_err(corrupt)?.claims());
        }
        Ok(merged(claims))
    }
}

/// The number of a part, by its key.
fn number_of(item: &PartItem) -> u16 {
    item.sk.rsplit('#').next().and_then(|number| number.parse().ok()).unwrap_or(u16::MAX)
}
