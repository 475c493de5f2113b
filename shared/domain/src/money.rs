//! Money: integer minor units with their currency. No floating point, no silent overflow.

use crate::invalid::Invalid;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// The greatest amount, in minor units: the largest integer that every JSON reader keeps exact (RFC 8259 §6).
pub const AMOUNT_MAX: i64 = 9_007_199_254_740_991;

/// A currency of ISO 4217 that has a minor unit count (so no gold, and no test code).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// Reads a three-letter code such as `EUR`.
    ///
    /// # Errors
    /// When ISO 4217 has no such currency, or it has no minor unit.
    pub fn parse(code: &str) -> Result<Self, Invalid> {
        iso_currency::Currency::from_code(code)
            .filter(|currency| currency.exponent().is_some())
            .map(Self)
            .ok_or_else(|| Invalid::new("currency", "must be an ISO 4217 code such as EUR"))
    }

    /// The three letters.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many digits the minor unit has: 2 for EUR, 0 for JPY, 3 for KWD.
    pub fn exponent(self) -> u32 {
        u32::from(self.0.exponent().unwrap_or_default())
    }
}

impl TryFrom<String> for Currency {
    type Error = Invalid;
    fn try_from(code: String) -> Result<Self, Invalid> {
        Self::parse(&code)
    }
}

impl From<Currency> for &'static str {
    fn from(currency: Currency) -> &'static str {
        currency.code()
    }
}

/// A sum that did not fit: see [`AMOUNT_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the amount is above {AMOUNT_MAX} minor units")]
pub struct Overflow;

/// An amount of a currency's minor units (cents for EUR), zero or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    amount: i64,
    currency: Currency,
}

impl Money {
    /// An amount from outside.
    ///
    /// # Errors
    /// When it is negative or above [`AMOUNT_MAX`].
    pub fn new(amount: i64, currency: Currency) -> Result<Self, Invalid> {
        match (0..=AMOUNT_MAX).contains(&amount) {
            true => Ok(Self { amount, currency }),
            false => Err(Invalid::new("amount", format!("must be 0 to {AMOUNT_MAX} minor units"))),
        }
    }

    /// Nothing, of a currency.
    pub fn zero(currency: Currency) -> Self {
        Self { amount: 0, currency }
    }

    /// Minor units.
    pub fn amount(self) -> i64 {
        self.amount
    }

    /// What the units are of.
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// Whether there is nothing to pay.
    pub fn is_zero(self) -> bool {
        self.amount == 0
    }

    /// This amount `quantity` times: exact, since both are integers.
    ///
    /// # Errors
    /// [`Overflow`] when the product is above [`AMOUNT_MAX`].
    pub fn times(self, quantity: u32) -> Result<Self, Overflow> {
        let amount = self.amount.checked_mul(i64::from(quantity)).filter(|amount| *amount <= AMOUNT_MAX);
        amount.map(|amount| Self { amount, ..self }).ok_or(Overflow)
    }

    /// This amount less another of the same currency; zero if the other is higher.
    ///
    /// # Panics
    /// As [`Money::plus`].
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        assert_eq!(self.currency, other.currency, "amounts of two currencies are converted before they are subtracted");
        Self { amount: (self.amount - other.amount).max(0), ..self }
    }

    /// The sum of two amounts of one currency.
    ///
    /// # Errors
    /// [`Overflow`] when the sum is above [`AMOUNT_MAX`].
    ///
    /// # Panics
    /// When the currencies differ: callers convert or refuse before they add.
    pub fn plus(self, other: Self) -> Result<Self, Overflow> {
        assert_eq!(self.currency, other.currency, "amounts of two currencies are converted before they are added");
        let amount = self.amount.checked_add(other.amount).filter(|amount| *amount <= AMOUNT_MAX);
        amount.map(|amount| Self { amount, ..self }).ok_or(Overflow)
    }
}

/// A quotient rounded to the nearest integer, a half to the even one (IEEE 754 §4.3.1, roundTiesToEven): halves do not
/// add up in one direction over many lines.
///
/// # Panics
/// When the denominator is zero.
pub fn half_even(numerator: u128, denominator: u128) -> u128 {
    let (quotient, remainder) = (numerator / denominator, numerator % denominator);
    // Compared with what is missing to the next integer, since twice the remainder may not fit.
    match remainder.cmp(&(denominator - remainder)) {
        Ordering::Less => quotient,
        Ordering::Equal => quotient + quotient % 2,
        Ordering::Greater => quotient + 1,
    }
}

