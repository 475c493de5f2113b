//! Orders after they are paid: shipments, their arrival, returns and refunds (ORD-8, ORD-9, ORD-10, PAY-1, PAY-5, SHIP-1).

mod failing;
mod inputs;
mod late;
mod races;
mod unpaid;

use holdfast_tests::back_office::BackOffice;
use holdfast_tests::clock::TestClock;
use holdfast_tests::engine::Engine;
use holdfast_tests::requests::{Answer, Request, Who, order_of};
use holdfast_tests::shop::Shop;
use jiff::SignedDuration;
use maintenance::Job;
use serde_json::{Value, json};

/// A shop and what happens behind it.
struct Life {
    shop: Shop,
    back: BackOffice,
}

impl Life {
    async fn open() -> Self {
        let shop = Shop::over(Engine::embedded().await, TestClock::present());
        let back = BackOffice::open(&shop.engine, &shop.clock).await;
        Self { shop, back }
    }

    /// Places an order and lets it be paid; its id. Payment and carrier are shared by all tests and know orders by their ids:
    /// keys are the test's own.
    async fn paid(&self, body: &Value, key: &str) -> String {
        let key = format!("{}-{key}", self.shop.engine.table);
        let placed =
            Request::post("/orders", body).key(&key).send(&self.shop.orders, Some(&Who::customer("c-1"))).await;
        assert_eq!(placed.status, 201, "{placed:?}");
        self.back.drain().await;
        let id = placed.body["order_id"].as_str().unwrap().to_owned();
        assert_eq!(self.read(&id).await["state"], "paid");
        id
    }

