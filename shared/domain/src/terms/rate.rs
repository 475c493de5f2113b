//! What one currency is worth in another.

use crate::invalid::{Invalid, Problems};
use crate::money::{AMOUNT_MAX, Currency, Money, Overflow, half_even};
use crate::text;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The most digits of a rate after the point.
const FRACTION_DIGITS_MAX: usize = 12;

/// The most digits of a rate from the first that is not zero. Beyond it, the product of the greatest amount and a rate
/// would not fit 128 bits.
const SIGNIFICANT_DIGITS_MAX: usize = 18;

/// The greatest length of a rate's source, in characters.
pub const SOURCE_MAX: usize = 100;

/// An exact decimal above zero, such as `1.0842`. Kept without zeros at its end, so that equal values are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RateValue {
    digits: u64,
    scale: u32,
}

impl RateValue {
    /// Reads digits with an optional point between them.
    ///
    /// # Errors
    /// When the text is anything else, zero, or longer than is counted exactly.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = || {
            let problem = format!(
                "must be a decimal above 0 such as 1.0842, of at most {FRACTION_DIGITS_MAX} digits after the point and \
                 {SIGNIFICANT_DIGITS_MAX} altogether"
            );
            Invalid::new("rate", problem)
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let has_leading_zero = whole.len() > 1 && whole.starts_with('0');
        if !is_digits(whole) || !is_digits(fraction) || has_leading_zero || fraction.len() > FRACTION_DIGITS_MAX {
            return Err(invalid());
        }
        let fraction = fraction.trim_end_matches('0');
        let digits = format!("{whole}{fraction}");
        let digits = digits.trim_start_matches('0');
        let scale = u32::try_from(fraction.len()).map_err(|_| invalid())?;
        match digits.len() {
            1..=SIGNIFICANT_DIGITS_MAX => digits.parse().map(|digits| Self { digits, scale }).map_err(|_| invalid()),
            _ => Err(invalid()),
        }
    }
}

/// Without zeros at the end: what [`RateValue::parse`] reads as the same value.
impl std::fmt::Display for RateValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = 10_u64.pow(self.scale);
        let (whole, fraction) = (self.digits / unit, self.digits % unit);
        match self.scale {
            0 => write!(f, "{whole}"),
            scale => write!(f, "{whole}.{fraction:0width$}", width = scale as usize),
        }
    }
}

impl TryFrom<String> for RateValue {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<RateValue> for String {
    fn from(value: RateValue) -> String {
        value.to_string()
    }
}

/// What one unit (not minor unit) of a currency is worth in another, and who said so when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// The currency of the price.
    pub from: Currency,
    /// The currency that is paid.
    pub to: Currency,
    /// Units of `to` for one of `from`.
    pub value: RateValue,
    /// Who published it, such as `ECB`.
    pub source: String,
    /// When it was published.
    pub as_of: Timestamp,
    /// From this instant on it is too old to convert by.
    pub valid_until: Timestamp,
}

impl Rate {
    /// The rate, if its parts fit together.
    ///
    /// # Errors
    /// Names `to` when it is `from`, `source` when it is empty or too long, and `valid_until` when it is not after
    /// `as_of`.
    pub fn checked(self) -> Result<Self, Vec<Invalid>> {
        let mut problems = Problems::new();
        if self.from == self.to {
            problems.push(Invalid::new("to", "must be another currency: amounts of one need no rate"));
        }
        problems.keep("", text::checked("source", SOURCE_MAX, self.source.clone()));
        if self.valid_until <= self.as_of {
            problems.push(Invalid::new("valid_until", "must be after as_of"));
        }
        problems.finish(Some(self))
    }

    /// Whether it may be converted by at an instant. Only its age counts: no rate is written before its `as_of`.
    pub fn is_current(&self, at: Timestamp) -> bool {
        at < self.valid_until
    }

