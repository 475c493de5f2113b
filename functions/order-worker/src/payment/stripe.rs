//! The Stripe API: PaymentIntents with manual capture (https://docs.stripe.com/api/payment_intents).

use super::{Authorisation, PaymentError, PaymentGateway};
use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use holdfast_domain::ids::OrderId;
use holdfast_domain::payment::{AttemptNumber, DeclineCode, PaymentOutcome, PaymentReference};
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use std::time::Duration;

/// How long one call may take; Stripe's own answers take about a second.
const CALL_TIMEOUT: Duration = Duration::from_secs(4);
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a call without outcome is repeated before the queue repeats it.
const RETRIES_MAX: usize = 2;

/// A client of the Stripe API.
pub struct Stripe {
    client: Client,
    url: String,
    api_key: String,
}

#[derive(Deserialize)]
struct PaymentIntent {
    id: String,
    status: String,
    last_payment_error: Option<ApiError>,
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
    message: Option<String>,
}

impl ApiError {
    /// The most telling of the codes, for the order's history.
    fn reason(self) -> DeclineCode {
        DeclineCode(self.decline_code.or(self.code).unwrap_or_else(|| "declined".to_owned()))
    }
}

impl Stripe {
    /// A client of the API at `url`, such as `https://api.stripe.com`.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(url: &str, api_key: &str) -> Result<Self, reqwest::Error> {
        let client = Client::builder().timeout(CALL_TIMEOUT).connect_timeout(CONNECT_TIMEOUT).build()?;
        Ok(Self { client, url: url.trim_end_matches('/').to_owned(), api_key: api_key.to_owned() })
    }

    /// Sends a form under an idempotency key, again under the same key while there is no outcome
    /// (https://docs.stripe.com/api/idempotent_requests).
    async fn post(&self, path: &str, key: &str, form: &[(&str, &str)]) -> Result<(StatusCode, String), PaymentError> {
        let call = || async {
            let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.api_key);
            answer(request.header("Idempotency-Key", key).form(form)).await
        };
        let backoff = ExponentialBuilder::default().with_min_delay(Duration::from_millis(100)).with_jitter();
        call.retry(backoff.with_max_times(RETRIES_MAX)).when(|error| matches!(error, PaymentError::NoOutcome(_))).await
    }

    async fn intent(&self, reference: &PaymentReference) -> Result<PaymentIntent, PaymentError> {
        let url = format!("{}/v1/payment_intents/{}", self.url, reference.0);
        let (status, body) = answer(self.client.get(url).bearer_auth(&self.api_key)).await?;
        match status {
            StatusCode::OK => read(&body),
            status => Err(PaymentError::Rejected(format!("{status}: {body}"))),
        }
    }
}

#[async_trait]
impl PaymentGateway for Stripe {
    async fn authorise(&self, request: &Authorisation) -> Result<PaymentOutcome, PaymentError> {
        let amount = request.amount.amount().to_string();
        let currency = request.amount.currency().code().to_ascii_lowercase();
        let order = request.order.to_string();
        let form = [
            ("amount", amount.as_str()),
            ("currency", &currency),
            ("payment_method", request.method.as_str()),
            ("payment_method_types[]", "card"),
            ("capture_method", "manual"),
            ("confirm", "true"),
            ("metadata[order_id]", &order),
        ];
        let key = format!("{order}-{}-authorise", request.attempt);
        let (status, body) = self.post("/v1/payment_intents", &key, &form).await?;
        match status {
            StatusCode::OK => outcome(read(&body)?),
            StatusCode::PAYMENT_REQUIRED => Ok(PaymentOutcome::Declined(read::<ErrorBody>(&body)?.error.reason())),
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => refused(&body),
            status => Err(PaymentError::Rejected(format!("{status}: {body}"))),
        }
    }

    async fn void(
        &self,
        order: OrderId,
        attempt: AttemptNumber,
        reference: &PaymentReference,
    ) -> Result<(), PaymentError> {
        let path = format!("/v1/payment_intents/{}/cancel", reference.0);
        let (status, body) = self.post(&path, &format!("{order}-{attempt}-void"), &[]).await?;
        match status {
            StatusCode::OK => Ok(()),
            // Stripe refuses to cancel what is cancelled: then it is done.
            StatusCode::BAD_REQUEST if self.intent(reference).await?.status == "canceled" => Ok(()),
            status => Err(PaymentError::Rejected(format!("{status}: {body}"))),
        }
    }
}

/// Sends a request; an answer that says to come back is no outcome.
async fn answer(request: reqwest::RequestBuilder) -> Result<(StatusCode, String), PaymentError> {
    let no_outcome = |error: reqwest::Error| PaymentError::NoOutcome(error.without_url().to_string());
    let response = request.send().await.map_err(no_outcome)?;
    let status = response.status();
    let body = response.text().await.map_err(no_outcome)?;
    let come_back = matches!(status, StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS) || status.is_server_error();
    match come_back {
        true => Err(PaymentError::NoOutcome(format!("{status}: {body}"))),
        false => Ok((status, body)),
    }
}

/// What the status of a confirmed intent says (https://docs.stripe.com/payments/paymentintents/lifecycle).
fn outcome(intent: PaymentIntent) -> Result<PaymentOutcome, PaymentError> {
    match intent.status.as_str() {
        "requires_capture" => Ok(PaymentOutcome::Authorised(PaymentReference(intent.id))),
        // Nobody is there to authenticate: the worker confirms without the customer.
        "requires_action" => Ok(PaymentOutcome::Declined(DeclineCode("authentication_required".to_owned()))),
        "requires_payment_method" | "canceled" => {
            Ok(PaymentOutcome::Declined(intent.last_payment_error.unwrap_or_default().reason()))
        }
        other => Err(PaymentError::NoOutcome(format!("the payment is {other}"))),
    }
}

/// An attempt that Stripe cannot take, such as one with an unknown payment method, is a definite no. A key that was
/// used with other parameters is not: that is a mistake here.
fn refused(body: &str) -> Result<PaymentOutcome, PaymentError> {
    let error = read::<ErrorBody>(body)?.error;
    match error.kind.as_str() {
        "idempotency_error" => Err(PaymentError::Rejected(error.message.unwrap_or_default())),
        _ => Ok(PaymentOutcome::Declined(match (&error.code, &error.decline_code) {
            (None, None) => DeclineCode("invalid_request".to_owned()),
            _ => error.reason(),
        })),
    }
}

fn read<T: for<'a> Deserialize<'a>>(body: &str) -> Result<T, PaymentError> {
    serde_json::from_str(body).map_err(|error| PaymentError::NoOutcome(format!("the answer is not readable: {error}")))
}
