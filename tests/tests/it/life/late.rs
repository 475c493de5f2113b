//! Returns after the day of their order was closed for reconciliation: what came back leaves the balance once.

use crate::reconciliation::books::Books;
use holdfast_domain::ids::OrderId;
use holdfast_tests::requests::{Request, Who, order_of};
use serde_json::json;

/// Takes back one unit of an order that was delivered, whatever happened to its day.
async fn take_back(books: &Books, order: &str, key: &str) {
    let body = json!({"lines": [{"line": 0, "quantity": 1, "restock": true}]});
    let path = format!("/orders/{order}/returns");
    let answer = Request::post(&path, &body).key(key).send(&books.shop.orders, Some(&Who::staff())).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

#[tokio::test]
async fn stk_4_a_return_after_its_day_was_closed_leaves_the_balance() {
    let books = Books::open().await;
    books.shop.sell("mug", 50).await;
    let order = books.sell_delivered("k-1", "mug", 3).await;
    books.sell("k-2", "mug", 4).await;
    take_back(&books, &order, "r-1").await;
    books.days_pass(6);
    books.pass().await;
    assert_eq!(books.balance("stock#mug#main").await, 6, "one of seven came back before");
    take_back(&books, &order, "r-2").await;
    assert_eq!(books.balance("stock#mug#main").await, 5);
    books.everything_balances("after a late return").await;
    books.days_pass(2);
    books.everything_balances("days later").await;
}

/// A unit comes back after its day was closed and before the orders of that day were counted.
#[tokio::test]
async fn stk_4_a_return_while_its_day_is_being_closed_leaves_the_balance_once() {
    let books = Books::open().await;
    books.shop.sell("mug", 50).await;
    let order = books.sell_delivered("k-1", "mug", 3).await;
    books.days_pass(6);
    // The closing is stopped before it counts.
    let halt = books.shop.engine.wire.halt("BatchGetItem");
    let pass = books.pass();
    let meanwhile = async {
        halt.reached().await;
        take_back(&books, &order, "r").await;
        halt.go();
    };
    tokio::join!(pass, meanwhile);
    books.everything_balances("after a return in between").await;
    assert_eq!(books.balance("stock#mug#main").await, 2);
}

/// An order that no balance takes, since its release would not fit a transaction with them, is counted by itself in every
/// pass: a return takes nothing from the balances.
#[tokio::test]
async fn stk_4_a_late_return_of_an_order_that_is_in_no_balance_leaves_the_balances_alone() {
    let books = Books::open().await;
    let products = 50;
    for product in 0..products {
        books.shop.sell(&format!("p{product}"), 5).await;
    }
    let mut body = order_of("p0", 1);
    body["lines"] = (0..products).map(|n| json!({"product_id": format!("p{n}"), "quantity": 2})).collect();
    let who = Who::customer("c-1");
    let placed = Request::post("/orders", &body).key("k-1").send(&books.shop.orders, Some(&who)).await;
    let id = OrderId::parse(placed.body["order_id"].as_str().unwrap()).unwrap();
    books.pay(id).await;
    books.deliver(id).await;
    books.days_pass(6);
    books.pass().await;
    take_back(&books, &id.to_string(), "r").await;
    assert_eq!(books.balance("stock#p0#main").await, 0);
    books.everything_balances("after a late return of a carried order").await;
}
