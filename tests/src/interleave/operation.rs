//! What may be asked for, and how it is asked.

use super::carrier::Courier;
use super::engine::TABLE;
use super::payments::Provider;
use super::plan::{AHEAD_MS, FIRST_PRICE, Plan, PlannedCoupon};
use super::switchboard::Switchboard;
use crate::requests::{Answer, Request, Who};
use axum::Router;
use holdfast_domain::event::{CloudEvent, EventKind, OrderNotice, Trace};
use holdfast_domain::ids::{CustomerId, IdempotencyKey, OrderId, ProductId, TenantId, WarehouseId};
use holdfast_domain::routing::Queue;
use holdfast_runtime::cached;
use holdfast_runtime::clients::Aws;
use holdfast_runtime::clock::Clock;
use holdfast_runtime::http::{CursorKey, observed};
use holdfast_runtime::message::Publisher;
use holdfast_runtime::routing::Queues;
use holdfast_store::{Store, StoreError};
use jiff::SignedDuration;
use order_worker::Worker;
use serde_json::{Value, json};
use std::sync::Arc;

/// The code of every plan's coupon.
pub const COUPON: &str = "SPRING";

/// Something that somebody asks for; the numbers are positions in the plan. Asking for the same twice is a duplicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Place an order, or make its reservation.
    Order(usize),
    /// Turn a reservation into an order.
    Confirm(usize),
    /// Give a reservation up.
    Release(usize),
    /// Call an order off.
    Cancel(usize),
    /// Deliver the timer that ends an unpaid order.
    Expire(usize),
    /// Deliver the event that an order was placed, which leads to its payment.
    Pay(usize),
    /// Deliver the event that a large order was given up, which leads to the end of its parts.
    Settle(usize),
    /// Enter what the parts of a large order keep into the balances, as the closing of its day does.
    Sum(usize),
    /// Receive stock.
    Receive(usize),
    /// Put a product with its price.
    Price(usize),
    /// Put the coupon.
    Coupon(usize),
    /// Make or merge stripes of a product.
    Reshape(usize),
    /// Level the stripes of a product.
    Level(usize),
    /// Read the stock of a product.
    Read(usize),
}

/// What came of an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The HTTP status; of the worker, 200 for a message that is done and 503 for one that is not.
    pub status: u16,
    /// The kind of a problem.
    pub slug: String,
    /// The body.
    pub body: Value,
}

impl Reply {
    /// Whether the caller knows what became of it.
    pub fn is_final(&self) -> bool {
        self.status < 500
    }

    /// Whether it was done.
    pub fn is_done(&self) -> bool {
        self.status < 300
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self { status: answer.status, slug: answer.slug().to_owned(), body: answer.body }
    }
}

/// An environment of each function, which serves one request at a time and remembers what it likes.
pub struct Environment {
    plan: Arc<Plan>,
    orders: Router,
    inventory: Router,
    catalog: Router,
    worker: Worker,
    store: Store,
    clock: Clock,
}

impl Environment {
    /// A cold start, perhaps with a clock that is ahead.
    pub fn new(plan: &Arc<Plan>, board: &Arc<Switchboard>, clients: &Clients, clock: &Clock, ahead: bool) -> Arc<Self> {
        let (own, ahead) = (clock.clone(), SignedDuration::from_millis(if ahead { AHEAD_MS } else { 0 }));
        let clock = Clock::of(move || own.now() + ahead);
        let store = Store::new(clients.dynamodb.clone(), TABLE);
        let expires_in = SignedDuration::from_millis(plan.expires_in_ms);
        let settings = orders::Settings { expires_in, cursor_key: CursorKey::new("test") };
        Arc::new(Self {
            plan: Arc::clone(plan),
            orders: observed(orders::router(store.clone(), clock.clone(), settings)),
            inventory: observed(inventory::router(store.clone(), clock.clone())),
            catalog: observed(catalog::router(store.clone(), clock.clone(), cached::products(&clock, None))),
            worker: Worker {
                store: store.clone(),
                queues: Queues::new([(
                    Queue::Orders,
                    Publisher::new(clients.sqs.clone(), "http://queue/q".to_owned()),
                )]),
                payments: Arc::new(Provider(Arc::clone(board))),
                carrier: Arc::new(Courier(Arc::clone(board))),
                clock: clock.clone(),
            },
            store,
            clock,
        })
    }

