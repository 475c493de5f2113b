//! The whole stack over HTTP: gateway, functions under `cargo lambda watch`, stream, queue and payment provider.

use holdfast_domain::ids::{CustomerId, IdempotencyKey, OrderId, TenantId};
use holdfast_local::engines::payment::WEBHOOK_SECRET;
use holdfast_local::engines::payment_proxy::webhooks::signature;
use holdfast_local::token::{Claims, sign};
use holdfast_tests::endpoints::stack;
use holdfast_tests::engine::Engine;
use holdfast_tests::requests::{Answer, Request, order_of};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long anything may take to come about: the expiry of unpaid orders in tests is 30 s.
const PATIENCE: Duration = Duration::from_secs(120);

/// The states that an order does not leave by itself.
const FINAL: [&str; 4] = ["paid", "payment_failed", "cancelled", "expired"];

/// A shop of a test's own: its tenant.
pub(crate) struct Shop {
    tenant: String,
}

impl Shop {
    pub(crate) async fn open(product: &str, quantity: i64) -> Self {
        let shop = Self { tenant: format!("t{}", uuid::Uuid::now_v7().simple()) };
        let body = json!({"name": product, "category": "all", "price": {"amount": 1999, "currency": "EUR"}});
        let put = shop.staff(Request::put(&format!("/products/{product}"), &body)).await;
        assert_eq!(put.status, 201, "{put:?}");
        let receipt = json!({"warehouse": "main", "quantity": quantity});
        let received = shop.staff(Request::post(&format!("/stock/{product}/receipts"), &receipt).key("initial")).await;
        assert_eq!(received.status, 201, "{received:?}");
        shop
    }

    fn token(&self, sub: &str, scope: &str) -> String {
        let claims = Claims { tenant: self.tenant.clone(), sub: sub.to_owned(), scope: scope.to_owned(), guest: false };
        sign(&claims).expect("the local key is readable")
    }

    pub(crate) async fn staff(&self, request: Request) -> Answer {
        request.send_to(&stack().api_url, &self.token("staff-1", "orders stock catalog staff")).await
    }

    pub(crate) async fn customer(&self, sub: &str, request: Request) -> Answer {
        request.send_to(&stack().api_url, &self.token(sub, "orders")).await
    }

    pub(crate) async fn order(&self, sub: &str, key: &str, product: &str, quantity: i64) -> Answer {
        self.customer(sub, Request::post("/orders", &order_of(product, quantity)).key(key)).await
    }

    pub(crate) async fn available(&self, product: &str) -> Value {
        self.staff(Request::get(&format!("/stock/{product}"))).await.body["available"].clone()
    }

