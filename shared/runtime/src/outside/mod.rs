//! Calls to what is outside: payment provider, carrier, customers' webhooks, e-mail.
//!
//! Every such call goes through a [`Dependency`]: a time-out for each attempt, a bounded number of repetitions with
//! growing pauses and jitter, a far side's `Retry-After`, a bound on the calls that are under way at once, and a circuit
//! breaker. So one that is down or slow costs the caller little, and is left alone while it recovers (PAY-4, SHIP-1).
//!
//! The repetitions are those of `backon`, the bound is a semaphore of `tokio`. The breaker is our own: of those that are
//! kept up, `recloser` 1.4 (September 2026) and `failsafe` 1.3 let any number of calls through while half-open and do not
//! tell their state, and `tower-resilience-circuitbreaker` 0.14 (September 2026) is a layer around a tower service. All
//! three read the machine's clock, so that no test could set the time, and none knows an outcome that says nothing about
//! the far side's health, as 'you are calling too often' does.

mod breaker;
mod dependency;
mod retry_after;
mod settings;

pub use breaker::BreakerState;
pub use dependency::{CallError, Dependency, Unsettled};
pub use retry_after::retry_after;
pub use settings::{BreakerSettings, Settings};