    /// Does what is asked for.
    pub async fn perform(&self, operation: Operation) -> Reply {
        let plan = &self.plan;
        let staff = Who::staff();
        match operation {
            Operation::Order(n) => {
                let who = Who::customer(plan.orders[n].customer);
                let path = if plan.orders[n].reserved { "/reservations" } else { "/orders" };
                let request = Request::post(path, &plan.order_body(n)).key(&plan.orders[n].key);
                request.send(&self.orders, Some(&who)).await.into()
            }
            Operation::Confirm(n) => {
                let who = Who::customer(plan.orders[n].customer);
                let path = format!("/reservations/{}/confirm", plan.order_id(n));
                Request::post(&path, &plan.delivery(n)).send(&self.orders, Some(&who)).await.into()
            }
            Operation::Release(n) => {
                let who = Who::customer(plan.orders[n].customer);
                let path = format!("/reservations/{}", plan.order_id(n));
                Request::delete(&path).send(&self.orders, Some(&who)).await.into()
            }
            Operation::Cancel(n) => {
                let who = Who::customer(plan.orders[n].customer);
                let path = format!("/orders/{}/cancel", plan.order_id(n));
                Request::post(&path, &json!({})).send(&self.orders, Some(&who)).await.into()
            }
            Operation::Expire(n) => self.deliver(n, CloudEvent::expiry_timer).await,
            Operation::Pay(n) => self.deliver_change(n, EventKind::Placed).await,
            Operation::Settle(n) => self.deliver_change(n, EventKind::Aborted).await,
            Operation::Sum(n) => {
                let order = plan.order_id(n);
                told(self.sum(order).await)
            }
            Operation::Receive(n) => {
                let receipt = &plan.receipts[n];
                let path = format!("/stock/{}/receipts", plan.products[receipt.product].id);
                let body = json!({"warehouse": "main", "quantity": receipt.quantity});
                Request::post(&path, &body).key(&receipt.key).send(&self.inventory, Some(&staff)).await.into()
            }
            Operation::Price(n) => {
                let price = &plan.prices[n];
                self.put_product(price.product, price.amount).await
            }
            Operation::Coupon(n) => self.put_coupon(&plan.coupons[n]).await,
            Operation::Reshape(n) => {
                let shape = &plan.shapes[n];
                self.reshape(shape.product, shape.stripes).await
            }
            Operation::Level(n) => {
                let product = ProductId::parse(plan.products[n].id).expect("products of plans are well-formed");
                let warehouse = WarehouseId::parse("main".to_owned()).expect("it is well-formed");
                told(self.store.pool_rebalance(&tenant(), &product, &warehouse).await.map(drop))
            }
            Operation::Read(n) => {
                let path = format!("/stock/{}", plan.products[n].id);
                Request::get(&path).send(&self.inventory, Some(&staff)).await.into()
            }
        }
    }

    /// Puts the plan's products on sale.
    pub async fn prepare(&self) {
        for (position, product) in self.plan.products.iter().enumerate().filter(|(_, product)| product.listed) {
            let put = self.put_product(position, FIRST_PRICE).await;
            assert_eq!(put.status, 201, "{put:?}");
            if product.stock > 0 {
                let path = format!("/stock/{}/receipts", product.id);
                let body = json!({"warehouse": "main", "quantity": product.stock});
                let request = Request::post(&path, &body).key("before");
                let received = request.send(&self.inventory, Some(&Who::staff())).await;
                assert_eq!(received.status, 201, "{received:?}");
                if product.stripes > 1 {
                    let reshaped = self.reshape(position, product.stripes).await;
                    assert_eq!(reshaped.status, 200, "{reshaped:?}");
                }
            }
        }
        if let Some(coupon) = &self.plan.coupon {
            let put = self.put_coupon(coupon).await;
            assert_eq!(put.status, 201, "{put:?}");
        }
    }

    async fn put_product(&self, product: usize, amount: i64) -> Reply {
        let product = &self.plan.products[product];
        let id = product.id;
        let mut body = json!({"name": id, "category": "all", "price": {"amount": amount, "currency": "EUR"}});
        if let Some(limit) = product.limit {
            body["purchase_limit"] = json!({"quantity": limit});
        }
        Request::put(&format!("/products/{id}"), &body).send(&self.catalog, Some(&Who::staff())).await.into()
    }

    async fn put_coupon(&self, coupon: &PlannedCoupon) -> Reply {
        let mut body = json!({"percent": coupon.percent.to_string(), "total_uses": coupon.uses, "stripes": 2});
        if let Some(limit) = self.plan.coupon_limit {
            body["uses_per_customer"] = json!(limit);
        }
        Request::put(&format!("/coupons/{COUPON}"), &body).send(&self.catalog, Some(&Who::staff())).await.into()
    }

    async fn reshape(&self, product: usize, stripes: u16) -> Reply {
        let path = format!("/stock/{}/stripes", self.plan.products[product].id);
        let body = json!({"warehouse": "main", "stripes": stripes});
        Request::put(&path, &body).send(&self.inventory, Some(&Who::staff())).await.into()
    }

    async fn sum(&self, id: OrderId) -> Result<(), StoreError> {
        let Some(stored) = self.store.order_head_read(&tenant(), id).await? else { return Ok(()) };
        for part in self.store.order_parts_held(&stored.order).await? {
            if part.keep.goes_into_balance() {
                self.store.order_part_sum(&stored.order, &part).await?;
            }
        }
        Ok(())
    }

