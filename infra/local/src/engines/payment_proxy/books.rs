//! What was captured and given back of each payment: localstripe captures a payment once and whole, and gives back
//! whatever it is asked to.

use std::collections::HashMap;
use std::sync::Mutex;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::form::Form;
use super::{Answer, lock};

/// The books of all payments, by the provider's names of them.
#[derive(Default)]
pub struct Books(Mutex<HashMap<String, Book>>);

/// What became of the money of a payment.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// For which order.
    pub order_id: String,
    amount: i64,
    received: i64,
    refunded: i64,
    /// Whether the last capture was made.
    is_final: bool,
    captured_once: bool,
    /// Whether the authorisation has expired: Stripe may not have noticed.
    expired: bool,
}

/// A capture that was entered.
pub struct Captured {
    /// Whether nothing more will be captured.
    pub is_final: bool,
    before: Book,
}

impl Books {
    /// Opens the book of a payment that was authorised.
    pub fn open(&self, intent: &Value, captured_once: bool) {
        let order_id = intent["metadata"]["order_id"].as_str().unwrap_or_default().to_owned();
        let amount = intent["amount"].as_i64().unwrap_or_default();
        let book = Book { order_id, amount, captured_once, ..Book::default() };
        lock(&self.0).insert(name(intent), book);
    }

    /// The names of the payments of an order.
    pub fn of_order(&self, order_id: &str) -> Vec<String> {
        let books = lock(&self.0);
        books.iter().filter(|(_, book)| book.order_id == order_id).map(|(id, _)| id.clone()).collect()
    }

    /// Notes that an authorisation has expired.
    pub fn expire(&self, id: &str) {
        if let Some(book) = lock(&self.0).get_mut(id) {
            book.expired = true;
        }
    }

    /// Enters a capture, if there is as much to capture. None when the payment has no book.
    ///
    /// # Errors
    /// Stripe's answer when there is not.
    pub fn capture(&self, id: &str, form: &Form) -> Option<Result<Captured, Answer>> {
        let mut books = lock(&self.0);
        let book = books.get_mut(id)?;
        let left = book.amount - book.received;
        let amount = form.number("amount_to_capture").unwrap_or(left);
        let is_final = form.get("final_capture") != "false";
        let refused = match () {
            () if book.expired => refusal("charge_expired_for_capture", "", "The charge has expired."),
            () if book.is_final => {
                refusal("payment_intent_unexpected_state", "", "This PaymentIntent could not be captured.")
            }
            () if book.captured_once && !is_final => refusal("", "final_capture", "Multicapture is not available."),
            () if amount < 1 || amount > left => {
                refusal("amount_too_large", "amount_to_capture", "The amount is greater than what is capturable.")
            }
            () => {
                let before = book.clone();
                book.received += amount;
                book.is_final = is_final || book.received == book.amount;
                return Some(Ok(Captured { is_final: book.is_final, before }));
            }
        };
        Some(Err(refused))
    }

    /// Takes a capture back that upstream did not make.
    pub fn undo(&self, id: &str, captured: Captured) {
        lock(&self.0).insert(id.to_owned(), captured.before);
    }

    /// Enters a refund, if there is as much to give back. None when the payment has no book.
    ///
    /// # Errors
    /// Stripe's answer when there is not.
    pub fn refund(&self, id: &str, form: &Form) -> Option<Result<i64, Answer>> {
        let mut books = lock(&self.0);
        let book = books.get_mut(id)?;
        let left = book.received - book.refunded;
        let amount = form.number("amount").unwrap_or(left);
        if left == 0 && book.received > 0 {
            return Some(Err(refusal("charge_already_refunded", "", "The charge has already been refunded.")));
        }
        if amount < 1 || amount > left {
            let message = "Refund amount is greater than unrefunded amount on charge.";
            return Some(Err(refusal("", "amount", message)));
        }
        book.refunded += amount;
        Some(Ok(amount))
    }

    /// Takes a refund back that upstream did not make.
    pub fn undo_refund(&self, id: &str, amount: i64) {
        if let Some(book) = lock(&self.0).get_mut(id) {
            book.refunded -= amount;
        }
    }

    /// Enters into a payment, as localstripe shows it, what its book says.
    pub fn show(&self, intent: &mut Value) {
        let Some(book) = lock(&self.0).get(&name(intent)).cloned() else { return };
        let is_open = intent["status"] == "requires_capture";
        let capturable = if is_open { book.amount - book.received } else { 0 };
        intent["amount_received"] = book.received.into();
        intent["amount_capturable"] = capturable.into();
        if intent["status"] == "canceled" {
            let reason = if book.expired { json!("automatic") } else { Value::Null };
            intent["cancellation_reason"] = reason;
        }
        if intent["latest_charge"].is_object() {
            let status = if book.captured_once { "unavailable" } else { "available" };
            let charge = &mut intent["latest_charge"];
            charge["amount_captured"] = book.received.into();
            charge["amount_refunded"] = book.refunded.into();
            charge["captured"] = (book.received > 0).into();
            charge["payment_method_details"] = json!({"card": {"multicapture": {"status": status}}});
        }
    }
}

/// The provider's name of an object.
pub fn name(object: &Value) -> String {
    object["id"].as_str().unwrap_or_default().to_owned()
}

/// Stripe's answer to what cannot be done.
pub fn refusal(code: &str, param: &str, message: &str) -> Answer {
    let mut error = json!({"type": "invalid_request_error", "message": message});
    for (name, value) in [("code", code), ("param", param)] {
        if !value.is_empty() {
            error[name] = value.into();
        }
    }
    Answer::json(StatusCode::BAD_REQUEST, &json!({ "error": error }))
}
