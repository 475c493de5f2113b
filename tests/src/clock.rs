//! A clock that tests set.

use holdfast_runtime::clock::Clock;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A clock that stands until it is moved.
#[derive(Clone)]
pub struct TestClock(Arc<AtomicI64>);

impl TestClock {
    /// A clock that stands at an instant, given as RFC 3339.
    pub fn at(instant: &str) -> Self {
        let instant: Timestamp = instant.parse().expect("the test gives an instant");
        Self(Arc::new(AtomicI64::new(instant.as_millisecond())))
    }

    /// A clock that stands at the present.
    pub fn present() -> Self {
        Self(Arc::new(AtomicI64::new(Timestamp::now().as_millisecond())))
    }

    /// Moves on.
    pub fn advance(&self, by: SignedDuration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).expect("tests move by small steps"), Ordering::SeqCst);
    }

    /// As the functions take it.
    pub fn clock(&self) -> Clock {
        let now = Arc::clone(&self.0);
        Clock::of(move || Timestamp::from_millisecond(now.load(Ordering::SeqCst)).expect("tests stay within time"))
    }
}
