//! Relay, worker and maintenance: events late, twice and reversed; timers; what cannot be read.

use holdfast_tests::back_office::BackOffice;
use holdfast_tests::clock::TestClock;
use holdfast_tests::engine::Engine;
use holdfast_tests::requests::{Request, Who, order_of};
use holdfast_tests::shop::Shop;
use jiff::SignedDuration;
use maintenance::Job;
use serde_json::{Value, json};

async fn open() -> (Shop, BackOffice) {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    let back = BackOffice::open(&shop.engine, &shop.clock).await;
    shop.sell("mug", 10).await;
    (shop, back)
}

async fn place(shop: &Shop, key: &str, method: &str) -> String {
    let mut body = order_of("mug", 2);
    body["payment_method"] = json!(method);
    // The provider is shared by all tests and knows orders by their ids: keys are the test's own.
    let key = format!("{key}-{}", shop.engine.table);
    let order = Request::post("/orders", &body).key(&key).send(&shop.orders, Some(&Who::customer("c-1"))).await;
    assert_eq!(order.status, 201, "{order:?}");
    order.body["order_id"].as_str().unwrap().to_owned()
}

async fn read(shop: &Shop, id: &str) -> Value {
    Request::get(&format!("/orders/{id}")).send(&shop.orders, Some(&Who::customer("c-1"))).await.body
}

/// An event of an order, as the relay writes it.
fn event(id: &str, kind: &str, version: u64, due_at: i64) -> String {
    json!({
        "specversion": "1.0", "id": format!("{id}/{version}"), "source": "/tenants/acme/orders", "type": kind,
        "subject": id, "time": "2026-01-01T00:00:00Z", "datacontenttype": "application/json",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "correlationid": "c",
        "data": {"tenant": "acme", "order_id": id, "version": version, "state": "placed", "due_at": due_at},
    })
    .to_string()
}