    /// An amount of `from` in `to`: exact but for one rounding at the end, of halves to the even minor unit. An amount
    /// that is of `to` already stays as it is.
    ///
    /// # Errors
    /// [`Overflow`] when the result is above [`AMOUNT_MAX`].
    ///
    /// # Panics
    /// When the amount is of neither currency.
    pub fn convert(&self, money: Money) -> Result<Money, Overflow> {
        if money.currency() == self.to {
            return Ok(money);
        }
        assert_eq!(money.currency(), self.from, "a rate converts amounts of its own currency");
        let amount = u128::try_from(money.amount()).map_err(|_| Overflow)?;
        // An amount has at most 16 digits, a rate 18 and a minor unit 4: their product fits.
        let numerator = amount * u128::from(self.value.digits) * 10_u128.pow(self.to.exponent());
        let converted = half_even(numerator, 10_u128.pow(self.value.scale + self.from.exponent()));
        let converted = i64::try_from(converted).ok().filter(|amount| *amount <= AMOUNT_MAX);
        converted.and_then(|amount| Money::new(amount, self.to).ok()).ok_or(Overflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn money(amount: i64, code: &str) -> Money {
        Money::new(amount, Currency::parse(code).unwrap()).unwrap()
    }

    fn rate(from: &str, to: &str, value: &str) -> Rate {
        Rate {
            from: Currency::parse(from).unwrap(),
            to: Currency::parse(to).unwrap(),
            value: RateValue::parse(value).unwrap(),
            source: "ECB".to_owned(),
            as_of: Timestamp::UNIX_EPOCH,
            valid_until: Timestamp::from_second(60).unwrap(),
        }
    }

    #[test]
    fn a_rate_is_a_plain_decimal() {
        for (text, shown) in [
            ("1.0842", "1.0842"),
            ("1", "1"),
            ("1.0", "1"),
            ("1.500", "1.5"),
            ("0.000000000001", "0.000000000001"),
            ("100", "100"),
            ("999999999999999999", "999999999999999999"),
            ("123456.789012345678", "123456.789012345678"),
        ] {
            let value = RateValue::parse(text).unwrap();
            assert_eq!(value.to_string(), shown);
            assert_eq!(serde_json::to_string(&value).unwrap(), format!("{shown:?}"));
            assert_eq!(RateValue::parse(shown).unwrap(), value);
        }
        for bad in [
            "",
            "0",
            "0.0",
            ".5",
            "5.",
            "01.5",
            "-1",
            "+1",
            "1e3",
            "1,5",
            " 1",
            "1.2.3",
            "٣",
            "1000000000000000000",
            "0.0000000000001",
            "1234567.789012345678",
        ] {
            assert_eq!(RateValue::parse(bad).unwrap_err().field, "rate", "{bad:?}");
        }
        assert_eq!(RateValue::parse("100.00").unwrap(), RateValue::parse("100").unwrap());
    }

    #[test]
    fn minor_units_of_both_currencies_count() {
        for (from, to, value, amount, converted) in [
            ("EUR", "USD", "1.0842", 1999, 2167),   // 2167.3158
            ("EUR", "JPY", "164.31", 1999, 3285),   // 3284.5569
            ("JPY", "EUR", "0.006086", 3285, 1999), // 1999.251
            ("KWD", "EUR", "3.0", 1, 0),            // 0.3
            ("EUR", "KWD", "0.5", 1, 5),
            ("EUR", "USD", "1.5", 1, 2), // 1.5
            ("EUR", "USD", "0.5", 1, 0), // 0.5
            ("EUR", "USD", "2.5", 1, 2), // 2.5
        ] {
            let converted = money(converted, to);
            assert_eq!(rate(from, to, value).convert(money(amount, from)), Ok(converted), "{amount} {from} at {value}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(rate("EUR", "USD", "1").convert(money(AMOUNT_MAX, "EUR")), Ok(money(AMOUNT_MAX, "USD")));
        assert_eq!(rate("EUR", "USD", "2").convert(money(AMOUNT_MAX, "EUR")), Err(Overflow));
        let steepest = rate("JPY", "CLF", "999999999999999999");
        assert_eq!(steepest.convert(money(AMOUNT_MAX, "JPY")), Err(Overflow));
    }

    #[test]
    fn parts_that_do_not_fit_together_are_named() {
        let bad = Rate { source: " ".to_owned(), valid_until: Timestamp::UNIX_EPOCH, ..rate("EUR", "EUR", "1") };
        let fields: Vec<_> = bad.checked().unwrap_err().into_iter().map(|invalid| invalid.field).collect();
        assert_eq!(fields, ["to", "source", "valid_until"]);
        let good = rate("EUR", "USD", "1").checked().unwrap();
        assert!(good.is_current(Timestamp::from_millisecond(59_999).unwrap()));
        assert!(!good.is_current(Timestamp::from_second(60).unwrap()));
    }

    fn value() -> impl Strategy<Value = RateValue> {
        let digits = prop_oneof![1..1_000_000u64, 1..1_000_000_000_000_000_000u64];
        (digits, 0..=12u32)
            .prop_map(|(digits, scale)| {
                let unit = 10_u64.pow(scale);
                RateValue::parse(&format!("{}.{:012}", digits / unit, digits % unit * 10_u64.pow(12 - scale)))
            })
            .prop_filter_map("at most 18 digits", Result::ok)
    }

    const CODES: [&str; 5] = ["EUR", "USD", "JPY", "KWD", "CLF"];

    proptest! {
        #[test]
        fn a_value_reads_what_it_shows(value in value()) {
            prop_assert_eq!(RateValue::parse(&value.to_string()), Ok(value));
        }

        /// The amount is off by at most half a minor unit of what the fraction is exactly, and by a half only if even.
        #[test]
        fn conversion_is_half_even_of_the_exact_fraction(
            amount in prop_oneof![0..1_000_000i64, 0..=AMOUNT_MAX], value in value(),
            from in prop::sample::select(&CODES[..]), to in prop::sample::select(&CODES[..]),
        ) {
            prop_assume!(from != to);
            let rate = Rate { value, ..rate(from, to, "1") };
            let numerator = amount as u128 * u128::from(value.digits) * 10_u128.pow(rate.to.exponent());
            let denominator = 10_u128.pow(value.scale) * 10_u128.pow(rate.from.exponent());
            match rate.convert(money(amount, from)) {
                Ok(converted) => {
                    prop_assert_eq!(converted.currency(), rate.to);
                    let twice_off = 2 * numerator.abs_diff(converted.amount() as u128 * denominator);
                    let is_even = converted.amount() % 2 == 0;
                    prop_assert!(twice_off < denominator || (twice_off == denominator && is_even));
                }
                Err(Overflow) => prop_assert!(numerator > AMOUNT_MAX as u128 * denominator),
            }
        }

        #[test]
        fn one_for_one_within_two_digits_is_the_identity(amount in 0..=AMOUNT_MAX) {
            let rate = rate("EUR", "USD", "1");
            prop_assert_eq!(rate.convert(money(amount, "EUR")), Ok(money(amount, "USD")));
            prop_assert_eq!(rate.convert(money(amount, "USD")), Ok(money(amount, "USD")));
        }

        #[test]
        fn more_never_converts_to_less(a in 0..=AMOUNT_MAX, b in 0..=AMOUNT_MAX, value in value()) {
            let rate = Rate { value, ..rate("EUR", "JPY", "1") };
            let convert = |amount| rate.convert(money(amount, "EUR")).map_or(i64::MAX, Money::amount);
            prop_assert!(convert(a.min(b)) <= convert(a.max(b)));
        }
    }
}
