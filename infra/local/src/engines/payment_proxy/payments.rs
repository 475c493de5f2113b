//! Payments and refunds: what is passed on to localstripe, and what is done here.

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::Value;

use super::books::name;
use super::form::Form;
use super::webhooks::charge_of;
use super::{Answer, Shared, declines, path_of};
use crate::engines::faults::{Fault, FaultMode};

pub(super) const INTENTS: &str = "/v1/payment_intents";

impl Shared {
    /// Does what a request asks for.
    pub(super) async fn perform(&self, head: &Parts, body: Bytes, fault: Option<&Fault>) -> Answer {
        let mut form = Form::of(&body);
        if let Some(fault) = fault.filter(|fault| fault.mode == FaultMode::Tamper) {
            for name in ["amount", "amount_to_capture"] {
                form.replace(name, &fault.amount.to_string());
            }
        }
        let segments: Vec<_> = head.uri.path().trim_start_matches('/').split('/').collect();
        let headers = &head.headers;
        match (&head.method, &segments[..]) {
            (&Method::POST, ["v1", "payment_intents"]) => {
                let captured_once = fault.is_some_and(|fault| fault.mode == FaultMode::CapturedOnce);
                self.authorise(headers, form, captured_once).await
            }
            (&Method::POST, ["v1", "payment_intents", id, "capture"]) => {
                let answer = self.capture(headers, id, &form).await;
                match answer {
                    Some(answer) => answer,
                    None => self.pass_on(Method::POST, &path_of(head), headers, body).await,
                }
            }
            (&Method::POST, ["v1", "payment_intents", _, "cancel"]) => {
                let answer = self.pass_on(Method::POST, &path_of(head), headers, body).await;
                let answer = self.shown(answer);
                if let Some(intent) = answer.success() {
                    self.happened("payment_intent.canceled", &intent, &intent);
                }
                answer
            }
            (&Method::GET, ["v1", "payment_intents", "search"]) => self.search(head).await,
            (&Method::POST, ["v1", "refunds"]) => self.refund(headers, form).await,
            _ => self.shown(self.pass_on(head.method.clone(), &path_of(head), headers, body).await),
        }
    }

    async fn authorise(&self, headers: &HeaderMap, mut form: Form, captured_once: bool) -> Answer {
        let reason = declines::reason(form.get("payment_method"));
        if reason.is_some() {
            form.replace("payment_method", declines::DECLINED_UPSTREAM);
        }
        let answer = self.pass_on(Method::POST, INTENTS, headers, Bytes::from(form.body())).await;
        self.tried.note(&form, &answer);
        let Some(mut intent) = answer.success() else {
            let upstream: Option<Value> = serde_json::from_slice(&answer.body).ok();
            return match (reason, upstream) {
                (Some(reason), Some(upstream)) if answer.status == StatusCode::PAYMENT_REQUIRED => {
                    Answer::json(answer.status, &declines::error(&upstream, reason))
                }
                _ => answer,
            };
        };
        if intent["status"] == "requires_capture" {
            self.books.open(&intent, captured_once);
            self.books.show(&mut intent);
            self.happened("payment_intent.amount_capturable_updated", &intent, &intent);
        }
        Answer::json(answer.status, &intent)
    }

    /// Captures a payment that has a book. Localstripe hears of the last capture only, and of the whole amount: it takes
    /// what is left for a refund otherwise.
    async fn capture(&self, headers: &HeaderMap, id: &str, form: &Form) -> Option<Answer> {
        let captured = match self.books.capture(id, form)? {
            Ok(captured) => captured,
            Err(refused) => return Some(refused),
        };
        let path = format!("{INTENTS}/{id}");
        let is_final = captured.is_final;
        let answer = match is_final {
            true => self.pass_on(Method::POST, &format!("{path}/capture"), &plain(headers), Bytes::new()).await,
            false => self.pass_on(Method::GET, &path, &plain(headers), Bytes::new()).await,
        };
        let answer = self.shown(answer);
        match answer.success() {
            None => self.books.undo(id, captured),
            Some(intent) => {
                self.happened("charge.captured", &intent, &charge_of(&intent));
                if is_final {
                    self.happened("payment_intent.succeeded", &intent, &intent);
                }
            }
        }
        Some(answer)
    }

    async fn refund(&self, headers: &HeaderMap, form: Form) -> Answer {
        let id = form.get("payment_intent").to_owned();
        let entered = match self.books.refund(&id, &form) {
            Some(Err(refused)) => return refused,
            Some(Ok(amount)) => Some(amount),
            None => None,
        };
        let answer = self.pass_on(Method::POST, "/v1/refunds", headers, Bytes::from(form.body())).await;
        if answer.success().is_none() {
            if let Some(amount) = entered {
                self.books.undo_refund(&id, amount);
            }
            return answer;
        }
        let intent = self.pass_on(Method::GET, &format!("{INTENTS}/{id}"), &plain(headers), Bytes::new()).await;
        if let Some(intent) = self.shown(intent).success() {
            self.happened("charge.refunded", &intent, &charge_of(&intent));
        }
        answer
    }

    /// Cancels a payment whose authorisation expired, as Stripe does when it notices.
    pub(super) async fn lapse(&self, id: &str, headers: &HeaderMap) {
        let path = format!("{INTENTS}/{id}/cancel");
        let answer = self.shown(self.pass_on(Method::POST, &path, &plain(headers), Bytes::new()).await);
        if let Some(intent) = answer.success() {
            self.happened("charge.expired", &intent, &charge_of(&intent));
            self.happened("payment_intent.canceled", &intent, &intent);
        }
    }

    /// An answer of localstripe's with what the books say, be it about one payment or a list of them.
    pub(super) fn shown(&self, answer: Answer) -> Answer {
        let Some(mut body) = answer.success() else { return answer };
        if body["object"] == "payment_intent" {
            self.books.show(&mut body);
        } else if body["object"] == "list" && body["data"][0]["object"] == "payment_intent" {
            body["data"].as_array_mut().into_iter().flatten().for_each(|intent| self.books.show(intent));
        } else {
            return answer;
        }
        Answer::json(answer.status, &body)
    }

    fn happened(&self, kind: &str, intent: &Value, object: &Value) {
        let order_id = intent["metadata"]["order_id"].as_str().unwrap_or_default();
        if !name(intent).is_empty() {
            self.webhooks.happened(&self.client, kind, order_id, object);
        }
    }
}

/// The headers of a request of the proxy's own: it calls with the caller's API key, or with any.
pub(super) fn plain(headers: &HeaderMap) -> HeaderMap {
    let key = headers.get(header::AUTHORIZATION).cloned();
    let key = key.unwrap_or(HeaderValue::from_static("Bearer sk_test_proxy"));
    HeaderMap::from_iter([(header::AUTHORIZATION, key)])
}
