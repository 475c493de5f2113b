//! Every AWS call and every provider call of placing, relaying and paying fails in turn, in every way; afterwards the
//! caller retries, messages are delivered again, maintenance sweeps, and the laws hold.

use holdfast_tests::back_office::BackOffice;
use holdfast_tests::clock::TestClock;
use holdfast_tests::engine::Engine;
use holdfast_tests::faults::{Counted, Way};
use holdfast_tests::requests::{Request, Who, order_of};
use holdfast_tests::shop::Shop;
use jiff::SignedDuration;
use maintenance::Job;
use serde_json::json;

/// How an order's story goes on after it is placed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Story {
    /// It is paid.
    Paid,
    /// The provider declines, and the stock goes back.
    Declined,
    /// It is cancelled after it was paid, and the authorisation is voided.
    Cancelled,
}

/// The stage in which a call fails.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    Placing,
    Cancelling,
    Relaying,
    Working,
}

#[tokio::test]
async fn out_1_and_pay_2_hold_whatever_call_fails_on_the_way_to_paid() {
    every_fault(Story::Paid, &[Stage::Placing, Stage::Relaying, Stage::Working]).await;
}

#[tokio::test]
async fn pay_3_holds_whatever_call_fails_on_the_way_to_declined() {
    every_fault(Story::Declined, &[Stage::Working]).await;
}

#[tokio::test]
async fn pay_1_holds_whatever_call_fails_on_the_way_to_voided() {
    every_fault(Story::Cancelled, &[Stage::Cancelling, Stage::Working]).await;
}

async fn every_fault(story: Story, stages: &[Stage]) {
    for stage in stages {
        each_call_fails(async |fault| Box::pin(tell(story, *stage, fault)).await).await;
    }
}

/// Tells a story with one fault; which calls the stage made.
async fn tell(story: Story, stage: Stage, fault: Option<(usize, Way)>) -> Counted {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    let back = BackOffice::open(&shop.engine, &shop.clock).await;
    let wire = &shop.engine.wire;
    shop.sell("mug", 5).await;
    let who = Who::customer("c-1");
    let mut body = order_of("mug", 2);
    body["payment_method"] =
        json!(if story == Story::Declined { "pm_card_chargeCustomerFail" } else { "pm_card_visa" });
    let mut counted = Counted::default();
    let mut count = |now: Stage, begins: bool| {
        if now == stage && begins {
            wire.count(fault);
        } else if now == stage {
            counted = wire.counted();
        }
    };

    count(Stage::Placing, true);
    // The provider is shared by all tests and knows orders by their ids: keys are the test's own.
    let request = Request::post("/orders", &body).key(&shop.engine.table);
    let mut placed = request.send(&shop.orders, Some(&who)).await;
    count(Stage::Placing, false);
    for _ in 0..3 {
        if matches!(placed.status, 200 | 201) {
            break;
        }
        // Unless the process died, the answer says when to come again.
        let died = matches!(fault, Some((_, Way::Killed))) && placed.status == 500;
        assert!(died || placed.status == 503 && !placed.header("retry-after").is_empty(), "{fault:?}: {placed:?}");
        placed = request.send(&shop.orders, Some(&who)).await;
    }
    assert!(matches!(placed.status, 200 | 201), "{fault:?}: {placed:?}");

    if story == Story::Cancelled {
        back.drain().await;
        count(Stage::Cancelling, true);
        let path = format!("/orders/{}/cancel", placed.body["order_id"].as_str().unwrap());
        let cancel = Request::post(&path, &json!({}));
        let mut cancelled = cancel.send(&shop.orders, Some(&who)).await;
        count(Stage::Cancelling, false);
        if cancelled.status >= 500 {
            cancelled = cancel.send(&shop.orders, Some(&who)).await;
        }
        assert_eq!(cancelled.body["state"], "cancelled", "{fault:?}: {cancelled:?}");
    }

    count(Stage::Relaying, true);
    back.relay().await;
    count(Stage::Relaying, false);
    count(Stage::Working, true);
    for _ in 0..3 {
        back.work().await;
        back.relay().await;
    }
    count(Stage::Working, false);
    // What the relay kept is due after half a minute.
    back.drain().await;
    shop.clock.advance(SignedDuration::from_mins(1));
    back.maintain(Job::OutboxSweep).await;
    back.drain().await;

    judge(story, &shop, &back, &format!("{stage:?} {fault:?}")).await;
    counted
}

async fn judge(story: Story, shop: &Shop, back: &BackOffice, case: &str) {
    let evidence = shop.engine.evidence().await;
    for law in holdfast_local::demo::laws::of_table(&evidence) {
        assert!(law.holds, "{case}: {}: {}", law.name, law.detail);
    }
    let [order] = &evidence.orders[..] else { panic!("{case}: {} orders", evidence.orders.len()) };
    let (state, payment, available) = match story {
        Story::Paid => ("paid", "authorised", 3),
        Story::Declined => ("payment_failed", "declined", 5),
        Story::Cancelled => ("cancelled", "voided", 5),
    };
    assert_eq!((order.state.as_str(), order.payment.as_str()), (state, payment), "{case}: {:?}", order.history);
    assert_eq!(shop.available("mug").await, available, "{case}");
    assert!(evidence.outbox.is_empty(), "{case}: {:?}", evidence.outbox);
    let done = back.events_done();
    for version in 1..=order.version {
        let id = format!("{}/{version}", order.id);
        assert!(done.contains_key(&id), "{case}: event {id} was not done: {done:?}");
    }
    assert_eq!(back.authorisations(&order.id).await, 1, "{case}: the provider was charged more than once");
}

