//! A payment provider that keeps its books in memory: an attempt has one outcome, however often it is asked for.

use super::engine::Answer;
use super::switchboard::Switchboard;
use async_trait::async_trait;
use holdfast_domain::ids::OrderId;
use holdfast_domain::payment::{AttemptNumber, Capture, DeclineCode, PaymentOutcome, PaymentReference};
use order_worker::{
    Authorisation, CaptureOutcome, PaymentError, PaymentGateway, RefundOutcome, RefundRequest, Standing, VoidOutcome,
    VoidRequest,
};
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

/// The provider's books.
#[derive(Debug, Default)]
pub struct Ledger {
    /// By order and attempt.
    attempts: BTreeMap<(String, u64), Entry>,
    /// Captures and refunds, by order and the provider's idempotency key, with their amounts.
    moved: BTreeMap<(String, String), i64>,
}

impl Ledger {
    /// Applies a call.
    pub fn apply(&mut self, operation: &str, body: &Value) -> Answer {
        let order = body["order"].as_str().unwrap_or_default().to_owned();
        let key = (order.clone(), body["attempt"].as_u64().unwrap_or_default());
        match operation {
            "Void" => drop(self.attempts.insert(key, Entry::Voided)),
            "Capture" | "Refund" => {
                let name = format!("{operation} {}", body["name"].as_str().unwrap_or_default());
                self.moved.entry((order, name)).or_insert(body["amount"].as_i64().unwrap_or_default());
            }
            _ => {
                let first = if body["method"] == DECLINED { Entry::Declined } else { Entry::Authorised };
                if *self.attempts.entry(key).or_insert(first) == Entry::Declined {
                    return (200, "declined".to_owned());
                }
            }
        }
        (200, String::new())
    }

    /// What was done for an order.
    pub fn of_order(&self, order: &str) -> Vec<Entry> {
        self.attempts.iter().filter(|((of, _), _)| of == order).map(|(_, entry)| *entry).collect()
    }

    /// What was captured and what was refunded for an order, in minor units.
    pub fn moved(&self, order: &str) -> (i64, i64) {
        let sum = |operation: &str| {
            let moves = self.moved.iter().filter(|((of, name), _)| of == order && name.starts_with(operation));
            moves.map(|(_, amount)| amount).sum()
        };
        (sum("Capture"), sum("Refund"))
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

    async fn void(&self, request: &VoidRequest) -> Result<VoidOutcome, PaymentError> {
        let (order, attempt) = (request.order, request.attempt);
        let body = json!({"order": order.to_string(), "attempt": attempt});
        self.call("Void", order, attempt, body).await.map(|_| VoidOutcome::Voided)
    }

    async fn standing(&self, _: &PaymentReference) -> Result<Standing, PaymentError> {
        Ok(Standing::Holds)
    }

    async fn capture(&self, order: OrderId, capture: &Capture) -> Result<CaptureOutcome, PaymentError> {
        let name = format!("{:?}", capture.cause);
        let body = json!({"order": order.to_string(), "name": name, "amount": capture.amount.amount()});
        self.call("Capture", order, 1, body).await.map(|_| CaptureOutcome::Captured)
    }

    async fn refund(&self, request: &RefundRequest) -> Result<RefundOutcome, PaymentError> {
        let name = request.number.to_string();
        let body = json!({"order": request.order.to_string(), "name": name, "amount": request.amount.amount()});
        self.call("Refund", request.order, 1, body).await.map(|_| RefundOutcome::Refunded(format!("re_{name}")))
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
