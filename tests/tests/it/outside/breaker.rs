//! When a dependency is left alone, and when it is tried again.

use super::{FarSide, ms, settings};
use futures_util::FutureExt;
use holdfast_runtime::outside::{BreakerSettings, BreakerState, CallError, Dependency, Settings, Unsettled};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, advance, sleep};

/// A dependency whose breaker is open.
async fn opened(far: &FarSide, settings: Settings) -> Dependency {
    let dependency = Dependency::new("carrier", settings);
    while dependency.state() == BreakerState::Closed {
        assert!(dependency.call(|| far.fails()).await.is_err());
    }
    dependency
}

#[tokio::test(start_paused = true)]
async fn pay_4_failures_in_a_row_open_the_breaker_and_calls_fail_fast() {
    let far = FarSide::default();
    let dependency = opened(&far, settings()).await;
    assert_eq!((dependency.state(), far.reached()), (BreakerState::Open, 3));
    let start = Instant::now();
    for _ in 0..100 {
        let error = dependency.call(|| far.answers(())).await.unwrap_err();
        assert_eq!(error, CallError::Open { retry_after: ms(10_000) });
        assert!(error.was_not_made());
    }
    assert_eq!((far.reached(), start.elapsed()), (3, Duration::ZERO));
    advance(ms(8_500)).await;
    let error = dependency.call(|| far.answers(())).await.unwrap_err();
    assert_eq!((error.come_back_seconds(), far.reached()), (Some(2), 3));
    // Without a breaker, everybody calls.
    let breaker = BreakerSettings { failures_in_a_row: 1_000, attempts_min: 1_000, ..settings().breaker };
    let dependency = Dependency::new("carrier", Settings { breaker, ..settings() });
    for _ in 0..100 {
        assert!(dependency.call(|| far.fails()).await.is_err());
    }
    assert_eq!((dependency.state(), far.reached()), (BreakerState::Closed, 103));
}