/// A table that never answers ends in an answer of our own before the function's time is up, and the retry succeeds.
#[tokio::test]
async fn a_table_that_hangs_is_unavailable_within_the_deadline() {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    shop.sell("mug", 5).await;
    let who = Who::customer("c-1");
    shop.engine.wire.count(Some((2, Way::Hang)));
    let begun = std::time::Instant::now();
    let hung = shop.order(&who, "k", "mug", 2).await;
    assert!(shop.engine.wire.counted().met, "no call hung");
    assert_eq!((hung.status, hung.slug(), hung.header("retry-after")), (503, "unavailable", "1"));
    assert!(begun.elapsed().as_secs() < 9, "{:?}", begun.elapsed());
    assert_eq!(shop.order(&who, "k", "mug", 2).await.status, 201);
    shop.laws_hold().await;
}

/// Runs an operation once for every call it makes and every way that call may fail; `operation` repeats what failed, as
/// its caller would, and judges the outcome.
pub(crate) async fn each_call_fails(operation: impl AsyncFn(Option<(usize, Way)>) -> Counted) {
    let calls = operation(None).await.calls;
    assert!(calls.len() > 1, "an operation of one call needs no harness");
    for (position, call) in calls.iter().enumerate() {
        for way in Way::of(call) {
            assert!(operation(Some((position, *way))).await.met, "{call}, call {position}, was not made");
        }
    }
}

#[tokio::test]
async fn stk_1_holds_whatever_call_of_a_first_receipt_fails() {
    each_call_fails(async |fault| {
        let shop = Shop::over(Engine::embedded().await, TestClock::present());
        shop.sell("mug", 0).await;
        let body = json!({"warehouse": "main", "quantity": 7});
        let receive = Request::post("/stock/mug/receipts", &body).key("k");
        shop.engine.wire.count(fault);
        let mut answer = receive.send(&shop.inventory, Some(&Who::staff())).await;
        let counted = shop.engine.wire.counted();
        if answer.status >= 500 {
            answer = receive.send(&shop.inventory, Some(&Who::staff())).await;
        }
        assert!(matches!(answer.status, 200 | 201), "{fault:?}: {answer:?}");
        assert_eq!(shop.available("mug").await, 7, "{fault:?}");
        shop.laws_hold().await;
        counted
    })
    .await;
}

/// Once a price change is acknowledged, an environment that remembers the old price places no order at it.
#[tokio::test]
async fn ord_7_holds_whatever_call_of_a_price_change_fails() {
    each_call_fails(async |fault| {
        let shop = Shop::over(Engine::embedded().await, TestClock::present());
        shop.sell("mug", 5).await;
        let who = Who::customer("c-1");
        let mut body = order_of("mug", 1);
        body["lines"][0]["unit_price"] = json!(1999);
        let order = async |key: &str| Request::post("/orders", &body).key(key).send(&shop.orders, Some(&who)).await;
        assert_eq!(order("before").await.status, 201);
        let dearer = json!({"name": "mug", "category": "all", "price": {"amount": 2999, "currency": "EUR"}});
        let put = Request::put("/products/mug", &dearer);
        shop.engine.wire.count(fault);
        let mut answer = put.send(&shop.catalog, Some(&Who::staff())).await;
        let counted = shop.engine.wire.counted();
        if answer.status >= 500 {
            answer = put.send(&shop.catalog, Some(&Who::staff())).await;
        }
        assert_eq!(answer.status, 200, "{fault:?}: {answer:?}");
        assert_eq!(order("after").await.slug(), "price-changed", "{fault:?}");
        shop.laws_hold().await;
        counted
    })
    .await;
}

#[tokio::test]
async fn ord_13_holds_whatever_call_of_an_expiry_fails() {
    each_call_fails(async |fault| {
        let shop = Shop::over(Engine::embedded().await, TestClock::present());
        let back = BackOffice::open(&shop.engine, &shop.clock).await;
        shop.sell("mug", 5).await;
        let placed = shop.order(&Who::customer("c-1"), &shop.engine.table, "mug", 2).await;
        assert_eq!(placed.status, 201, "{placed:?}");
        shop.clock.advance(SignedDuration::from_mins(40));
        // The search for late holds sends the timer again; the relay has not run, so nobody was asked for money.
        assert_eq!(back.maintain(Job::LateHolds).await.published, 1);
        shop.engine.wire.count(fault);
        back.work().await;
        let counted = shop.engine.wire.counted();
        // Whatever is left of that timer, the next search sends another.
        back.lose_messages().await;
        back.maintain(Job::LateHolds).await;
        back.work().await;
        let evidence = shop.engine.evidence().await;
        assert_eq!((evidence.orders[0].state.as_str(), evidence.orders[0].version), ("expired", 2), "{fault:?}");
        assert_eq!(shop.available("mug").await, 5, "{fault:?}");
        assert_eq!(back.authorisations(&evidence.orders[0].id).await, 0, "{fault:?}");
        shop.laws_hold().await;
        counted
    })
    .await;
}
