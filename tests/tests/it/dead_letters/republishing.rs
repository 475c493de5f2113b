//! A relay that was silent for longer than the stream keeps records: what was changed is published anew.

use super::{open, place, state, unguarded};
use crate::faults::each_call_fails;
use holdfast_tests::requests::{Request, Who};
use jiff::{SignedDuration, Timestamp};
use maintenance::{Job, JobError, Task};
use serde_json::json;

fn window(from: Timestamp, to: Timestamp) -> Task {
    Task { job: Job::Republish, from: Some(from), to: Some(to) }
}

#[tokio::test]
async fn out_1_an_outage_of_thirty_hours_is_healed() {
    let (shop, back) = open().await;
    let before = place(&shop, "before").await;
    back.drain().await;
    shop.clock.advance(SignedDuration::from_hours(1));
    let from = shop.clock.clock().now();
    // Orders that live for a day, so that the outage does not end them.
    let (lost, cancelled) = (place(&shop, "lost").await, place(&shop, "cancelled").await);
    let cancel = Request::post(&format!("/orders/{cancelled}/cancel"), &json!({}));
    assert_eq!(cancel.send(&shop.orders, Some(&Who::customer("c-1"))).await.status, 200);
    back.trim_stream().await;
    back.drain().await;
    assert_eq!(state(&shop, &lost).await, "placed", "nobody heard of it");
    shop.clock.advance(SignedDuration::from_mins(5));

    let report = back.run(window(from, shop.clock.clock().now())).await.unwrap();
    assert_eq!((report.seen, report.waiting), (2, 0), "{report:?}");
    back.drain().await;
    assert_eq!([state(&shop, &lost).await, state(&shop, &cancelled).await], ["paid", "cancelled"]);
    let done = back.events_done();
    for id in [format!("{lost}/1"), format!("{cancelled}/1"), format!("{cancelled}/2")] {
        assert!(done.contains_key(&id), "{id} was not published");
    }
    assert_eq!(done[&format!("{before}/1")], 1, "what was changed before the window is not published again");
    // Thirty hours later the same once more: consumers bear it.
    shop.clock.advance(SignedDuration::from_hours(30));
    let to = shop.clock.clock().now();
    back.run(window(from.saturating_sub(SignedDuration::from_hours(2)).unwrap(), to)).await.unwrap();
    back.drain().await;
    assert_eq!(back.authorisations(&lost).await, 1);
    assert_eq!([state(&shop, &before).await, state(&shop, &lost).await], ["paid", "paid"]);
    shop.laws_hold().await;
}

#[tokio::test]
async fn out_1_an_order_that_expired_meanwhile_is_ended_by_its_timer() {
    let (shop, back) = open().await;
    let from = shop.clock.clock().now();
    let lost = place(&shop, "lost").await;
    back.trim_stream().await;
    shop.clock.advance(SignedDuration::from_hours(30));
    back.run(window(from, shop.clock.clock().now())).await.unwrap();
    back.drain().await;
    // Whichever message comes first: it is paid by its event, or expired by its timer, and never both.
    let ended = state(&shop, &lost).await;
    assert!(ended == "paid" || ended == "expired", "{ended}");
    shop.laws_hold().await;
}

#[tokio::test]
async fn out_1_whatever_call_of_publishing_anew_fails_the_next_run_goes_on() {
    each_call_fails(async |fault| {
        let (shop, back) = open().await;
        let from = shop.clock.clock().now();
        let lost = place(&shop, "lost").await;
        back.trim_stream().await;
        shop.clock.advance(SignedDuration::from_mins(1));
        let to = shop.clock.clock().now();
        shop.engine.wire.count(fault);
        let begun = back.run(window(from, to)).await;
        let counted = shop.engine.wire.counted();
        if begun.is_err() {
            // Whoever asked asks again; and if the pass was noted, the next minute's run goes on with it.
            back.run(window(from, to)).await.unwrap();
        }
        back.maintain(Job::RepublishResume).await;
        back.drain().await;
        assert_eq!(state(&shop, &lost).await, "paid", "{fault:?}");
        assert_eq!(back.authorisations(&lost).await, 1, "{fault:?}");
        shop.laws_hold().await;
        counted
    })
    .await;
}

#[tokio::test]
async fn out_1_a_window_that_makes_no_sense_is_refused_and_one_at_a_time_is_published() {
    let (shop, back) = open().await;
    let now = shop.clock.clock().now();
    let ago = |hours| now.saturating_sub(SignedDuration::from_hours(hours)).unwrap();
    let none = Task { job: Job::Republish, from: None, to: None };
    for (task, field) in [(none, "from"), (window(now, ago(1)), "to"), (window(ago(24 * 30), now), "from")] {
        let error = back.run(task).await.unwrap_err();
        assert!(matches!(&error, JobError::Invalid(problem) if problem.starts_with(field)), "{error}");
    }
    // A pass that stopped half-way: nothing else begins before it is over.
    let store = shop.engine.store();
    let pass = holdfast_store::Republishing::over(ago(2), ago(1), None);
    assert!(store.republishing_step(&pass).await.unwrap());
    let error = back.run(window(ago(1), now)).await.unwrap_err();
    assert!(matches!(&error, JobError::UnderWay(_)), "{error}");
    assert_eq!(back.maintain(Job::RepublishResume).await.seen, 0);
    assert!(store.republishing_read().await.unwrap().unwrap().is_over);
    assert!(back.run(window(ago(1), now)).await.is_ok());
    // A run that was overtaken moves nothing back.
    assert!(!store.republishing_step(&pass.on(None, 1, 1)).await.unwrap());
}

/// Without the condition, a run that was overtaken moves a pass back that is over.
#[tokio::test]
async fn out_1_a_pass_is_moved_only_from_where_it_was_read() {
    for guarded in [true, false] {
        let (shop, _) = open().await;
        let (store, now) = (shop.engine.store(), shop.clock.clock().now());
        let read = holdfast_store::Republishing::over(now - SignedDuration::from_hours(1), now, None);
        let halfway = Some(("acme#order#1".to_owned(), "order".to_owned()));
        assert!(store.republishing_step(&read).await.unwrap());
        let further = read.on(halfway.clone(), 1, 1);
        assert!(store.republishing_step(&further).await.unwrap());
        assert!(store.republishing_step(&further.on(None, 1, 1)).await.unwrap());
        if !guarded {
            shop.engine.wire.rewrite(unguarded);
        }
        assert_eq!(store.republishing_step(&read.on(halfway, 1, 1)).await.unwrap(), !guarded);
        assert_eq!(store.republishing_read().await.unwrap().unwrap().is_over, guarded);
    }
}
