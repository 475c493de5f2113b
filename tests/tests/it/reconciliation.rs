//! Reconciliation: no pool leaks unseen, and none is said to leak that does not.

pub(crate) mod books;
mod guards;
mod moving;
mod parts;
mod unreadable;

use books::{Books, tenant};
use holdfast_domain::ids::OrderId;
use holdfast_tests::requests::{Request, Who, order_of};
use jiff::SignedDuration;
use maintenance::{Job, Task};
use serde_json::json;

#[tokio::test]
async fn stk_1_a_shop_without_leaks_is_proved_to_have_none() {
    let books = Books::open().await;
    books.shop.sell("mug", 10).await;
    books.shop.sell("pen", 5).await;
    let coupon = json!({"percent": "10", "total_uses": 9});
    let put = Request::put("/coupons/SPRING", &coupon).send(&books.shop.catalog, Some(&Who::staff())).await;
    assert_eq!(put.status, 201, "{put:?}");
    let mut with_coupon = order_of("mug", 1);
    with_coupon["coupon"] = json!("SPRING");
    let request = Request::post("/orders", &with_coupon).key("k-0");
    assert_eq!(request.send(&books.shop.orders, Some(&Who::customer("c-1"))).await.status, 201);
    books.place("k-1", "mug", 2).await;
    books.sell("k-2", "mug", 3).await;
    let cancelled = books.sell("k-3", "pen", 1).await;
    books.cancel(cancelled).await;
    books.reserve("k-4", 1).await;
    let found = books.pass().await;
    let figures = found.figures;
    assert_eq!((figures.pools, figures.judged, figures.orders), (3, 3, 5), "{found:?}");
    assert!(found.drifts.is_empty());
}

#[tokio::test]
async fn a_leak_is_reported_when_it_is_seen_again() {
    let books = Books::open().await;
    books.shop.sell("mug", 10).await;
    books.sell("k", "mug", 4).await;
    books.steal("mug", 2).await;
    let first = books.pass().await;
    assert_eq!((first.figures.suspected, first.figures.drifting, first.drifts.len()), (1, 0, 0));
    let second = books.pass().await;
    assert_eq!((second.figures.suspected, second.figures.drifting), (0, 1));
    let [drift] = &second.drifts[..] else { panic!("{second:?}") };
    assert_eq!((drift.received, drift.available, drift.kept, drift.drift), (10, 4, 4, 2));
    assert_eq!(drift.pool, "stock#mug#main");
    // Another figure is another suspicion.
    books.steal("mug", -3).await;
    let third = books.pass().await;
    assert_eq!((third.figures.suspected, third.figures.drifting), (1, 0));
    books.steal("mug", 1).await;
    assert_eq!(books.pass().await.figures.judged, 1);
}

#[tokio::test]
async fn a_leak_that_grows_is_reported() {
    let books = Books::open().await;
    books.shop.sell("mug", 10).await;
    for (stolen, drifting) in [(2, None), (1, Some(2)), (2, Some(3)), (-4, Some(1)), (-2, None)] {
        books.steal("mug", stolen).await;
        let found = books.pass().await;
        assert_eq!(found.drifts.first().map(|drift| drift.drift), drifting, "{found:?}");
        assert_eq!(found.figures.suspected, u64::from(drifting.is_none()), "{found:?}");
    }
}

#[tokio::test]
async fn a_stripe_below_zero_is_counted_and_stops_nothing() {
    let books = Books::open().await;
    books.shop.sell("mug", 1).await;
    books.shop.sell("pen", 1).await;
    books.steal("mug", 2).await;
    let figures = books.pass().await.figures;
    assert_eq!((figures.below_zero, figures.suspected, figures.judged), (1, 1, 1));
}

