//! Silence is an alarm: the relay and every job give signs of life, and `GET /health` tells who does not (OPS-5).

use crate::dead_letters::{open, unguarded};
use holdfast_runtime::heartbeat::BEATS;
use holdfast_tests::back_office::BackOffice;
use holdfast_tests::requests::{Answer, Request};
use jiff::SignedDuration;
use maintenance::Job;

const MINUTELY: [Job; 5] = [Job::Pulse, Job::OutboxSweep, Job::DeadLetters, Job::Pools, Job::ReconcileResume];

async fn health(back: &BackOffice) -> Answer {
    Request::get("/health").send(&back.ops(), None).await
}

#[tokio::test]
async fn ops_5_a_relay_that_stands_still_for_five_minutes_is_unhealthy_and_recovers() {
    let (shop, back) = open().await;
    assert_eq!(health(&back).await.status, 503, "nobody was ever heard of");
    back.maintain(Job::Pulse).await;
    let fresh = health(&back).await;
    assert_eq!((fresh.status, &fresh.body["status"]), (200, &"healthy".into()), "silence counts from the first pulse");

    // Minute by minute everybody does their work, but the relay.
    for _ in 0..6 {
        shop.clock.advance(SignedDuration::from_mins(1));
        for job in MINUTELY {
            back.maintain(job).await;
        }
        back.maintain(Job::RepublishResume).await;
    }
    let stopped = health(&back).await;
    assert_eq!((stopped.status, &stopped.body["status"]), (503, &"unhealthy".into()), "{stopped:?}");
    assert_eq!(stopped.body["checks"]["relay"]["silent_seconds"], 360);
    assert_eq!(stopped.body["checks"]["outbox-sweep"]["status"], "healthy");
    assert_eq!(stopped.header("content-type"), "application/json", "it is no problem of the request's");

    // One invocation with the pulse is enough, without any order.
    while back.relay().await {}
    let well = health(&back).await;
    assert_eq!((well.status, &well.body["checks"]["relay"]["silent_seconds"]), (200, &0.into()), "{well:?}");
}

#[tokio::test]
async fn ops_5_a_schedule_that_stays_away_degrades_and_orders_go_on() {
    let (shop, back) = open().await;
    back.maintain(Job::Pulse).await;
    shop.clock.advance(SignedDuration::from_mins(6));
    for job in MINUTELY.into_iter().filter(|job| *job != Job::OutboxSweep) {
        back.maintain(job).await;
    }
    back.maintain(Job::RepublishResume).await;
    while back.relay().await {}
    let health = health(&back).await;
    assert_eq!((health.status, &health.body["status"]), (200, &"degraded".into()), "{health:?}");
    assert_eq!(health.body["checks"]["outbox-sweep"]["status"], "degraded");
    assert_eq!(health.body["checks"]["relay"]["status"], "healthy");
    assert_eq!(health.body["checks"].as_object().unwrap().len(), BEATS.len() + 1);
}

/// A batch that is not wholly published gives no sign of life: what comes after the failed record is not relayed yet.
#[tokio::test]
async fn ops_5_a_batch_that_failed_gives_no_sign_of_life() {
    let (shop, back) = open().await;
    back.maintain(Job::Pulse).await;
    while back.relay().await {}
    shop.clock.advance(SignedDuration::from_mins(6));
    let placed = shop.order(&holdfast_tests::requests::Who::customer("c-1"), "k", "mug", 1).await;
    assert_eq!(placed.status, 201);
    back.maintain(Job::Pulse).await;
    // Neither the queues nor the table take anything of the order.
    shop.engine.wire.rewrite(|operation, request| {
        if operation == "SendMessageBatch"
            || request["Item"]["pk"]["S"].as_str().is_some_and(|pk| pk.starts_with("outbox#"))
        {
            *request = serde_json::json!({});
        }
    });
    back.relay().await;
    assert_eq!(health(&back).await.status, 503);
    shop.engine.wire.rewrite(|_, _| {});
    while back.relay().await {}
    assert_eq!(health(&back).await.body["checks"]["relay"]["status"], "healthy");
}

#[tokio::test]
async fn ops_4_a_table_that_gives_no_answer_is_unhealthy() {
    let (shop, back) = open().await;
    back.maintain(Job::Pulse).await;
    shop.engine.wire.count(Some((0, holdfast_tests::faults::Way::Before)));
    let health = health(&back).await;
    assert_eq!((health.status, &health.body["checks"]["table"]["status"]), (503, &"unhealthy".into()), "{health:?}");
}

/// Signs of life may come in any order: without the condition, a late one takes a newer one back.
#[tokio::test]
async fn ops_5_an_older_sign_of_life_changes_nothing() {
    for guarded in [true, false] {
        let (shop, _) = open().await;
        let (store, now) = (shop.engine.store(), shop.clock.clock().now());
        if !guarded {
            shop.engine.wire.rewrite(unguarded);
        }
        store.heartbeat("relay", now).await.unwrap();
        let older = now - SignedDuration::from_mins(10);
        store.heartbeat("relay", older).await.unwrap();
        let [beat] = &store.heartbeats().await.unwrap()[..] else { panic!("one is noted") };
        assert_eq!(beat.at.as_millisecond(), if guarded { now } else { older }.as_millisecond());
    }
}