    async fn deliver_change(&self, order: usize, kind: EventKind) -> Reply {
        self.deliver(order, |at, trace, notice| CloudEvent::of_change(kind.name(), at, trace, notice)).await
    }

    /// Delivers a message about an order to the worker.
    async fn deliver(
        &self,
        order: usize,
        event: impl FnOnce(jiff::Timestamp, &Trace, OrderNotice) -> CloudEvent,
    ) -> Reply {
        let now = self.clock.now();
        let trace = Trace { correlation_id: "c".to_owned(), traceparent: format!("00-{:032x}-{:016x}-01", 1, 1) };
        let notice = OrderNotice {
            tenant: tenant(),
            order_id: self.plan.order_id(order),
            version: 1,
            state: "placed".to_owned(),
            // Whatever it says, the order itself says when it expires.
            due_at: 0,
        };
        let body = serde_json::to_string(&event(now, &trace, notice)).expect("events are JSON");
        let record = json!({"messageId": "m", "body": body, "attributes": {}, "messageAttributes": {}});
        let batch = serde_json::from_value(json!({"Records": [record]})).expect("a record is one of a queue event");
        let failed = !Box::pin(self.worker.handle(batch)).await.batch_item_failures.is_empty();
        Reply { status: if failed { 503 } else { 200 }, slug: String::new(), body: Value::Null }
    }
}

/// Clients whose calls end at the switchboard.
pub struct Clients {
    dynamodb: aws_sdk_dynamodb::Client,
    sqs: aws_sdk_sqs::Client,
}

impl Clients {
    /// Clients of a switchboard.
    pub fn new(board: &Arc<Switchboard>) -> Self {
        use aws_sdk_dynamodb::config::retry::{RetryPartition, TokenBucket};
        let credentials = aws_sdk_dynamodb::config::Credentials::new("local", "local", None, None, "tests");
        let endpoint = Some("http://engine".to_owned());
        let endpoints = holdfast_runtime::clients::Endpoints { dynamodb: endpoint.clone(), sqs: endpoint, s3: None };
        let aws = Aws::new("us-east-1".to_owned(), credentials, board.client(), endpoints);
        // The SDK's quota of repetitions is one for the whole process: one seed would spend what another needs. No run
        // fails so often that a quota of its own would matter.
        let quota = RetryPartition::custom("interleave").token_bucket(TokenBucket::unlimited()).build();
        let config = aws.dynamodb().config().to_builder().retry_partition(quota).build();
        Self { dynamodb: aws_sdk_dynamodb::Client::from_conf(config), sqs: aws.sqs() }
    }
}

impl Plan {
    /// The id that an order will have.
    pub fn order_id(&self, order: usize) -> OrderId {
        let order = &self.orders[order];
        let customer = CustomerId::parse(order.customer).expect("customers of plans are well-formed");
        let key = IdempotencyKey::parse(order.key.clone()).expect("keys of plans are well-formed");
        match order.reserved {
            true => OrderId::derive_reserved(&tenant(), &customer, &key),
            false => OrderId::derive(&tenant(), &customer, &key),
        }
    }

    fn order_body(&self, number: usize) -> Value {
        let order = &self.orders[number];
        let line = |product: usize, quantity: u32| {
            let mut line = json!({"product_id": self.products[product].id, "quantity": quantity});
            if let Some(shown) = order.shown {
                line["unit_price"] = json!(shown);
            }
            line
        };
        let lines: Vec<_> = match order.large {
            true => order.lines.iter().flat_map(|(of, units)| (0..*units).map(|_| line(*of, 1))).collect(),
            false => order.lines.iter().map(|(of, quantity)| line(*of, *quantity)).collect(),
        };
        if order.reserved {
            return json!({"currency": "EUR", "lines": lines, "ttl_seconds": 1});
        }
        let mut body = self.delivery(number);
        body["currency"] = json!("EUR");
        body["lines"] = json!(lines);
        if order.coupon {
            body["coupon"] = json!(COUPON);
        }
        body
    }

    /// Where an order goes and how it is paid.
    fn delivery(&self, order: usize) -> Value {
        json!({
            "shipping_address": {"name": "N", "line1": "L", "city": "C", "postal_code": "1", "country": "DE"},
            "payment_method": self.orders[order].payment_method,
        })
    }
}

/// What a job of maintenance came to.
fn told(done: Result<(), StoreError>) -> Reply {
    Reply { status: if done.is_ok() { 200 } else { 503 }, slug: String::new(), body: Value::Null }
}

/// The shop of every run.
pub fn tenant() -> TenantId {
    TenantId::parse(Who::staff().tenant).expect("the tests' tenant is well-formed")
}
