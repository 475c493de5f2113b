//! Where an order goes.

use crate::invalid::{Invalid, Problems};
use crate::text::{self, Country};
use serde::{Deserialize, Serialize};

/// A postal address, as its country writes it. Only what every country has is required.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// The person or company.
    pub name: String,
    /// Street and number, or whatever stands first.
    pub line1: String,
    /// A second line, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    /// Town or locality.
    pub city: String,
    /// State, province or prefecture, where the country has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Postal code, where the country has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// The country.
    pub country: Country,
    /// A number for the carrier, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// The greatest length of a line of an address, in characters.
pub const LINE_MAX: usize = 200;

impl Address {
    /// The address, if every line of it may stand on a label.
    ///
    /// # Errors
    /// Every field that is empty, too long, or holds a control character.
    pub fn checked(self) -> Result<Self, Vec<Invalid>> {
        let mut problems = Problems::new();
        for (field, line) in [("name", &self.name), ("line1", &self.line1), ("city", &self.city)] {
            problems.keep("", text::checked(field, LINE_MAX, line.clone()));
        }
        let optional = [
            ("line2", &self.line2, LINE_MAX),
            ("region", &self.region, LINE_MAX),
            ("postal_code", &self.postal_code, 20),
            ("phone", &self.phone, 40),
        ];
        for (field, line, max) in optional {
            if let Some(line) = line {
                problems.keep("", text::checked(field, max, line.clone()));
            }
        }
        problems.finish(Some(self))
    }
}
