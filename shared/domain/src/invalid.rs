//! What is wrong with an input, by field.

use serde::Serialize;

/// One field of a request and what is wrong with it, in words for the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Invalid {
    /// The path of the field, such as `lines[2].quantity`.
    pub field: String,
    /// What is wrong, such as `must be at least 1`.
    pub problem: String,
}

impl Invalid {
    /// Names a field and its problem.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }

    /// The same problem seen from outside: `quantity` within `lines[2]` is `lines[2].quantity`.
    pub fn within(mut self, parent: &str) -> Self {
        self.field = match self.field.is_empty() {
            true => parent.to_owned(),
            false => format!("{parent}.{}", self.field),
        };
        self
    }
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

impl std::error::Error for Invalid {}

/// Gathers every problem of a request, so that a caller mends all of them at once.
#[derive(Debug, Default)]
pub struct Problems(Vec<Invalid>);

impl Problems {
    /// Nothing wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the value, or notes what is wrong with it under `parent` (empty for the top level).
    pub fn keep<T>(&mut self, parent: &str, result: Result<T, Invalid>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(invalid) => {
                self.0.push(if parent.is_empty() { invalid } else { invalid.within(parent) });
                None
            }
        }
    }

    /// As [`Problems::keep`], for what may be wrong in several fields.
    pub fn keep_all<T>(&mut self, parent: &str, result: Result<T, Vec<Invalid>>) -> Option<T> {
        let invalid = match result {
            Ok(value) => return Some(value),
            Err(invalid) => invalid.into_iter(),
        };
        self.0.extend(invalid.map(|each| if parent.is_empty() { each } else { each.within(parent) }));
        None
    }

    /// Whether nothing is wrong so far.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes one more problem.
    pub fn push(&mut self, invalid: Invalid) {
        self.0.push(invalid);
    }

    /// The value, if every part of it was right.
    ///
    /// # Errors
    /// Every problem noted so far; a missing part without a note cannot happen, since [`Problems::keep`] notes each.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Vec<Invalid>> {
        match (value, self.0.is_empty()) {
            (Some(value), true) => Ok(value),
            _ => Err(self.0),
        }
    }
}
