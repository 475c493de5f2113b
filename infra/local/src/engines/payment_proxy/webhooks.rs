//! Stripe's events: kept for tests, and sent to an endpoint, signed as Stripe signs them.
//! See <https://docs.stripe.com/webhooks#verify-manually>.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;

use super::lock;

/// The events that are kept for tests.
const KEPT_MAX: usize = 20_000;
/// How often an event is sent at most. Stripe goes on for three days.
const ATTEMPTS_MAX: u32 = 5;
/// The pause before the second attempt; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Where events go.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Such as `https://…/webhooks/stripe`.
    pub url: String,
    /// What its signatures are made with.
    pub secret: String,
}

/// An order to send the events of an order that are kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// Which order.
    pub order_id: String,
    /// Where they go.
    #[serde(flatten)]
    pub endpoint: Endpoint,
    /// How often each is sent.
    #[serde(default = "once")]
    pub copies: usize,
    /// Whether the last one goes first.
    #[serde(default)]
    pub reversed: bool,
}

fn once() -> usize {
    1
}

/// The events so far, and where they go by themselves.
#[derive(Default)]
pub struct Webhooks {
    kept: Mutex<VecDeque<(String, Value)>>,
    endpoint: Mutex<Option<Endpoint>>,
}

impl Webhooks {
    /// From here on events go to an endpoint as they happen; or to none.
    pub fn send_to(&self, endpoint: Option<Endpoint>) {
        *lock(&self.endpoint) = endpoint;
    }

    /// The events about an order, oldest first.
    pub fn of_order(&self, order_id: &str) -> Vec<Value> {
        let kept = lock(&self.kept);
        kept.iter().filter(|(order, _)| order == order_id).map(|(_, event)| event.clone()).collect()
    }

    /// Notes that something happened to an object.
    pub fn happened(&self, client: &reqwest::Client, kind: &str, order_id: &str, object: &Value) {
        let id = format!("evt_{}", uuid::Uuid::now_v7().simple());
        let event = json!({
            "id": id, "object": "event", "type": kind, "created": Timestamp::now().as_second(), "livemode": false,
            "data": {"object": object},
        });
        if let Some(endpoint) = lock(&self.endpoint).clone() {
            tokio::spawn(send_until_taken(client.clone(), endpoint, event.clone()));
        }
        let mut kept = lock(&self.kept);
        kept.push_back((order_id.to_owned(), event));
        if kept.len() > KEPT_MAX {
            kept.pop_front();
        }
    }
}

/// A charge of a payment, as events about it carry it.
pub fn charge_of(intent: &Value) -> Value {
    let charge = &intent["latest_charge"];
    json!({
        "object": "charge", "id": charge["id"], "payment_intent": intent["id"], "amount": intent["amount"],
        "amount_captured": charge["amount_captured"], "amount_refunded": charge["amount_refunded"],
        "currency": intent["currency"], "metadata": intent["metadata"],
    })
}

/// Sends the events of an order as they were ordered, one after the other; the statuses of the answers, 0 for none.
pub async fn deliver(client: &reqwest::Client, delivery: &Delivery, mut events: Vec<Value>) -> Vec<u16> {
    if delivery.reversed {
        events.reverse();
    }
    let mut statuses = Vec::new();
    for event in events {
        for _ in 0..delivery.copies {
            statuses.push(send(client, &delivery.endpoint, &event).await);
        }
    }
    statuses
}

async fn send_until_taken(client: reqwest::Client, endpoint: Endpoint, event: Value) {
    let mut pause = FIRST_PAUSE;
    for _ in 0..ATTEMPTS_MAX {
        if (200..300).contains(&send(&client, &endpoint, &event).await) {
            return;
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    tracing::warn!(event = event["id"].as_str(), "an event of the payment provider was not taken");
}

async fn send(client: &reqwest::Client, endpoint: &Endpoint, event: &Value) -> u16 {
    let body = event.to_string();
    let signature = signature(&endpoint.secret, Timestamp::now().as_second(), body.as_bytes());
    let request = client.post(&endpoint.url).header("content-type", "application/json; charset=utf-8");
    let answer = request.header("stripe-signature", signature).body(body).send().await;
    answer.map_or(0, |answer| answer.status().as_u16())
}

/// The header `Stripe-Signature` of a body that is sent at an instant, in seconds since the epoch.
///
/// # Panics
/// Never: HMAC takes keys of any length.
pub fn signature(secret: &str, at: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length (RFC 2104)");
    mac.update(format!("{at}.").as_bytes());
    mac.update(body);
    let digest: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at},v1={digest}")
}
