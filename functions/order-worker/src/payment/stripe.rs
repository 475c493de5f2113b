//! The Stripe API: PaymentIntents with manual capture (https://docs.stripe.com/api/payment_intents).
//!
//! Whatever Stripe answers is compared with what it was asked for before anything is noted. Captures and refunds are
//! looked for before they are made: Stripe keeps idempotency keys for a day, and a dead letter may be redriven later.

mod answers;

use super::amount::amount;
use super::{
    Authorisation, CaptureOutcome, PaymentError, PaymentGateway, RefundOutcome, RefundRequest, Standing, VoidOutcome,
    VoidRequest,
};
use crate::answer::{self, Answer};
use answers::{ErrorBody, Page, PaymentIntent, Refund, read, refused, rejected};
use async_trait::async_trait;
use holdfast_domain::ids::OrderId;
use holdfast_domain::order::Cause;
use holdfast_domain::payment::{Capture, DeclineCode, PaymentOutcome, PaymentReference};
use holdfast_runtime::outside::{BreakerSettings, Dependency, Settings, Unsettled};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use std::sync::Arc;
use std::time::Duration;

/// The version whose answers this file reads (https://docs.stripe.com/api/versioning).
const API_VERSION: &str = "2025-03-31.basil";

/// A client of the Stripe API.
pub struct Stripe {
    client: Client,
    url: String,
    api_key: String,
    dependency: Arc<Dependency>,
}

impl Stripe {
    /// A client of the API at `url`, such as `https://api.stripe.com`.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(url: &str, api_key: &str) -> Result<Self, reqwest::Error> {
        Self::with_settings(url, api_key, Self::settings())
    }

    /// The same with other patience.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn with_settings(url: &str, api_key: &str, settings: Settings) -> Result<Self, reqwest::Error> {
        Ok(Self {
            client: answer::client()?,
            url: url.trim_end_matches('/').to_owned(),
            api_key: api_key.to_owned(),
            dependency: Arc::new(Dependency::new("stripe", settings)),
        })
    }

    /// How calls are made: Stripe's own answers take about a second. Four messages at once, each with three attempts,
    /// make twelve in a row: a round of messages with bad luck opens nothing. What comes back from the queue after the
    /// least of its pauses is a probe.
    pub fn settings() -> Settings {
        let window = Duration::from_secs(20);
        let open_for = Duration::from_secs(5);
        let breaker =
            BreakerSettings { failures_in_a_row: 15, attempts_min: 30, window, open_for, ..BreakerSettings::default() };
        Settings { breaker, ..Settings::default() }
    }

    /// The API as a dependency, with the state of its breaker.
    pub fn dependency(&self) -> Arc<Dependency> {
        Arc::clone(&self.dependency)
    }

    /// Sends a form under an idempotency key (https://docs.stripe.com/api/idempotent_requests).
    async fn post(&self, path: &str, key: &str, form: &[(&str, &str)]) -> Result<(StatusCode, String), PaymentError> {
        self.call(Method::POST, path, |request| request.header("Idempotency-Key", key).form(form)).await
    }

    async fn get<T: for<'a> serde::Deserialize<'a>>(&self, path: &str) -> Result<T, PaymentError> {
        let (status, body) = self.call(Method::GET, path, |request| request).await?;
        match status {
            StatusCode::OK => read(&body),
            status => Err(rejected(status, &read::<ErrorBody>(&body)?.error)),
        }
    }

    /// The one place that calls Stripe: the same call is made again while there is no outcome.
    async fn call(
        &self,
        method: Method,
        path: &str,
        with: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<(StatusCode, String), PaymentError> {
        let attempt = || async {
            let request = self.client.request(method.clone(), format!("{}{path}", self.url)).bearer_auth(&self.api_key);
            match answer::send(with(request.header("Stripe-Version", API_VERSION))).await? {
                // The same key is under way.
                Answer { status: StatusCode::CONFLICT, .. } => Err(Unsettled::later("409 Conflict")),
                Answer { status, body } => Ok((status, body)),
            }
        };
        self.dependency.call(attempt).await.map_err(|error| PaymentError::NoOutcome(error.to_string()))
    }

    async fn intent(&self, reference: &PaymentReference) -> Result<PaymentIntent, PaymentError> {
        self.get(&format!("/v1/payment_intents/{}", reference.0)).await
    }

    /// What the status of a confirmed intent says (https://docs.stripe.com/payments/paymentintents/lifecycle).
    async fn outcome(&self, of: &Authorisation, intent: PaymentIntent) -> Result<PaymentOutcome, PaymentError> {
        let reference = PaymentReference(intent.id.clone());
        let declined = |code: &str| Ok(PaymentOutcome::Declined(DeclineCode(code.to_owned())));
        match intent.status.as_str() {
            "requires_capture" if !intent.holds(of.amount) => {
                // What is not the order's total is not the order's: it is let go before it counts as declined.
                tracing::error!(order_id = %of.order, reference = reference.0, "authorised_amount_differs");
                self.cancel(&void_of(of, &reference)).await?;
                declined("amount_differs")
            }
            "requires_capture" if intent.is_captured_once() => Ok(PaymentOutcome::AuthorisedOnce(reference)),
            "requires_capture" => Ok(PaymentOutcome::Authorised(reference)),
            // It must not be completed later, when the order has ended: it is let go before it counts as declined.
            "requires_action" => {
                self.cancel(&void_of(of, &reference)).await?;
                declined("authentication_required")
            }
            "requires_payment_method" | "canceled" => {
                Ok(PaymentOutcome::Declined(intent.last_payment_error.unwrap_or_default().reason()))
            }
            other => Err(PaymentError::NoOutcome(format!("the payment is {other}"))),
        }
    }

    async fn cancel(&self, void: &VoidRequest) -> Result<VoidOutcome, PaymentError> {
        let path = format!("/v1/payment_intents/{}/cancel", void.reference.0);
        let (status, body) = self.post(&path, &format!("{}-{}-void", void.order, void.attempt), &[]).await?;
        match status {
            StatusCode::OK => Ok(VoidOutcome::Voided),
            // Stripe refuses to cancel what is cancelled, or captured.
            StatusCode::BAD_REQUEST => match self.intent(&void.reference).await? {
                intent if intent.status == "canceled" => Ok(VoidOutcome::Voided),
                intent if intent.status == "succeeded" && intent.received(void.amount) => Ok(VoidOutcome::Captured),
                intent if intent.status == "succeeded" => Err(intent.differs("captured before it was let go")),
                _ => Err(rejected(status, &read::<ErrorBody>(&body)?.error)),
            },
            status => Err(rejected(status, &read::<ErrorBody>(&body)?.error)),
        }
    }

    /// The refund of this number, if it was made.
    async fn refund_made(&self, of: &RefundRequest) -> Result<Option<Refund>, PaymentError> {
        let number = of.number.to_string();
        let first = format!("/v1/refunds?payment_intent={}&limit=100", of.reference.0);
        let mut path = first.clone();
        loop {
            let page: Page<Refund> = self.get(&path).await?;
            let last = page.data.last().map(|refund| refund.id.clone());
            let made = page.data.into_iter().find(|refund| refund.metadata.get("refund") == Some(&number));
            match last.filter(|_| made.is_none() && page.has_more) {
                Some(last) => path = format!("{first}&starting_after={last}"),
                None => return Ok(made),
            }
        }
    }
}

