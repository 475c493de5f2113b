//! Query parameters, each known and given once.

use super::Problem;
use axum::extract::Query;
use holdfast_domain::invalid::{Invalid, Problems};
use http::Uri;
use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// The parameters of a request, and what is wrong with those read so far.
pub struct Params {
    pairs: Vec<(String, String)>,
    problems: Problems,
}

impl Params {
    /// Splits the query of a request that may have the parameters `known`.
    ///
    /// # Errors
    /// 400 naming each parameter that is unknown or given twice.
    pub fn of(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let unreadable = |_| Problem::invalid(vec![Invalid::new("query", "must be percent-encoded UTF-8")]);
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(unreadable)?;
        let mut problems = Problems::new();
        for (index, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                problems.push(Invalid::new(name, format!("is not a parameter; known are {}", known.join(", "))));
            } else if pairs[..index].iter().any(|(earlier, _)| earlier == name) {
                problems.push(Invalid::new(name, "is given twice"));
            }
        }
        problems.finish(Some(())).map_err(Problem::invalid)?;
        Ok(Self { pairs, problems: Problems::new() })
    }

    /// Reads a parameter if it is given. What `read` says is wrong is noted under the parameter's name.
    pub fn read<T>(&mut self, name: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let value = self.pairs.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())?;
        self.problems.keep("", read(value).map_err(|problem| Invalid::new(name, problem)))
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// 400 naming each parameter that did not read.
    pub fn finish(self) -> Result<(), Problem> {
        self.problems.finish(Some(())).map_err(Problem::invalid)
    }
}

/// An instant with its offset, or a date, which begins at midnight UTC (ORD-12).
///
/// # Errors
/// Words for the caller when it is neither, or outside of what positions in lists can hold.
pub fn instant(text: &str) -> Result<Timestamp, String> {
    let date = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok();
    let parsed = match text.contains('T') {
        true => text.parse().ok(),
        false => date().map(|midnight| midnight.timestamp()),
    };
    // Positions in lists have thirteen digits of milliseconds.
    let parsed = parsed.filter(|at: &Timestamp| (0..10_i64.pow(13)).contains(&at.as_millisecond()));
    parsed.ok_or_else(|| "must be an instant such as 2026-03-30T01:30:00+02:00, or a date, in 1970 to 2286".to_owned())
}