#[tokio::test(start_paused = true)]
async fn pay_4_a_probe_closes_the_breaker_or_opens_it_again() {
    let far = FarSide::default();
    let dependency = opened(&far, settings()).await;
    for _ in 0..2 {
        advance(ms(10_000)).await;
        assert!(matches!(dependency.call(|| far.fails()).await, Err(CallError::Unsettled { .. })));
        assert_eq!(dependency.state(), BreakerState::Open);
        assert!(matches!(dependency.call(|| far.fails()).await, Err(CallError::Open { .. })));
    }
    assert_eq!(far.reached(), 5);
    advance(ms(10_000)).await;
    dependency.call(|| far.answers(())).await.unwrap();
    assert_eq!((dependency.state(), far.reached()), (BreakerState::Closed, 6));
    // It begins anew: what failed before it opened does not count.
    for _ in 0..2 {
        assert!(dependency.call(|| far.fails()).await.is_err());
    }
    assert_eq!(dependency.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn pay_4_there_are_no_more_probes_than_allowed() {
    let far = FarSide::default();
    let breaker = BreakerSettings { probes_at_once: 2, ..settings().breaker };
    let dependency = opened(&far, Settings { breaker, ..settings() }).await;
    advance(ms(10_000)).await;
    let answer = Semaphore::new(0);
    let probe = || async {
        let _answered = answer.acquire().await;
        Ok(())
    };
    let probes = async { tokio::join!(dependency.call(probe), dependency.call(probe)) };
    let others = async {
        // The probes are under way: they are polled first.
        assert_eq!(dependency.state(), BreakerState::HalfOpen);
        for _ in 0..10 {
            assert!(matches!(dependency.call(|| far.answers(())).await, Err(CallError::Open { .. })));
        }
        answer.add_permits(2);
    };
    let ((one, other), ()) = tokio::join!(biased; probes, others);
    assert_eq!((one, other), (Ok(()), Ok(())));
    assert_eq!((dependency.state(), far.reached()), (BreakerState::Closed, 3));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_nobody_waits_for_gives_its_place_back() {
    let far = FarSide::default();
    let dependency = opened(&far, settings()).await;
    advance(ms(10_000)).await;
    assert!(dependency.call(|| far.hangs()).now_or_never().is_none());
    assert_eq!(dependency.state(), BreakerState::HalfOpen);
    // Neither does one decide anything that is told to come later.
    let later = dependency.call(|| async { Err::<(), _>(Unsettled::later("429")) }).await;
    assert!(matches!(later, Err(CallError::Unsettled { .. })));
    assert_eq!(dependency.state(), BreakerState::HalfOpen);
    dependency.call(|| far.answers(())).await.unwrap();
    assert_eq!(dependency.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn what_comes_late_says_nothing_about_now() {
    let far = FarSide::default();
    let breaker = BreakerSettings { open_for: ms(2_000), ..settings().breaker };
    let dependency = Dependency::new("carrier", Settings { breaker, ..settings() });
    let late = dependency.call(|| async {
        sleep(ms(2_500)).await;
        Err::<(), _>(Unsettled::failed("reset"))
    });
    let others = async {
        for _ in 0..3 {
            assert!(dependency.call(|| far.fails()).await.is_err());
        }
        sleep(ms(2_200)).await;
        // The late failure comes while this probe is under way, and neither opens the breaker nor takes its place.
        let probe = || async {
            sleep(ms(1_000)).await;
            Ok(())
        };
        let others = async {
            sleep(ms(500)).await;
            assert_eq!(dependency.state(), BreakerState::HalfOpen);
            assert!(matches!(dependency.call(|| far.answers(())).await, Err(CallError::Open { .. })));
        };
        let (probe, ()) = tokio::join!(dependency.call(probe), others);
        probe.unwrap();
    };
    let (late, ()) = tokio::join!(biased; late, others);
    assert!(late.is_err());
    assert_eq!((dependency.state(), far.reached()), (BreakerState::Closed, 3));
}

#[tokio::test(start_paused = true)]
async fn pay_4_a_share_of_failures_opens_the_breaker_within_the_window() {
    let far = FarSide::default();
    let breaker = BreakerSettings { attempts_min: 10, failures_percent: 50, window: ms(30_000), ..settings().breaker };
    let every_other = async |dependency: &Dependency, pause: Duration| {
        for number in 1..=40 {
            let _either = match number % 2 {
                0 => dependency.call(|| far.fails()).await,
                _ => dependency.call(|| far.answers(())).await,
            };
            if dependency.state() == BreakerState::Open {
                return number;
            }
            advance(pause).await;
        }
        0
    };
    let dependency = Dependency::new("carrier", Settings { breaker: breaker.clone(), ..settings() });
    assert_eq!(every_other(&dependency, Duration::ZERO).await, 10);
    // So few of them are in the window that their share says nothing.
    let dependency = Dependency::new("carrier", Settings { breaker, ..settings() });
    assert_eq!(every_other(&dependency, ms(4_000)).await, 0);
    // Nor are failures in a row if each has time to be forgotten.
    for _ in 0..10 {
        advance(ms(20_000)).await;
        assert!(dependency.call(|| far.fails()).await.is_err());
    }
    assert_eq!(dependency.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn pay_4_a_no_is_an_answer_and_a_rate_limit_is_no_failure() {
    let far = FarSide::default();
    let dependency = Dependency::new("stripe", settings());
    for _ in 0..100 {
        assert_eq!(dependency.call(|| far.answers("card_declined")).await, Ok("card_declined"));
        assert!(dependency.call(|| async { Err::<(), _>(Unsettled::later("429")) }).await.is_err());
    }
    assert_eq!((dependency.state(), far.reached()), (BreakerState::Closed, 100));
    // It interrupts a row.
    for _ in 0..2 {
        assert!(dependency.call(|| far.fails()).await.is_err());
        assert!(dependency.call(|| far.fails()).await.is_err());
        dependency.call(|| far.answers("no")).await.unwrap();
    }
    assert_eq!(dependency.state(), BreakerState::Closed);
}
