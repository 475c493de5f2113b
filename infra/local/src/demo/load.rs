//! Sends requests through the API, many at once, and keeps what callers were told.

use super::laws::Told;
use super::plan::{Order, Plan, Product, Sending};
use crate::token::{self, Claims};
use anyhow::Context;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The tenant of everything the demo does.
pub const TENANT: &str = "demo";

/// Requests under way at once: twice the instances of a function, so that some wait for one, as in a small surge.
const CONCURRENCY: usize = 8;
/// How often an impatient client sends its request at once.
const IMPATIENT_TIMES: usize = 3;
/// Tries of a request that is answered with 429 or 5xx, or not at all.
const TRIES_MAX: u32 = 8;
/// The longest time of an answer that is told from longer ones, in microseconds.
const LATENCY_US_MAX: u64 = 60_000_000;
/// The pause before the second try; each further one doubles it.
const PAUSE: Duration = Duration::from_millis(50);

/// Sends requests and keeps the answers.
pub struct Sender {
    client: reqwest::Client,
    api_url: String,
    /// Begins every correlation id, so that a log kept from an earlier run is not counted.
    run: String,
    requests: AtomicU64,
    tokens: Mutex<HashMap<String, String>>,
    ledger: Mutex<Ledger>,
}

/// What callers were told, and how long it took.
pub struct Ledger {
    /// The answers by idempotency key.
    pub told: BTreeMap<String, Told>,
    /// The lines of the order that the request of this correlation id placed.
    pub placing: HashMap<String, usize>,
    /// How long it took to place an order, from the first try of its request to the answer, in microseconds.
    pub latency: Histogram<u64>,
}

/// Something that the staff of the shop asks for.
pub struct Step {
    /// Where.
    pub path: String,
    /// Its idempotency key.
    pub key: String,
    /// With what.
    pub body: Value,
}

/// One request, the same on every try.
struct Request<'a> {
    method: Method,
    path: String,
    token: String,
    key: Option<&'a str>,
    body: Value,
}

struct Answer {
    status: StatusCode,
    replayed: bool,
    body: Value,
    correlation_id: String,
}

impl Sender {
    /// A sender to the API at `api_url`.
    pub fn new(api_url: &str) -> Self {
        let ledger = Ledger {
            told: BTreeMap::new(),
            placing: HashMap::new(),
            latency: Histogram::new_with_max(LATENCY_US_MAX, 3).expect("the histogram takes three digits"),
        };
        Self {
            client: reqwest::Client::new(),
            api_url: api_url.to_owned(),
            run: format!("demo-{:08x}", rand::random::<u32>()),
            requests: AtomicU64::default(),
            tokens: Mutex::default(),
            ledger: Mutex::new(ledger),
        }
    }

    /// Puts the plan's products into the catalogue and receives their stock.
    ///
    /// # Errors
    /// When a product or a receipt is refused.
    pub async fn stock_up(&self, plan: &Plan, bar: &ProgressBar) -> anyhow::Result<()> {
        bar.inc_length(plan.products.len() as u64);
        let products = stream::iter(&plan.products).map(|product| async move {
            self.add_product(product, plan.currency).await?;
            bar.inc(1);
            anyhow::Ok(())
        });
        products.buffer_unordered(CONCURRENCY).try_collect::<()>().await
    }

    async fn add_product(&self, product: &Product, currency: &str) -> anyhow::Result<()> {
        let token = self.token("shop", "stock catalog", false)?;
        let id = utf8_percent_encode(&product.id, NON_ALPHANUMERIC);
        let price = json!({"amount": product.price, "currency": currency});
        let body = json!({"name": product.name, "description": "", "category": "demo", "price": price});
        let put =
            Request { method: Method::PUT, path: format!("/products/{id}"), token: token.clone(), key: None, body };
        expect_success(&put, self.persist(&put).await?)?;
        for (number, quantity) in product.deliveries() {
            let key = format!("{}-{number}", self.run);
            let receive = Request {
                method: Method::POST,
                path: format!("/stock/{id}/receipts"),
                token: token.clone(),
                key: Some(&key),
                body: json!({"warehouse": "main", "quantity": quantity}),
            };
            expect_success(&receive, self.persist(&receive).await?)?;
        }
        Ok(())
    }

    /// Places orders, those of impatient clients several times at once.
    ///
    /// # Errors
    /// When no token can be made. What the API answers is no error here, but kept.
    pub async fn place(&self, orders: &[&Order], currency: &str, bar: &ProgressBar) -> anyhow::Result<()> {
        let times = |order: &Order| if order.sending == Sending::Thrice { IMPATIENT_TIMES } else { 1 };
        bar.inc_length(orders.iter().map(|order| times(order) as u64).sum());
        let requests = orders.iter().flat_map(|order| std::iter::repeat_n(*order, times(order)));
        let requests = stream::iter(requests).map(|order| async move {
            self.place_one(order, currency).await?;
            bar.inc(1);
            anyhow::Ok(())
        });
        requests.buffer_unordered(CONCURRENCY).try_collect::<()>().await
    }

