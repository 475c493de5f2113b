//! A shop in this process: the HTTP functions over an engine.

use crate::clock::TestClock;
use crate::engine::Engine;
use crate::requests::{Answer, Request, Who, order_of};
use axum::Router;
use holdfast_cache::Level2;
use holdfast_runtime::cached;
use holdfast_runtime::http::{CursorKey, observed};
use jiff::SignedDuration;
use serde_json::json;
use std::sync::Arc;

/// The HTTP functions of the shop over one table.
pub struct Shop {
    /// The table.
    pub engine: Engine,
    /// The time.
    pub clock: TestClock,
    /// `orders`.
    pub orders: Router,
    /// `inventory`.
    pub inventory: Router,
    /// `catalog`.
    pub catalog: Router,
}

impl Shop {
    /// An empty shop over the embedded engine.
    pub async fn open() -> Self {
        Self::over(Engine::embedded().await, TestClock::present())
    }

    /// An empty shop over an engine, at a time.
    pub fn over(engine: Engine, clock: TestClock) -> Self {
        let orders = orders_router(&engine, &clock);
        let wire = &engine.wire;
        let inventory = wire.mortal(observed(inventory::router(engine.store(), clock.clock())));
        let catalog = wire.mortal(observed(catalog::router(
            engine.store(),
            clock.clock(),
            cached::products(&clock.clock(), None),
        )));
        Self { engine, clock, orders, inventory, catalog }
    }

    /// One more environment of the `orders` function, with a memory of its own.
    pub fn another_environment(&self) -> Router {
        orders_router(&self.engine, &self.clock)
    }

    /// One more environment of the `catalog` function, with a memory of its own before a shared one.
    pub fn another_catalog(&self, shared: Option<Arc<dyn Level2>>) -> Router {
        let clock = self.clock.clock();
        let products = cached::products(&clock, shared);
        self.engine.wire.mortal(observed(catalog::router(self.engine.store(), clock, products)))
    }

    /// Puts a product on sale for 19.99 EUR, with stock.
    pub async fn sell(&self, product: &str, quantity: i64) {
        self.price(product, 1999).await;
        if quantity > 0 {
            self.receive(product, quantity, &format!("initial-{product}")).await;
        }
    }

    /// Sets a product's price, in cents.
    pub async fn price(&self, product: &str, amount: i64) {
        let body = json!({
            "name": product, "description": "", "category": "all", "price": {"amount": amount, "currency": "EUR"},
        });
        let path = format!("/products/{}", product.replace(' ', "%20"));
        let answer = Request::put(&path, &body).send(&self.catalog, Some(&Who::staff())).await;
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    }

    /// Receives stock.
    pub async fn receive(&self, product: &str, quantity: i64, key: &str) {
        let path = format!("/stock/{}/receipts", product.replace(' ', "%20"));
        let request = Request::post(&path, &json!({"warehouse": "main", "quantity": quantity})).key(key);
        let answer = request.send(&self.inventory, Some(&Who::staff())).await;
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    }

    /// Sets a product's price and further terms.
    pub async fn offer(&self, product: &str, terms: serde_json::Value) {
        let mut body = json!({
            "name": product, "description": "", "category": "all", "price": {"amount": 1999, "currency": "EUR"},
        });
        let terms = terms.as_object().expect("terms are an object").clone();
        body.as_object_mut().expect("the body is an object").extend(terms);
        let answer =
            Request::put(&format!("/products/{product}"), &body).send(&self.catalog, Some(&Who::staff())).await;
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    }

    /// Receives stock in a warehouse.
    pub async fn receive_at(&self, product: &str, warehouse: &str, quantity: i64) {
        let body = json!({"warehouse": warehouse, "quantity": quantity});
        let path = format!("/stock/{product}/receipts");
        let request = Request::post(&path, &body).key(&format!("{product}-{warehouse}"));
        let answer = request.send(&self.inventory, Some(&Who::staff())).await;
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    }

    /// Splits or merges the stock of a product.
    pub async fn reshape(&self, product: &str, stripes: u16) {
        let body = json!({"warehouse": "main", "stripes": stripes});
        let answer =
            Request::put(&format!("/stock/{product}/stripes"), &body).send(&self.inventory, Some(&Who::staff())).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Orders some units of a product.
    pub async fn order(&self, who: &Who, key: &str, product: &str, quantity: i64) -> Answer {
        Request::post("/orders", &order_of(product, quantity)).key(key).send(&self.orders, Some(who)).await
    }

    /// Units available, as the API tells.
    pub async fn available(&self, product: &str) -> u64 {
        let path = format!("/stock/{}", product.replace(' ', "%20"));
        let answer = Request::get(&path).send(&self.inventory, Some(&Who::staff())).await;
        answer.body["available"].as_u64().unwrap_or_else(|| panic!("{answer:?}"))
    }

    /// Asserts the laws of stock and history on the raw table.
    pub async fn laws_hold(&self) {
        let evidence = self.engine.evidence().await;
        for law in holdfast_local::demo::laws::of_table(&evidence) {
            assert!(law.holds, "{}: {}", law.name, law.detail);
        }
    }
}

fn orders_router(engine: &Engine, clock: &TestClock) -> Router {
    let settings = orders::Settings { expires_in: SignedDuration::from_mins(15), cursor_key: CursorKey::new("test") };
    engine.wire.mortal(observed(orders::router(engine.store(), clock.clock(), settings)))
}
