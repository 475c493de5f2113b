use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::*;
use crate::engines::payment_proxy::form::Form;
use crate::engines::ports;
use serde_json::json;

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
        .post(format!("{}/v1/charges", proxy.url()))
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

/// The books of a payment of 100 cents.
fn books(captured_once: bool) -> Books {
    let books = Books::default();
    books.open(&json!({"id": "pi_1", "amount": 100, "metadata": {"order_id": "o-1"}}), captured_once);
    books
}

fn code(refused: &Answer) -> String {
    let body: Value = serde_json::from_slice(&refused.body).unwrap();
    let error = &body["error"];
    error["code"].as_str().or(error["param"].as_str()).unwrap_or_default().to_owned()
}

/// Whether the capture was the last one, or the code of its refusal.
fn captured(books: &Books, form: &str) -> Result<bool, String> {
    let captured = books.capture("pi_1", &Form::of(form.as_bytes())).unwrap();
    captured.map(|captured| captured.is_final).map_err(|refused| code(&refused))
}

fn refunded(books: &Books, amount: i64) -> Result<i64, String> {
    let form = Form::of(format!("payment_intent=pi_1&amount={amount}").as_bytes());
    books.refund("pi_1", &form).unwrap().map_err(|refused| code(&refused))
}

#[test]
fn a_payment_is_captured_in_parts_up_to_its_amount_and_given_back_up_to_what_was_captured() {
    let books = books(false);
    assert_eq!(refunded(&books, 1), Err("amount".to_owned()));
    assert_eq!(captured(&books, "amount_to_capture=30&final_capture=false"), Ok(false));
    assert_eq!(captured(&books, "amount_to_capture=71&final_capture=false"), Err("amount_too_large".to_owned()));
    let mut shown = json!({"id": "pi_1", "status": "requires_capture", "latest_charge": {"id": "ch_1"}});
    books.show(&mut shown);
    assert_eq!((&shown["amount_received"], &shown["amount_capturable"]), (&json!(30), &json!(70)));
    assert_eq!(captured(&books, "amount_to_capture=50"), Ok(true));
    assert_eq!(captured(&books, "amount_to_capture=1"), Err("payment_intent_unexpected_state".to_owned()));
    assert_eq!((refunded(&books, 60), refunded(&books, 21)), (Ok(60), Err("amount".to_owned())));
    assert_eq!((refunded(&books, 20), refunded(&books, 1)), (Ok(20), Err("charge_already_refunded".to_owned())));
}

#[test]
fn what_may_be_captured_once_or_has_expired_is_refused() {
    let once = books(true);
    assert_eq!(captured(&once, "amount_to_capture=30&final_capture=false"), Err("final_capture".to_owned()));
    assert_eq!(captured(&once, "amount_to_capture=30"), Ok(true));
    let expired = books(false);
    expired.expire("pi_1");
    assert_eq!(captured(&expired, "amount_to_capture=30"), Err("charge_expired_for_capture".to_owned()));
    assert_eq!((expired.of_order("o-1").len(), expired.of_order("o-2").len()), (1, 0));
}

#[test]
fn a_form_that_is_read_and_written_is_the_same() {
    let mut form = Form::of(b"amount=1&metadata%5Border_id%5D=a+b&expand%5B%5D=latest_charge");
    assert_eq!((form.number("amount"), form.get("metadata[order_id]"), form.get("nothing")), (Some(1), "a b", ""));
    form.replace("amount", "2");
    assert_eq!(form.body(), b"amount=2&metadata%5Border_id%5D=a+b&expand%5B%5D=latest_charge");
}

/// An upstream whose payments all have one name; `declined` it declines.
async fn one_payment() -> String {
    let router = Router::new().fallback(async |body: String| match body.contains("declined") {
        true => (StatusCode::PAYMENT_REQUIRED, Json(json!({"error": {"charge": "ch_1"}}))),
        false => {
            (StatusCode::OK, Json(json!({"object": "payment_intent", "id": "pi_1", "status": "requires_capture"})))
        }
    });
    let (listener, address) = ports::listen().await.unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

#[tokio::test]
async fn payments_are_searched_by_their_order() {
    let proxy = PaymentProxy::start(&one_payment().await).await.unwrap();
    let client = reqwest::Client::new();
    let intents = format!("{}/v1/payment_intents", proxy.url());
    for (order, method) in [("a", "pm_card_visa"), ("a", "declined"), ("b", "pm_card_visa")] {
        let form = [("amount", "5"), ("currency", "eur"), ("metadata[order_id]", order), ("payment_method", method)];
        client.post(&intents).form(&form).send().await.unwrap();
    }
    let search = async |query: &str| client.get(format!("{intents}/search?query={query}")).send().await.unwrap();
    for (order, expected) in [("a", vec!["pi_1", "pi_of_ch_1"]), ("b", vec!["pi_1"]), ("c", vec![])] {
        let found: Value = search(&format!("metadata[%22order_id%22]:%22{order}%22")).await.json().await.unwrap();
        let ids: Vec<_> =
            found["data"].as_array().unwrap().iter().map(|intent| intent["id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{order}");
    }
    assert_eq!(search("status:%22succeeded%22").await.status(), 400);
}
