use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::*;
use crate::engines::ports;

/// An upstream that counts what it did; the body `slow` takes its time, the body `decline` is declined.
async fn upstream() -> (String, Arc<AtomicU32>) {
    let done = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&done);
    let router = Router::new().fallback(async move |body: String| {
        if body == "slow" {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        let number = counted.fetch_add(1, Ordering::SeqCst);
        let status = match body.as_str() {
            "decline" => StatusCode::PAYMENT_REQUIRED,
            "invalid" => StatusCode::BAD_REQUEST,
            _ => StatusCode::OK,
        };
        (status, number.to_string())
    });
    let (listener, address) = ports::listen().await.unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}"), done)
}

async fn call(proxy: &PaymentProxy, key: &str, body: &str) -> reqwest::Result<reqwest::Response> {
    reqwest::Client::new()
        .post(format!("{}/v1/payment_intents", proxy.url()))
        .header("authorization", "Bearer sk_test_1")
        .header("idempotency-key", key)
        .body(body.to_owned())
        .send()
        .await
}

async fn order(proxy: &PaymentProxy, fault: &Value) {
    let ordered = reqwest::Client::new().post(format!("{}/_faults", proxy.url())).json(fault).send().await;
    assert_eq!(ordered.unwrap().status(), 204);
}

#[tokio::test]
async fn a_key_is_done_once_and_repeated() {
    let (url, done) = upstream().await;
    let proxy = PaymentProxy::start(&url).await.unwrap();
    for (key, body, status) in [("k1", "amount=1", 200), ("k2", "decline", 402)] {
        let first = call(&proxy, key, body).await.unwrap();
        assert_eq!(first.status(), status);
        assert!(!first.headers().contains_key("idempotent-replayed"));
        let first = first.text().await.unwrap();
        let again = call(&proxy, key, body).await.unwrap();
        assert_eq!(again.status(), status);
        assert_eq!(again.headers()["idempotent-replayed"], "true");
        assert_eq!(again.text().await.unwrap(), first);
    }
    assert_eq!(done.load(Ordering::SeqCst), 2);
    let other = call(&proxy, "k1", "amount=2").await.unwrap();
    assert_eq!(other.status(), 400);
    assert!(other.text().await.unwrap().contains("idempotency_error"));
}

#[tokio::test]
async fn a_request_that_failed_validation_is_done_again() {
    let (url, done) = upstream().await;
    let proxy = PaymentProxy::start(&url).await.unwrap();
    for _ in 0..2 {
        assert_eq!(call(&proxy, "k", "invalid").await.unwrap().status(), 400);
    }
    assert_eq!(done.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_key_that_is_under_way_conflicts() {
    let (url, _) = upstream().await;
    let proxy = PaymentProxy::start(&url).await.unwrap();
    let (one, other) = tokio::join!(call(&proxy, "k", "slow"), call(&proxy, "k", "slow"));
    let mut statuses = [one.unwrap().status().as_u16(), other.unwrap().status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
}

#[tokio::test]
async fn faults_break_the_connection_before_or_after_the_effect() {
    let (url, done) = upstream().await;
    let proxy = PaymentProxy::start(&url).await.unwrap();
    order(&proxy, &json!({ "path_prefix": "/v1/", "mode": "refuse", "times": 2 })).await;
    for _ in 0..2 {
        assert!(call(&proxy, "k", "a").await.is_err());
    }
    assert_eq!(done.load(Ordering::SeqCst), 0);
    order(&proxy, &json!({ "path_prefix": "/v1/", "mode": "drop_after" })).await;
    assert!(call(&proxy, "k", "a").await.is_err());
    assert_eq!(done.load(Ordering::SeqCst), 1);
    let again = call(&proxy, "k", "a").await.unwrap();
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(done.load(Ordering::SeqCst), 1);
}
