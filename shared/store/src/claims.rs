//! Claims on stripes and their return, as actions of a transaction: the same for every kind of pool and of owner.

use crate::item::{self, Item, number};
use crate::stock::level_of;
use crate::transact::{Refused, cancelled, is_condition, is_contended};
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::types::{CancellationReason, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update};
use holdfast_domain::ids::TenantId;
use holdfast_domain::pool::{Claim, Guard, PoolId, StripeId, StripeLevel, Take};
use serde::Deserialize;

/// What a stripe's claim passes: enough units, and no later terms than those it was made under.
const CLAIM_CONDITION: &str = "available >= :quantity AND price_version <= :price_version";
/// What a claim on an allowance passes: the units used and these stay within the limit.
const ALLOWANCE_CONDITION: &str = "attribute_not_exists(used) OR used <= :room";

/// A claim that its stripe refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedClaim {
    /// The stripe that was asked.
    pub stripe: StripeId,
    /// What was found there.
    pub found: Found,
}

/// What a claim that was refused found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// No such stripe.
    Nothing,
    /// A stripe with too few units, or with later terms.
    Level(StripeLevel),
    /// An allowance of which so many units are used.
    Used(u32),
}

/// The stripes at which others were.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contention {
    /// Those of the claims; none if it was another item.
    pub stripes: Vec<StripeId>,
}

#[derive(Deserialize)]
struct AllowanceItem {
    used: u32,
}

/// What came of writing an owner together with its claims.
pub(crate) enum Granted {
    /// Everything is written.
    Done,
    /// The owner is there already: its item.
    Existing(Item),
    /// Stripes refused their claims; nothing was written.
    Refused(Vec<RefusedClaim>),
    /// Others were at the same items; nothing was written.
    Contended(Contention),
}

/// What came of writing an owner together with its claims, and with what it gives back.
pub(crate) enum Exchanged {
    /// All that does not depend on what is given back.
    Granted(Granted),
    /// The stripes of these claims that were to go back, by position, are not there; nothing was written.
    Missing(Vec<usize>),
}

/// The claims that their stripes refused, by the reasons of a cancelled transaction.
fn refusals(reasons: &[CancellationReason], takes: &[Take]) -> Result<Vec<RefusedClaim>, StoreError> {
    let refused = reasons.iter().zip(takes).filter(|(reason, _)| is_condition(reason));
    let refusal = |(reason, take): (&CancellationReason, &Take)| {
        let stripe = take.claim.stripe.clone();
        let found = match (&take.guard, reason.item.clone()) {
            (_, None) => Found::Nothing,
            (Guard::Terms(_), Some(item)) => Found::Level(level_of(&stripe, item)?),
            (Guard::Limit { .. }, Some(item)) => Found::Used(item::read::<AllowanceItem>(item)?.used),
        };
        Ok(RefusedClaim { stripe, found })
    };
    refused.map(refusal).collect()
}

impl Store {
    /// Writes the item that claims are made for with them, in one transaction. `owner` must return the item that it meets.
    ///
    /// The owner's own condition is read first among the reasons of a refusal: a retry must find what it wrote, whatever
    /// became of the stock.
    pub(crate) async fn granted(
        &self,
        tenant: &TenantId,
        owner: TransactWriteItem,
        takes: &[Take],
    ) -> Result<Granted, StoreError> {
        match self.exchanged(tenant, owner, takes, &[]).await? {
            Exchanged::Granted(granted) => Ok(granted),
            Exchanged::Missing(_) => unreachable!("nothing is given back"),
        }
    }

