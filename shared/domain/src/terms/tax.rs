//! Taxes on sales: by the country that an order goes to and the class of what is bought.
//!
//! Each line is taxed by itself, on its total less its discount, and rounded once to the minor unit, a half upwards. The
//! VAT Directive leaves rounding to its states, by line or by invoice (European Court of Justice, C-484/06, Ahold); that
//! halves go up is how euro amounts are rounded (Council Regulation (EC) No 1103/97, Article 5).

use crate::ids::TaxClass;
use crate::invalid::Invalid;
use crate::money::{AMOUNT_MAX, Money, Overflow, half_up};
use crate::text::Country;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The class of a product that names none.
const CLASS_DEFAULT: &str = "standard";

impl Default for TaxClass {
    fn default() -> Self {
        Self::parse(CLASS_DEFAULT).expect("the name of the default class is one of a class")
    }
}

/// Whether prices have the tax in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaxMode {
    /// They do: the tax is a part of what is paid.
    Inclusive,
    /// They do not: the tax is paid beside them.
    Exclusive,
}

impl TaxMode {
    /// The name as stored and sent.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inclusive => "inclusive",
            Self::Exclusive => "exclusive",
        }
    }

    /// The tax on an amount: in it, or beside it.
    ///
    /// # Errors
    /// [`Overflow`] when it is above [`AMOUNT_MAX`].
    pub fn tax_on(self, amount: Money, percent: TaxPercent) -> Result<Money, Overflow> {
        let units = u128::try_from(amount.amount()).map_err(|_| Overflow)?;
        let share = u128::from(percent.0);
        // An amount has at most 16 digits and a share 7: their product fits.
        let tax = match self {
            Self::Inclusive => half_up(units * share, u128::from(TaxPercent::WHOLE) + share),
            Self::Exclusive => half_up(units * share, u128::from(TaxPercent::WHOLE)),
        };
        let tax = i64::try_from(tax).ok().filter(|tax| *tax <= AMOUNT_MAX);
        tax.and_then(|tax| Money::new(tax, amount.currency()).ok()).ok_or(Overflow)
    }
}

/// How a tenant's shop is taxed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TaxPolicy {
    /// Whether its prices have the tax in them. None if no tax is counted at all: then prices are what is paid.
    pub mode: Option<TaxMode>,
}

impl TaxPolicy {
    /// Reads `inclusive`, `exclusive` or `none`.
    ///
    /// # Errors
    /// Names `mode` when it is anything else.
    pub fn parse(mode: &str) -> Result<Self, Invalid> {
        match mode {
            "none" => Ok(Self { mode: None }),
            "inclusive" => Ok(Self { mode: Some(TaxMode::Inclusive) }),
            "exclusive" => Ok(Self { mode: Some(TaxMode::Exclusive) }),
            _ => Err(Invalid::new("mode", "must be inclusive, exclusive or none")),
        }
    }

    /// What [`TaxPolicy::parse`] reads as the same.
    pub fn name(self) -> &'static str {
        self.mode.map_or("none", TaxMode::name)
    }
}

/// A rate of tax: an exact decimal of 0 to 100 percent with at most four digits after the point, such as `7.7`. Kept as
/// millionths of the amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaxPercent(u32);

impl TaxPercent {
    /// All of an amount, in millionths.
    pub const WHOLE: u32 = 1_000_000;
    /// The most digits after the point.
    const FRACTION_DIGITS_MAX: usize = 4;

    /// A rate by its millionths of the amount.
    ///
    /// # Errors
    /// When it is above [`TaxPercent::WHOLE`].
    pub fn new(millionths: u32) -> Result<Self, Invalid> {
        let invalid = "must be a decimal of 0 to 100, with at most four digits after the point";
        (millionths <= Self::WHOLE).then_some(Self(millionths)).ok_or_else(|| Invalid::new("percent", invalid))
    }

    /// Reads a percentage such as `19` or `8.875`.
    ///
    /// # Errors
    /// When the text is anything else than digits with an optional point between them, above 100, or too exact.
    pub fn parse(percent: &str) -> Result<Self, Invalid> {
        let (whole, fraction) = percent.split_once('.').unwrap_or((percent, "0"));
        let is_digits = |part: &str, max| (1..=max).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        let has_leading_zero = whole.len() > 1 && whole.starts_with('0');
        match is_digits(whole, 3) && is_digits(fraction, Self::FRACTION_DIGITS_MAX) && !has_leading_zero {
            true => Self::new(format!("{whole}{fraction:0<4}").parse().unwrap_or(u32::MAX)),
            false => Self::new(u32::MAX),
        }
    }

    /// Millionths of the amount.
    pub fn millionths(self) -> u32 {
        self.0
    }
}

/// The percentage without zeros at its end, as [`TaxPercent::parse`] reads it.
impl std::fmt::Display for TaxPercent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.0 / 10_000, self.0 % 10_000) {
            (whole, 0) => write!(f, "{whole}"),
            (whole, fraction) => write!(f, "{whole}.{}", format!("{fraction:04}").trim_end_matches('0')),
        }
    }
}

/// What a class of products is taxed in a country.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaxRate {
    /// Where the order goes.
    pub country: Country,
    /// What is bought.
    pub class: TaxClass,
    /// How much.
    pub percent: TaxPercent,
    /// Raised with every write.
    pub version: u64,
}

/// All rates of a country.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaxTable {
    /// Where the order goes.
    pub country: Country,
    /// How much, by class.
    pub rates: BTreeMap<TaxClass, TaxPercent>,
}

/// What an order is taxed by.
#[derive(Debug, Clone, Copy)]
pub struct Taxes<'a> {
    /// Whether prices have the tax in them.
    pub mode: TaxMode,
    /// The rates of the country that the order goes to.
    pub table: &'a TaxTable,
}

#[cfg(test)]
mod tests;
