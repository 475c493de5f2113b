//! The calls to shops' endpoints. They go to addresses that strangers chose, so that each is short, goes nowhere but where
//! it was checked to go, and reads next to nothing.

use async_trait::async_trait;
use holdfast_domain::webhook::{Loopback, WebhookUrl};
use holdfast_runtime::names::{Names, callable_addresses};
use holdfast_runtime::telemetry::chain;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Response, redirect};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long a call may take, connecting and answering included (Standard Webhooks asks for 15 to 30 s).
pub const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of an answer's body is read, in bytes, so that a connection of one that is short can be used again. Nothing of
/// it is kept: it is the shop's, and may hold anything.
const ANSWER_MAX: usize = 1_024;
/// How long that reading may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// Sends one message.
#[async_trait]
pub trait Post: Send + Sync {
    /// What an endpoint answers.
    async fn post(&self, call: &Call) -> Answered;
}

/// A message on its way to an endpoint.
#[derive(Debug, Clone)]
pub struct Call {
    /// Where to.
    pub url: String,
    /// `webhook-id`.
    pub id: String,
    /// `webhook-timestamp`, in seconds since the epoch.
    pub timestamp: i64,
    /// `webhook-signature`.
    pub signature: String,
    /// JSON.
    pub body: String,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Why it is no success, if it is none.
    pub error: Option<String>,
    /// Whether the endpoint took too long.
    pub is_slow: bool,
}

/// Sends messages over HTTP.
pub struct Sender {
    client: Client,
    loopback: Loopback,
}

impl Sender {
    /// A sender that calls only what may be called.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(names: Arc<dyn Names>, loopback: Loopback) -> Result<Self, reqwest::Error> {
        Self::with_timeout(names, loopback, CALL_TIMEOUT)
    }

    /// The same with another time for a call.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn with_timeout(names: Arc<dyn Names>, loopback: Loopback, timeout: Duration) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .timeout(timeout)
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            // A redirect leads where nobody checked; the specification calls it a failure.
            .redirect(redirect::Policy::none())
            // A proxy would resolve the name itself.
            .no_proxy()
            .user_agent(concat!("holdfast/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(Checked { names, loopback }))
            .build()?;
        Ok(Self { client, loopback })
    }
}

#[async_trait]
impl Post for Sender {
    // The one call to the outside of webhooks: what guards such calls (a breaker, a bulkhead for each host) goes around this.
    async fn post(&self, call: &Call) -> Answered {
        let failed = |error: String, is_slow: bool| Answered { status: None, error: Some(error), is_slow };
        // Checked again: the rules may be stricter than when it was written, and an address is never resolved.
        let url = match WebhookUrl::parse(&call.url, self.loopback) {
            Ok(url) => url,
            Err(invalid) => return failed(invalid.to_string(), false),
        };
        let request = self
            .client
            .post(url.as_str())
            .header("content-type", "application/json")
            .header("webhook-id", &call.id)
            .header("webhook-timestamp", call.timestamp)
            .header("webhook-signature", &call.signature)
            .body(call.body.clone());
        match request.send().await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                // The status says it all: a body that is long, slow or broken changes nothing.
                let _ = tokio::time::timeout(DISCARD_TIMEOUT, discard(answer)).await;
                let error = (!(200..300).contains(&status)).then(|| format!("the endpoint answered {status}"));
                Answered { status: Some(status), error, is_slow: false }
            }
            Err(error) => {
                let is_slow = error.is_timeout();
                // Its URL may have a key in its query.
                failed(chain(&error.without_url()), is_slow)
            }
        }
    }
}

/// Reads the beginning of a body.
async fn discard(mut answer: Response) {
    let mut read = 0;
    while read <= ANSWER_MAX {
        match answer.chunk().await {
            Ok(Some(chunk)) => read += chunk.len(),
            Ok(None) | Err(_) => return,
        }
    }
}

/// Resolves names to addresses that may be called, at the moment of the call: what the name led to when the endpoint was
/// written says nothing about now. The connection is made to these addresses, and to no others.
struct Checked {
    names: Arc<dyn Names>,
    loopback: Loopback,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (names, loopback) = (Arc::clone(&self.names), self.loopback);
        Box::pin(async move {
            let addresses = callable_addresses(&*names, name.as_str(), loopback).await?;
            // The port is that of the URL.
            let addresses: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}
