//! Configuration from the environment, read once at start-up. The names are those of the template; a test keeps the two
//! equal.

use std::str::FromStr;

/// The variables each function reads, by the function's package name. Every function also reads [`COMMON`].
pub const VARIABLES: &[(&str, &[&str])] = &[
    ("orders", &["TABLE_NAME", "CURSOR_KEY", "ORDER_EXPIRY_SECONDS"]),
    ("inventory", &["TABLE_NAME"]),
    ("catalog", &["TABLE_NAME"]),
    ("outbox-relay", &["TABLE_NAME", "EVENTS_QUEUE_URL"]),
    ("order-worker", &["TABLE_NAME", "EVENTS_QUEUE_URL", "STRIPE_API_URL", "STRIPE_API_KEY"]),
    ("maintenance", &["TABLE_NAME", "EVENTS_QUEUE_URL", "EXPORTS_QUEUE_URL"]),
    ("exports", &["TABLE_NAME", "CURSOR_KEY", "EXPORTS_QUEUE_URL", "EXPORTS_BUCKET"]),
    ("exporter", &["TABLE_NAME", "EXPORTS_QUEUE_URL", "EXPORTS_BUCKET"]),
];

/// The variables that every function reads.
pub const COMMON: &[&str] = &["LOG_LEVEL"];

/// A variable that is missing or does not read as what it is for.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is not set.
    #[error("the environment variable {0} is not set; template.yaml names every one a function needs")]
    Missing(&'static str),
    /// It is set to something else.
    #[error("the environment variable {name} does not read as {expected}")]
    Unreadable {
        /// Which.
        name: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

/// The text of a variable.
///
/// # Errors
/// [`ConfigError::Missing`] when it is not set or empty.
pub fn text(name: &'static str) -> Result<String, ConfigError> {
    std::env::var(name).ok().filter(|text| !text.is_empty()).ok_or(ConfigError::Missing(name))
}

/// A variable that reads as a `T`.
///
/// # Errors
/// When it is not set, or does not read as one.
pub fn parsed<T: FromStr>(name: &'static str, expected: &'static str) -> Result<T, ConfigError> {
    text(name)?.parse().map_err(|_| ConfigError::Unreadable { name, expected })
}