    async fn read(&self, id: &str) -> Value {
        let answer = Request::get(&format!("/orders/{id}")).send(&self.shop.orders, Some(&Who::staff())).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    async fn post(&self, path: &str, key: &str, body: Value) -> Answer {
        Request::post(path, &body).key(key).send(&self.shop.orders, Some(&Who::staff())).await
    }

    /// Asks for shipments and lets the carrier take them; the order afterwards.
    async fn ship(&self, id: &str, key: &str, body: Value) -> Value {
        let asked = self.post(&format!("/orders/{id}/shipments"), key, body).await;
        assert_eq!((asked.status, &asked.body["state"]), (202, &json!("shipping")), "{asked:?}");
        self.back.drain().await;
        self.read(id).await
    }

    async fn delivered(&self, shipment: &Value) -> Answer {
        let path = format!("/shipments/{}/delivered", shipment["shipment_id"].as_str().unwrap());
        self.post(&path, "unused", json!({})).await
    }

    async fn take_back(&self, id: &str, key: &str, lines: Value) -> Answer {
        self.post(&format!("/orders/{id}/returns"), key, json!({"lines": lines, "reason": "too small"})).await
    }

    async fn cancel(&self, id: &str) -> Answer {
        let path = format!("/orders/{id}/cancel");
        Request::post(&path, &json!({})).send(&self.shop.orders, Some(&Who::customer("c-1"))).await
    }
}

fn amounts(order: &Value, kind: &str) -> Vec<i64> {
    let entries = order["payment"]["ledger"].as_array().cloned().unwrap_or_default();
    let of_kind = entries.iter().filter(|entry| entry["type"] == kind);
    of_kind.map(|entry| entry["amount"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn ord_10_an_order_is_shipped_captured_delivered_and_partly_returned() {
    let life = Life::open().await;
    life.shop.sell("mug", 10).await;
    let id = life.paid(&order_of("mug", 3), "k").await;
    let shipped = life.ship(&id, "s", json!({})).await;
    assert_eq!((&shipped["state"], &shipped["shipments"][0]["state"]), (&json!("shipped"), &json!("shipped")));
    assert!(!shipped["shipments"][0]["tracking"].as_str().unwrap().is_empty());
    assert_eq!((amounts(&shipped, "authorised"), amounts(&shipped, "captured")), (vec![5997], vec![5997]));

    let arrived = life.delivered(&shipped["shipments"][0]).await;
    assert_eq!((arrived.status, &arrived.body["state"]), (200, &json!("delivered")), "{arrived:?}");
    assert_eq!(life.delivered(&shipped["shipments"][0]).await.body["version"], arrived.body["version"]);

    let lines = json!([{"line": 0, "quantity": 1, "restock": true}, {"line": 0, "quantity": 1, "restock": false}]);
    let returned = life.take_back(&id, "r", lines.clone()).await;
    assert_eq!((returned.status, &returned.body["state"]), (201, &json!("delivered")), "{returned:?}");
    let again = life.take_back(&id, "r", lines).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"), "{again:?}");
    assert_eq!(life.shop.available("mug").await, 8);
    life.back.drain().await;
    let refunded = life.read(&id).await;
    assert_eq!((amounts(&refunded, "refunded"), &refunded["refunds"][0]["state"]), (vec![3998], &json!("done")));

    for (line, quantity) in [(0, 2), (1, 1)] {
        let lines = json!([{"line": line, "quantity": quantity, "restock": true}]);
        let over = life.take_back(&id, "r-over", lines).await;
        assert_eq!((over.status, over.slug(), over.fields()), (422, "not-returnable", vec!["lines"]), "{over:?}");
    }
    let rest = life.take_back(&id, "r-2", json!([{"line": 0, "quantity": 1, "restock": true}])).await;
    assert_eq!((rest.status, &rest.body["state"]), (201, &json!("returned")), "{rest:?}");
    life.back.drain().await;
    assert_eq!(life.read(&id).await["payment"]["refunded"], 5997);
    assert_eq!(life.shop.available("mug").await, 9);
    life.shop.laws_hold().await;
}

/// Each warehouse has its shipment, each shipment its share, and the shares add up to the order.
#[tokio::test]
async fn ord_10_partial_shipments_of_several_warehouses_are_captured_by_their_shares() {
    let life = Life::open().await;
    life.shop.offer("mug", json!({"price": {"amount": 1001, "currency": "EUR"}})).await;
    life.shop.receive_at("mug", "east", 2).await;
    life.shop.receive_at("mug", "west", 1).await;
    let coupon = json!({"percent": "33", "total_uses": 10});
    let put = Request::put("/coupons/THIRD", &coupon).send(&life.shop.catalog, Some(&Who::staff())).await;
    assert_eq!(put.status, 201, "{put:?}");
    let mut body = order_of("mug", 3);
    body["coupon"] = json!("THIRD");
    let id = life.paid(&body, "k").await;
    let total = life.read(&id).await["total"]["amount"].as_i64().unwrap();

    let one = life.ship(&id, "s-1", json!({"lines": [{"line": 0, "quantity": 1}], "warehouse": "east"})).await;
    assert_eq!(one["state"], "partially_shipped");
    assert_eq!(amounts(&one, "captured"), [total / 3]);
    let refused = life.cancel(&id).await;
    assert_eq!((refused.status, refused.slug()), (409, "illegal-transition"));
    let all = life.ship(&id, "s-2", json!({})).await;
    assert_eq!((&all["state"], all["shipments"].as_array().unwrap().len()), (&json!("shipped"), 3));
    assert_eq!(amounts(&all, "captured").iter().sum::<i64>(), total);
    let first = life.delivered(&all["shipments"][0]).await;
    assert_eq!(first.body["state"], "shipped");
    for shipment in all["shipments"].as_array().unwrap() {
        assert_eq!(life.delivered(shipment).await.status, 200);
    }
    assert_eq!(life.read(&id).await["state"], "delivered");
    let returned = life.take_back(&id, "r", json!([{"line": 0, "quantity": 3, "restock": true}])).await;
    assert_eq!(returned.body["state"], "returned", "{returned:?}");
    life.back.drain().await;
    assert_eq!(life.read(&id).await["payment"]["refunded"], total);
    assert_eq!(life.shop.available("mug").await, 3);
    life.shop.laws_hold().await;
}

/// What the carrier does not take waits again, and may be called off.
#[tokio::test]
async fn ship_1_a_refused_shipment_leaves_the_order_paid() {
    let life = Life::open().await;
    life.shop.sell("mug", 2).await;
    let mut body = order_of("mug", 2);
    body["shipping_address"]["country"] = json!("AQ");
    let id = life.paid(&body, "k").await;
    let refused = life.ship(&id, "s", json!({})).await;
    assert_eq!((&refused["state"], &refused["shipments"][0]["state"]), (&json!("paid"), &json!("refused")));
    assert_eq!(refused["shipments"][0]["reason"], "address-not-served");
    assert!(amounts(&refused, "captured").is_empty());
    assert_eq!(life.cancel(&id).await.status, 200);
    life.back.drain().await;
    let order = life.read(&id).await;
    assert_eq!((amounts(&order, "voided"), life.shop.available("mug").await), (vec![3998], 2));
    life.shop.laws_hold().await;
}

#[tokio::test]
async fn ord_10_a_large_order_is_shipped_and_partly_returned() {
    let life = Life::open().await;
    let products = 110;
    for product in 0..products {
        life.shop.sell(&format!("p{product}"), 5).await;
    }
    let mut body = order_of("p0", 1);
    body["lines"] = (0..products).map(|n| json!({"product_id": format!("p{n}"), "quantity": 2})).collect();
    let id = life.paid(&body, "k").await;
    let shipped = life.ship(&id, "s", json!({})).await;
    assert_eq!((&shipped["state"], amounts(&shipped, "captured")), (&json!("shipped"), vec![1999 * 2 * products]));
    assert_eq!(life.delivered(&shipped["shipments"][0]).await.body["state"], "delivered");
    let lines: Value = (0..20).map(|n| json!({"line": 5 * n, "quantity": 1, "restock": true})).collect();
    let returned = life.take_back(&id, "r", lines).await;
    assert_eq!(returned.status, 201, "{}", returned.slug());
    life.back.drain().await;
    let order = life.read(&id).await;
    assert_eq!(amounts(&order, "refunded"), [1999 * 20]);
    assert_eq!((life.shop.available("p5").await, life.shop.available("p6").await), (4, 3));
    life.shop.laws_hold().await;
}

/// The shop gives money back, and never more than it took.
#[tokio::test]
async fn pay_5_refunds_never_exceed_what_was_captured() {
    let life = Life::open().await;
    life.shop.sell("mug", 5).await;
    let id = life.paid(&order_of("mug", 2), "k").await;
    let path = format!("/orders/{id}/refunds");
    let early = life.post(&path, "f-0", json!({"amount": 1})).await;
    assert_eq!((early.status, early.slug(), &early.body["left"]), (409, "over-refund", &json!(0)));
    let shipped = life.ship(&id, "s", json!({})).await;
    assert_eq!(life.delivered(&shipped["shipments"][0]).await.status, 200);
    for _ in 0..2 {
        let given = life.post(&path, "f-1", json!({"amount": 3000, "reason": "a scratch"})).await;
        assert_eq!(given.status, 202, "{given:?}");
        life.back.drain().await;
    }
    let over = life.post(&path, "f-2", json!({"amount": 999})).await;
    assert_eq!((over.status, over.slug(), &over.body["left"]), (409, "over-refund", &json!(998)));
    // A return gives back what is left of what its units cost.
    let returned = life.take_back(&id, "r", json!([{"line": 0, "quantity": 1, "restock": true}])).await;
    assert_eq!(returned.status, 201, "{returned:?}");
    life.back.drain().await;
    let order = life.read(&id).await;
    assert_eq!((amounts(&order, "refunded"), &order["payment"]["refunded"]), (vec![3000, 998], &json!(3998)));
    life.shop.laws_hold().await;
}

/// What expired is reported once, when its buyer had time to come back.
#[tokio::test]
async fn ord_16_an_order_that_nobody_paid_raises_one_recovery_event() {
    let life = Life::open().await;
    life.shop.sell("mug", 2).await;
    let mut body = order_of("mug", 1);
    body.as_object_mut().unwrap().remove("payment_method");
    let placed = life.post("/orders", &life.shop.engine.table, body).await;
    assert_eq!((placed.status, &placed.body["payment"]["status"]), (201, &json!("pending")), "{placed:?}");
    let id = placed.body["order_id"].as_str().unwrap().to_owned();
    life.back.drain().await;
    assert_eq!(life.read(&id).await["state"], "placed", "it waits for a means of payment");
    life.shop.clock.advance(SignedDuration::from_mins(40));
    life.back.maintain(Job::LateHolds).await;
    life.back.drain().await;
    assert_eq!(life.read(&id).await["state"], "expired");
    let kinds = |order: &Value| -> Vec<String> {
        let history = order["history"].as_array().unwrap().iter();
        history.map(|entry| entry["type"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds(&life.read(&id).await), ["placed", "expired"]);
    life.shop.clock.advance(SignedDuration::from_hours(2));
    for _ in 0..2 {
        life.back.recover(&id).await;
        life.back.drain().await;
    }
    assert_eq!(kinds(&life.read(&id).await), ["placed", "expired", "abandoned"]);
    life.shop.laws_hold().await;
}
