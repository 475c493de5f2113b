//! Answers of HTTP APIs outside, as the callers of `holdfast_runtime::outside` tell them apart.

use holdfast_runtime::outside::{Unsettled, retry_after};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, StatusCode};
use std::time::Duration;

/// How long connecting may take, within the time of an attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// An answer that was read to its end.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub body: String,
}

/// A client for APIs outside. It has no time-out of its own: whoever makes the attempts has one. It goes nowhere else
/// than it is told: a redirect would turn a POST into a GET.
///
/// # Errors
/// When TLS cannot be set up.
pub(crate) fn client() -> Result<Client, reqwest::Error> {
    Client::builder().connect_timeout(CONNECT_TIMEOUT).redirect(Policy::none()).build()
}

/// Sends a request. An answer that the far side is overloaded, broken or called too often is none.
pub(crate) async fn send(request: RequestBuilder) -> Result<Answer, Unsettled> {
    // The URL of a customer's webhook or of a payment does not belong into logs.
    let failed = |error: reqwest::Error| Unsettled::failed(holdfast_runtime::telemetry::chain(&error.without_url()));
    let response = request.send().await.map_err(failed)?;
    let (status, retry_after) = (response.status(), retry_after(response.headers()));
    let body = response.text().await.map_err(failed)?;
    match status {
        StatusCode::TOO_MANY_REQUESTS => Err(Unsettled::later(status.to_string()).retry_after(retry_after)),
        status if status.is_server_error() => Err(Unsettled::failed(status.to_string()).retry_after(retry_after)),
        status => Ok(Answer { status, body }),
    }
}
