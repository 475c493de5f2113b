//! One order after the other, from placed to delivered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use holdfast_domain::event::{CloudEvent, EventKind, OrderNotice, Trace};
use holdfast_domain::ids::{OrderId, TenantId};
use holdfast_runtime::clock::Clock;
use holdfast_runtime::http::{CursorKey, observed};
use holdfast_runtime::routing::Queues;
use holdfast_store::{Meter, Spent, Store};
use jiff::{SignedDuration, Timestamp};
use order_worker::Worker;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::outside::{Courier, Provider, Table};
use super::{Figures, StepFigures, WCU_MAX};
use crate::bench::orders::handler::{aws, stock};
use crate::engines::aws::JsonService;
use crate::engines::dynamodb::DynamoDb;
use crate::template::{LocalValues, Template};
use crate::workspace;

/// Orders before those that are counted: they fill what environments remember.
const WARM_UP: u32 = 20;
/// What there is of the product: more than are ordered.
const STOCK: u64 = 1_000_000_000;
/// The shop of the sample event.
const TENANT: &str = "acme";
/// Identity providers name people by such ids, and the order keeps them.
const CUSTOMER: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const STAFF: &str = "01890a5d-b1c2-7a51-8d4e-5a7c1e7d9f10";

/// The steps in their order.
const STEPS: [&str; 8] = [
    "placed",
    "payment started",
    "paid",
    "its expiry timer",
    "shipping asked for",
    "booked and captured",
    "the event of that",
    "delivered",
];

/// What one step of one order took.
#[derive(Clone, Copy)]
struct Taken {
    calls: u64,
    rcu: f64,
    wcu: f64,
    time: Duration,
    item_bytes: usize,
}

/// Follows `orders` orders.
///
/// # Errors
/// When the engine does not start, or an order does not come to its end.
pub async fn measure(orders: u32) -> anyhow::Result<Figures> {
    let engine = DynamoDb::start(&workspace::stack("bench")).await?;
    let template = Template::read(&workspace::root().join("template.yaml"))?;
    let table = template.application(&LocalValues::default())?.table;
    let service = JsonService::dynamodb(reqwest::Client::new(), engine.url());
    service.call("CreateTable", &table.create).await?;
    stock(&service, &table.name, "mug-blue", 1, STOCK).await?;
    let shop = Shop::open(engine.url(), Table { service, name: table.name })?;
    let mut lives = Vec::new();
    for number in 0..WARM_UP + orders {
        let life = shop.live().await.with_context(|| format!("order {number} did not come to its end"))?;
        if number >= WARM_UP {
            lives.push(life);
        }
    }
    let of_step = |step: usize| lives.iter().map(|life| life[step]).collect::<Vec<_>>();
    let steps = STEPS.iter().enumerate().map(|(step, name)| figures(name, &of_step(step))).collect();
    let total = figures("total", &lives.iter().map(whole).collect::<Vec<_>>());
    let met = total.wcu <= WCU_MAX;
    Ok(Figures { orders, steps, total, wcu_max: WCU_MAX, met })
}

/// All steps of an order.
fn whole(life: &[Taken; STEPS.len()]) -> Taken {
    Taken {
        calls: life.iter().map(|taken| taken.calls).sum(),
        rcu: life.iter().map(|taken| taken.rcu).sum(),
        wcu: life.iter().map(|taken| taken.wcu).sum(),
        time: life.iter().map(|taken| taken.time).sum(),
        item_bytes: life.iter().map(|taken| taken.item_bytes).max().unwrap_or_default(),
    }
}

fn figures(step: &str, taken: &[Taken]) -> StepFigures {
    StepFigures {
        step: step.to_owned(),
        calls: median(taken, |taken| taken.calls as f64),
        rcu: median(taken, |taken| taken.rcu),
        wcu: taken.iter().map(|taken| taken.wcu).fold(0.0, f64::max),
        p50_us: median(taken, |taken| taken.time.as_secs_f64() * 1e6),
        item_bytes: taken.iter().map(|taken| taken.item_bytes).max().unwrap_or_default(),
    }
}

