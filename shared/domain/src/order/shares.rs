//! Shares of amounts: what some of a line's units are worth.

use crate::money::Money;

/// What the first `units` of `of` units are worth of an amount, rounded down. Shares of successive units add up to the
/// amount exactly, however they are cut: each is the difference of two of these.
fn first(amount: Money, units: u32, of: u32) -> i64 {
    let part = i128::from(amount.amount()) * i128::from(units) / i128::from(of.max(1));
    i64::try_from(part).expect("a part of an amount is no larger than the amount")
}

/// What `units` of a line of `of` units are worth of an amount, when `before` of them were counted already.
///
/// # Panics
/// When there are more units than the line has.
pub fn share(amount: Money, before: u32, units: u32, of: u32) -> Money {
    assert!(before + units <= of, "a share is of units that the line has");
    let worth = first(amount, before + units, of) - first(amount, before, of);
    Money::new(worth, amount.currency()).expect("a share lies between zero and the amount")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ord_10_shares_add_up_however_a_line_is_cut(
            amount in 0..=10_000_000_i64, cuts in proptest::collection::vec(1..50_u32, 1..20),
        ) {
            let amount = Money::new(amount, Currency::parse("EUR").unwrap()).unwrap();
            let of = cuts.iter().sum();
            let (mut before, mut worth) = (0, 0);
            for units in cuts {
                worth += share(amount, before, units, of).amount();
                before += units;
                prop_assert!(worth <= amount.amount());
            }
            prop_assert_eq!(worth, amount.amount());
        }
    }
}
