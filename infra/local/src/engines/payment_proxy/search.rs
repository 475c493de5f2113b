//! The payments of an order, by Stripe's search (<https://docs.stripe.com/api/payment_intents/search>). Localstripe has
//! none: it lists all it has, which takes the longer the more tests share it.

use std::collections::HashMap;
use std::sync::Mutex;

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::books::{name, refusal};
use super::form::Form;
use super::payments::{INTENTS, plain};
use super::{Answer, Shared, lock};

/// What was tried for each order.
#[derive(Default)]
pub struct Tried(Mutex<HashMap<String, Vec<Payment>>>);

#[derive(Clone)]
enum Payment {
    /// Localstripe has it, by this name.
    Made(String),
    /// Localstripe declined it, and does not tell its name.
    Declined(Value),
}

impl Tried {
    /// Notes what an authorisation came to.
    pub fn note(&self, form: &Form, answer: &Answer) {
        let order_id = form.get("metadata[order_id]").to_owned();
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let payment = match answer.status {
            StatusCode::PAYMENT_REQUIRED => Payment::Declined(json!({
                "object": "payment_intent", "id": format!("pi_of_{}", said["error"]["charge"].as_str().unwrap_or_default()),
                "status": "requires_payment_method", "amount": form.number("amount"), "currency": form.get("currency"),
                "metadata": {"order_id": order_id},
            })),
            status if status.is_success() => Payment::Made(name(&said)),
            _ => return,
        };
        lock(&self.0).entry(order_id).or_default().push(payment);
    }

    fn of(&self, order_id: &str) -> Vec<Payment> {
        lock(&self.0).get(order_id).cloned().unwrap_or_default()
    }
}

impl Shared {
    /// The payments of the order that the query asks for: `metadata["order_id"]:"…"` alone.
    pub(super) async fn search(&self, head: &Parts) -> Answer {
        let query = Form::of(head.uri.query().unwrap_or_default().as_bytes());
        let wanted =
            query.get("query").strip_prefix("metadata[\"order_id\"]:\"").and_then(|rest| rest.strip_suffix('"'));
        let Some(order_id) = wanted else {
            return refusal("parameter_unknown", "query", "This provider searches by metadata[\"order_id\"] alone.");
        };
        let mut data = Vec::new();
        for payment in self.tried.of(order_id) {
            match payment {
                Payment::Declined(intent) => data.push(intent),
                Payment::Made(id) => {
                    let path = format!("{INTENTS}/{id}");
                    let answer = self.pass_on(Method::GET, &path, &plain(&head.headers), Bytes::new()).await;
                    data.extend(self.shown(answer).success());
                }
            }
        }
        let found = json!({"object": "search_result", "url": head.uri.path(), "has_more": false, "data": data});
        Answer::json(StatusCode::OK, &found)
    }
}
