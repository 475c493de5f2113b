//! Query parameters, each known and given once.

use super::Problem;
use axum::extract::Query;
use holdfast_domain::invalid::{Invalid, Problems};
use http::Uri;

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
