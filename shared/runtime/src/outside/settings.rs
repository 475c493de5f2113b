//! How patient callers are with what is outside.

use std::time::Duration;

/// How calls to one dependency are made. The defaults suit an API that answers within a second.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long one attempt may take. Default: 3 s.
    pub call_timeout: Duration,
    /// How long a call may take with its repetitions and the pauses between them. Default: 10 s.
    pub patience: Duration,
    /// How often an attempt without outcome is repeated. Default: 2.
    pub retries_max: usize,
    /// The first pause; each further one is twice as long, and up to as much again is added to each at random. Default:
    /// 100 ms.
    pub pause_min: Duration,
    /// The longest pause before anything is added. Default: 2 s.
    pub pause_max: Duration,
    /// How many attempts may be under way at once, so that a slow dependency does not take every place there is.
    /// Default: 16.
    pub calls_at_once: usize,
    /// When it is left alone.
    pub breaker: BreakerSettings,
}

/// When a dependency is left alone, and when it is tried again.
#[derive(Debug, Clone)]
pub struct BreakerSettings {
    /// How many failures in a row open it. Default: 5.
    pub failures_in_a_row: usize,
    /// Which share of attempts has to fail to open it, in percent. Default: 50.
    pub failures_percent: usize,
    /// How many attempts must have ended before their share counts. Default: 20.
    pub attempts_min: usize,
    /// How long an attempt counts, in a row or for the share. Default: 30 s.
    pub window: Duration,
    /// How long it stays open before it is probed. Default: 10 s.
    pub open_for: Duration,
    /// How many probes may be under way at once. The first of them that is answered closes it, the first that fails
    /// opens it again. Default: 1.
    pub probes_at_once: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_secs(3),
            patience: Duration::from_secs(10),
            retries_max: 2,
            pause_min: Duration::from_millis(100),
            pause_max: Duration::from_secs(2),
            calls_at_once: 16,
            breaker: BreakerSettings::default(),
        }
    }
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            failures_in_a_row: 5,
            failures_percent: 50,
            attempts_min: 20,
            window: Duration::from_secs(30),
            open_for: Duration::from_secs(10),
            probes_at_once: 1,
        }
    }
}
