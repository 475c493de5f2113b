//! The clock, passed in so that tests can set it.

use jiff::{Timestamp, Unit};
use std::sync::Arc;

/// Tells the current instant, in whole milliseconds: what is stored and what is answered must not differ.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::of(Timestamp::now)
    }

    /// Any clock.
    pub fn of(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The instant now.
    pub fn now(&self) -> Timestamp {
        let now = (self.0)();
        now.round(Unit::Millisecond).unwrap_or(now)
    }
}