#[tokio::test]
async fn an_order_becomes_paid_and_every_version_has_its_event() {
    let (shop, back) = open().await;
    let id = place(&shop, "k", "pm_card_visa").await;
    back.drain().await;
    let order = read(&shop, &id).await;
    assert_eq!((&order["state"], &order["payment"]["status"]), (&json!("paid"), &json!("authorised")));
    let kinds: Vec<_> =
        order["history"].as_array().unwrap().iter().map(|entry| entry["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["placed", "payment_started", "paid"]);
    let done = back.events_done();
    assert!((1..=3).all(|version| done[&format!("{id}/{version}")] == 1), "{done:?}");
    shop.laws_hold().await;
}

#[tokio::test]
async fn out_6_the_trace_of_a_request_reaches_the_last_change() {
    let (shop, back) = open().await;
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = Request::post("/orders", &order_of("mug", 1))
        .key(&shop.engine.table)
        .header("x-correlation-id", "mine-1")
        .header("traceparent", &format!("00-{trace_id}-00f067aa0ba902b7-01"));
    assert_eq!(request.send(&shop.orders, Some(&Who::customer("c-1"))).await.status, 201);
    back.drain().await;
    let items = shop.engine.items().await;
    let order = items.iter().find(|item| item["sk"]["S"] == "order").unwrap();
    assert_eq!(order["state"]["S"], "paid");
    // The worker's change carries the request's correlation id, and its trace with a span of the worker's own.
    assert_eq!(order["event"]["M"]["correlation_id"]["S"], "mine-1");
    let traceparent = order["event"]["M"]["traceparent"]["S"].as_str().unwrap();
    assert!(traceparent.starts_with(&format!("00-{trace_id}-")) && !traceparent.contains("00f067aa0ba902b7"));
}

#[tokio::test]
async fn a_search_for_late_holds_that_is_over_is_not_resumed() {
    let (shop, back) = open().await;
    place(&shop, "k", "pm_card_visa").await;
    shop.clock.advance(SignedDuration::from_mins(40));
    assert_eq!(back.maintain(Job::LateHoldsResume).await.seen, 0);
    assert_eq!(back.maintain(Job::LateHolds).await.published, 1);
    assert_eq!(back.maintain(Job::LateHoldsResume).await.seen, 0);
}

#[tokio::test]
async fn a_free_order_is_paid_without_the_provider() {
    let (shop, back) = open().await;
    shop.price("mug", 0).await;
    let id = place(&shop, "k", "pm_card_visa").await;
    back.drain().await;
    assert_eq!(read(&shop, &id).await["state"], "paid");
    assert_eq!(back.authorisations(&id).await, 0);
    shop.laws_hold().await;
}

#[tokio::test]
async fn pay_3_a_declined_order_gives_its_stock_back() {
    let (shop, back) = open().await;
    for (key, method) in [("k-1", "pm_card_chargeCustomerFail"), ("k-2", "pm_unknown")] {
        let id = place(&shop, key, method).await;
        back.drain().await;
        let order = read(&shop, &id).await;
        assert_eq!((&order["state"], &order["payment"]["status"]), (&json!("payment_failed"), &json!("declined")));
        assert!(order["payment"]["decline"].is_string(), "{order}");
    }
    assert_eq!(shop.available("mug").await, 10);
    shop.laws_hold().await;
}

#[tokio::test]
async fn ord_13_an_unpaid_order_expires_once_and_not_before_its_time() {
    let (shop, back) = open().await;
    let id = place(&shop, "k", "pm_card_visa").await;
    let due = shop.clock.clone().clock().now().as_millisecond() + 15 * 60_000;
    let timer = |due_at| event(&id, "com.holdfast.timer.order_expiry", 1, due_at);
    // A timer that says it is due, before the order is.
    back.send(&timer(0)).await;
    back.work().await;
    assert_eq!(read(&shop, &id).await["state"], "placed");
    shop.clock.advance(SignedDuration::from_mins(15));
    for _ in 0..3 {
        back.send(&timer(due)).await;
    }
    back.work().await;
    let order = read(&shop, &id).await;
    assert_eq!((&order["state"], &order["version"]), (&json!("expired"), &json!(2)));
    assert_eq!(shop.available("mug").await, 10);
    back.drain().await;
    // The late `placed` event asks nobody for money.
    assert_eq!(back.authorisations(&id).await, 0);
    shop.laws_hold().await;
}

#[tokio::test]
async fn ord_13_a_timer_that_comes_early_is_sent_on() {
    let (shop, back) = open().await;
    let id = place(&shop, "k", "pm_card_visa").await;
    let due = shop.clock.clone().clock().now().as_millisecond() + 4_000;
    back.send(&event(&id, "com.holdfast.timer.order_expiry", 1, due)).await;
    assert!(back.work().await, "the timer was not delivered");
    assert!(!back.work().await, "the timer was sent on without a delay");
    shop.clock.advance(SignedDuration::from_mins(16));
    let begun = std::time::Instant::now();
    while !back.work().await {
        assert!(begun.elapsed().as_secs() < 30, "the timer did not come back");
    }
    assert_eq!(read(&shop, &id).await["state"], "expired");
}

#[tokio::test]
async fn ord_13_a_payment_that_is_authorised_after_the_expiry_is_voided() {
    let (shop, back) = open().await;
    let id = place(&shop, "k", "pm_card_visa").await;
    // The attempt begins, the provider authorises it, and the answer is lost.
    shop.engine.wire.count(None);
    back.relay().await;
    shop.engine.wire.count(Some((2, holdfast_tests::faults::Way::After)));
    back.work().await;
    assert!(shop.engine.wire.counted().met, "no call was lost");
    assert_eq!(read(&shop, &id).await["payment"]["status"], "started");
    assert_eq!(back.authorisations(&id).await, 1);
    // The order expires before the message comes again, which it never does.
    back.lose_messages().await;
    shop.clock.advance(SignedDuration::from_mins(16));
    back.maintain(Job::LateHolds).await;
    shop.clock.advance(SignedDuration::from_mins(16));
    back.maintain(Job::LateHolds).await;
    back.drain().await;
    let order = read(&shop, &id).await;
    assert_eq!((&order["state"], &order["payment"]["status"]), (&json!("expired"), &json!("voided")), "{order}");
    assert_eq!(back.authorisations(&id).await, 1);
    assert_eq!(shop.available("mug").await, 10);
    shop.laws_hold().await;
}

#[tokio::test]
async fn out_5_events_may_come_twice_reversed_and_late() {
    let (shop, back) = open().await;
    let id = place(&shop, "k", "pm_card_visa").await;
    for (kind, version) in [("paid", 3), ("payment_started", 2), ("placed", 1), ("cancelled", 9), ("placed", 1)] {
        back.send(&event(&id, &format!("com.holdfast.order.{kind}"), version, 0)).await;
    }
    back.drain().await;
    let order = read(&shop, &id).await;
    assert_eq!((&order["state"], &order["version"]), (&json!("paid"), &json!(3)));
    assert_eq!(back.authorisations(&id).await, 1);
    shop.laws_hold().await;
}

/// Events of several orders, each twice, in any order: what comes of it is what comes of them in order.
#[tokio::test]
async fn out_5_the_order_of_events_makes_no_difference() {
    for seed in 0..8 {
        let (shop, back) = open().await;
        let paid = place(&shop, "a", "pm_card_visa").await;
        let declined = place(&shop, "b", "pm_card_chargeCustomerFail").await;
        let cancelled = place(&shop, "c", "pm_card_visa").await;
        let cancel = Request::post(&format!("/orders/{cancelled}/cancel"), &json!({}));
        assert_eq!(cancel.send(&shop.orders, Some(&Who::customer("c-1"))).await.status, 200);
        // Also events of changes that have not happened yet, or never do.
        let kinds = ["placed", "payment_started", "paid", "cancelled", "shipping", "shipped", "refund_requested"];
        let mut events: Vec<_> = [&paid, &declined, &cancelled]
            .into_iter()
            .flat_map(|id| (1..).zip(kinds).map(move |(version, kind)| (id, kind, version)))
            .map(|(id, kind, version)| event(id, &format!("com.holdfast.order.{kind}"), version, 0))
            .collect();
        events.extend(events.clone());
        fastrand::Rng::with_seed(seed).shuffle(&mut events);
        for event in &events {
            back.send(event).await;
        }
        back.drain().await;
        let mut states = Vec::new();
        for id in [&paid, &declined, &cancelled] {
            states.push(read(&shop, id).await["state"].clone());
        }
        assert_eq!(states, ["paid", "payment_failed", "cancelled"], "seed {seed}");
        assert_eq!(back.authorisations(&paid).await, 1, "seed {seed}");
        assert_eq!(back.authorisations(&cancelled).await, 0, "seed {seed}");
        assert_eq!(shop.available("mug").await, 8, "seed {seed}");
        assert!(shop.engine.evidence().await.dead.is_empty(), "seed {seed}");
        shop.laws_hold().await;
    }
}

#[tokio::test]
async fn out_2_an_event_that_stays_unpublished_is_retried_and_then_dead() {
    let (shop, back) = open().await;
    let id = place(&shop, "k", "pm_card_visa").await;
    // The queues take nothing: the relay keeps the event for each, and the timer, and goes on.
    shop.engine.wire.rewrite(|operation, request| {
        if operation == "SendMessageBatch" {
            request["QueueUrl"] = json!("http://127.0.0.1/000000000000/there-is-no-such-queue");
        }
    });
    back.relay().await;
    assert_eq!(shop.engine.evidence().await.outbox.len(), 3);
    let mut reports = Vec::new();
    for _ in 0..3 {
        shop.clock.advance(SignedDuration::from_mins(5));
        reports.push(back.maintain(Job::OutboxSweep).await);
    }
    let counts: Vec<_> = reports.iter().map(|report| (report.seen, report.waiting, report.dead)).collect();
    assert_eq!(counts, [(3, 3, 0), (3, 3, 0), (3, 0, 3)]);
    let evidence = shop.engine.evidence().await;
    assert!(evidence.outbox.is_empty(), "{:?}", evidence.outbox);
    let causes =
        ["order.placed", "order.placed", "timer.order_expiry"].map(|kind| format!("acme#outbox.unpublished.{kind}~"));
    assert!(evidence.dead.iter().zip(&causes).all(|(dead, cause)| dead.starts_with(cause)), "{:?}", evidence.dead);
    // They are mended like all dead letters.
    shop.engine.wire.rewrite(|_, _| {});
    for kind in ["order.placed", "timer.order_expiry"] {
        let choice = json!({"fingerprint": format!("outbox.unpublished.{kind}")});
        let replay = Request::post("/ops/dead-letters/replay", &choice).send(&back.ops(), Some(&Who::staff())).await;
        assert_eq!(replay.status, 200, "{replay:?}");
    }
    back.drain().await;
    let state = read(&shop, &id).await["state"].clone();
    assert!(state == "paid" || state == "expired", "{state}: whichever message came first");
    assert!(shop.engine.evidence().await.dead.is_empty());
}

/// An entry of a release that this one does not know, such as for another queue: it is in nobody's way, and not lost.
#[tokio::test]
async fn out_2_an_entry_that_cannot_be_read_is_a_letter_and_the_others_are_published() {
    let (shop, back) = open().await;
    let id = place(&shop, "k", "pm_card_visa").await;
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
    let report = back.maintain(Job::OutboxSweep).await;
    assert_eq!((report.published, report.unreadable), (2, 1));
    assert_eq!(back.maintain(Job::OutboxSweep).await.unreadable, 0, "it is out of the way");
    let evidence = shop.engine.evidence().await;
    assert!(evidence.outbox.is_empty(), "{:?}", evidence.outbox);
    assert!(evidence.dead.len() == 1 && evidence.dead[0].starts_with("acme#outbox.unreadable-entry.order.placed~"));
    // Its replay publishes the order's events anew.
    let choice = json!({"fingerprint": "outbox.unreadable-entry.order.placed"});
    let replay = Request::post("/ops/dead-letters/replay", &choice).send(&back.ops(), Some(&Who::staff())).await;
    assert_eq!((replay.status, &replay.body["done"]), (200, &json!(1)), "{replay:?}");
    back.drain().await;
    assert_eq!(back.authorisations(&id).await, 1);
    shop.laws_hold().await;
}

/// What was published in the end is kept for a week, by the table's own expiry.
#[tokio::test]
async fn out_3_an_entry_that_was_published_is_kept_for_a_week() {
    let (shop, back) = open().await;
    place(&shop, "k", "pm_card_visa").await;
    shop.engine.wire.rewrite(|operation, request| {
        if operation == "SendMessageBatch" {
            request["QueueUrl"] = json!("http://127.0.0.1/000000000000/there-is-no-such-queue");
        }
    });
    back.relay().await;
    shop.engine.wire.rewrite(|_, _| {});
    shop.clock.advance(SignedDuration::from_mins(1));
    assert_eq!(back.maintain(Job::OutboxSweep).await.published, 3);
    let items = shop.engine.items().await;
    let done: Vec<_> = items.iter().filter(|item| item["pk"]["S"] == "outbox#done").collect();
    assert_eq!(done.len(), 3);
    for entry in done {
        let number = |name: &str| entry[name]["N"].as_str().unwrap().parse::<i64>().unwrap();
        assert_eq!(number("ttl") - number("processed_at") / 1_000, 7 * 24 * 3_600, "{entry}");
        assert_eq!((number("retry_count"), number("max_retry_count")), (0, 3));
    }
    assert_eq!(back.maintain(Job::OutboxSweep).await.seen, 0);
}

#[tokio::test]
async fn ord_13_maintenance_finds_orders_whose_timer_was_lost() {
    let (shop, back) = open().await;
    let id = place(&shop, "k", "pm_card_visa").await;
    shop.clock.advance(SignedDuration::from_mins(20));
    assert_eq!(back.maintain(Job::LateHolds).await.published, 0, "within the grace, timers have their chance");
    shop.clock.advance(SignedDuration::from_mins(20));
    let report = back.maintain(Job::LateHolds).await;
    assert_eq!((report.seen, report.published), (1, 1));
    back.work().await;
    assert_eq!(read(&shop, &id).await["state"], "expired");
    assert_eq!(back.maintain(Job::LateHolds).await.published, 0);
    shop.laws_hold().await;
}
