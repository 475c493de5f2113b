//! Items that cannot be read, and clocks that run out: neither stops what comes behind.

use super::books::{Books, tenant};
use holdfast_domain::ids::OrderId;
use holdfast_store::keys::{self, DayList};
use holdfast_tests::requests::{Request, Who};
use maintenance::{Job, Task};
use serde_json::json;
use std::sync::atomic::Ordering;

/// Sets an attribute of an item behind everybody's back.
async fn set(books: &Books, key: keys::Key, attribute: &str, value: serde_json::Value) {
    let request = json!({
        "TableName": books.shop.engine.table,
        "Key": {"pk": {"S": key.pk}, "sk": {"S": key.sk}},
        "UpdateExpression": "SET #a = :value",
        "ExpressionAttributeNames": {"#a": attribute},
        "ExpressionAttributeValues": {":value": value},
    });
    books.shop.engine.dynamodb().call("UpdateItem", &request).await.unwrap();
}

async fn set_state(books: &Books, id: OrderId, state: &str) {
    set(books, keys::order(&tenant(), id), "state", json!({"S": state})).await;
}

#[tokio::test]
async fn an_unreadable_order_stops_no_pass_and_has_no_pool_judged() {
    let books = Books::open().await;
    books.shop.sell("mug", 50).await;
    let broken = books.sell("k-1", "mug", 2).await;
    books.sell("k-2", "mug", 3).await;
    set_state(&books, broken, "mislaid").await;
    let found = books.pass().await.figures;
    assert_eq!((found.unreadable, found.judged, found.unsettled, found.suspected), (1, 0, 1, 0), "{found:?}");
    // Its day is closed without it, and it is looked at until it is repaired.
    books.days_pass(6);
    for _ in 0..2 {
        let found = books.pass().await.figures;
        assert!(found.unreadable > 0, "{found:?}");
        assert_eq!((found.judged, found.unsettled, found.suspected), (0, 1, 0), "{found:?}");
        assert_eq!(books.balance("stock#mug#main").await, 3);
    }
    set_state(&books, broken, "paid").await;
    for orders in [1, 0] {
        let found = books.pass().await.figures;
        assert_eq!((found.unreadable, found.judged, found.orders), (0, 1, orders), "{found:?}");
        assert_eq!(books.balance("stock#mug#main").await, 5);
    }
    books.everything_balances("repaired").await;
}

#[tokio::test]
async fn an_unreadable_pool_is_not_judged_and_others_are() {
    let books = Books::open().await;
    books.shop.sell("mug", 50).await;
    books.shop.sell("pen", 50).await;
    let stripe = keys::Key { pk: "acme#pool#stock#pen@main#0".to_owned(), sk: "stripe".to_owned() };
    set(&books, stripe, "version", json!({"S": "one"})).await;
    let found = books.pass().await.figures;
    assert_eq!((found.unreadable, found.judged, found.unsettled, found.pools), (1, 1, 1, 2), "{found:?}");
}

#[tokio::test]
async fn an_unreadable_order_hides_no_late_hold() {
    let books = Books::open().await;
    books.shop.sell("mug", 50).await;
    let broken = books.place("k-1", "mug", 2).await;
    books.place("k-2", "mug", 2).await;
    set_state(&books, broken, "mislaid").await;
    books.days_pass(1);
    let report = books.maintenance.run(Task::from(Job::LateHolds)).await.unwrap();
    // There is no queue in this test: the timer waits for the next run.
    assert_eq!((report.unreadable, report.seen, report.waiting), (1, 1, 1), "{report:?}");
}

#[tokio::test]
async fn a_search_for_late_holds_that_runs_out_of_time_comes_to_every_tenant() {
    let books = Books::open().await;
    let product = json!({
        "name": "mug", "description": "", "category": "all", "price": {"amount": 1999, "currency": "EUR"},
    });
    for tenant in ["acme", "zeta"] {
        let put = Request::put("/products/mug", &product);
        let answer = put.send(&books.shop.catalog, Some(&Who::staff().of(tenant))).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    // Every run is out of time after its first page.
    books.stride_ms.store(36_000, Ordering::SeqCst);
    let mut seen = Vec::new();
    let mut job = Job::LateHolds;
    while seen.len() < 10 {
        books.maintenance.run(Task::from(job)).await.unwrap();
        let pass = books.store().pass_read("late-holds").await.unwrap().unwrap();
        let Some(next) = pass.next else { break };
        assert_eq!(next.after, None);
        seen.push((next.tenant.to_string(), next.list));
        job = Job::LateHoldsResume;
    }
    let place = |tenant: &str, list| (tenant.to_owned(), list);
    assert_eq!(seen, [place("acme", DayList::Holds), place("zeta", DayList::Orders), place("zeta", DayList::Holds)]);
}
