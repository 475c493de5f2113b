//! Every call of burying, replaying, discarding and collecting fails in turn: no message is lost, and none has two effects.

use super::{act, event, groups, open, operator, place, state, unguarded};
use crate::faults::each_call_fails;
use holdfast_store::keys::OUTBOX_SHARDS;
use holdfast_tests::faults::{Counted, Way};
use holdfast_tests::requests::Who;
use jiff::SignedDuration;
use maintenance::{Job, Task};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn out_3_whatever_call_of_a_burial_fails_the_message_is_kept() {
    each_call_fails(async |fault| {
        let (shop, back) = open().await;
        place(&shop, "k").await;
        for body in ["poison 1", "poison 2"] {
            back.send(body).await;
        }
        shop.engine.wire.count(fault);
        back.work().await;
        let counted = shop.engine.wire.counted();
        for _ in 0..3 {
            back.work().await;
        }
        let causes = groups(&back, &operator()).await;
        assert_eq!(causes[0]["letters"], 2, "{fault:?}: {causes:?}");
        counted
    })
    .await;
}

#[tokio::test]
async fn out_3_whatever_call_of_a_replay_fails_the_order_is_paid_once() {
    each_call_fails(async |fault| {
        let (shop, back) = open().await;
        let id = place(&shop, "k").await;
        back.send_dead(&event("acme", &id, "com.holdfast.order.placed")).await;
        back.maintain(Job::DeadLetters).await;
        let choice = json!({"fingerprint": "order-worker.crashed.order.placed"});
        shop.engine.wire.count(fault);
        let answer = act(&back, &Who::staff(), "replay", choice.clone()).await;
        let counted = shop.engine.wire.counted();
        if answer.status >= 500 {
            let again = act(&back, &Who::staff(), "replay", choice).await;
            assert!(matches!(again.status, 200 | 404), "{fault:?}: {again:?}");
        }
        back.drain().await;
        assert_eq!(state(&shop, &id).await, "paid", "{fault:?}");
        assert_eq!(back.authorisations(&id).await, 1, "{fault:?}");
        assert!(groups(&back, &operator()).await.is_empty(), "{fault:?}");
        shop.laws_hold().await;
        counted
    })
    .await;
}

#[tokio::test]
async fn out_3_whatever_call_of_a_collection_fails_the_message_is_kept_once() {
    each_call_fails(async |fault| {
        let (shop, back) = open().await;
        let id = place(&shop, "k").await;
        back.send_dead(&event("acme", &id, "com.holdfast.order.placed")).await;
        // What is received and not taken off is there again after a second.
        shop.engine.wire.rewrite(|operation, request| {
            if operation == "ReceiveMessage" {
                request["VisibilityTimeout"] = json!(1);
            }
        });
        shop.engine.wire.count(fault);
        // The run fails or not; the next one goes on.
        let _ = back.run(Task::from(Job::DeadLetters)).await;
        let counted = shop.engine.wire.counted();
        tokio::time::sleep(Duration::from_millis(1_300)).await;
        back.maintain(Job::DeadLetters).await;
        let causes = groups(&back, &operator()).await;
        assert!(causes.len() == 1 && causes[0]["letters"] == 1, "{fault:?}: {causes:?}");
        counted
    })
    .await;
}

/// The shards of the outbox are swept at the same time, so that a call has no place of its own: whichever is at a place
/// fails. One of the entries cannot be read.
#[tokio::test]
async fn out_2_whatever_call_of_a_sweep_fails_every_event_is_published_or_a_letter() {
    let mut places = 0;
    loop {
        let Counted { calls, met } = sweep_fails((places, Way::Before)).await;
        if !met {
            break;
        }
        for way in Way::of(&calls[places]).iter().filter(|way| **way != Way::Before) {
            sweep_fails((places, *way)).await;
        }
        places += 1;
    }
    // A query for each shard; then a burial, a call of the queue, and two events that are done.
    assert!(places >= usize::from(OUTBOX_SHARDS) + 4, "{places}");
}

async fn sweep_fails(fault: (usize, Way)) -> Counted {
    let (shop, back) = open().await;
    let id = place(&shop, "k").await;
    shop.engine.wire.rewrite(|operation, request| match operation {
        "SendMessageBatch" => request["QueueUrl"] = json!("http://127.0.0.1/000000000000/there-is-no-such-queue"),
        "PutItem" if request["Item"]["queue"]["S"] == "notifications" => {
            request["Item"]["queue"]["S"] = json!("projections");
        }
        _ => {}
    });
    back.relay().await;
    shop.engine.wire.rewrite(|_, _| {});
    shop.clock.advance(SignedDuration::from_mins(1));
    shop.engine.wire.count(Some(fault));
    // The run fails or not; the next ones go on, when what failed is due again.
    let _ = back.run(Task::from(Job::OutboxSweep)).await;
    let counted = shop.engine.wire.counted();
    for _ in 0..2 {
        shop.clock.advance(SignedDuration::from_mins(2));
        back.maintain(Job::OutboxSweep).await;
    }
    let evidence = shop.engine.evidence().await;
    assert!(evidence.outbox.is_empty() && evidence.dead.len() == 1, "{fault:?}: {:?}", evidence.dead);
    back.drain().await;
    assert!(back.events_done().contains_key(&format!("{id}/1")), "{fault:?}");
    // The event, or its timer first: then it has expired, and nobody was asked for money.
    let (ended, asked) = (state(&shop, &id).await, back.authorisations(&id).await);
    assert!((ended == "paid" && asked == 1) || (ended == "expired" && asked == 0), "{fault:?}: {ended}, {asked}");
    shop.laws_hold().await;
    counted
}

/// A letter that died again while it is discarded is another one.
#[tokio::test]
async fn out_3_a_letter_is_taken_away_only_as_it_was_read() {
    let tenant = holdfast_domain::ids::TenantId::parse("acme").unwrap();
    for guarded in [true, false] {
        let (shop, back) = open().await;
        back.send(&event("acme", super::NOWHERE, "com.holdfast.order.placed")).await;
        back.work().await;
        let id = groups(&back, &Who::staff()).await[0]["sample"]["id"].as_str().unwrap().to_owned();
        let store = shop.engine.store();
        let read = store.dead_letter_read(Some(&tenant), &id).await.unwrap().unwrap();
        let again = holdfast_domain::dead_letter::DeadLetter {
            died_at: read.died_at.saturating_add(SignedDuration::from_secs(1)).unwrap(),
            ..read.clone()
        };
        store.dead_letter_put(&again).await.unwrap();
        if !guarded {
            shop.engine.wire.rewrite(unguarded);
        }
        assert_eq!(store.dead_letter_remove(&read).await.unwrap(), !guarded);
        assert_eq!(groups(&back, &Who::staff()).await.len(), usize::from(guarded));
    }
}
