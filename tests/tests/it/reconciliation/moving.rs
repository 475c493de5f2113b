//! Units that go from one order to another touch no stripe: a pass that meets one order before and the other after must not
//! take that for a leak.

use super::books::{Books, tenant};
use holdfast_domain::ids::{Fingerprint, IdempotencyKey, OrderId};
use holdfast_domain::order::{Actor, ShippedLine, SplitAs};
use holdfast_store::Splitting;
use holdfast_tests::requests::{Request, Who, order_of};
use serde_json::{Value, json};
use std::cell::Cell;

/// How many orders are moved at once, so that some are met before, and others after.
const ORDERS: usize = 4;

/// What happens while a pass goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Deed {
    /// All pens of each order become an order of their own.
    Split,
    /// The same, and the pens of those become orders of their own.
    SplitTwice,
    /// Each order goes over into the next one.
    Merge,
    /// All pens are given back for mugs.
    Change,
}

const DEEDS: [Deed; 3] = [Deed::SplitTwice, Deed::Merge, Deed::Change];

struct Scene {
    books: Books,
    orders: Vec<OrderId>,
}

impl Scene {
    async fn open() -> Self {
        let books = Books::open().await;
        for product in ["mug", "pen"] {
            books.shop.sell(product, 50).await;
        }
        let mut orders = Vec::new();
        for n in 0..ORDERS {
            let mut body = order_of("mug", 1);
            body["lines"] = json!([{"product_id": "mug", "quantity": 2}, {"product_id": "pen", "quantity": 3}]);
            let placed = send(&books, Request::post("/orders", &body).key(&format!("k-{n}"))).await;
            orders.push(OrderId::parse(placed["order_id"].as_str().unwrap()).unwrap());
        }
        Self { books, orders }
    }

    async fn happens(&self, deed: Deed) {
        for (n, order) in self.orders.iter().enumerate() {
            match deed {
                Deed::Split => drop(self.split(*order, &[(1, 3)]).await),
                Deed::SplitTwice => {
                    let off = self.split(*order, &[(0, 1), (1, 3)]).await;
                    self.split(off, &[(1, 3)]).await;
                }
                Deed::Merge if n % 2 == 0 => {
                    let body = json!({"order_id": order.to_string()});
                    let path = format!("/orders/{}/merge", self.orders[n + 1]);
                    send(&self.books, Request::post(&path, &body).key("m")).await;
                }
                Deed::Merge => {}
                Deed::Change => {
                    let body = json!({"lines": [{"product_id": "mug", "quantity": 3}]});
                    let change = Request::post(&format!("/orders/{order}"), &body).method("PATCH");
                    send(&self.books, change.header("if-match", "\"1\"")).await;
                }
            }
        }
    }

    /// Splits past HTTP, which would have its orders read again on the wire.
    async fn split(&self, order: OrderId, units: &[(usize, u32)]) -> OrderId {
        let (store, at) = (self.books.store(), self.books.shop.clock.clock().now());
        let stored = store.order_read(&tenant(), order).await.unwrap().unwrap();
        let units: Vec<_> =
            units.iter().map(|(line, quantity)| ShippedLine { line: *line, quantity: *quantity }).collect();
        let id = order.derive_split(&tenant(), &IdempotencyKey::parse("s").unwrap());
        let new = SplitAs { id, fingerprint: Fingerprint::of(b"s") };
        let by = Actor::Customer(stored.order.customer.clone());
        let (change, off) = stored.order.split_off(&units, new, &by, at).unwrap();
        assert!(matches!(store.order_split(&change, &off, &stored.trace).await.unwrap(), Splitting::Done));
        id
    }
}

async fn send(books: &Books, request: Request) -> Value {
    let answer = request.send(&books.shop.orders, Some(&Who::customer("c-1"))).await;
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    answer.body
}

/// How often a leak is suspected, over passes during which a deed is done at another moment each. `hide` is in force from
/// the deed on; then the first suspicion is enough.
async fn suspects(deed: Deed, hide: Option<fn(&str, &mut Value)>) -> u64 {
    let (mut suspected, mut steps, mut moment) = (0, usize::MAX, 0);
    while moment < steps && suspected == 0 {
        let scene = Scene::open().await;
        let seen = Cell::new(0);
        let found = scene
            .books
            .pass_in_steps(async |step| {
                seen.set(step + 1);
                if step == moment {
                    scene.happens(deed).await;
                    if let Some(hide) = hide {
                        scene.books.shop.engine.wire.rewrite(hide);
                    }
                }
            })
            .await;
        suspected += found.figures.suspected;
        steps = seen.get();
        moment += 1;
        if hide.is_none() {
            assert_eq!(found.figures.suspected, 0, "{deed:?} after step {moment}: {found:?}");
            if moment % 3 == 0 {
                // By then nothing can have happened during the pass.
                scene.books.shop.clock.advance(jiff::SignedDuration::from_mins(6));
                scene.books.everything_balances(&format!("{deed:?} after step {moment}")).await;
            }
        }
    }
    assert!(steps > 10, "the pass stopped only {steps} times");
    suspected
}

#[tokio::test]
async fn ord_10_units_that_move_during_a_pass_are_no_leak() {
    for deed in DEEDS {
        assert_eq!(suspects(deed, None).await, 0);
    }
}

#[tokio::test]
async fn ord_10_without_the_mark_units_that_move_are_taken_for_a_leak() {
    let hide = |_: &str, request: &mut Value| {
        for item in request["TransactItems"].as_array_mut().into_iter().flatten() {
            let Some(update) = item["Update"].as_object_mut() else { continue };
            let expression = update["UpdateExpression"].as_str().unwrap_or_default().to_owned();
            if expression.ends_with(", moved = :moved") {
                update.insert("UpdateExpression".to_owned(), json!(expression.replace(", moved = :moved", "")));
                update["ExpressionAttributeValues"].as_object_mut().unwrap().remove(":moved");
            }
        }
    };
    for deed in [Deed::Split, Deed::Merge] {
        assert!(suspects(deed, Some(hide)).await > 0, "{deed:?}");
    }
}

/// An order that gave all its pens away does not name them any more: the pass has to follow them.
#[tokio::test]
async fn ord_10_without_a_look_at_what_was_split_off_units_that_move_are_taken_for_a_leak() {
    let hide = |operation: &str, request: &mut Value| {
        if operation == "GetItem" && request["Key"]["sk"]["S"] == "order" {
            request["Key"]["sk"]["S"] = json!("not-there");
        }
    };
    assert!(suspects(Deed::Split, Some(hide)).await > 0);
}
