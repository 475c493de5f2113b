//! Orders in parts.

use super::books::Books;
use holdfast_domain::ids::OrderId;
use holdfast_tests::faults::Way;
use holdfast_tests::requests::{Request, Who, order_of};
use jiff::SignedDuration;
use maintenance::{Job, Task};
use serde_json::json;
use std::sync::{Arc, Mutex};

/// More products than a transaction takes claims.
const PRODUCTS: usize = 101;

async fn place(books: &Books, key: &str) -> OrderId {
    let mut body = order_of("p0", 2);
    body["lines"] = (0..PRODUCTS).map(|n| json!({"product_id": format!("p{n}"), "quantity": 2})).collect();
    let request = Request::post("/orders", &body).key(key);
    let placed = request.send(&books.shop.orders, Some(&Who::customer("c-1"))).await;
    assert_eq!(placed.status, 201, "{placed:?}");
    OrderId::parse(placed.body["order_id"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn orders_in_parts_are_summed_once_and_leave_the_balances_when_they_are_cancelled() {
    let books = Books::open().await;
    for product in 0..PRODUCTS {
        books.shop.sell(&format!("p{product}"), 10).await;
    }
    let (first, second) = (place(&books, "k-1").await, place(&books, "k-2").await);
    books.pay(first).await;
    books.pay(second).await;
    let balances = async || {
        let items = books.shop.engine.items().await;
        let balances = items.iter().filter(|item| item["sk"]["S"] == "balance");
        balances.map(|item| item["kept"]["N"].as_str().unwrap().parse::<usize>().unwrap()).sum::<usize>()
    };
    // By then nobody can have been counted as a hold and as an order.
    books.shop.clock.advance(SignedDuration::from_mins(6));
    books.everything_balances("open").await;
    assert_eq!(balances().await, 0);
    books.days_pass(6);
    for _ in 0..2 {
        let found = books.pass().await.figures;
        assert_eq!((found.judged, found.suspected, found.unsettled), (PRODUCTS as u64, 0, 0), "{found:?}");
        assert_eq!(balances().await, 4 * PRODUCTS);
    }
    let operations = Arc::<Mutex<Vec<String>>>::default();
    let seen = Arc::clone(&operations);
    books.shop.engine.wire.rewrite(move |operation, _| seen.lock().unwrap().push(operation.to_owned()));
    books.cancel(first).await;
    let operations = std::mem::take(&mut *operations.lock().unwrap());
    assert_eq!(balances().await, 2 * PRODUCTS);
    // The last part of the other is not settled by its cancellation.
    let release = operations.iter().rposition(|operation| operation == "TransactWriteItems").unwrap();
    books.shop.engine.wire.count(Some((release, Way::Before)));
    let cancel = Request::post(&format!("/orders/{second}/cancel"), &json!({}));
    cancel.send(&books.shop.orders, Some(&Who::customer("c-1"))).await;
    assert!(books.shop.engine.wire.counted().met);
    assert!((1..2 * PRODUCTS).contains(&balances().await), "no part, or every part, was settled");
    books.shop.clock.advance(SignedDuration::from_mins(20));
    let report = Box::pin(books.maintenance.run(Task::from(Job::Reconcile))).await.unwrap();
    assert_eq!((report.changed, report.reconciled.unwrap().figures.suspected), (1, 0));
    assert_eq!(balances().await, 0);
    books.everything_balances("settled").await;
}
