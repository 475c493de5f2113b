//! The calls to shops' endpoints. They go to addresses that strangers chose, so that each is short, goes nowhere but where
//! it was checked to go, and reads next to nothing.

use async_trait::async_trait;
use holdfast_domain::webhook::{Loopback, WebhookUrl};
use holdfast_runtime::names::{Names, callable_addresses};
use holdfast_runtime::outside::{BreakerSettings, Dependency, Settings, Unsettled};
use holdfast_runtime::telemetry::chain;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Response, redirect};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a call may take, connecting and answering included (Standard Webhooks asks for 15 to 30 s).
pub const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of an answer's body is read, in bytes, so that a connection of one that is short can be used again. Nothing of
/// it is kept: it is the shop's, and may hold anything.
const ANSWER_MAX: usize = 1_024;
/// How many endpoints an environment remembers.
const ENDPOINTS_MAX: usize = 1_000;
/// How long that reading may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// Sends one message.
#[async_trait]
pub trait Post: Send + Sync {
    /// What an endpoint answers; none if it was not called, because it fails or has as many calls as it may.
    async fn post(&self, call: &Call) -> Option<Answered>;
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

/// What came of a call that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Why it is no success, if it is none.
    pub error: Option<String>,
    /// Whether the endpoint took too long.
    pub is_slow: bool,
}

/// Sends messages over HTTP. Every endpoint has a breaker and a bulkhead of its own (see `holdfast_runtime::outside`), so that one
/// shop's receiver that is down or slow costs the others nothing. Nothing is repeated here: the schedule does that.
pub struct Sender {
    client: Client,
    loopback: Loopback,
    settings: Settings,
    endpoints: Mutex<HashMap<String, Arc<Dependency>>>,
}

impl Sender {
    /// A sender that calls only what may be called.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(names: Arc<dyn Names>, loopback: Loopback) -> Result<Self, reqwest::Error> {
        Self::with_settings(names, loopback, Self::settings())
    }

    /// How endpoints are called unless somebody says otherwise.
    pub fn settings() -> Settings {
        let breaker = BreakerSettings { open_for: Duration::from_secs(30), ..BreakerSettings::default() };
        // What an endpoint answers in time counts, however long its body is.
        let call_timeout = CALL_TIMEOUT + DISCARD_TIMEOUT;
        // Twice as many as there are messages at a time: only what hangs from an earlier batch fills it.
        Settings {
            call_timeout,
            patience: call_timeout + Duration::from_secs(1),
            retries_max: 0,
            calls_at_once: 8,
            breaker,
            ..Settings::default()
        }
    }

    /// The same with other settings: a call takes as long as one of theirs, but for the second in which a body is read.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn with_settings(
        names: Arc<dyn Names>,
        loopback: Loopback,
        settings: Settings,
    ) -> Result<Self, reqwest::Error> {
        let timeout = settings.call_timeout.saturating_sub(DISCARD_TIMEOUT);
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
        Ok(Self { client, loopback, settings, endpoints: Mutex::default() })
    }

    /// What is known of an endpoint, by its whole URL: shops may share a host.
    fn endpoint(&self, url: &str) -> Arc<Dependency> {
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        if endpoints.len() >= ENDPOINTS_MAX {
            // An environment that met so many starts to learn anew.
            endpoints.clear();
        }
        let dependency = || Arc::new(Dependency::new("webhook", self.settings.clone()));
        Arc::clone(endpoints.entry(url.to_owned()).or_insert_with(dependency))
    }

    async fn call(&self, url: &str, call: &Call) -> Answered {
        let request = self
            .client
            .post(url)
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
                Answered { status: None, error: Some(chain(&error.without_url())), is_slow }
            }
        }
    }
}

#[async_trait]
impl Post for Sender {
    async fn post(&self, call: &Call) -> Option<Answered> {
        let failed = |error: String, is_slow: bool| Some(Answered { status: None, error: Some(error), is_slow });
        // Checked again: the rules may be stricter than when it was written, and an address is never resolved.
        let url = match WebhookUrl::parse(&call.url, self.loopback) {
            Ok(url) => url,
            Err(invalid) => return failed(invalid.to_string(), false),
        };
        let met = Mutex::new(None);
        let endpoint = self.endpoint(url.as_str());
        let called = endpoint.call(|| async {
            let answered = self.call(url.as_str(), call).await;
            // An answer of the receiver's own, a 'no' too, says that it is well; of too many calls it says nothing.
            let judged = match answered.status {
                Some(429) => Err(Unsettled::later("it is called too often")),
                Some(status) if status < 500 => Ok(()),
                _ => Err(Unsettled::failed("it fails")),
            };
            *met.lock().unwrap_or_else(PoisonError::into_inner) = Some(answered);
            judged
        });
        let called = called.await;
        match met.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(answered) => Some(answered),
            None if called.is_err_and(|error| error.was_not_made()) => None,
            None => failed("the endpoint did not answer in time".to_owned(), true),
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
