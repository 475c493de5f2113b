//! What a cache asks of the one that all processes share.

use async_trait::async_trait;
use std::time::Duration;

/// The shared cache did not do what it was asked: it is down, slow, full, or left alone.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the shared cache gave no answer: {0}")]
pub struct NoAnswer(pub String);

/// A value to be kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// Older ones never replace it.
    pub version: u64,
    /// The value, which begins with its version: see [`VERSION_DIGITS`].
    pub bytes: Vec<u8>,
    /// When it may be forgotten.
    pub keep_for: Duration,
}

/// How many decimal digits at the beginning of a value are its version, so that the shared cache can compare two of them
/// without knowing more of the form.
pub const VERSION_DIGITS: usize = 20;

/// A cache that all processes share. Implementations bound the time of each call, and leave alone what fails.
#[async_trait]
pub trait Level2: Send + Sync {
    /// What is kept by each of these names, in one call.
    async fn fetch(&self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, NoAnswer>;

    /// Keeps a value unless a newer one is there; whether it was kept.
    async fn keep(&self, kept: Kept) -> Result<bool, NoAnswer>;

    /// Forgets a name.
    async fn forget(&self, name: &str) -> Result<(), NoAnswer>;

    /// Takes a lease for so long; whether nobody else had it.
    async fn lease(&self, name: &str, holder: u64, lasts: Duration) -> Result<bool, NoAnswer>;

    /// Gives a lease back, if it is still the holder's.
    async fn release(&self, name: &str, holder: u64) -> Result<(), NoAnswer>;

    /// Raises a counter; what it is then.
    async fn raise(&self, name: &str) -> Result<u64, NoAnswer>;
}