/// What happens at any moment of a pass leaves its pool unsettled, or is counted: never suspected.
#[tokio::test]
async fn a_change_during_a_pass_is_no_leak() {
    let mut unsettled = 0;
    let mut steps = usize::MAX;
    let mut moment = 0;
    while moment < steps {
        let books = Books::open().await;
        books.shop.sell("mug", 50).await;
        books.sell("old", "mug", 1).await;
        let cancelled = books.sell("old-2", "mug", 2).await;
        books.days_pass(6);
        books.sell("k-1", "mug", 3).await;
        let held = books.reserve("k-2", 4).await;
        books.sell("k-3", "mug", 5).await;
        let seen = std::cell::Cell::new(0);
        let found = books
            .pass_in_steps(async |step| {
                seen.set(step + 1);
                if step == moment {
                    match moment % 3 {
                        0 => drop(books.sell("k-4", "mug", 6).await),
                        1 => books.cancel(cancelled).await,
                        _ => books.confirm(&held).await,
                    }
                }
            })
            .await;
        steps = seen.get();
        assert_eq!(found.figures.suspected, 0, "after step {moment}: {found:?}");
        unsettled += found.figures.unsettled;
        // By then nobody can have been counted as a hold and as an order, and nobody is late yet.
        books.shop.clock.advance(SignedDuration::from_mins(6));
        books.everything_balances(&format!("after step {moment}")).await;
        moment += 1;
    }
    assert!(unsettled > 0, "nothing came between");
    assert!(steps > 10, "the pass stopped only {steps} times");
}

#[tokio::test]
async fn closed_days_are_added_up_once_and_never_read_again() {
    let books = Books::open().await;
    books.shop.sell("mug", 50).await;
    let first = books.sell("k-1", "mug", 2).await;
    books.sell("k-2", "mug", 3).await;
    // Not paid: a payment that is still to be voided would have it looked at for longer.
    let other = books.place("k-3", "mug", 4).await;
    books.cancel(other).await;
    assert_eq!(books.pass().await.figures.orders, 3);
    books.days_pass(6);
    assert_eq!(books.pass().await.figures.orders, 0, "closed orders were counted one by one");
    assert_eq!(books.balance("stock#mug#main").await, 5);
    books.everything_balances("closed").await;
    books.cancel(first).await;
    assert_eq!(books.balance("stock#mug#main").await, 3);
    books.everything_balances("cancelled after its day was closed").await;
    // A day that was closed empty, and a later one.
    books.days_pass(3);
    books.sell("k-4", "mug", 1).await;
    books.days_pass(9);
    books.everything_balances("closed again").await;
    assert_eq!(books.balance("stock#mug#main").await, 4);
}

/// A release before its day is surely open looks whether it still is, and in one transaction with that.
#[tokio::test]
async fn a_release_beside_the_closing_of_its_day_is_entered_once() {
    for hours in [60, 80, 100] {
        let books = Books::open().await;
        books.shop.sell("mug", 50).await;
        let order = books.sell("k-1", "mug", 2).await;
        books.sell("k-2", "mug", 3).await;
        books.shop.clock.advance(SignedDuration::from_hours(hours));
        books.cancel(order).await;
        books.days_pass(6);
        books.everything_balances(&format!("after {hours} hours")).await;
        assert_eq!(books.balance("stock#mug#main").await, 3);
    }
}

#[tokio::test]
async fn a_hold_of_a_closed_day_is_looked_at_until_it_ends() {
    let books = Books::open().await;
    books.shop.sell("mug", 50).await;
    books.place("k-1", "mug", 2).await;
    let held = books.reserve("k-2", 3).await;
    books.days_pass(6);
    for _ in 0..2 {
        let report = Box::pin(books.maintenance.run(Task::from(Job::Reconcile))).await.unwrap();
        let figures = report.reconciled.unwrap().figures;
        assert_eq!((figures.orders, figures.judged), (2, 1), "{figures:?}");
        // There is no queue in this test: both timers wait for the next run.
        assert_eq!((report.published, report.waiting), (0, 2));
    }
    let stored = books.store().order_read(&tenant(), OrderId::parse(&held).unwrap()).await.unwrap().unwrap();
    let expired = stored.order.expire(books.shop.clock.clock().now()).unwrap();
    books.change(&expired, &stored.trace).await;
    assert_eq!(books.pass().await.figures.judged, 1);
    assert_eq!(books.pass().await.figures.orders, 1, "the hold that ended is still looked at");
    assert_eq!(books.balance("stock#mug#main").await, 2);
}
