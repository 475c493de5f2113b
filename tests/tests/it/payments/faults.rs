//! What goes wrong on the way to the provider: every call in every way, keys that are forgotten or never sent, and
//! amounts that the provider gets wrong.

use super::{MUG, books_agree, open, paid, place, read, refund, ship};
use crate::faults::each_call_fails;
use holdfast_tests::provider::{fault, forget_keys, moved, payments_of};
use jiff::SignedDuration;
use maintenance::Job;
use serde_json::json;

/// The stage of a payment in which a call fails.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    Authorise,
    Capture,
    Refund,
}

#[tokio::test]
async fn pay_2_holds_whatever_call_of_an_authorisation_fails() {
    every_call_of(Stage::Authorise).await;
}

#[tokio::test]
async fn pay_2_holds_whatever_call_of_a_capture_fails() {
    every_call_of(Stage::Capture).await;
}

#[tokio::test]
async fn pay_5_holds_whatever_call_of_a_refund_fails() {
    every_call_of(Stage::Refund).await;
}

async fn every_call_of(stage: Stage) {
    each_call_fails(async |fault| {
        let (shop, back) = open().await;
        let id = place(&shop, "pm_card_visa").await;
        if stage != Stage::Authorise {
            back.drain().await;
            ship(&shop, &id, 2).await;
        }
        if stage == Stage::Refund {
            back.drain().await;
            assert_eq!(refund(&shop, &id, 1500, "r-1").await.status, 202);
        }
        shop.engine.wire.count(fault);
        for _ in 0..3 {
            back.relay().await;
            back.work().await;
        }
        let counted = shop.engine.wire.counted();
        back.drain().await;
        // What the relay kept is due after half a minute.
        shop.clock.advance(SignedDuration::from_mins(1));
        back.maintain(Job::OutboxSweep).await;
        back.drain().await;
        let expected = match stage {
            Stage::Authorise => (0, 0),
            Stage::Capture => (2 * MUG, 0),
            Stage::Refund => (2 * MUG, 1500),
        };
        assert_eq!(moved(&id).await, expected, "{stage:?} {fault:?}");
        assert_eq!(payments_of(&id).await.len(), 1, "{stage:?} {fault:?}");
        books_agree(&shop, &id).await;
        counted
    })
    .await;
}

/// The control of the idempotency keys: the provider does not read them, and the lost answer is charged for again.
#[tokio::test]
async fn pay_2_without_its_key_a_lost_answer_charges_twice() {
    let (shop, back) = open().await;
    let id = place(&shop, "pm_card_visa").await;
    fault(&id, "/payment_intents", "drop_after_keyless", json!({})).await;
    fault(&id, "/payment_intents", "keyless", json!({})).await;
    back.drain().await;
    assert_eq!(read(&shop, &id).await["state"], "paid");
    assert_eq!(payments_of(&id).await.len(), 2, "the keys are not what keeps the provider from charging twice");
}

/// Keys are kept for a day; a dead letter may be redriven after two weeks.
#[tokio::test]
async fn pay_2_a_capture_and_a_refund_are_made_once_also_after_their_keys_were_forgotten() {
    let (shop, back) = open().await;
    let id = paid(&shop, &back).await;
    ship(&shop, &id, 1).await;
    // As often as the messages of both changes ask.
    fault(&id, "/capture", "drop_after", json!({"times": 6})).await;
    back.relay().await;
    back.work().await;
    // One message may find what the other asked for.
    assert_eq!(moved(&id).await.0, MUG);
    forget_keys(&id).await;
    back.drain().await;
    assert_eq!(moved(&id).await, (MUG, 0));
    books_agree(&shop, &id).await;

    assert_eq!(refund(&shop, &id, 500, "r-1").await.status, 202);
    fault(&id, "/refunds", "drop_after", json!({"times": 3})).await;
    back.relay().await;
    back.work().await;
    assert_eq!((moved(&id).await.1, &read(&shop, &id).await["refunds"][0]["state"]), (500, &json!("requested")));
    forget_keys(&id).await;
    back.drain().await;
    assert_eq!(moved(&id).await, (MUG, 500));
    books_agree(&shop, &id).await;
}

/// What the provider captured otherwise than it was asked to never gets into the ledger: its message is never done.
#[tokio::test]
async fn pay_5_a_captured_amount_that_differs_is_not_noted() {
    let (shop, back) = open().await;
    let id = paid(&shop, &back).await;
    ship(&shop, &id, 1).await;
    fault(&id, "/capture", "tamper", json!({"amount": MUG - 1})).await;
    for _ in 0..4 {
        back.relay().await;
        back.work().await;
    }
    let order = read(&shop, &id).await;
    assert_eq!((moved(&id).await.0, &order["payment"]["captured"]), (MUG - 1, &json!(null)), "{order}");
    assert!(!back.events_done().contains_key(&format!("{id}/5")), "the message is for people to look at");
    shop.laws_hold().await;
}

#[tokio::test]
async fn pay_5_a_refunded_amount_that_differs_is_not_noted() {
    let (shop, back) = open().await;
    let id = paid(&shop, &back).await;
    ship(&shop, &id, 3).await;
    back.drain().await;
    assert_eq!(refund(&shop, &id, 500, "r-1").await.status, 202);
    fault(&id, "/refunds", "tamper", json!({"amount": 501})).await;
    for _ in 0..4 {
        back.relay().await;
        back.work().await;
    }
    let order = read(&shop, &id).await;
    assert_eq!((moved(&id).await.1, &order["refunds"][0]["state"]), (501, &json!("requested")), "{order}");
    shop.laws_hold().await;
}
