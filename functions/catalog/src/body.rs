//! Parts of bodies that several routes read.

use holdfast_domain::invalid::{Invalid, Problems};
use holdfast_domain::money::{Currency, Money};
use jiff::{Timestamp, Unit};
use serde::Deserialize;

/// An amount of money as it was sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoneyBody {
    amount: i64,
    currency: String,
}

impl MoneyBody {
    /// The amount, unless it is not one; what is wrong is noted under `field`.
    pub fn read(&self, field: &str, problems: &mut Problems) -> Option<Money> {
        let currency = problems.keep(field, Currency::parse(&self.currency))?;
        problems.keep(field, Money::new(self.amount, currency))
    }
}

/// An instant to the millisecond: what is stored and what is answered must not differ.
///
/// # Errors
/// When it is outside of the thirteen digits of milliseconds that keys hold.
pub fn instant(field: &str, at: Timestamp) -> Result<Timestamp, Invalid> {
    let rounded = at.round(Unit::Millisecond).unwrap_or(at);
    match (0..10_i64.pow(13)).contains(&rounded.as_millisecond()) {
        true => Ok(rounded),
        false => Err(Invalid::new(field, "must be in the years 1970 to 2286")),
    }
}
