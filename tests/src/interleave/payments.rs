//! A payment provider that keeps its books in memory: an attempt has one outcome, however often it is asked for.

use super::engine::Answer;
use super::switchboard::Switchboard;
use async_trait::async_trait;
use holdfast_domain::ids::OrderId;
use holdfast_domain::payment::{AttemptNumber, DeclineCode, PaymentOutcome, PaymentReference};
use order_worker::{Authorisation, PaymentError, PaymentGateway};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A means of payment that is always declined, as Stripe names it for tests.
pub const DECLINED: &str = "pm_card_chargeDeclined";

/// What the provider did for an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Set the amount aside.
    Authorised,
    /// Said no.
    Declined,
    /// Let the amount go again.
    Voided,
}

/// The provider's books, by order and attempt.
#[derive(Debug, Default)]
pub struct Ledger(BTreeMap<(String, u64), Entry>);

impl Ledger {
    /// Applies a call.
    pub fn apply(&mut self, operation: &str, body: &Value) -> Answer {
        let key = (body["order"].as_str().unwrap_or_default().to_owned(), body["attempt"].as_u64().unwrap_or_default());
        match operation {
            "Void" => drop(self.0.insert(key, Entry::Voided)),
            _ => {
                let first = if body["method"] == DECLINED { Entry::Declined } else { Entry::Authorised };
                if *self.0.entry(key).or_insert(first) == Entry::Declined {
                    return (200, "declined".to_owned());
                }
            }
        }
        (200, String::new())
    }

    /// What was done for an order.
    pub fn of_order(&self, order: &str) -> Vec<Entry> {
        self.0.iter().filter(|((of, _), _)| of == order).map(|(_, entry)| *entry).collect()
    }
}

/// The provider as the worker sees it.
pub struct Provider(pub Arc<Switchboard>);

#[async_trait]
impl PaymentGateway for Provider {
    async fn authorise(&self, request: &Authorisation) -> Result<PaymentOutcome, PaymentError> {
        let order = request.order.to_string();
        let body = json!({"order": order, "attempt": request.attempt, "method": request.method.as_str()});
        let answer = self.call("Authorise", request.order, request.attempt, body).await?;
        Ok(match answer.as_str() {
            "" => PaymentOutcome::Authorised(PaymentReference(format!("{order}/{}", request.attempt))),
            code => PaymentOutcome::Declined(DeclineCode(code.to_owned())),
        })
    }

    async fn void(&self, order: OrderId, attempt: AttemptNumber, _: &PaymentReference) -> Result<(), PaymentError> {
        let body = json!({"order": order.to_string(), "attempt": attempt});
        self.call("Void", order, attempt, body).await.map(drop)
    }
}

impl Provider {
    async fn call(
        &self,
        operation: &str,
        order: OrderId,
        attempt: AttemptNumber,
        body: Value,
    ) -> Result<String, PaymentError> {
        let call = self.0.call(operation.to_owned(), format!("{operation} {order}/{attempt}"), body);
        // The real adapter gives up, too.
        let answer = tokio::time::timeout(std::time::Duration::from_secs(3), call).await;
        match answer {
            Ok((200, body)) => Ok(body),
            Ok((_, body)) => Err(PaymentError::NoOutcome(body)),
            Err(_) => Err(PaymentError::NoOutcome("timed out".to_owned())),
        }
    }
}