/// A quotient rounded to the nearest integer, a half upwards: for amounts, which are never negative, that is away from zero.
///
/// # Panics
/// When the denominator is zero.
pub fn half_up(numerator: u128, denominator: u128) -> u128 {
    let (quotient, remainder) = (numerator / denominator, numerator % denominator);
    quotient + u128::from(remainder >= denominator - remainder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn eur(amount: i64) -> Money {
        Money::new(amount, Currency::parse("EUR").unwrap()).unwrap()
    }

    #[test]
    fn currencies_are_those_of_iso_4217_with_a_minor_unit() {
        for (code, digits) in [("EUR", 2), ("JPY", 0), ("KWD", 3)] {
            assert_eq!(Currency::parse(code).unwrap().exponent(), digits);
        }
        for bad in ["eur", "EU", "XXX", "XAU", "ABC", ""] {
            assert_eq!(Currency::parse(bad).unwrap_err().field, "currency", "{bad}");
        }
    }

    #[test]
    fn ord_5_the_highest_value_fits_and_one_more_is_an_error() {
        assert_eq!(eur(AMOUNT_MAX).times(1).unwrap().amount(), AMOUNT_MAX);
        assert_eq!(eur(AMOUNT_MAX).plus(eur(1)), Err(Overflow));
        assert_eq!(eur(AMOUNT_MAX).times(2), Err(Overflow));
        assert_eq!(eur(i64::from(u32::MAX)).times(u32::MAX), Err(Overflow));
        assert!(Money::new(-1, Currency::parse("EUR").unwrap()).is_err());
        assert!(Money::new(i64::MAX, Currency::parse("EUR").unwrap()).is_err());
        assert!(eur(0).times(7).unwrap().is_zero());
    }

    #[test]
    fn halves_go_to_the_even_neighbour() {
        for (numerator, denominator, rounded) in
            [(1, 2, 0), (3, 2, 2), (5, 2, 2), (7, 2, 4), (5, 3, 2), (4, 3, 1), (0, 7, 0), (u128::MAX, 1, u128::MAX)]
        {
            assert_eq!(half_even(numerator, denominator), rounded, "{numerator}/{denominator}");
        }
    }

    #[test]
    fn halves_go_up_where_that_is_the_rule() {
        for (numerator, denominator, rounded) in
            [(1, 2, 1), (3, 2, 2), (5, 2, 3), (5, 3, 2), (4, 3, 1), (0, 7, 0), (0, 1, 0), (u128::MAX, 1, u128::MAX)]
        {
            assert_eq!(half_up(numerator, denominator), rounded, "{numerator}/{denominator}");
        }
    }

    proptest! {
        #[test]
        fn half_up_is_the_nearest_and_the_greater_between_two(numerator in 0..=u128::from(u64::MAX), denominator in 1..200u128) {
            let rounded = half_up(numerator, denominator);
            let twice_off = 2 * numerator.abs_diff(rounded * denominator);
            prop_assert!(twice_off < denominator || (twice_off == denominator && rounded * denominator > numerator));
        }

        #[test]
        fn half_even_is_the_nearest_and_even_between_two(numerator in 0..=u128::from(u64::MAX), denominator in 1..200u128) {
            let rounded = half_even(numerator, denominator);
            let twice_off = 2 * numerator.abs_diff(rounded * denominator);
            prop_assert!(twice_off < denominator || (twice_off == denominator && rounded.is_multiple_of(2)));
        }

        #[test]
        fn ord_5_times_is_exact_or_refused(amount in 0..=AMOUNT_MAX, quantity in any::<u32>()) {
            let exact = i128::from(amount) * i128::from(quantity);
            match eur(amount).times(quantity) {
                Ok(product) => prop_assert_eq!(i128::from(product.amount()), exact),
                Err(Overflow) => prop_assert!(exact > i128::from(AMOUNT_MAX)),
            }
        }
    }
}