#[async_trait]
impl PaymentGateway for Stripe {
    async fn authorise(&self, request: &Authorisation) -> Result<PaymentOutcome, PaymentError> {
        let Some(amount) = amount(request.amount) else {
            return Ok(PaymentOutcome::Declined(DeclineCode("amount_not_payable".to_owned())));
        };
        let amount = amount.to_string();
        let currency = request.amount.currency().code().to_ascii_lowercase();
        let order = request.order.to_string();
        let form = [
            ("amount", amount.as_str()),
            ("currency", &currency),
            ("payment_method", request.method.as_str()),
            ("payment_method_types[]", "card"),
            ("capture_method", "manual"),
            ("payment_method_options[card][request_multicapture]", "if_available"),
            ("confirm", "true"),
            // Nobody is there to authenticate: the worker confirms without the customer.
            ("off_session", "true"),
            // By these a notice of Stripe's finds its order.
            ("metadata[order_id]", &order),
            ("metadata[tenant]", request.tenant.as_str()),
            // The charge tells whether it can be captured several times.
            ("expand[]", "latest_charge"),
        ];
        let key = format!("{order}-{}-authorise", request.attempt);
        let (status, body) = self.post("/v1/payment_intents", &key, &form).await?;
        match status {
            StatusCode::OK => self.outcome(request, read(&body)?).await,
            StatusCode::PAYMENT_REQUIRED => Ok(PaymentOutcome::Declined(read::<ErrorBody>(&body)?.error.reason())),
            status => match read::<ErrorBody>(&body)?.error {
                error if error.is_about_the_payment(status) => Ok(PaymentOutcome::Declined(match error.code {
                    None => DeclineCode("payment_method_missing".to_owned()),
                    Some(_) => error.reason(),
                })),
                error => Err(rejected(status, &error)),
            },
        }
    }