    /// The same with claims that the owner gives back, which are on other stripes.
    pub(crate) async fn exchanged(
        &self,
        tenant: &TenantId,
        owner: TransactWriteItem,
        takes: &[Take],
        surplus: &[Claim],
    ) -> Result<Exchanged, StoreError> {
        let claimed = takes.iter().map(|take| self.take(tenant, take));
        let given_back = surplus.iter().map(|claim| self.give_back(tenant, claim));
        let items = std::iter::once(owner).chain(claimed).chain(given_back).collect();
        let reasons = match self.transact(items).await {
            Ok(()) => return Ok(Exchanged::Granted(Granted::Done)),
            Err(Refused::Other(StoreError::Conflict | StoreError::Throttled)) => {
                return Ok(Exchanged::Granted(Granted::Contended(Contention::default())));
            }
            Err(Refused::Other(error)) => return Err(error),
            Err(Refused::Cancelled(reasons)) => reasons,
        };
        let (first, rest) = reasons.split_first().expect("a cancelled transaction has a reason for each item");
        if is_condition(first) {
            return Ok(Exchanged::Granted(Granted::Existing(first.item.clone().unwrap_or_default())));
        }
        let refused = refusals(rest, takes)?;
        if !refused.is_empty() {
            return Ok(Exchanged::Granted(Granted::Refused(refused)));
        }
        let missing: Vec<_> = (0..surplus.len()).filter(|at| is_condition(&rest[takes.len() + at])).collect();
        if !missing.is_empty() {
            return Ok(Exchanged::Missing(missing));
        }
        let contended = rest.iter().zip(takes).filter(|(reason, _)| is_contended(reason));
        let stripes: Vec<_> = contended.map(|(_, take)| take.claim.stripe.clone()).collect();
        match reasons.iter().any(is_contended) {
            true => Ok(Exchanged::Granted(Granted::Contended(Contention { stripes }))),
            false => Err(cancelled(&reasons)),
        }
    }

    /// The action that claims units.
    fn take(&self, tenant: &TenantId, take: &Take) -> TransactWriteItem {
        let quantity = take.claim.quantity;
        let update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::stripe(tenant, &take.claim.stripe).attributes()))
            .expression_attribute_values(":quantity", number(quantity))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let update = match &take.guard {
            Guard::Terms(version) => update
                .update_expression("SET available = available - :quantity, version = version + :one")
                .condition_expression(CLAIM_CONDITION)
                .expression_attribute_values(":price_version", number(version))
                .expression_attribute_values(":one", number(1)),
            Guard::Limit { units, forget_at } => {
                let update = update
                    .condition_expression(ALLOWANCE_CONDITION)
                    .expression_attribute_values(":room", number(i64::from(*units) - i64::from(quantity)))
                    .expression_attribute_values(":zero", number(0));
                let used = "SET used = if_not_exists(used, :zero) + :quantity";
                match forget_at {
                    None => update.update_expression(used),
                    Some(at) => update
                        .update_expression(format!("{used}, #ttl = :ttl"))
                        .expression_attribute_names("#ttl", "ttl")
                        .expression_attribute_values(":ttl", number(at.as_second())),
                }
            }
        };
        let update = update.build().expect("an update has its table, key and expression");
        TransactWriteItem::builder().update(update).build()
    }

    /// The action that gives units back. A stripe must be there; an allowance is never brought below zero.
    pub(crate) fn give_back(&self, tenant: &TenantId, claim: &Claim) -> TransactWriteItem {
        let update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::stripe(tenant, &claim.stripe).attributes()))
            .expression_attribute_values(":quantity", number(claim.quantity));
        let update = match claim.stripe.pool {
            PoolId::Allowance { .. } => {
                update.update_expression("SET used = used - :quantity").condition_expression("used >= :quantity")
            }
            PoolId::Stock { .. } | PoolId::Coupon { .. } => update
                .update_expression("SET available = available + :quantity, version = version + :one")
                .condition_expression("attribute_exists(pk)")
                .expression_attribute_values(":one", number(1)),
        };
        let update = update.build().expect("an update has its table, key and expression");
        TransactWriteItem::builder().update(update).build()
    }

    /// The claims with those at `missing` turned to other stripes of their pools.
    pub(crate) async fn replaced(
        &self,
        tenant: &TenantId,
        claims: Vec<Claim>,
        missing: &[usize],
    ) -> Result<Vec<Claim>, StoreError> {
        let mut replaced = Vec::with_capacity(claims.len());
        for (at, claim) in claims.into_iter().enumerate() {
            if !missing.contains(&at) {
                replaced.push(claim);
                continue;
            }
            // An allowance that is gone was forgotten because its time was over: nothing goes back to it.
            let gone = claim.stripe.number;
            if let Some(stripe) = self.pool_any_stripe(tenant, &claim.stripe.pool, &[gone]).await? {
                replaced.push(Claim { stripe, ..claim });
            }
        }
        Ok(replaced)
    }
}
