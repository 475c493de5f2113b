//! A rate limit: a bucket of tokens, of which each request takes one.

use std::time::Instant;

use serde::Deserialize;

/// A rate limit.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Requests that may come at one instant.
    burst: u32,
    /// Requests a second over a long time.
    per_second: f64,
}

/// The tokens that are left.
#[derive(Debug)]
pub struct Bucket {
    limit: Limit,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub fn new(limit: Limit, now: Instant) -> Self {
        Self { limit, tokens: f64::from(limit.burst), at: now }
    }

    /// Takes a token; or says after how many seconds there is one, at least 1 and at most a day.
    pub fn take(&mut self, now: Instant) -> Option<u32> {
        let gained = now.duration_since(self.at).as_secs_f64() * self.limit.per_second;
        self.tokens = (self.tokens + gained).min(f64::from(self.limit.burst));
        self.at = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return None;
        }
        Some(((1.0 - self.tokens) / self.limit.per_second).ceil().clamp(1.0, 86_400.0) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_bucket_fills_at_its_rate_and_no_further() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut bucket = Bucket::new(Limit { burst: 2, per_second: 0.5 }, start);
        let taken = [0, 0, 0, 1_000, 2_000, 2_000, 60_000, 60_000, 60_000].map(|ms| bucket.take(after(ms)));
        assert_eq!(taken, [None, None, Some(2), Some(1), None, Some(2), None, None, Some(2)]);
        let mut shut = Bucket::new(Limit { burst: 0, per_second: 0.0 }, start);
        assert_eq!(shut.take(after(1_000_000)), Some(86_400));
    }
}
