//! A shop and its maintenance, for tests of what a pass finds.

use holdfast_domain::event::Trace;
use holdfast_domain::ids::{CustomerId, OrderId, TenantId};
use holdfast_domain::order::{Actor, Booking, Cause, Change, Wish};
use holdfast_domain::payment::{PaymentOutcome, PaymentReference};
use holdfast_domain::routing::Queue;
use holdfast_runtime::clock::Clock;
use holdfast_runtime::message::Publisher;
use holdfast_runtime::routing::Queues;
use holdfast_store::{Changed, Store};
use holdfast_tests::clock::TestClock;
use holdfast_tests::engine::Engine;
use holdfast_tests::requests::{Request, Who, order_of};
use holdfast_tests::shop::Shop;
use jiff::SignedDuration;
use maintenance::{Job, Maintenance, Reconciled, Task};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// More steps than any pass of these tests takes.
const STEPS_MAX: usize = 400;

/// A shop whose orders are paid at once, and its maintenance.
pub struct Books {
    /// The shop.
    pub shop: Shop,
    /// Its maintenance.
    pub maintenance: Maintenance,
    /// How far the clock of maintenance goes on whenever it is read: by more than a run takes, or not at all.
    pub stride_ms: Arc<AtomicI64>,
}

impl Books {
    pub async fn open() -> Self {
        Self::over(Engine::embedded().await)
    }

    pub fn over(engine: Engine) -> Self {
        let shop = Shop::over(engine, TestClock::at("2026-01-02T10:00:00Z"));
        let (stride_ms, shops) = (Arc::<AtomicI64>::default(), shop.clock.clock());
        let (stride, ahead) = (Arc::clone(&stride_ms), AtomicI64::default());
        let clock = Clock::of(move || {
            let stride = stride.load(Ordering::SeqCst);
            let ahead = if stride == 0 { 0 } else { ahead.fetch_add(stride, Ordering::SeqCst) };
            shops.now().saturating_add(SignedDuration::from_millis(ahead)).unwrap()
        });
        // Nobody is late in these tests unless they say so, so that nothing is sent there.
        let nowhere = "http://127.0.0.1:9".to_owned();
        let sqs = shop.engine.aws(Some(nowhere.clone())).sqs();
        let queues = Queues::new([(Queue::Orders, Publisher::new(sqs, nowhere))]);
        let recovery_after = SignedDuration::from_hours(1);
        let maintenance =
            Maintenance { store: shop.engine.store(), queues, dead_queues: Vec::new(), recovery_after, clock };
        Self { shop, maintenance, stride_ms }
    }

    pub fn store(&self) -> &Store {
        &self.maintenance.store
    }

    pub async fn place(&self, key: &str, product: &str, quantity: i64) -> OrderId {
        let placed = self.shop.order(&Who::customer("c-1"), key, product, quantity).await;
        assert!(matches!(placed.status, 200 | 201), "{placed:?}");
        OrderId::parse(placed.body["order_id"].as_str().unwrap()).unwrap()
    }

    /// Places an order and has it paid.
    pub async fn sell(&self, key: &str, product: &str, quantity: i64) -> OrderId {
        let id = self.place(key, product, quantity).await;
        self.pay(id).await;
        id
    }

    pub async fn pay(&self, id: OrderId) {
        let at = self.shop.clock.clock().now();
        let stored = self.store().order_read(&tenant(), id).await.unwrap().unwrap();
        let started = stored.order.start_payment(at).unwrap();
        let outcome = PaymentOutcome::Authorised(PaymentReference("pi_1".to_owned()));
        let paid = started.order.settle(1, outcome, at).unwrap();
        for change in [started, paid] {
            self.change(&change, &stored.trace).await;
        }
    }

    /// Places an order and has it paid, shipped and delivered.
    pub async fn sell_delivered(&self, key: &str, product: &str, quantity: i64) -> String {
        let id = self.sell(key, product, quantity).await;
        self.deliver(id).await;
        id.to_string()
    }

    /// Has a paid order shipped and delivered.
    pub async fn deliver(&self, id: OrderId) {
        let staff = Actor::Staff(CustomerId::parse("s-1").unwrap());
        let at = self.shop.clock.clock().now();
        let stored = self.store().order_read(&tenant(), id).await.unwrap().unwrap();
        let asked = stored.order.ship(&Wish::Rest, 1, &staff, at).unwrap();
        let booking = Booking { reference: "b".to_owned(), tracking: "t".to_owned() };
        let mut shipped = asked.order.shipped(1, booking, at).unwrap();
        let worth = shipped.order.shipments[0].amount;
        shipped.enter_capture(Cause::Shipment(1), worth, at).unwrap();
        let delivered = shipped.order.delivered(1, &staff, at).unwrap().unwrap();
        for change in [asked, shipped, delivered] {
            self.change(&change, &stored.trace).await;
        }
    }

