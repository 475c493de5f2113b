//! The Stripe API: PaymentIntents with manual capture (https://docs.stripe.com/api/payment_intents).

use super::amount::amount;
use super::{Authorisation, CaptureOutcome, PaymentError, PaymentGateway, RefundOutcome, RefundRequest};
use crate::answer::{self, Answer};
use async_trait::async_trait;
use holdfast_domain::ids::OrderId;
use holdfast_domain::order::Cause;
use holdfast_domain::payment::{AttemptNumber, Capture, DeclineCode, PaymentOutcome, PaymentReference};
use holdfast_runtime::outside::{BreakerSettings, Dependency, Settings, Unsettled};
use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;
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

/// A request: with an idempotency key and a form, or else one that only reads.
type Posted<'a> = Option<(&'a str, &'a [(&'a str, &'a str)])>;

#[derive(Deserialize)]
struct PaymentIntent {
    id: String,
    status: String,
    last_payment_error: Option<ApiError>,
}

/// An object of the API of which only the name matters.
#[derive(Deserialize)]
struct Named {
    id: String,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ApiError,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiError {
    #[serde(rename = "type")]
    kind: String,
    code: Option<String>,
    decline_code: Option<String>,
    param: Option<String>,
}

impl ApiError {
    /// The most telling of the codes, for the order's history.
    fn reason(self) -> DeclineCode {
        DeclineCode(self.decline_code.or(self.code).unwrap_or_else(|| "declined".to_owned()))
    }

    /// Whether this is about the buyer's means or amount, so that the attempt has definitely failed. Anything else that
    /// Stripe does not accept is a mistake of ours, which must not end orders.
    fn is_about_the_payment(&self, status: StatusCode) -> bool {
        let code = self.code.as_deref().unwrap_or_default();
        let named = matches!(code, "amount_too_small" | "amount_too_large") || code.starts_with("payment_method_");
        // Nothing else that an attempt names can be missing.
        let missing = status == StatusCode::NOT_FOUND || self.param.as_deref() == Some("payment_method");
        self.kind != "idempotency_error" && (named || missing)
    }

    /// Whether this is about a charge that cannot be captured or given back any more
    /// (https://docs.stripe.com/error-codes).
    fn is_about_the_charge(&self, status: StatusCode) -> bool {
        let code = self.code.as_deref().unwrap_or_default();
        let named = matches!(
            code,
            "charge_expired_for_capture"
                | "charge_already_refunded"
                | "charge_disputed"
                | "charge_not_refundable"
                | "payment_intent_unexpected_state"
        );
        self.kind != "idempotency_error" && (named || status == StatusCode::PAYMENT_REQUIRED)
    }
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

    /// Sends a form under an idempotency key, again under the same key while there is no outcome
    /// (https://docs.stripe.com/api/idempotent_requests).
    async fn post(&self, path: &str, key: &str, form: &[(&str, &str)]) -> Result<Answer, PaymentError> {
        self.send(path, Some((key, form))).await
    }

    /// Sends every request that there is.
    async fn send(&self, path: &str, posted: Posted<'_>) -> Result<Answer, PaymentError> {
        let method = posted.map_or(Method::GET, |_| Method::POST);
        let attempt = || async {
            let request = self.client.request(method.clone(), format!("{}{path}", self.url)).bearer_auth(&self.api_key);
            let request = request.header("Stripe-Version", API_VERSION);
            let answer = answer::send(match posted {
                Some((key, form)) => request.header("Idempotency-Key", key).form(form),
                None => request,
            });
            match answer.await? {
                // The same key is under way.
                Answer { status: StatusCode::CONFLICT, .. } => Err(Unsettled::later("409 Conflict")),
                answer => Ok(answer),
            }
        };
        self.dependency.call(attempt).await.map_err(|error| PaymentError::NoOutcome(error.to_string()))
    }

    async fn intent(&self, reference: &PaymentReference) -> Result<PaymentIntent, PaymentError> {
        let Answer { status, body } = self.send(&format!("/v1/payment_intents/{}", reference.0), None).await?;
        match status {
            StatusCode::OK => read(&body),
            status => Err(rejected(status, &read::<ErrorBody>(&body)?.error)),
        }
    }

