//! A carrier's HTTP API, as `infra/carrier-api.md` describes it.

use super::{BookShipment, Carrier, CarrierError};
use crate::answer::{self, Answer};
use async_trait::async_trait;
use holdfast_domain::address::Address;
use holdfast_domain::ids::{OrderId, ProductId, TenantId, WarehouseId};
use holdfast_domain::order::Booking;
use holdfast_runtime::outside::{CallError, Dependency, Settings, Unsettled};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// The code of an answer that an earlier request with the same key is under way.
const IN_PROGRESS: &str = "in-progress";
/// The code of an answer that a key was used for another shipment. It is no statement about the shipment.
const KEY_REUSED: &str = "key-reused";

/// A client of the carrier's API.
pub struct HttpCarrier {
    client: Client,
    url: String,
    api_key: String,
    dependency: Arc<Dependency>,
}

#[derive(Serialize)]
struct Shipment<'a> {
    account: &'a TenantId,
    order: OrderId,
    shipment: u16,
    warehouse: &'a WarehouseId,
    address: &'a Address,
    lines: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    product: &'a ProductId,
    units: u32,
}

#[derive(Deserialize)]
struct Booked {
    id: String,
    tracking: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    error: ApiError,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ApiError {
    code: String,
}

impl HttpCarrier {
    /// A client of the API at `url`, such as `https://carrier.example.com`.
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
            dependency: Arc::new(Dependency::new("carrier", settings)),
        })
    }

    /// How calls are made. A message has 12 s, and two reads and a write of the table besides.
    pub fn settings() -> Settings {
        Settings { patience: Duration::from_secs(8), ..Settings::default() }
    }

    /// The API as a dependency, with the state of its breaker.
    pub fn dependency(&self) -> Arc<Dependency> {
        Arc::clone(&self.dependency)
    }

    /// Sends every request that there is.
    async fn send(&self, request: impl Fn(&Client) -> RequestBuilder) -> Result<Answer, CarrierError> {
        let attempt = || async {
            match answer::send(request(&self.client).bearer_auth(&self.api_key)).await? {
                answer if answer.status == StatusCode::CONFLICT && code(&answer.body) == IN_PROGRESS => {
                    Err(Unsettled::later(IN_PROGRESS))
                }
                answer => Ok(answer),
            }
        };
        self.dependency.call(attempt).await.map_err(|error: CallError| CarrierError::NoOutcome {
            cause: error.to_string(),
            retry_after_seconds: error.come_back_seconds(),
        })
    }
}

#[async_trait]
impl Carrier for HttpCarrier {
    async fn book(&self, shipment: &BookShipment) -> Result<Booking, CarrierError> {
        let key = shipment.idempotency_key();
        let lines = shipment.lines.iter().map(|(product, units)| Line { product, units: *units });
        let body = Shipment {
            account: &shipment.tenant,
            order: shipment.order,
            shipment: shipment.shipment,
            warehouse: &shipment.warehouse,
            address: &shipment.address,
            lines: lines.collect(),
        };
        let url = format!("{}/v1/shipments", self.url);
        let answer = self.send(|client| client.post(&url).header("Idempotency-Key", &key).json(&body)).await?;
        match answer.status {
            StatusCode::CREATED => match serde_json::from_str(&answer.body) {
                Ok(Booked { id, tracking }) => Ok(Booking { reference: id, tracking }),
                Err(error) => {
                    let cause = format!("the answer is not readable: {error}");
                    Err(CarrierError::NoOutcome { cause, retry_after_seconds: None })
                }
            },
            _ => Err(refusal(&answer)),
        }
    }

    async fn cancel(&self, reference: &str) -> Result<(), CarrierError> {
        let url = format!("{}/v1/shipments/{}/cancel", self.url, utf8_percent_encode(reference, NON_ALPHANUMERIC));
        let answer = self.send(|client| client.post(&url)).await?;
        match answer.status {
            StatusCode::OK => Ok(()),
            _ => Err(refusal(&answer)),
        }
    }
}

/// What an answer that is no success means. Only its code is kept: its message may repeat the customer's address.
fn refusal(answer: &Answer) -> CarrierError {
    let (status, code) = (answer.status, code(&answer.body));
    match status {
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT if !code.is_empty() && code != KEY_REUSED => {
            CarrierError::Refused { reason: code }
        }
        _ => CarrierError::Rejected(format!("{status} ({})", if code.is_empty() { "no code" } else { &code })),
    }
}

fn code(body: &str) -> String {
    serde_json::from_str::<ErrorBody>(body).unwrap_or_default().error.code
}
