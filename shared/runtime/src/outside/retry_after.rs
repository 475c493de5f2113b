//! When a far side wants to be called again.

use http::{HeaderMap, HeaderName, header};
use jiff::Zoned;
use std::time::Duration;

/// What `Retry-After` asks for (RFC 9110, section 10.2.3): seconds, or a date, which is measured from the far side's own
/// clock in `Date`. None when there is no such header, or none that can be read.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let wanted = text(header::RETRY_AFTER)?.trim();
    if let Ok(seconds) = wanted.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let (then, now) = (date(wanted)?, date(text(header::DATE)?)?);
    Some(Duration::from_secs(u64::try_from(then - now).unwrap_or_default()))
}

/// Seconds since 1970.
fn date(text: &str) -> Option<i64> {
    jiff::fmt::rfc2822::parse(text).ok().map(|date: Zoned| date.timestamp().as_second())
}
