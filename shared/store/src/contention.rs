//! Waiting for others: transactions that overlap cancel each other, and the SDK repeats none of them.

use crate::StoreError;
use std::time::Duration;

/// How often a write is tried before the caller is told that others are at the same items.
pub const ATTEMPTS_MAX: u32 = 8;

/// The longest pause after the first try, in ms; it doubles from try to try.
const PAUSE_MS: u64 = 10;

/// Waits a random part of a pause that doubles with every attempt (AWS Builders' Library, "Timeouts, retries, and
/// backoff with jitter": full jitter). All pauses of a write add up to 1.3 s on average.
pub async fn back_off(attempt: u32) {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(0..=longest_pause_ms(attempt)))).await;
}

/// The longest pause after try `attempt`, counted from 0, in ms.
pub fn longest_pause_ms(attempt: u32) -> u64 {
    PAUSE_MS << attempt.min(ATTEMPTS_MAX)
}

/// Tries a write again while others are at the same items.
///
/// # Errors
/// The last try's, or at once any other than a conflict or a throttle.
pub(crate) async fn repeated<T, W>(mut write: impl FnMut() -> W) -> Result<T, StoreError>
where
    W: Future<Output = Result<T, StoreError>>,
{
    for attempt in 0..ATTEMPTS_MAX - 1 {
        match write().await {
            Err(StoreError::Conflict | StoreError::Throttled) => back_off(attempt).await,
            other => return other,
        }
    }
    write().await
}
