//! Taking a quantity from several stripes at once, when none has it alone.

use super::{Claim, StripeLevel};
use std::collections::BTreeMap;

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
    let units: Vec<_> = levels.iter().map(|level| (&level.stripe, level.available)).collect();
    let gathered = gather_units(quantity, &units)?;
    Ok(gathered.into_iter().map(|(stripe, quantity)| Claim { stripe: stripe.clone(), quantity }).collect())
}

/// [`gather`] for stripes by any name, each with the units it has.
pub(super) fn gather_units<S: Copy>(quantity: u32, levels: &[(S, u64)]) -> Result<Vec<(S, u32)>, Shortage> {
    let wanted = u64::from(quantity);
    if let Some((stripe, _)) = levels.iter().find(|(_, available)| *available >= wanted) {
        return Ok(vec![(*stripe, quantity)]);
    }
    let available = levels.iter().map(|(_, available)| available).sum();
    if available < wanted {
        return Err(Shortage { available });
    }
    let mut fullest: Vec<_> = levels.iter().filter(|(_, available)| *available > 0).collect();
    fullest.sort_by_key(|(_, available)| std::cmp::Reverse(*available));
    let mut missing = quantity;
    let mut taken = Vec::new();
    for (stripe, available) in fullest {
        let units = missing.min(u32::try_from(*available).unwrap_or(u32::MAX));
        taken.push((*stripe, units));
        missing -= units;
        if missing == 0 {
            break;
        }
    }
    Ok(taken)
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
    use crate::ids::{ProductId, WarehouseId};
    use crate::pool::{PoolId, StripeId, StripeNumber};
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