    /// What the status of a confirmed intent says (https://docs.stripe.com/payments/paymentintents/lifecycle).
    async fn outcome(&self, of: &Authorisation, intent: PaymentIntent) -> Result<PaymentOutcome, PaymentError> {
        let reference = PaymentReference(intent.id);
        match intent.status.as_str() {
            "requires_capture" => Ok(PaymentOutcome::Authorised(reference)),
            // It must not be completed later, when the order has ended: it is let go before it counts as declined.
            "requires_action" => {
                self.void(of.order, of.attempt, &reference).await?;
                Ok(PaymentOutcome::Declined(DeclineCode("authentication_required".to_owned())))
            }
            "requires_payment_method" | "canceled" => {
                Ok(PaymentOutcome::Declined(intent.last_payment_error.unwrap_or_default().reason()))
            }
            other => Err(PaymentError::NoOutcome(format!("the payment is {other}"))),
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
            ("confirm", "true"),
            // Nobody is there to authenticate: the worker confirms without the customer.
            ("off_session", "true"),
            ("metadata[order_id]", &order),
        ];
        let key = format!("{order}-{}-authorise", request.attempt);
        let Answer { status, body } = self.post("/v1/payment_intents", &key, &form).await?;
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

    async fn void(
        &self,
        order: OrderId,
        attempt: AttemptNumber,
        reference: &PaymentReference,
    ) -> Result<(), PaymentError> {
        let path = format!("/v1/payment_intents/{}/cancel", reference.0);
        let Answer { status, body } = self.post(&path, &format!("{order}-{attempt}-void"), &[]).await?;
        match status {
            StatusCode::OK => Ok(()),
            // Stripe refuses to cancel what is cancelled: then it is done.
            StatusCode::BAD_REQUEST if self.intent(reference).await?.status == "canceled" => Ok(()),
            status => Err(rejected(status, &read::<ErrorBody>(&body)?.error)),
        }
    }

    async fn capture(&self, order: OrderId, capture: &Capture) -> Result<CaptureOutcome, PaymentError> {
        let Some(amount) = amount(capture.amount) else {
            return Ok(CaptureOutcome::Refused(DeclineCode("amount_not_payable".to_owned())));
        };
        let path = format!("/v1/payment_intents/{}/capture", capture.reference.0);
        let key = format!("{order}-capture-{}", cause(capture.cause));
        let amount = amount.to_string();
        // Several captures of one payment (https://docs.stripe.com/payments/multicapture).
        let is_final = if capture.is_final { "true" } else { "false" };
        let form = [("amount_to_capture", amount.as_str()), ("final_capture", is_final)];
        let Answer { status, body } = self.post(&path, &key, &form).await?;
        match status {
            StatusCode::OK => Ok(CaptureOutcome::Captured),
            status => match read::<ErrorBody>(&body)?.error {
                error if error.is_about_the_charge(status) => Ok(CaptureOutcome::Refused(error.reason())),
                error => Err(rejected(status, &error)),
            },
        }
    }

    async fn refund(&self, request: &RefundRequest) -> Result<RefundOutcome, PaymentError> {
        let Some(amount) = amount(request.amount) else {
            return Ok(RefundOutcome::Refused(DeclineCode("amount_not_payable".to_owned())));
        };
        let (order, number) = (request.order.to_string(), request.number.to_string());
        let amount = amount.to_string();
        let form = [
            ("payment_intent", request.reference.0.as_str()),
            ("amount", &amount),
            ("metadata[order_id]", &order),
            ("metadata[refund]", &number),
        ];
        let Answer { status, body } = self.post("/v1/refunds", &format!("{order}-refund-{number}"), &form).await?;
        match status {
            StatusCode::OK => Ok(RefundOutcome::Refunded(read::<Named>(&body)?.id)),
            status => match read::<ErrorBody>(&body)?.error {
                error if error.is_about_the_charge(status) => Ok(RefundOutcome::Refused(error.reason())),
                error => Err(rejected(status, &error)),
            },
        }
    }
}

/// The name of what a capture is for, in its idempotency key.
fn cause(cause: Cause) -> String {
    match cause {
        Cause::Order => "order".to_owned(),
        Cause::Shipment(number) => format!("shipment-{number}"),
        Cause::Refund(number) => format!("refund-{number}"),
    }
}

/// A refusal in words that may be logged: bodies tell of the customer and hold a client secret.
fn rejected(status: StatusCode, error: &ApiError) -> PaymentError {
    let code = error.code.as_deref().unwrap_or("no code");
    PaymentError::Rejected(format!("{status}, {} ({code})", error.kind))
}

fn read<T: for<'a> Deserialize<'a>>(body: &str) -> Result<T, PaymentError> {
    serde_json::from_str(body).map_err(|error| PaymentError::NoOutcome(format!("the answer is not readable: {error}")))
}
