//! The parts of large orders: each is one item with some lines, written in one transaction with what they claim.
//!
//! A part is held, released, or void: a tombstone under its key, so that a late writer is refused. What ends an order
//! in parts is its header; settling its parts afterwards may be repeated by anybody, as often as it takes.

mod reading;
mod restocking;
mod settling;

use crate::claims::{Contention, Granted, RefusedClaim};
use crate::item::{self, Item, written};
use crate::line_item::{ClaimItem, LineItem};
use crate::order_item::stored_order;
use crate::reconciliation::Keep;
use crate::transact::{Refused, cancelled, is_condition};
use crate::{Store, StoreError, StoredOrder, keys};
use aws_sdk_dynamodb::types::{Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem};

use holdfast_domain::event::Trace;
use holdfast_domain::ids::CustomerId;
use holdfast_domain::order::{Order, Part};
use holdfast_domain::pool::Take;
use serde::{Deserialize, Serialize};

/// How many parts are written, or settled, at the same time.
pub const PARTS_AT_ONCE: usize = 8;

/// How often a part is looked at again while its claims find stripes missing or a late writer comes between.
const SETTLES_MAX: usize = 6;

/// What came of opening a large order.
#[derive(Debug)]
pub enum Opening {
    /// Its header is written; the parts may follow.
    Opened,
    /// An order of this id, or another attempt, was there already.
    Existing(Box<StoredOrder>),
}

/// What came of writing a part.
#[derive(Debug)]
pub enum PartWriting {
    /// It is written, now or by an earlier call whose answer was lost.
    Written,
    /// The attempt was given up meanwhile.
    Void,
    /// Stripes refused their claims; nothing was written.
    Refused(Vec<RefusedClaim>),
    /// Others were at the same items; nothing was written.
    Contended(Contention),
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PartState {
    Held,
    Released,
    Void,
}

#[derive(Clone, Serialize, Deserialize)]
struct PartItem {
    pk: String,
    sk: String,
    state: PartState,
    /// When it may be forgotten, in seconds since the epoch, as nothing of its attempt became an order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl: Option<i64>,
    /// Whose allowances the claims are on, for those who read the item by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    customer: Option<CustomerId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lines: Vec<LineItem>,
    /// The positions of the lines in the order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    positions: Vec<usize>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    claims: Vec<ClaimItem>,
    /// Whether what it keeps is in the balances of closed days.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    summed: bool,
}

/// A part that keeps what it claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldPart {
    /// Its position among the parts of its order.
    pub position: String,
    /// What it keeps.
    pub keep: Keep,
    /// Whether that is in the balances of closed days.
    pub summed: bool,
}

impl Store {
    /// Writes the header of a large order: the first attempt if there is none, or the next one after the attempt whose
    /// version is `order.version - 1`.
    ///
    /// # Errors
    /// As [`Store::order_change`].
    pub async fn order_open(&self, order: &Order, trace: &Trace) -> Result<Opening, StoreError> {
        let put = match order.version {
            1 => self.order_put(order, trace, "attribute_not_exists(pk)", None),
            version => self.order_put(order, trace, "version = :before", Some(version - 1)),
        };
        match self.transact(vec![put]).await {
            Ok(()) => Ok(Opening::Opened),
            Err(Refused::Other(error)) => Err(error),
            Err(Refused::Cancelled(reasons)) => match reasons.first().filter(|reason| is_condition(reason)) {
                Some(reason) => Ok(Opening::Existing(Box::new(stored_order(reason.item.clone().unwrap_or_default())?))),
                None => Err(cancelled(&reasons)),
            },
        }
    }

    /// Writes a part and claims what it needs, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it is not known whether it was written: repeating it tells.
    pub async fn order_part_write(
        &self,
        order: &Order,
        part: &Part,
        takes: &[Take],
    ) -> Result<PartWriting, StoreError> {
        let put = Put::builder()
            .table_name(&*self.table)
            .set_item(Some(part_item(order, part)))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = TransactWriteItem::builder().put(put.build().expect("a put has its table and item")).build();
        Ok(match self.granted(&order.tenant, put, takes).await? {
            Granted::Done => PartWriting::Written,
            Granted::Existing(item) => match item::read::<PartItem>(item)?.state {
                PartState::Held => PartWriting::Written,
                PartState::Released | PartState::Void => PartWriting::Void,
            },
            Granted::Refused(refused) => PartWriting::Refused(refused),
            Granted::Contended(contention) => PartWriting::Contended(contention),
        })
    }
}

fn part_item(order: &Order, part: &Part) -> Item {
    let attempt = order.parts.map_or(1, |parts| parts.attempt);
    let keys::Key { pk, sk } = keys::order_part(&order.tenant, order.id, attempt, part.number);
    let currency = order.total.currency();
    written(&PartItem {
        pk,
        sk,
        state: PartState::Held,
        ttl: None,
        customer: (!part.claims.is_empty()).then(|| order.customer.clone()),
        lines: part.lines.iter().map(|(_, line)| LineItem::of(line, currency)).collect(),
        positions: part.lines.iter().map(|(position, _)| *position).collect(),
        claims: part.claims.iter().filter_map(ClaimItem::of).collect(),
        summed: false,
    })
}