    async fn void(&self, request: &VoidRequest) -> Result<VoidOutcome, PaymentError> {
        self.cancel(request).await
    }

    async fn standing(&self, reference: &PaymentReference) -> Result<Standing, PaymentError> {
        Ok(self.intent(reference).await?.lapsed().map_or(Standing::Holds, Standing::Lapsed))
    }

    async fn capture(&self, order: OrderId, capture: &Capture) -> Result<CaptureOutcome, PaymentError> {
        let in_all = capture.captured.plus(capture.amount).ok();
        let (Some(in_all), Some(amount)) = (in_all, amount(capture.amount)) else {
            return Ok(CaptureOutcome::Refused(DeclineCode("amount_not_payable".to_owned())));
        };
        let before = self.intent(&capture.reference).await?;
        if before.received(in_all) {
            return Ok(CaptureOutcome::Captured);
        }
        if let Some(code) = before.lapsed() {
            return Ok(CaptureOutcome::Lapsed(code));
        }
        if !before.received(capture.captured) {
            return Err(before.differs("captured by somebody else"));
        }
        let path = format!("/v1/payment_intents/{}/capture", capture.reference.0);
        let key = format!("{order}-capture-{}", cause(capture.cause));
        let amount = amount.to_string();
        // Several captures of one payment (https://docs.stripe.com/payments/multicapture). Where there is one, Stripe may
        // not know the parameter, and lets go of the rest by itself.
        let mut form = vec![("amount_to_capture", amount.as_str())];
        form.extend((!capture.is_final).then_some(("final_capture", "false")));
        let (status, body) = self.post(&path, &key, &form).await?;
        if status == StatusCode::OK {
            let after: PaymentIntent = read(&body)?;
            return match after.received(in_all) && (after.is_exhausted() || !capture.is_final) {
                true => Ok(CaptureOutcome::Captured),
                false => Err(after.differs("captured otherwise than asked for")),
            };
        }
        let error = read::<ErrorBody>(&body)?.error.about_the_charge(status);
        error.map(refused).map_err(|error| rejected(status, &error))
    }

    async fn refund(&self, request: &RefundRequest) -> Result<RefundOutcome, PaymentError> {
        let Some(amount) = amount(request.amount) else {
            return Ok(RefundOutcome::Refused(DeclineCode("amount_not_payable".to_owned())));
        };
        if let Some(made) = self.refund_made(request).await? {
            return refunded(request, made);
        }
        let (order, number) = (request.order.to_string(), request.number.to_string());
        let amount = amount.to_string();
        let form = [
            ("payment_intent", request.reference.0.as_str()),
            ("amount", &amount),
            ("metadata[order_id]", &order),
            ("metadata[tenant]", request.tenant.as_str()),
            ("metadata[refund]", &number),
        ];
        let (status, body) = self.post("/v1/refunds", &format!("{order}-refund-{number}"), &form).await?;
        if status == StatusCode::OK {
            return refunded(request, read(&body)?);
        }
        let error = read::<ErrorBody>(&body)?.error.about_the_charge(status);
        error.map(RefundOutcome::Refused).map_err(|error| rejected(status, &error))
    }
}

/// What a refund that was made has come to (<https://docs.stripe.com/refunds#failed-refunds>).
fn refunded(request: &RefundRequest, refund: Refund) -> Result<RefundOutcome, PaymentError> {
    match refund.status.as_deref() {
        Some("failed" | "canceled") => {
            Ok(RefundOutcome::Refused(DeclineCode(refund.failure_reason.unwrap_or_else(|| "refund_failed".to_owned()))))
        }
        _ if !refund.is_of(request.amount, &request.reference.0) => Err(refund.differs()),
        _ => Ok(RefundOutcome::Refunded(refund.id)),
    }
}

fn void_of(of: &Authorisation, reference: &PaymentReference) -> VoidRequest {
    VoidRequest { order: of.order, attempt: of.attempt, reference: reference.clone(), amount: of.amount }
}

/// The name of what a capture is for, in its idempotency key.
fn cause(cause: Cause) -> String {
    match cause {
        Cause::Order => "order".to_owned(),
        Cause::Shipment(number) => format!("shipment-{number}"),
        Cause::Refund(number) => format!("refund-{number}"),
    }
}
