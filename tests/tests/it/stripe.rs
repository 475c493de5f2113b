//! The Stripe client against a provider that fails in every way, in this process.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use holdfast_domain::ids::{CustomerId, IdempotencyKey, OrderId, TenantId};
use holdfast_domain::money::{Currency, Money};
use holdfast_domain::payment::{DeclineCode, PaymentOutcome, PaymentReference};
use holdfast_local::engines::server::Server;
use holdfast_runtime::outside::{BreakerSettings, BreakerState, Settings};
use order_worker::{Authorisation, PaymentError, PaymentGateway, Stripe, VoidRequest};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a provider was asked: its idempotency key and its form.
type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// What the provider answers, next one first; the last one from then on.
#[derive(Clone)]
struct Provider {
    answers: Arc<Mutex<Vec<(u16, Value)>>>,
    asked: Asked,
}

async fn answer(State(provider): State<Provider>, request: Request<Body>) -> Response {
    let key = request.headers().get("idempotency-key").map_or("", |key| key.to_str().unwrap()).to_owned();
    let body = axum::body::to_bytes(request.into_body(), 1 << 16).await.unwrap();
    provider.asked.lock().unwrap().push((key, String::from_utf8(body.to_vec()).unwrap()));
    let (status, body) = {
        let mut answers = provider.answers.lock().unwrap();
        if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() }
    };
    if status == 0 {
        std::future::pending::<()>().await;
    }
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}

fn settings() -> Settings {
    let breaker = BreakerSettings { failures_in_a_row: 4, ..Stripe::settings().breaker };
    Settings {
        pause_min: Duration::from_millis(5),
        call_timeout: Duration::from_millis(300),
        breaker,
        ..Stripe::settings()
    }
}

async fn provider(answers: Vec<(u16, Value)>) -> (Server, Stripe, Asked) {
    let asked = Asked::default();
    let provider = Provider { answers: Arc::new(Mutex::new(answers)), asked: Arc::clone(&asked) };
    let server = Server::start(|_| Ok(Router::new().fallback(answer).with_state(provider))).await.unwrap();
    let stripe = Stripe::with_settings(server.url(), "sk_test_1", settings()).unwrap();
    (server, stripe, asked)
}

fn authorisation() -> Authorisation {
    let tenant = TenantId::parse("acme").unwrap();
    let key = IdempotencyKey::parse("k-1").unwrap();
    Authorisation {
        order: OrderId::derive(&tenant, &CustomerId::parse("c-1").unwrap(), &key),
        tenant,
        attempt: 1,
        amount: Money::new(1_999, Currency::parse("EUR").unwrap()).unwrap(),
        method: serde_json::from_value(json!("pm_card_visa")).unwrap(),
    }
}

fn authorised() -> (u16, Value) {
    let card = json!({"multicapture": {"status": "available"}});
    let intent = json!({
        "id": "pi_1", "status": "requires_capture", "amount": 1999, "amount_capturable": 1999, "currency": "eur",
        "latest_charge": {"payment_method_details": {"card": card}},
    });
    (200, intent)
}

#[tokio::test]
async fn pay_2_an_attempt_is_repeated_with_the_same_key_and_parameters() {
    let (conflict, limited) = (json!({"error": {"code": "idempotency_key_in_use"}}), json!({"error": {}}));
    for failure in [(500, limited.clone()), (409, conflict), (429, limited), (0, Value::Null)] {
        let (_server, stripe, asked) = provider(vec![failure.clone(), failure.clone(), authorised()]).await;
        let outcome = stripe.authorise(&authorisation()).await.unwrap();
        assert_eq!(outcome, PaymentOutcome::Authorised(PaymentReference("pi_1".to_owned())), "{failure:?}");
        let asked = asked.lock().unwrap();
        assert_eq!(asked.len(), 3, "{failure:?}");
        assert!(asked.iter().all(|request| *request == asked[0]), "{asked:?}");
        assert_eq!(asked[0].0, format!("{}-1-authorise", authorisation().order));
        assert!(asked[0].1.contains("amount=1999&currency=eur"), "{asked:?}");
    }
}

#[tokio::test]
async fn pay_4_an_open_breaker_is_no_outcome_and_no_call() {
    let (_server, stripe, asked) = provider(vec![(503, Value::Null)]).await;
    for _ in 0..5 {
        let error = stripe.authorise(&authorisation()).await.unwrap_err();
        assert!(matches!(error, PaymentError::NoOutcome(_)), "{error}");
    }
    assert_eq!((stripe.dependency().state(), asked.lock().unwrap().len()), (BreakerState::Open, 4));
    let Authorisation { order, attempt, amount, .. } = authorisation();
    let void = VoidRequest { order, attempt, reference: PaymentReference("pi_1".to_owned()), amount };
    let error = stripe.void(&void).await.unwrap_err();
    assert!(matches!(&error, PaymentError::NoOutcome(why) if why.contains("come back in 5 s")), "{error}");
    assert_eq!(asked.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn pay_4_declines_and_our_mistakes_are_answers() {
    let declined = (402, json!({"error": {"type": "card_error", "decline_code": "insufficient_funds"}}));
    let rejected = (401, json!({"error": {"type": "invalid_request_error"}}));
    let (_server, stripe, asked) = provider(vec![declined.clone(), declined.clone(), declined, rejected]).await;
    for _ in 0..3 {
        let outcome = stripe.authorise(&authorisation()).await.unwrap();
        assert_eq!(outcome, PaymentOutcome::Declined(DeclineCode("insufficient_funds".to_owned())));
    }
    for _ in 0..10 {
        let error = stripe.authorise(&authorisation()).await.unwrap_err();
        assert!(matches!(error, PaymentError::Rejected(_)), "{error}");
    }
    assert_eq!((stripe.dependency().state(), asked.lock().unwrap().len()), (BreakerState::Closed, 13));
}