    pub async fn change(&self, change: &Change, trace: &Trace) {
        assert!(matches!(self.store().order_change(change, trace).await.unwrap(), Changed::Done));
    }

    pub async fn cancel(&self, id: OrderId) {
        let cancel = Request::post(&format!("/orders/{id}/cancel"), &json!({}));
        let mut answer = cancel.send(&self.shop.orders, Some(&Who::customer("c-1"))).await;
        if answer.status >= 500 {
            answer = cancel.send(&self.shop.orders, Some(&Who::customer("c-1"))).await;
        }
        assert_eq!(answer.body["state"], "cancelled", "{answer:?}");
    }

    pub async fn reserve(&self, key: &str, quantity: i64) -> String {
        let body = json!({"lines": [{"product_id": "mug", "quantity": quantity}], "ttl_seconds": 86_400});
        let request = Request::post("/reservations", &body).key(key);
        let answer = request.send(&self.shop.orders, Some(&Who::customer("c-1"))).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.body["reservation_id"].as_str().unwrap().to_owned()
    }

    pub async fn confirm(&self, reservation: &str) {
        let order = order_of("mug", 1);
        let body = json!({
            "shipping_address": order["shipping_address"], "payment_method": order["payment_method"],
        });
        let request = Request::post(&format!("/reservations/{reservation}/confirm"), &body);
        let answer = request.send(&self.shop.orders, Some(&Who::customer("c-1"))).await;
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    }

    pub fn days_pass(&self, days: i64) {
        self.shop.clock.advance(SignedDuration::from_hours(24 * days));
    }

    /// A whole pass in one run.
    pub async fn pass(&self) -> Reconciled {
        let reconciled = self.run(Job::Reconcile).await.unwrap();
        assert!(reconciled.over);
        reconciled
    }

    pub async fn run(&self, job: Job) -> Option<Reconciled> {
        Box::pin(self.maintenance.run(Task::from(job))).await.expect("the table answers").reconciled
    }

    /// A pass that stops after every page and every order; `between` is called after each run with its number.
    pub async fn pass_in_steps(&self, between: impl AsyncFn(usize)) -> Reconciled {
        self.stride_ms.store(36_000, Ordering::SeqCst);
        let mut job = Job::Reconcile;
        for step in 0..STEPS_MAX {
            let reconciled = self.run(job).await.expect("the pass is not over");
            if reconciled.over {
                self.stride_ms.store(0, Ordering::SeqCst);
                return reconciled;
            }
            between(step).await;
            job = Job::ReconcileResume;
        }
        panic!("the pass did not end within {STEPS_MAX} runs");
    }

    /// What the balance of a pool says.
    pub async fn balance(&self, pool: &str) -> i64 {
        let items = self.shop.engine.items().await;
        let key = format!("acme#check#{pool}");
        let found = items.iter().find(|item| item["pk"]["S"] == key.as_str() && item["sk"]["S"] == "balance");
        found.map_or(0, |item| item["kept"]["N"].as_str().unwrap().parse().unwrap())
    }

    /// Changes a stripe behind everybody's back.
    pub async fn steal(&self, product: &str, units: i64) {
        let request = json!({
            "TableName": self.shop.engine.table,
            "Key": {"pk": {"S": format!("acme#pool#stock#{product}@main#0")}, "sk": {"S": "stripe"}},
            "UpdateExpression": "ADD available :units",
            "ExpressionAttributeValues": {":units": {"N": (-units).to_string()}},
        });
        self.shop.engine.dynamodb().call("UpdateItem", &request).await.unwrap();
    }

    /// Whatever happened: everything is accounted for once nothing happens any more.
    pub async fn everything_balances(&self, case: &str) {
        let found = self.pass().await.figures;
        assert_eq!((found.suspected, found.drifting, found.unsettled), (0, 0, 0), "{case}: {found:?}");
        assert!(found.judged > 0, "{case}");
        self.shop.laws_hold().await;
    }
}

/// The tenant of the shop.
pub fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}
