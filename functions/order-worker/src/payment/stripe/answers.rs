//! What Stripe answers, as far as it matters here.

use crate::payment::amount::amount;
use crate::payment::{CaptureOutcome, PaymentError};
use holdfast_domain::money::Money;
use holdfast_domain::payment::DeclineCode;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A payment (<https://docs.stripe.com/api/payment_intents/object>).
#[derive(Debug, Deserialize)]
pub struct PaymentIntent {
    pub id: String,
    pub status: String,
    amount: i64,
    currency: String,
    #[serde(default)]
    amount_capturable: i64,
    #[serde(default)]
    amount_received: i64,
    pub last_payment_error: Option<ApiError>,
    cancellation_reason: Option<String>,
    /// The charge, if it was asked for; otherwise its name.
    #[serde(default)]
    latest_charge: Value,
}

impl PaymentIntent {
    /// Whether exactly this is set aside.
    pub fn holds(&self, money: Money) -> bool {
        let asked = amount(money);
        Some(self.amount) == asked && Some(self.amount_capturable) == asked && self.is_in(money)
    }

    /// Whether this, neither more nor less, was captured in all.
    pub fn received(&self, money: Money) -> bool {
        Some(self.amount_received) == amount(money) && self.is_in(money)
    }

    /// Whether nothing more can be captured.
    pub fn is_exhausted(&self) -> bool {
        self.amount_capturable == 0
    }

    /// Whether it can be captured only once: Stripe says whether several times are possible once it is authorised
    /// (<https://docs.stripe.com/payments/multicapture>).
    pub fn is_captured_once(&self) -> bool {
        self.latest_charge["payment_method_details"]["card"]["multicapture"]["status"] != "available"
    }

    /// Why nothing is set aside any more, if that is so.
    pub fn lapsed(&self) -> Option<DeclineCode> {
        let by_time = matches!(self.cancellation_reason.as_deref(), Some("automatic" | "expired"));
        let code = if by_time { "authorisation_expired" } else { "authorisation_cancelled" };
        (self.status == "canceled").then(|| DeclineCode(code.to_owned()))
    }

    /// That it is not as it should be.
    pub fn differs(&self, what: &str) -> PaymentError {
        let (id, currency, amount, received) = (&self.id, &self.currency, self.amount, self.amount_received);
        PaymentError::Differs(format!(
            "{what}: {id} is {}, of {amount} {currency}, {received} captured and {} to be captured",
            self.status, self.amount_capturable
        ))
    }

    fn is_in(&self, money: Money) -> bool {
        self.currency.eq_ignore_ascii_case(money.currency().code())
    }
}

/// A refund (<https://docs.stripe.com/api/refunds/object>).
#[derive(Debug, Deserialize)]
pub struct Refund {
    pub id: String,
    pub status: Option<String>,
    pub failure_reason: Option<String>,
    amount: i64,
    currency: String,
    payment_intent: Option<String>,
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

impl Refund {
    /// Whether it gives exactly this back, of this payment.
    pub fn is_of(&self, money: Money, payment: &str) -> bool {
        let is_same = Some(self.amount) == amount(money) && self.payment_intent.as_deref() == Some(payment);
        is_same && self.currency.eq_ignore_ascii_case(money.currency().code())
    }

    /// That it is not what it should be.
    pub fn differs(&self) -> PaymentError {
        PaymentError::Differs(format!("refund {} gives {} {} back", self.id, self.amount, self.currency))
    }
}

/// A page of a list.
#[derive(Debug, Deserialize)]
pub struct Page<T> {
    pub data: Vec<T>,
    pub has_more: bool,
}

#[derive(Debug, Deserialize)]
pub struct ErrorBody {
    pub error: ApiError,
}

/// An error (<https://docs.stripe.com/api/errors>).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ApiError {
    #[serde(rename = "type")]
    pub kind: String,
    pub code: Option<String>,
    decline_code: Option<String>,
    param: Option<String>,
}

impl ApiError {
    /// The most telling of the codes, for the order's history.
    pub fn reason(self) -> DeclineCode {
        DeclineCode(self.decline_code.or(self.code).unwrap_or_else(|| "declined".to_owned()))
    }

    /// Whether this is about the buyer's means or amount, so that the attempt has definitely failed. Anything else that
    /// Stripe does not accept is a mistake of ours, which must not end orders.
    pub fn is_about_the_payment(&self, status: StatusCode) -> bool {
        let code = self.code.as_deref().unwrap_or_default();
        let named = matches!(code, "amount_too_small" | "amount_too_large") || code.starts_with("payment_method_");
        // Nothing else that an attempt names can be missing.
        let missing = status == StatusCode::NOT_FOUND || self.param.as_deref() == Some("payment_method");
        self.kind != "idempotency_error" && (named || missing)
    }

    /// The reason, if this is about a charge that cannot be captured or given back any more
    /// (<https://docs.stripe.com/error-codes>).
    pub fn about_the_charge(self, status: StatusCode) -> Result<DeclineCode, Self> {
        if self.kind == "idempotency_error" {
            return Err(self);
        }
        let named = match (self.code.as_deref(), self.param.as_deref()) {
            (Some("charge_expired_for_capture" | "charge_already_captured" | "charge_already_refunded"), _) => None,
            (Some("charge_disputed" | "charge_not_refundable" | "refund_disputed_payment"), _) => None,
            (Some("amount_too_large" | "payment_intent_unexpected_state" | "insufficient_funds"), _) => None,
            (_, Some("final_capture")) => Some("multicapture_unavailable"),
            (None, Some("amount" | "amount_to_capture")) => Some("amount_too_large"),
            _ if status == StatusCode::PAYMENT_REQUIRED => None,
            _ => return Err(self),
        };
        Ok(named.map_or_else(|| self.reason(), |name| DeclineCode(name.to_owned())))
    }
}

/// What a capture that Stripe refuses for good has come to.
pub fn refused(code: DeclineCode) -> CaptureOutcome {
    match code.0.as_str() {
        "charge_expired_for_capture" => CaptureOutcome::Lapsed(code),
        _ => CaptureOutcome::Refused(code),
    }
}

/// A refusal in words that may be logged: bodies tell of the customer and hold a client secret.
pub fn rejected(status: StatusCode, error: &ApiError) -> PaymentError {
    let code = error.code.as_deref().unwrap_or("no code");
    PaymentError::Rejected(format!("{status}, {} ({code})", error.kind))
}

pub fn read<T: for<'a> Deserialize<'a>>(body: &str) -> Result<T, PaymentError> {
    serde_json::from_str(body).map_err(|error| PaymentError::NoOutcome(format!("the answer is not readable: {error}")))
}
