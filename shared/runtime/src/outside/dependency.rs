//! Calls to one dependency.

use super::breaker::{Breaker, Change, Cycle};
use super::{BreakerState, Settings};
use backon::{ExponentialBuilder, Retryable};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

/// Something outside that is called, and what is known of its health. There is one for each, shared by all callers of a
/// process: an environment of a function learns for itself.
pub struct Dependency {
    name: &'static str,
    settings: Settings,
    breaker: Mutex<Breaker>,
    places: Semaphore,
}

/// An attempt without an answer that settles the matter: the same attempt may be made again. Everything else is an
/// answer, a 'no' too.
#[derive(Debug)]
pub struct Unsettled {
    cause: String,
    is_failure: bool,
    retry_after: Option<Duration>,
}

/// Why a call has no outcome. The far side may have done what it was asked, unless [`CallError::was_not_made`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No attempt was settled.
    #[error("{cause}{}", come_back_in(*retry_after))]
    Unsettled {
        /// What the last one met.
        cause: String,
        /// When the far side wants to be called again, if it said so.
        retry_after: Option<Duration>,
    },
    /// The last attempt took too long.
    #[error("no answer within {} ms", after.as_millis())]
    TimedOut {
        /// How long it was waited for.
        after: Duration,
    },
    /// The breaker is open.
    #[error("it is left alone after failures{}", come_back_in(Some(*retry_after)))]
    Open {
        /// After which time it is probed.
        retry_after: Duration,
    },
    /// As many attempts as may be are under way.
    #[error("{at_once} calls are under way, more may not be")]
    Full {
        /// How many may be.
        at_once: usize,
    },
}

impl Unsettled {
    /// The far side failed, or there was no answer.
    pub fn failed(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), is_failure: true, retry_after: None }
    }

    /// The far side works, and wants to be asked again later: it limits our rate, or is still at an earlier request.
    /// This says nothing about its health, so it neither opens nor closes the breaker.
    pub fn later(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), is_failure: false, retry_after: None }
    }

    /// The same, with the time after which the far side wants to be called again.
    pub fn retry_after(self, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..self }
    }
}

impl CallError {
    /// When it makes sense to call again, if that is known.
    pub fn come_back(&self) -> Option<Duration> {
        match self {
            Self::Unsettled { retry_after, .. } => *retry_after,
            Self::Open { retry_after } => Some(*retry_after),
            Self::TimedOut { .. } | Self::Full { .. } => None,
        }
    }

    /// The same in whole seconds, rounded up.
    pub fn come_back_seconds(&self) -> Option<u32> {
        self.come_back().map(seconds)
    }

    /// Whether the last attempt was kept back on our side.
    pub fn was_not_made(&self) -> bool {
        matches!(self, Self::Open { .. } | Self::Full { .. })
    }
}

impl Dependency {
    /// A dependency of this name, which logs and metrics show.
    pub fn new(name: &'static str, settings: Settings) -> Self {
        let breaker = Mutex::new(Breaker::new(settings.breaker.clone()));
        let places = Semaphore::new(settings.calls_at_once);
        Self { name, settings, breaker, places }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What its breaker lets through. One whose time is over stays open until the next call.
    pub fn state(&self) -> BreakerState {
        self.breaker().state()
    }

    /// Calls it, within the patience of its settings. `attempt` makes a future for each attempt, which is dropped
    /// without being polled if the attempt may not be made. Repetitions must be harmless.
    ///
    /// # Errors
    /// [`CallError`] when there is no answer that settles the matter.
    pub async fn call<T, F>(&self, attempt: impl FnMut() -> F) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, Unsettled>>,
    {
        self.call_by(Instant::now() + self.settings.patience, attempt).await
    }

    /// The same for a caller who has until `deadline`. A pause that would last until then is not made: the caller is
    /// told when to come back instead.
    ///
    /// # Errors
    /// [`CallError`] when there is no answer that settles the matter.
    pub async fn call_by<T, F>(&self, deadline: Instant, mut attempt: impl FnMut() -> F) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, Unsettled>>,
    {
        let Settings { retries_max, pause_min, pause_max, .. } = self.settings;
        let pauses = ExponentialBuilder::new().with_min_delay(pause_min).with_max_delay(pause_max);
        // Seeded here: without a seed of its own, backon makes the same pauses in every process.
        let pauses = pauses.with_max_times(retries_max).with_jitter().with_jitter_seed(fastrand::u64(..));
        let attempts = || {
            let answer = attempt();
            self.attempt(deadline, answer)
        };
        let pause = |error: &CallError, pause: Option<Duration>| {
            // Not all that were told the same time come at the same time.
            let wanted = error.come_back().map(|wanted| wanted + pause_min.mul_f32(fastrand::f32()));
            let pause = pause.map(|pause| wanted.map_or(pause, |wanted| wanted.max(pause)))?;
            (Instant::now() + pause < deadline).then_some(pause)
        };
        attempts.retry(pauses).when(|error| !error.was_not_made()).adjust(pause).await
    }

    async fn attempt<T>(
        &self,
        deadline: Instant,
        answer: impl Future<Output = Result<T, Unsettled>>,
    ) -> Result<T, CallError> {
        let admitted = self.admit()?;
        let Ok(_place) = self.places.try_acquire() else {
            return Err(CallError::Full { at_once: self.settings.calls_at_once });
        };
        let remaining = deadline.saturating_duration_since(Instant::now());
        let after = remaining.min(self.settings.call_timeout);
        // A time-out polls what it limits once, however short it is.
        if after.is_zero() {
            return Err(CallError::TimedOut { after });
        }
        match timeout(after, answer).await {
            Ok(Ok(answer)) => {
                admitted.record(true);
                Ok(answer)
            }
            Ok(Err(Unsettled { cause, is_failure, retry_after })) => {
                if is_failure {
                    admitted.record(false);
                }
                Err(CallError::Unsettled { cause, retry_after })
            }
            Err(_) => {
                // One that was not given its whole time did nothing wrong.
                if after == self.settings.call_timeout {
                    admitted.record(false);
                }
                Err(CallError::TimedOut { after })
            }
        }
    }

    fn admit(&self) -> Result<Admitted<'_>, CallError> {
        let (admitted, change) = self.breaker().admit(Instant::now());
        self.log(change);
        match admitted {
            Ok(cycle) => Ok(Admitted { dependency: self, cycle }),
            Err(retry_after) => Err(CallError::Open { retry_after }),
        }
    }

    fn log(&self, change: Option<Change>) {
        if let Some(Change { from, to }) = change {
            tracing::warn!(dependency = self.name, from = from.name(), to = to.name(), "breaker_changed");
        }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt that the breaker let through. It gives its place as a probe back when it is dropped, so that a caller who
/// stops waiting does not keep it for ever.
struct Admitted<'a> {
    dependency: &'a Dependency,
    cycle: Cycle,
}

impl Admitted<'_> {
    fn record(&self, answered: bool) {
        let change = self.dependency.breaker().record(self.cycle, answered, Instant::now());
        self.dependency.log(change);
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.dependency.breaker().end(self.cycle);
    }
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX)
}

fn come_back_in(time: Option<Duration>) -> String {
    time.map(|time| format!(", come back in {} s", seconds(time))).unwrap_or_default()
}
