//! Dead letters: what nobody could handle is kept by cause, shown to whom it belongs, replayed and discarded (OUT-3).

mod failing;
mod inputs;
mod republishing;

use holdfast_tests::back_office::BackOffice;
use holdfast_tests::clock::TestClock;
use holdfast_tests::engine::Engine;
use holdfast_tests::requests::{Answer, Request, Who, order_of};
use holdfast_tests::shop::Shop;
use maintenance::Job;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const NOWHERE: &str = "822b8224-07ef-8495-88e0-f8b7b79d9970";

pub(crate) async fn open() -> (Shop, BackOffice) {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    let back = BackOffice::open(&shop.engine, &shop.clock).await;
    shop.sell("mug", 10).await;
    (shop, back)
}

/// Takes the condition of a write away.
pub(crate) fn unguarded(operation: &str, request: &mut Value) {
    if matches!(operation, "PutItem" | "DeleteItem") {
        for name in ["ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues"] {
            request.as_object_mut().expect("a request is an object").remove(name);
        }
    }
}

fn operator() -> Who {
    Who { scope: "operator".to_owned(), ..Who::customer("op-1") }.of("operations")
}

/// An event as the relay writes it, of a tenant's order.
fn event(tenant: &str, order: &str, kind: &str) -> String {
    json!({
        "specversion": "1.0", "id": format!("{order}/1"), "source": format!("/tenants/{tenant}/orders"), "type": kind,
        "subject": order, "time": "2026-01-01T00:00:00Z", "datacontenttype": "application/json",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "correlationid": "c-7",
        "data": {"tenant": tenant, "order_id": order, "version": 1, "state": "placed", "due_at": 0},
    })
    .to_string()
}

async fn ask(back: &BackOffice, who: &Who, request: Request) -> Answer {
    request.send(&back.ops(), Some(who)).await
}

