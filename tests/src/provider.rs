//! The payment provider as a test sees it: what it holds, what it is told to do wrong, and its notices.

use crate::endpoints::stack;
use crate::requests::{Answer, Request};
use axum::Router;
use holdfast_local::demo::payments::{self, Payment};
use holdfast_local::engines::payment_proxy::webhooks::signature;
use serde_json::{Value, json};

/// The secret of the endpoint that tests' notices are signed for.
pub const WEBHOOK_SECRET: &str = "whsec_tests";

/// What the provider holds for an order.
pub async fn payments_of(order_id: &str) -> Vec<Payment> {
    let found = payments::of_order(&reqwest::Client::new(), &stack().payment_url, order_id).await;
    found.expect("the provider answers")
}

/// What the provider captured and gave back for an order, in cents.
pub async fn moved(order_id: &str) -> (i64, i64) {
    let payments = payments_of(order_id).await;
    let captured = payments.iter().map(|payment| payment.amount_received).sum();
    (captured, payments.iter().map(Payment::amount_refunded).sum())
}

/// Orders a fault for the next request of an order whose path ends like this: see `infra/local`'s payment proxy.
pub async fn fault(order_id: &str, path_suffix: &str, mode: &str, more: Value) {
    let mut fault = json!({"path_prefix": "/v1/", "path_suffix": path_suffix, "key_prefix": order_id, "mode": mode});
    let more = more.as_object().cloned().unwrap_or_default();
    fault.as_object_mut().expect("a fault is an object").extend(more);
    control("_faults", &fault).await;
}

/// Lets the authorisation of an order expire; if that is noticed, the provider cancels the payment.
pub async fn expire(order_id: &str, noticed: bool) {
    control("_expire", &json!({"order_id": order_id, "noticed": noticed})).await;
}

/// Lets the provider forget the idempotency keys of an order, as it does after a day.
pub async fn forget_keys(order_id: &str) {
    control("_forget", &json!({"key_prefix": order_id})).await;
}

async fn control(path: &str, body: &Value) {
    let url = format!("{}/{path}", stack().payment_url);
    let answer = reqwest::Client::new().post(url).json(body).send().await.expect("the provider answers");
    assert!(answer.status().is_success(), "{body}: {}", answer.status());
}

/// The notices about an order so far, oldest first.
pub async fn notices_of(order_id: &str) -> Vec<Value> {
    let url = format!("{}/_webhooks/{order_id}", stack().payment_url);
    let answer = reqwest::Client::new().get(url).send().await.expect("the provider answers");
    answer.json().await.expect("the provider speaks JSON")
}

/// The request with which the provider sends a notice that it signs at an instant, in seconds since the epoch.
pub fn notice(body: &str, at: i64) -> Request {
    let signature = signature(WEBHOOK_SECRET, at, body.as_bytes());
    Request::post("/webhooks/stripe", &Value::Null).raw(body).header("stripe-signature", &signature)
}

/// Sends notices to a router of the `payment-webhooks` function, in this order.
pub async fn send(router: &Router, notices: &[Value], at: i64) -> Vec<Answer> {
    let mut answers = Vec::new();
    for event in notices {
        answers.push(notice(&event.to_string(), at).send(router, None).await);
    }
    answers
}