    async fn place_one(&self, order: &Order, currency: &str) -> anyhow::Result<()> {
        let line = |(product, quantity): &(String, u32)| json!({"product_id": product, "quantity": quantity});
        let address = json!({"name": order.customer, "line1": "1 High Street", "city": "London", "country": "GB"});
        let place = Request {
            method: Method::POST,
            path: "/orders".to_owned(),
            token: self.token(&order.customer, "orders", order.guest)?,
            key: Some(&order.key),
            body: json!({
                "currency": currency,
                "lines": order.lines.iter().map(line).collect::<Vec<_>>(),
                "shipping_address": address,
                "payment_method": order.payment_method,
            }),
        };
        let start = Instant::now();
        let answer = self.persist(&place).await;
        let took = start.elapsed();
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let ledger = &mut *ledger;
        let told = ledger.told.entry(order.key.clone()).or_default();
        match answer {
            Ok(answer) => {
                if answer.status == StatusCode::CREATED {
                    ledger.latency.saturating_record(took.as_micros() as u64);
                    ledger.placing.insert(answer.correlation_id.clone(), order.lines.len());
                }
                told.note(&answer);
            }
            Err(error) => told.unexpected = Some(format!("{error:#}")),
        }
        Ok(())
    }

    /// Takes steps as the staff of the shop. How many.
    ///
    /// # Errors
    /// When one of them is refused.
    pub async fn staff(&self, steps: Vec<Step>, bar: &ProgressBar) -> anyhow::Result<usize> {
        bar.inc_length(steps.len() as u64);
        let taken = steps.len();
        let token = self.token("staff", "orders staff", false)?;
        let requests = stream::iter(&steps).map(|step| {
            let (token, path) = (token.clone(), step.path.clone());
            let request = Request { method: Method::POST, path, token, key: Some(&step.key), body: step.body.clone() };
            async move {
                expect_success(&request, self.persist(&request).await?)?;
                bar.inc(1);
                anyhow::Ok(())
            }
        });
        requests.buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
        Ok(taken)
    }

    /// How many orders were placed so far.
    pub fn placed(&self) -> u64 {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).latency.len()
    }

    /// Ends the sending.
    pub fn ledger(self) -> Ledger {
        self.ledger.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request until it is answered with something else than 429 or 5xx; the key makes that safe.
    async fn persist(&self, request: &Request<'_>) -> anyhow::Result<Answer> {
        let mut pause = PAUSE;
        for _ in 1..TRIES_MAX {
            match self.send(request).await {
                Ok(answer) if answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS => {}
                Ok(answer) => return Ok(answer),
                Err(_) => {}
            }
            // A random part keeps those that were refused together from coming back together.
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
            pause *= 2;
        }
        self.send(request).await.with_context(|| format!("{} {} was not answered", request.method, request.path))
    }

    async fn send(&self, request: &Request<'_>) -> anyhow::Result<Answer> {
        let correlation_id = format!("{}-{}", self.run, self.requests.fetch_add(1, Ordering::Relaxed));
        let url = format!("{}{}", self.api_url, request.path);
        let mut builder = self.client.request(request.method.clone(), url).bearer_auth(&request.token);
        builder = builder.header("x-correlation-id", &correlation_id).json(&request.body);
        if let Some(key) = request.key {
            builder = builder.header("idempotency-key", key);
        }
        let response = builder.send().await?;
        let status = response.status();
        let replayed = response.headers().get("idempotent-replayed").is_some_and(|value| value == "true");
        let body = serde_json::from_slice(&response.bytes().await?).unwrap_or_default();
        Ok(Answer { status, replayed, body, correlation_id })
    }

    fn token(&self, customer: &str, scope: &str, guest: bool) -> anyhow::Result<String> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = tokens.get(customer) {
            return Ok(token.clone());
        }
        let claims = Claims { tenant: TENANT.to_owned(), sub: customer.to_owned(), scope: scope.to_owned(), guest };
        let token = token::sign(&claims)?;
        tokens.insert(customer.to_owned(), token.clone());
        Ok(token)
    }
}

impl Told {
    fn note(&mut self, answer: &Answer) {
        let order = answer.body["order_id"].as_str();
        let slug = answer.body["type"].as_str().and_then(|kind| kind.rsplit('/').next()).unwrap_or_default();
        match (answer.status, order) {
            (StatusCode::CREATED, Some(order)) if !answer.replayed => {
                self.created += 1;
                self.orders.insert(order.to_owned());
            }
            (StatusCode::OK, Some(order)) if answer.replayed => {
                self.replayed += 1;
                self.orders.insert(order.to_owned());
            }
            (StatusCode::CONFLICT, _) if slug == "out-of-stock" => self.sold_out += 1,
            (status, _) => {
                let detail = answer.body["detail"].as_str().unwrap_or_default();
                let id = &answer.correlation_id;
                self.unexpected = Some(format!("{} {slug} {detail} (correlation id {id})", status.as_u16()));
            }
        }
    }
}

fn expect_success(request: &Request<'_>, answer: Answer) -> anyhow::Result<()> {
    let Answer { status, body, .. } = answer;
    anyhow::ensure!(status.is_success(), "{} {} was answered with {status}: {body}", request.method, request.path);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(answers: &[(u16, bool, Value)]) -> Told {
        let mut told = Told::default();
        for (status, replayed, body) in answers {
            told.note(&Answer {
                status: StatusCode::from_u16(*status).unwrap(),
                replayed: *replayed,
                body: body.clone(),
                correlation_id: "c".to_owned(),
            });
        }
        told
    }

    #[test]
    fn answers_are_told_apart() {
        let (order, refusal) =
            (json!({"order_id": "o"}), json!({"type": "https://holdfast.dev/problems/out-of-stock"}));
        let told = noted(&[(201, false, order.clone()), (200, true, order.clone()), (409, false, refusal.clone())]);
        assert_eq!((told.created, told.replayed, told.sold_out, told.orders.len()), (1, 1, 1, 1));
        assert_eq!(told.unexpected, None);
        for unexpected in
            [(200, false, order.clone()), (201, true, order), (500, false, refusal), (201, false, json!({}))]
        {
            assert!(noted(std::slice::from_ref(&unexpected)).unexpected.is_some(), "{unexpected:?}");
        }
    }
}