async fn groups(back: &BackOffice, who: &Who) -> Vec<Value> {
    let answer = ask(back, who, Request::get("/ops/dead-letters")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["groups"].as_array().unwrap().clone()
}

async fn act(back: &BackOffice, who: &Who, what: &str, choice: Value) -> Answer {
    ask(back, who, Request::post(&format!("/ops/dead-letters/{what}"), &choice)).await
}

async fn place(shop: &Shop, key: &str) -> String {
    let key = format!("{key}-{}", shop.engine.table);
    let request = Request::post("/orders", &order_of("mug", 1)).key(&key);
    let order = request.send(&shop.orders, Some(&Who::customer("c-1"))).await;
    order.body["order_id"].as_str().unwrap().to_owned()
}

async fn state(shop: &Shop, id: &str) -> Value {
    let read = Request::get(&format!("/orders/{id}")).send(&shop.orders, Some(&Who::customer("c-1"))).await;
    read.body["state"].clone()
}

#[tokio::test]
async fn out_3_letters_are_counted_by_cause_with_the_last_of_each() {
    let (_shop, back) = open().await;
    back.send("no JSON").await;
    for order in [NOWHERE, "822b8224-07ef-8495-88e0-f8b7b79d9971"] {
        back.send(&event("acme", order, "com.holdfast.order.placed")).await;
    }
    back.send(&event("acme", NOWHERE, "com.holdfast.order.exploded")).await;
    while back.work().await {}
    let causes = groups(&back, &operator()).await;
    let shown: Vec<_> = causes
        .iter()
        .map(|group| (group["fingerprint"].as_str().unwrap(), &group["tenant"], group["letters"].as_u64().unwrap()))
        .collect();
    assert_eq!(shown[0], ("order-worker.no-such-order.order.placed", &json!("acme"), 2));
    let rest: std::collections::BTreeSet<_> = shown[1..].iter().map(|(name, _, count)| (*name, *count)).collect();
    let expected = [("order-worker.unreadable.order.exploded", 1), ("order-worker.unreadable.unknown", 1)];
    assert_eq!(rest, expected.into());
    let first = &causes[0];
    assert_eq!((&first["queue"], &first["sample"]["correlation_id"]), (&json!("orders"), &json!("c-7")));
    assert!(first["first_seen"].as_str() <= first["last_seen"].as_str(), "{first}");
    let page =
        ask(&back, &operator(), Request::get("/ops/dead-letters/order-worker.unreadable.unknown?tenant=-")).await;
    assert_eq!(page.body["letters"][0]["body"], "no JSON", "{page:?}");
    assert!(page.body["letters"][0]["error"].as_str().unwrap().contains("expected"), "{page:?}");
}

#[tokio::test]
async fn out_3_a_message_that_fails_each_time_is_kept_at_its_last_delivery_and_mended_by_a_replay() {
    let (shop, back) = open().await;
    let id = place(&shop, "k").await;
    back.relay().await;
    // The provider's adapter fails: every delivery ends in a retry.
    for _ in 0..5 {
        shop.engine.wire.outside_down(true);
        assert_eq!(groups(&back, &operator()).await.len(), 0);
        back.work().await;
    }
    shop.engine.wire.outside_down(false);
    assert!(!back.work().await, "the message is still in its queue");
    let [cause] = &groups(&back, &Who::staff()).await[..] else { panic!("one cause") };
    assert_eq!(cause["fingerprint"], "order-worker.payment-provider.order.placed");
    assert_eq!((&cause["sample"]["deliveries"], &cause["sample"]["event_id"]), (&json!(5), &json!(format!("{id}/1"))));
    assert_eq!(state(&shop, &id).await, "placed");

    let dry = act(&back, &Who::staff(), "replay", json!({"fingerprint": cause["fingerprint"], "dry_run": true})).await;
    assert_eq!((&dry.body["done"], &dry.body["dry_run"]), (&json!(1), &json!(true)), "{dry:?}");
    assert!(!back.work().await && groups(&back, &Who::staff()).await.len() == 1, "a dry run does nothing");

    let done = act(&back, &Who::staff(), "replay", json!({"fingerprint": cause["fingerprint"]})).await;
    assert_eq!((&done.body["done"], &done.body["more"]), (&json!(1), &json!(false)), "{done:?}");
    back.drain().await;
    assert_eq!(state(&shop, &id).await, "paid");
    assert_eq!(back.authorisations(&id).await, 1);
    assert!(groups(&back, &operator()).await.is_empty());
    shop.laws_hold().await;
}

#[tokio::test]
async fn out_3_what_dies_again_tells_how_often_it_was_replayed() {
    let (_shop, back) = open().await;
    back.send(&event("acme", NOWHERE, "com.holdfast.order.placed")).await;
    while back.work().await {}
    for replays in 1..=2 {
        let id = groups(&back, &Who::staff()).await[0]["sample"]["id"].clone();
        assert_eq!(act(&back, &Who::staff(), "replay", json!({"id": id})).await.body["done"], 1);
        while back.work().await {}
        let cause = &groups(&back, &Who::staff()).await[0];
        assert_eq!((&cause["sample"]["replays"], &cause["replayed_before"]), (&json!(replays), &json!(1)));
        assert_eq!(cause["letters"], 1, "the same message is one letter");
    }
}

#[tokio::test]
async fn out_3_what_is_discarded_is_gone_and_every_action_is_kept() {
    let (_shop, back) = open().await;
    for _ in 0..2 {
        back.send(&event("acme", NOWHERE, "com.holdfast.order.placed")).await;
    }
    back.send(&event("acme", "822b8224-07ef-8495-88e0-f8b7b79d9971", "com.holdfast.order.placed")).await;
    while back.work().await {}
    let cause = groups(&back, &Who::staff()).await[0].clone();
    assert_eq!(cause["letters"], 2);
    let fingerprint = &cause["fingerprint"];
    let done = act(&back, &Who::staff(), "discard", json!({"fingerprint": fingerprint, "limit": 1})).await;
    assert_eq!((&done.body["done"], &done.body["more"]), (&json!(1), &json!(true)), "{done:?}");
    assert_eq!(act(&back, &Who::staff(), "discard", json!({"fingerprint": fingerprint})).await.body["done"], 1);
    let gone = act(&back, &Who::staff(), "discard", json!({"fingerprint": fingerprint})).await;
    assert_eq!((gone.status, gone.slug()), (404, "not-found"));
    assert!(!back.work().await, "nothing was sent");
    let actions = ask(&back, &Who::staff(), Request::get("/ops/dead-letter-actions")).await;
    let actions = actions.body["actions"].as_array().unwrap();
    assert_eq!(actions.len(), 2);
    assert!(actions.iter().all(|action| action["by"] == "staff-1" && action["action"] == "discard"), "{actions:?}");
    assert!(actions[0]["chosen"].as_str().unwrap().contains("no-such-order"), "{actions:?}");
}

#[tokio::test]
async fn sec_1_staff_see_and_change_the_letters_of_their_own_shop_alone() {
    let (_shop, back) = open().await;
    for tenant in ["acme", "other"] {
        back.send(&event(tenant, NOWHERE, "com.holdfast.order.placed")).await;
    }
    back.send("no JSON").await;
    while back.work().await {}
    assert_eq!(groups(&back, &operator()).await.len(), 3);
    let own = groups(&back, &Who::staff()).await;
    assert!(own.len() == 1 && own[0]["tenant"] == "acme", "{own:?}");
    let fingerprint = &own[0]["fingerprint"];
    for asked in ["other", "-"] {
        let list = ask(&back, &Who::staff(), Request::get(&format!("/ops/dead-letters?tenant={asked}"))).await;
        assert_eq!((list.status, list.slug()), (403, "forbidden"), "{asked}");
        let choice = json!({"fingerprint": fingerprint, "tenant": asked});
        for what in ["replay", "discard"] {
            assert_eq!(act(&back, &Who::staff(), what, choice.clone()).await.status, 403, "{what} {asked}");
        }
    }
    assert_eq!(act(&back, &Who::staff(), "discard", json!({"fingerprint": fingerprint})).await.body["done"], 1);
    assert_eq!(groups(&back, &operator()).await.len(), 2, "the other shop's letter stays");
    // Nor does an id lead to another shop's letter.
    let theirs = groups(&back, &operator()).await;
    let theirs = theirs.iter().find(|group| group["tenant"] == "other").unwrap();
    let taken = act(&back, &Who::staff(), "discard", json!({"id": theirs["sample"]["id"]})).await;
    assert_eq!((taken.status, taken.slug()), (404, "not-found"));
    let customer = Who::customer("c-1");
    assert_eq!(ask(&back, &customer, Request::get("/ops/dead-letters")).await.status, 403);
}

/// What a function crashed at five times is put aside by SQS itself.
#[tokio::test]
async fn out_3_what_sqs_put_aside_is_collected_and_replayed() {
    let (shop, back) = open().await;
    let id = place(&shop, "k").await;
    back.send_dead(&event("acme", &id, "com.holdfast.order.placed")).await;
    back.send_dead("no JSON").await;
    let report = back.maintain(Job::DeadLetters).await;
    assert_eq!((report.seen, report.dead, report.waiting), (2, 2, 0));
    assert_eq!(back.maintain(Job::DeadLetters).await.seen, 0, "they are taken off the queue");
    let own = groups(&back, &Who::staff()).await;
    assert_eq!(own[0]["fingerprint"], "order-worker.crashed.order.placed");
    assert_eq!(act(&back, &Who::staff(), "replay", json!({"id": own[0]["sample"]["id"]})).await.body["done"], 1);
    back.drain().await;
    assert_eq!(state(&shop, &id).await, "paid");
}

/// A record that this release cannot read holds up no other, and is published by the release that can.
#[tokio::test]
async fn out_1_a_record_that_cannot_be_read_is_a_letter_and_its_neighbours_are_published() {
    let (shop, back) = open().await;
    let (first, broken, last) = (place(&shop, "a").await, place(&shop, "b").await, place(&shop, "c").await);
    back.spoil_records(&broken);
    back.drain().await;
    assert_eq!([state(&shop, &first).await, state(&shop, &last).await], ["paid", "paid"]);
    assert_eq!(state(&shop, &broken).await, "placed");
    let [cause] = &groups(&back, &Who::staff()).await[..] else { panic!("one cause") };
    assert_eq!((&cause["consumer"], &cause["queue"]), (&json!("outbox-relay"), &Value::Null), "{cause}");
    assert_eq!(act(&back, &Who::staff(), "replay", json!({"fingerprint": cause["fingerprint"]})).await.body["done"], 1);
    back.mend_records();
    back.drain().await;
    assert_eq!(state(&shop, &broken).await, "paid");
    shop.laws_hold().await;
}

/// Replays are spread over time by the queue's own delays.
#[tokio::test]
async fn out_3_a_rate_spreads_replays() {
    let (shop, back) = open().await;
    for number in 0..5 {
        let order = format!("822b8224-07ef-8495-88e0-f8b7b79d997{number}");
        back.send(&event("acme", &order, "com.holdfast.order.placed")).await;
    }
    while back.work().await {}
    let delays = Arc::<Mutex<Vec<i64>>>::default();
    let seen = Arc::clone(&delays);
    shop.engine.wire.rewrite(move |operation, request| {
        if operation == "SendMessage" {
            seen.lock().unwrap().push(request["DelaySeconds"].as_i64().unwrap());
        }
    });
    let choice = json!({"fingerprint": "order-worker.no-such-order.order.placed", "rate": 2});
    let done = act(&back, &Who::staff(), "replay", choice).await;
    assert_eq!((&done.body["done"], &done.body["spread_over_seconds"]), (&json!(5), &json!(2)), "{done:?}");
    assert_eq!(*delays.lock().unwrap(), [0, 0, 1, 1, 2]);
}
