//! Calls to what is outside, in time that only passes when everybody waits.

mod breaker;

use holdfast_runtime::outside::{
    BreakerSettings, BreakerState, CallError, Dependency, Settings, Unsettled, retry_after,
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// One attempt a call; open after three failures in a row, for ten seconds.
fn settings() -> Settings {
    let breaker = BreakerSettings { failures_in_a_row: 3, open_for: ms(10_000), ..BreakerSettings::default() };
    Settings { retries_max: 0, breaker, ..Settings::default() }
}

/// The far side, and how often it was reached.
#[derive(Default)]
struct FarSide {
    reached: AtomicU32,
}

impl FarSide {
    fn reached(&self) -> u32 {
        self.reached.load(Ordering::SeqCst)
    }

    async fn answers<T>(&self, answer: T) -> Result<T, Unsettled> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        Ok(answer)
    }

    async fn fails(&self) -> Result<(), Unsettled> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        Err(Unsettled::failed("503"))
    }

    async fn hangs(&self) -> Result<(), Unsettled> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn pay_4_no_more_calls_are_under_way_than_allowed() {
    for (calls_at_once, allowed) in [(3, 3), (100, 10)] {
        let dependency = Dependency::new("carrier", Settings { calls_at_once, ..settings() });
        let (now, most) = (AtomicU32::new(0), AtomicU32::new(0));
        let call = || async {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            sleep(ms(1_000)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        };
        let start = Instant::now();
        let outcomes = futures_util::future::join_all((0..10).map(|_| dependency.call(call))).await;
        let full = outcomes.iter().filter(|outcome| **outcome == Err(CallError::Full { at_once: 3 })).count();
        assert_eq!((most.load(Ordering::SeqCst), full), (allowed, 10 - allowed as usize));
        assert!(start.elapsed() <= ms(1_001), "nobody waits for a place");
        dependency.call(call).await.unwrap();
        assert_eq!(dependency.state(), BreakerState::Closed, "a place that is not free is no failure");
    }
}

#[tokio::test(start_paused = true)]
async fn ship_1_the_far_side_says_when_to_come_back() {
    let dependency = Dependency::new("carrier", Settings { retries_max: 2, ..settings() });
    let attempts = AtomicU32::new(0);
    let limited = |seconds| {
        let first = attempts.fetch_add(1, Ordering::SeqCst) == 0;
        let told = Unsettled::later("429").retry_after(Some(Duration::from_secs(seconds)));
        async move { if first { Err(told) } else { Ok(()) } }
    };
    let start = Instant::now();
    dependency.call(|| limited(4)).await.unwrap();
    assert_eq!(attempts.load(Ordering::SeqCst), 2);
    assert!((ms(4_000)..ms(4_200)).contains(&start.elapsed()), "{:?}", start.elapsed());
    // There is no time to wait: the caller is told at once.
    for (patience, wanted) in [(10, 10), (10, 3_600), (2, 4)] {
        attempts.store(0, Ordering::SeqCst);
        let start = Instant::now();
        let deadline = start + Duration::from_secs(patience);
        let error = dependency.call_by(deadline, || limited(wanted)).await.unwrap_err();
        assert_eq!(error.come_back(), Some(Duration::from_secs(wanted)));
        assert_eq!((attempts.load(Ordering::SeqCst), start.elapsed()), (1, Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn pay_4_repetitions_are_bounded_and_jittered() {
    let breaker = BreakerSettings { failures_in_a_row: 1_000, attempts_min: 1_000, ..BreakerSettings::default() };
    let settings = Settings { retries_max: 3, breaker, ..Settings::default() };
    let dependency = Dependency::new("carrier", settings.clone());
    let mut first_pauses = Vec::new();
    for _ in 0..20 {
        let times = std::sync::Mutex::new(Vec::new());
        let fails = || async {
            times.lock().unwrap().push(Instant::now());
            Err::<(), _>(Unsettled::failed("503"))
        };
        assert!(dependency.call(fails).await.is_err());
        let times = times.into_inner().unwrap();
        let pauses: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(pauses.len(), 3);
        for (pause, least) in pauses.iter().zip([100, 200, 400]) {
            // The clock of tokio counts whole milliseconds.
            assert!((ms(least)..=ms(2 * least + 1)).contains(pause), "{pauses:?}");
        }
        first_pauses.push(pauses[0]);
    }
    assert!(first_pauses.iter().any(|pause| *pause != first_pauses[0]), "{first_pauses:?}");
    // The caller's time ends them too.
    let far = FarSide::default();
    let start = Instant::now();
    assert!(dependency.call_by(start + ms(150), || far.fails()).await.is_err());
    assert!((1..=2).contains(&far.reached()) && start.elapsed() < ms(150));
    // And the breaker: what it keeps back is not tried again.
    let breaker = BreakerSettings { failures_in_a_row: 2, ..BreakerSettings::default() };
    let (dependency, far) = (Dependency::new("carrier", Settings { breaker, ..settings }), FarSide::default());
    assert!(matches!(dependency.call(|| far.fails()).await, Err(CallError::Open { .. })));
    assert_eq!(far.reached(), 2);
}

#[tokio::test(start_paused = true)]
async fn pay_4_one_that_hangs_costs_a_bounded_time() {
    let far = FarSide::default();
    let patient = Settings { call_timeout: ms(3_000), patience: ms(8_000), retries_max: 5, ..settings() };
    let dependency = Dependency::new("stripe", patient);
    let start = Instant::now();
    let error = dependency.call(|| far.hangs()).await.unwrap_err();
    assert!(matches!(error, CallError::TimedOut { .. }) && !error.was_not_made(), "{error}");
    assert_eq!((far.reached(), start.elapsed()), (3, ms(8_000)));
    // Two of them had their whole time and count; the last was cut short by the caller.
    assert_eq!(dependency.state(), BreakerState::Closed);
    for _ in 0..10 {
        assert!(dependency.call_by(Instant::now() + ms(50), || far.hangs()).await.is_err());
    }
    assert_eq!(dependency.state(), BreakerState::Closed);
    let reached = far.reached();
    assert!(dependency.call_by(Instant::now(), || far.hangs()).await.is_err());
    assert_eq!(far.reached(), reached, "there is no time left to call");
    assert!(dependency.call_by(Instant::now() + ms(3_000), || far.hangs()).await.is_err());
    assert_eq!(dependency.state(), BreakerState::Open);
}

#[test]
fn a_time_to_come_back_is_seconds_or_a_date() {
    let read = |headers: &[(HeaderName, &'static str)]| {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        retry_after(&headers.collect::<HeaderMap>()).map(|after| after.as_secs())
    };
    let date = (header::DATE, "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(read(&[]), None);
    assert_eq!(read(&[(header::RETRY_AFTER, "120")]), Some(120));
    assert_eq!(read(&[(header::RETRY_AFTER, "Sun, 06 Nov 1994 08:50:07 GMT"), date.clone()]), Some(30));
    assert_eq!(read(&[(header::RETRY_AFTER, "Sun, 06 Nov 1994 08:49:07 GMT"), date.clone()]), Some(0));
    assert_eq!(read(&[(header::RETRY_AFTER, "Sun, 06 Nov 1994 08:50:07 GMT")]), None);
    for unreadable in ["", "-1", "soon", "1.5"] {
        assert_eq!(read(&[(header::RETRY_AFTER, unreadable), date.clone()]), None, "{unreadable}");
    }
}

#[test]
fn the_template_counts_breakers_by_what_is_logged() {
    let template = include_str!("../../../template.yaml");
    let pattern = format!(r#"{{ ($.message = "breaker_changed") && ($.to = "{}") }}"#, BreakerState::Open);
    assert!(template.contains(&pattern), "{pattern}");
}
