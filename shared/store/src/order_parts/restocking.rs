//! Units of parts that came back.

use super::PartState;
use crate::item::value;
use crate::line_item::LineItem;
use crate::reconciliation::Keep;
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::types::{TransactWriteItem, Update};
use holdfast_domain::order::{Order, Parts, Restock};
use std::collections::BTreeMap;

impl Store {
    /// The actions that write the lines of `order` into those of its parts that units came back of, and take the units out
    /// of the balances of closed days where the part is in them. The part must be as it was read.
    pub(crate) async fn parts_restocked(
        &self,
        order: &Order,
        parts: Parts,
        restocks: &[Restock],
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let mut by_line: BTreeMap<usize, Vec<&Restock>> = BTreeMap::new();
        for restock in restocks {
            by_line.entry(restock.line).or_default().push(restock);
        }
        let mut writes = Vec::new();
        let mut from_balance = Vec::new();
        for (number, part) in self.parts_read(order, parts).await? {
            let touched = part.positions.iter().filter_map(|position| by_line.get(position));
            let claims = touched.flatten().map(|restock| {
                let line = &order.lines[restock.line];
                line.claim(&line.from[restock.source], restock.quantity)
            });
            let claims: Vec<_> = claims.collect();
            if claims.is_empty() {
                continue;
            }
            if part.summed {
                from_balance.extend(claims);
            }
            let currency = order.total.currency();
            let lines = part.positions.iter().filter_map(|position| order.lines.get(*position));
            let lines: Vec<_> = lines.map(|line| LineItem::of(line, currency)).collect();
            let update = Update::builder()
                .table_name(&*self.table)
                .set_key(Some(keys::order_part(&order.tenant, order.id, parts.attempt, number).attributes()))
                .update_expression("SET #lines = :lines")
                .condition_expression(match part.summed {
                    false => "#state = :held AND attribute_not_exists(summed)",
                    true => "#state = :held AND attribute_exists(summed)",
                })
                .expression_attribute_names("#state", "state")
                .expression_attribute_names("#lines", "lines")
                .expression_attribute_values(":held", value(&PartState::Held))
                .expression_attribute_values(":lines", value(&lines));
            let update = update.build().expect("an update has its table, key and expression");
            writes.push(TransactWriteItem::builder().update(update).build());
        }
        writes.extend(self.balance_without(&order.tenant, &Keep::of(&from_balance)));
        Ok(writes)
    }
}