fn median(taken: &[Taken], figure: impl Fn(&Taken) -> f64) -> f64 {
    let mut figures: Vec<_> = taken.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// The functions that an order meets, and the table under them.
struct Shop {
    table: Table,
    orders: Router,
    worker: Worker,
    provider: Arc<Provider>,
    /// What the worker spends.
    meter: Arc<Meter>,
    tenant: TenantId,
    /// The sample of a request that places an order.
    event: Value,
    /// What is ordered.
    body: Value,
}

impl Shop {
    fn open(url: &str, table: Table) -> anyhow::Result<Self> {
        let aws = aws(url);
        let store = Store::new(aws.dynamodb(), &table.name);
        let expires_in = SignedDuration::from_mins(15);
        let settings = orders::Settings { expires_in, cursor_key: CursorKey::new("bench") };
        let meter = Arc::<Meter>::default();
        let provider = Arc::new(Provider::new(table.clone(), Arc::clone(&meter)));
        let worker = Worker {
            store: store.metered(Arc::clone(&meter)),
            // Nothing is sent.
            // No timer is early here.
            queues: Queues::new([]),
            payments: Arc::<Provider>::clone(&provider),
            carrier: Arc::new(Courier),
            clock: Clock::system(),
        };
        let event = std::fs::read_to_string(workspace::root().join("events/orders/place.json"))?;
        let event: Value = serde_json::from_str(&event)?;
        let mut body: Value = serde_json::from_str(event["body"].as_str().context("the sample has a body")?)?;
        body["shipping_address"]["phone"] = json!("+49 30 901820");
        let orders = observed(orders::router(store, Clock::system(), settings));
        Ok(Self { table, orders, worker, provider, meter, tenant: TenantId::parse(TENANT)?, event, body })
    }

    /// An order's life; what each of [`STEPS`] took.
    async fn live(&self) -> anyhow::Result<[Taken; STEPS.len()]> {
        let (order, placed) = self.request("/orders", CUSTOMER, "orders", &self.body).await?;
        let id = OrderId::parse(order["order_id"].as_str().context("the order has an id")?)?;
        let placed = self.taken(id, placed).await?;

        let (begun, before) = (Instant::now(), self.meter.spent());
        self.deliver(id, |at, trace, notice| CloudEvent::of_change(EventKind::Placed.name(), at, trace, notice))
            .await?;
        let (ended, after) = (Instant::now(), self.meter.spent());
        let started = self.provider.take_started().context("the provider was asked for the amount")?;
        let paid = self.taken(id, (difference(&started.spent, &after), ended - started.answered)).await?;
        let starting = difference(&before, &started.spent);
        let starting = Taken::of(&starting, started.asked - begun, started.item_bytes);

        let timer = self.work(id, CloudEvent::expiry_timer).await?;
        let path = format!("/orders/{id}/shipments");
        let (asked, shipping) = self.request(&path, STAFF, "orders staff", &json!({})).await?;
        expect_state(&asked, "shipping")?;
        let shipment = asked["shipments"][0]["shipment_id"].as_str().context("the order has a shipment")?.to_owned();
        let shipping = self.taken(id, shipping).await?;
        let booked = self.work_on_change(id, EventKind::Shipping).await?;
        let told = self.work_on_change(id, EventKind::Shipped).await?;
        let path = format!("/shipments/{shipment}/delivered");
        let (arrived, delivered) = self.request(&path, STAFF, "orders staff", &json!({})).await?;
        expect_state(&arrived, "delivered")?;
        let captured = arrived["payment"]["captured"].as_i64().unwrap_or_default();
        anyhow::ensure!(captured > 0, "nothing was captured: {arrived}");
        let delivered = self.taken(id, delivered).await?;
        Ok([placed, starting, paid, timer, shipping, booked, told, delivered])
    }

    async fn taken(&self, id: OrderId, (spent, time): (Spent, Duration)) -> anyhow::Result<Taken> {
        Ok(Taken::of(&spent, time, self.table.order_size(&self.tenant, id).await?))
    }

    /// Asks the `orders` function: from the event's text to the answer's bytes.
    async fn request(
        &self,
        path: &str,
        person: &str,
        scope: &str,
        body: &Value,
    ) -> anyhow::Result<(Value, (Spent, Duration))> {
        let mut event = self.event.clone();
        event["rawPath"] = json!(path);
        event["routeKey"] = json!(format!("POST {path}"));
        event["body"] = json!(body.to_string());
        event["headers"]["content-length"] = json!(body.to_string().len().to_string());
        event["headers"]["idempotency-key"] = json!(uuid::Uuid::now_v7());
        event["headers"]["x-correlation-id"] = json!(uuid::Uuid::now_v7());
        let context = &mut event["requestContext"];
        context["routeKey"] = json!(format!("POST {path}"));
        context["http"]["path"] = json!(path);
        context["authorizer"]["jwt"]["claims"]["sub"] = json!(person);
        context["authorizer"]["jwt"]["claims"]["scope"] = json!(scope);
        context["authorizer"]["jwt"]["scopes"] = json!([]);
        let event = event.to_string();
        let begun = Instant::now();
        let request = lambda_http::request::from_str(&event)?;
        let response = self.orders.clone().oneshot(request).await.expect("routers do not fail");
        let spent = *response.extensions().get::<Spent>().context("the answer says what was spent")?;
        let status = response.status();
        let answer = axum::body::to_bytes(response.into_body(), usize::MAX).await?;
        let time = begun.elapsed();
        let answer: Value = serde_json::from_slice(&answer)?;
        anyhow::ensure!(status.is_success(), "{path}: {status}: {answer}");
        Ok((answer, (spent, time)))
    }

    async fn work_on_change(&self, id: OrderId, kind: EventKind) -> anyhow::Result<Taken> {
        self.work(id, |at, trace, notice| CloudEvent::of_change(kind.name(), at, trace, notice)).await
    }

    /// What a message takes the worker.
    async fn work(
        &self,
        id: OrderId,
        event: impl FnOnce(Timestamp, &Trace, OrderNotice) -> CloudEvent,
    ) -> anyhow::Result<Taken> {
        let (begun, before) = (Instant::now(), self.meter.spent());
        self.deliver(id, event).await?;
        let (time, after) = (begun.elapsed(), self.meter.spent());
        self.taken(id, (difference(&before, &after), time)).await
    }

    /// Delivers a message about an order to the worker.
    async fn deliver(
        &self,
        id: OrderId,
        event: impl FnOnce(Timestamp, &Trace, OrderNotice) -> CloudEvent,
    ) -> anyhow::Result<()> {
        let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned();
        let trace = Trace { correlation_id: uuid::Uuid::now_v7().to_string(), traceparent };
        // The worker looks at the order itself; of a timer, it believes that it is due.
        let (tenant, state) = (self.tenant.clone(), "placed".to_owned());
        let notice = OrderNotice { tenant, order_id: id, version: 1, state, due_at: 0 };
        let event = event(Timestamp::now(), &trace, notice);
        let body = serde_json::to_string(&event)?;
        let record = json!({"messageId": "m-1", "body": body, "attributes": {}, "messageAttributes": {}});
        let batch = serde_json::from_value(json!({"Records": [record]}))?;
        let answer = Box::pin(self.worker.handle(batch)).await;
        anyhow::ensure!(answer.batch_item_failures.is_empty(), "the worker failed at {}", event.kind);
        Ok(())
    }
}

impl Taken {
    fn of(spent: &Spent, time: Duration, item_bytes: usize) -> Self {
        Self { calls: spent.calls, rcu: spent.rcu, wcu: spent.wcu, time, item_bytes }
    }
}

fn difference(before: &Spent, after: &Spent) -> Spent {
    Spent {
        calls: after.calls - before.calls,
        waited: after.waited.saturating_sub(before.waited),
        wcu: after.wcu - before.wcu,
        rcu: after.rcu - before.rcu,
    }
}

fn expect_state(order: &Value, state: &str) -> anyhow::Result<()> {
    anyhow::ensure!(order["state"] == state, "the order should be {state}: {order}");
    Ok(())
}
