//! Pools: everything scarce, kept in stripes. A claim takes from stripes, a release gives back.

use crate::ids::{ProductId, WarehouseId};
use crate::product::PriceVersion;
use std::collections::BTreeMap;

/// The number of a stripe within its pool, from 0.
pub type StripeNumber = u16;

/// What is scarce.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PoolId {
    /// The units of a product in a warehouse.
    Stock {
        /// What is kept.
        product: ProductId,
        /// Where it is kept.
        warehouse: WarehouseId,
    },
}

/// One stripe of a pool: an item of its own, so that claims on several do not meet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StripeId {
    /// The pool it is a part of.
    pub pool: PoolId,
    /// Which part.
    pub number: StripeNumber,
}

/// Units taken from a stripe, or given back to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Whose units.
    pub stripe: StripeId,
    /// How many, at least 1.
    pub quantity: u32,
}

/// What a stripe held when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripeLevel {
    /// Which stripe.
    pub stripe: StripeId,
    /// Units free to claim.
    pub available: u64,
    /// The least price version a claim must carry.
    pub price_version: PriceVersion,
}

/// There were not enough units in all stripes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    /// How many there were.
    pub available: u64,
}

/// Chooses stripes that together have `quantity`: one that suffices by itself if there is one (the first such in the
/// order given, which callers rotate to spread the load), otherwise the fullest first, so that few are touched.
///
/// # Errors
/// [`Shortage`] when all stripes together have less.
pub fn gather(quantity: u32, levels: &[StripeLevel]) -> Result<Vec<Claim>, Shortage> {
    let wanted = u64::from(quantity);
    if let Some(level) = levels.iter().find(|level| level.available >= wanted) {
        return Ok(vec![Claim { stripe: level.stripe.clone(), quantity }]);
    }
    let available = levels.iter().map(|level| level.available).sum();
    if available < wanted {
        return Err(Shortage { available });
    }
    let mut fullest: Vec<_> = levels.iter().filter(|level| level.available > 0).collect();
    fullest.sort_by_key(|level| std::cmp::Reverse(level.available));
    let mut missing = quantity;
    let mut claims = Vec::new();
    for level in fullest {
        let taken = missing.min(u32::try_from(level.available).unwrap_or(u32::MAX));
        claims.push(Claim { stripe: level.stripe.clone(), quantity: taken });
        missing -= taken;
        if missing == 0 {
            break;
        }
    }
    Ok(claims)
}

/// One claim a stripe: a transaction may touch an item once.
pub fn merged(claims: impl IntoIterator<Item = Claim>) -> Vec<Claim> {
    let mut by_stripe = BTreeMap::new();
    for claim in claims {
        *by_stripe.entry(claim.stripe).or_insert(0) += claim.quantity;
    }
    by_stripe.into_iter().map(|(stripe, quantity)| Claim { stripe, quantity }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn levels(available: &[u64]) -> Vec<StripeLevel> {
        let pool =
            PoolId::Stock { product: ProductId::parse("mug").unwrap(), warehouse: WarehouseId::parse("main").unwrap() };
        let stripe = |number| StripeId { pool: pool.clone(), number };
        let level = |(n, available): (usize, &u64)| StripeLevel {
            stripe: stripe(n as StripeNumber),
            available: *available,
            price_version: 1,
        };
        available.iter().enumerate().map(level).collect()
    }

    #[test]
    fn a_stripe_that_suffices_is_taken_alone() {
        let claims = gather(3, &levels(&[2, 3, 9])).unwrap();
        assert_eq!(claims.iter().map(|c| (c.stripe.number, c.quantity)).collect::<Vec<_>>(), [(1, 3)]);
    }

    proptest! {
        #[test]
        fn ord_2_gathering_takes_what_was_asked_and_never_more_than_there_is(
            available in prop::collection::vec(0u64..20, 0..12), quantity in 1u32..100,
        ) {
            let levels = levels(&available);
            match gather(quantity, &levels) {
                Ok(claims) => {
                    prop_assert_eq!(claims.iter().map(|c| c.quantity).sum::<u32>(), quantity);
                    for claim in &claims {
                        let level = &levels[usize::from(claim.stripe.number)];
                        prop_assert!(u64::from(claim.quantity) <= level.available && claim.quantity > 0);
                    }
                    prop_assert_eq!(merged(claims.clone()).len(), claims.len());
                }
                Err(Shortage { available: all }) => {
                    prop_assert_eq!(all, available.iter().sum::<u64>());
                    prop_assert!(all < u64::from(quantity));
                }
            }
        }
    }
}