    /// Waits until an order is in a state.
    pub(crate) async fn becomes(&self, sub: &str, id: &str, state: &str) -> Value {
        let start = Instant::now();
        loop {
            let order = self.customer(sub, Request::get(&format!("/orders/{id}"))).await.body;
            if order["state"] == state {
                return order;
            }
            let ended = FINAL.iter().any(|ended| order["state"] == *ended);
            assert!(!ended, "the order is to become {state}, but has ended: {order}");
            assert!(start.elapsed() < PATIENCE, "the order does not become {state}: {order}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn id(answer: &Answer) -> &str {
    answer.body["order_id"].as_str().unwrap_or_else(|| panic!("{answer:?}"))
}

#[tokio::test]
async fn an_order_is_placed_and_becomes_paid() {
    let shop = Shop::open("mug", 10).await;
    let order = shop.order("c-1", "k", "mug", 2).await;
    assert_eq!((order.status, &order.body["state"]), (201, &json!("placed")), "{order:?}");
    let paid = shop.becomes("c-1", id(&order), "paid").await;
    assert_eq!(paid["payment"]["status"], "authorised");
    assert_eq!(shop.available("mug").await, 8);
    let list = shop.customer("c-1", Request::get("/orders?state=paid")).await;
    assert_eq!(list.body["orders"][0]["order_id"], id(&order));
}

#[tokio::test]
async fn ord_2_fifteen_concurrent_buyers_of_ten_units() {
    let shop = Shop::open("mug", 10).await;
    let buyers: Vec<_> = (0..15).map(|n| format!("c-{n}")).collect();
    let answers = futures_util::future::join_all(buyers.iter().map(|sub| shop.order(sub, "k", "mug", 1))).await;
    let placed = answers.iter().filter(|answer| answer.status == 201).count();
    let sold_out = answers.iter().filter(|answer| answer.slug() == "out-of-stock").count();
    assert_eq!((placed, sold_out), (10, 5), "{answers:?}");
    assert_eq!(shop.available("mug").await, 0);
}

#[tokio::test]
async fn ord_1_a_hundred_retries_of_one_key() {
    let shop = Shop::open("mug", 500).await;
    let answers = futures_util::future::join_all((0..100).map(|_| shop.order("c-1", "k", "mug", 1))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1, "{:?}", answers[0]);
    assert!(answers.iter().all(|answer| id(answer) == id(&answers[0])));
    assert_eq!(shop.available("mug").await, 499);
}

#[tokio::test]
async fn ord_1_the_last_unit_and_its_retry_after_sold_out_and_after_a_new_price() {
    let shop = Shop::open("mug", 1).await;
    let mut body = order_of("mug", 1);
    body["lines"][0]["unit_price"] = json!(1999);
    let request = Request::post("/orders", &body).key("k");
    let first = shop.customer("c-1", request.clone()).await;
    assert_eq!(first.status, 201, "{first:?}");
    assert_eq!(shop.order("c-2", "k", "mug", 1).await.slug(), "out-of-stock");
    let again = shop.customer("c-1", request.clone()).await;
    assert_eq!((again.status, id(&again)), (200, id(&first)));
    let dearer = json!({"name": "mug", "category": "all", "price": {"amount": 2999, "currency": "EUR"}});
    assert_eq!(shop.staff(Request::put("/products/mug", &dearer)).await.status, 200);
    let again = shop.customer("c-1", request).await;
    assert_eq!((again.status, id(&again)), (200, id(&first)), "{again:?}");
    // Both refusals would be true until there is stock again, and what was sold out is remembered for a second.
    let receipt = Request::post("/stock/mug/receipts", &json!({"warehouse": "main", "quantity": 1})).key("r-2");
    assert_eq!(shop.staff(receipt).await.status, 201);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let other = Request::post("/orders", &body).key("k-2");
    let refused = shop.customer("c-1", other).await;
    assert_eq!(refused.slug(), "price-changed", "{refused:?}");
}

/// Orders whose payment hangs until they expire: refused by a provider that is down, or authorised with the answer lost.
#[tokio::test]
async fn ord_13_an_unpaid_order_expires_and_its_late_authorisation_is_voided() {
    let shop = Shop::open("mug", 10).await;
    let tenant = TenantId::parse(shop.tenant.clone()).unwrap();
    let customer = CustomerId::parse("c-1").unwrap();
    let mut orders = Vec::new();
    // What is authorised is told by a notice of the provider's, whose message asks as often.
    for (mode, times) in [("refuse", 9), ("drop_after", 18)] {
        let order_id = OrderId::derive(&tenant, &customer, &IdempotencyKey::parse(mode).unwrap()).to_string();
        // Three calls at once, three after 5 s and three after 30 s fail, when the order expires: it cannot be paid
        // before. If its expiry comes first and meets the last of them, it is tried again 5 s later.
        let fault = json!({"path_prefix": "/v1/payment_intents", "key_prefix": order_id, "mode": mode, "times": times});
        let faults = reqwest::Client::new().post(format!("{}/_faults", stack().payment_url)).json(&fault);
        assert!(faults.send().await.unwrap().status().is_success());
        let order = shop.order("c-1", mode, "mug", 3).await;
        assert_eq!(id(&order), order_id);
        orders.push(order_id);
    }
    for order_id in orders {
        shop.becomes("c-1", &order_id, "expired").await;
        let start = Instant::now();
        loop {
            let order = shop.becomes("c-1", &order_id, "expired").await;
            if order["payment"]["status"] == "voided" {
                break;
            }
            assert!(start.elapsed() < PATIENCE, "the late authorisation is not voided: {order}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    assert_eq!(shop.available("mug").await, 10);
}

#[tokio::test]
async fn pay_1_a_paid_order_that_is_cancelled_is_voided() {
    let shop = Shop::open("mug", 5).await;
    let order = shop.order("c-1", "k", "mug", 3).await;
    shop.becomes("c-1", id(&order), "paid").await;
    let path = format!("/orders/{}/cancel", id(&order));
    let cancelled = shop.customer("c-1", Request::post(&path, &json!({}))).await;
    assert_eq!(cancelled.body["state"], "cancelled", "{cancelled:?}");
    assert_eq!(shop.available("mug").await, 5);
    let start = Instant::now();
    while shop.becomes("c-1", id(&order), "cancelled").await["payment"]["status"] != "voided" {
        assert!(start.elapsed() < Duration::from_secs(30), "the authorisation is not voided");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn out_5_a_malformed_message_ends_in_the_dead_letters() {
    let queues = &stack().queues;
    let sqs = Engine::plain_sqs(&stack().sqs_url);
    let shop = Shop::open("mug", 5).await;
    // It says whose it is, so that the shop's staff find it.
    let body = json!({"not": "an event", "type": "nonsense", "data": {"tenant": shop.tenant}}).to_string();
    sqs.send_message().queue_url(&queues["OrderEventsQueue"]).message_body(&body).send().await.unwrap();
    let order = shop.order("c-1", "k", "mug", 1).await;
    shop.becomes("c-1", id(&order), "paid").await;
    let start = Instant::now();
    loop {
        let causes = shop.staff(Request::get("/ops/dead-letters")).await;
        if let Some(cause) = causes.body["groups"].get(0) {
            assert_eq!(cause["fingerprint"], "order-worker.unreadable.nonsense", "{causes:?}");
            let choice = json!({"fingerprint": cause["fingerprint"]});
            let gone = shop.staff(Request::post("/ops/dead-letters/discard", &choice)).await;
            assert_eq!(gone.body["done"], 1, "{gone:?}");
            return;
        }
        assert!(start.elapsed() < PATIENCE, "the message is not in the dead letters");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn sec_2_the_gateway_turns_bad_tokens_away() {
    let shop = Shop::open("mug", 5).await;
    let api = &stack().api_url;
    let request = Request::get("/orders");
    assert_eq!(request.send_to(api, "nonsense").await.status, 401);
    let token = shop.token("c-1", "orders");
    assert_eq!(request.send_to(api, &token[..token.len() - 3]).await.status, 401);
    assert_eq!(request.send_to(api, &shop.token("c-1", "stock")).await.status, 403);
    assert_eq!(request.send_to(api, &token).await.status, 200);
    assert_eq!(Request::get("/openapi.json").send_to(api, "nonsense").await.status, 200, "the description is open");
    assert_eq!(Request::get("/nothing").send_to(api, &token).await.status, 404);
}

/// The provider has no token: its signature is what counts.
#[tokio::test]
async fn pay_1_the_gateway_lets_the_providers_notices_in_by_their_signatures() {
    let api = &stack().api_url;
    let body = json!({"id": "evt_1", "type": "customer.created", "data": {"object": {}}}).to_string();
    let notice = Request::post("/webhooks/stripe", &Value::Null).raw(&body);
    let unsigned = notice.send_to(api, "no token").await;
    assert_eq!((unsigned.status, unsigned.slug()), (400, "invalid-signature"), "{unsigned:?}");
    let signature = signature(WEBHOOK_SECRET, jiff::Timestamp::now().as_second(), body.as_bytes());
    let signed = notice.header("stripe-signature", &signature).send_to(api, "no token").await;
    assert_eq!((signed.status, &signed.body["taken"]), (200, &json!(false)), "{signed:?}");
}

#[tokio::test]
async fn sec_1_another_tenants_order_does_not_exist() {
    let (one, other) = (Shop::open("mug", 5).await, Shop::open("mug", 5).await);
    let order = one.order("c-1", "k", "mug", 1).await;
    let theirs = other.staff(Request::get(&format!("/orders/{}", id(&order)))).await;
    assert_eq!((theirs.status, theirs.slug()), (404, "not-found"));
}

#[tokio::test]
async fn out_6_a_correlation_id_comes_back() {
    let shop = Shop::open("mug", 5).await;
    let request = Request::get("/orders").header("x-correlation-id", "mine-1");
    assert_eq!(shop.customer("c-1", request).await.header("x-correlation-id"), "mine-1");
}
