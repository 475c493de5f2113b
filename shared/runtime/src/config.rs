//! Configuration from the environment, read once at start-up. The names are those of the template; a test keeps the two
//! equal.

use holdfast_domain::webhook::Loopback;
use jiff::SignedDuration;
use std::str::FromStr;

/// The variables each function reads, by the function's package name. Every function also reads [`COMMON`].
pub const VARIABLES: &[(&str, &[&str])] = &[
    ("orders", &["TABLE_NAME", "CURSOR_KEY", "ORDER_EXPIRY_SECONDS"]),
    ("inventory", &["TABLE_NAME"]),
    ("catalog", &["TABLE_NAME", "CACHE_URL"]),
    (
        "outbox-relay",
        &[
            "TABLE_NAME",
            "EVENTS_QUEUE_URL",
            "FULFILMENT_QUEUE_URL",
            "NOTIFICATIONS_QUEUE_URL",
            "RECOVERY_SECONDS",
            "CACHE_URL",
        ],
    ),
    (
        "order-worker",
        &[
            "TABLE_NAME",
            "EVENTS_QUEUE_URL",
            "FULFILMENT_QUEUE_URL",
            "STRIPE_API_URL",
            "STRIPE_API_KEY",
            "CARRIER_API_URL",
            "CARRIER_API_KEY",
        ],
    ),
    // Every function is given the table's name; this one has no right to it.
    ("payment-webhooks", &["TABLE_NAME", "EVENTS_QUEUE_URL", "STRIPE_WEBHOOK_SECRET"]),
    (
        "maintenance",
        &[
            "TABLE_NAME",
            "EVENTS_QUEUE_URL",
            "FULFILMENT_QUEUE_URL",
            "NOTIFICATIONS_QUEUE_URL",
            "EXPORTS_QUEUE_URL",
            "EVENTS_DEAD_LETTERS_URL",
            "FULFILMENT_DEAD_LETTERS_URL",
            "NOTIFICATIONS_DEAD_LETTERS_URL",
            "EXPORTS_DEAD_LETTERS_URL",
            "RELAY_FAILURES_URL",
            "RECOVERY_SECONDS",
        ],
    ),
    (
        "ops",
        &[
            "TABLE_NAME",
            "EVENTS_QUEUE_URL",
            "FULFILMENT_QUEUE_URL",
            "NOTIFICATIONS_QUEUE_URL",
            "EXPORTS_QUEUE_URL",
            "CURSOR_KEY",
            "RECOVERY_SECONDS",
        ],
    ),
    ("webhooks", &["TABLE_NAME", "NOTIFICATIONS_QUEUE_URL", "CURSOR_KEY", "WEBHOOK_LOOPBACK"]),
    ("notifier", &["TABLE_NAME", "NOTIFICATIONS_QUEUE_URL", "WEBHOOK_LOOPBACK"]),
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

/// How long somebody has to come back to an order that expired or could not be paid (`RECOVERY_SECONDS`).
///
/// # Errors
/// When it is not set, or is no number of seconds.
pub fn recovery_after() -> Result<SignedDuration, ConfigError> {
    let seconds: u32 = parsed("RECOVERY_SECONDS", "a number of seconds")?;
    Ok(SignedDuration::from_secs(i64::from(seconds)))
}

/// Whether webhooks may be sent to this machine (`WEBHOOK_LOOPBACK`: `allowed` or `refused`).
///
/// # Errors
/// When it says neither: nobody should allow it by a slip.
pub fn loopback() -> Result<Loopback, ConfigError> {
    match text("WEBHOOK_LOOPBACK")?.as_str() {
        "allowed" => Ok(Loopback::Allowed),
        "refused" => Ok(Loopback::Refused),
        _ => Err(ConfigError::Unreadable { name: "WEBHOOK_LOOPBACK", expected: "allowed or refused" }),
    }
}
