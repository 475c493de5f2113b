//! Means of payment that Stripe offers for tests and localstripe does not know: each is declined for its own reason.
//! See <https://docs.stripe.com/testing?testing-method=payment-methods#declined-payments>.

use serde_json::{Value, json};

/// What localstripe declines without a reason.
pub const DECLINED_UPSTREAM: &str = "pm_card_chargeCustomerFail";

/// Means of payment, the code of the error, and the code of the decline.
const REASONS: [(&str, &str, &str); 8] = [
    ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
    ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
    ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
    ("pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
    ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
    ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
    ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
    ("pm_card_authenticationRequired", "authentication_required", "authentication_required"),
];

/// Why a means of payment is declined: the codes of the error and of the decline.
pub fn reason(method: &str) -> Option<(&'static str, &'static str)> {
    REASONS.iter().find(|(known, ..)| *known == method).map(|(_, code, decline)| (*code, *decline))
}

/// The error of a decline, with its reason.
pub fn error(upstream: &Value, (code, decline_code): (&str, &str)) -> Value {
    let mut answer = upstream.clone();
    answer["error"] = json!({
        "type": "card_error", "code": code, "decline_code": decline_code, "message": "Your card was declined.",
        "charge": upstream["error"]["charge"],
    });
    answer
}
