//! Invokes functions through the endpoint of `cargo lambda watch`, as AWS invokes them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::template::Function;

/// What a function made of an event.
#[derive(Debug)]
pub enum Outcome {
    /// It returned this.
    Answered(Vec<u8>),
    /// It returned an error, panicked, or took too long.
    Failed(FunctionError),
}

/// An error of a function, as the Lambda runtime reports it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FunctionError {
    /// The class of the error.
    pub error_type: String,
    /// What went wrong.
    pub error_message: String,
}

impl FunctionError {
    /// Whether the function itself never answered: it could not be reached, or took too long.
    pub fn is_from_platform(&self) -> bool {
        self.error_type.starts_with("Local.") || self.error_type.starts_with("Sandbox.")
    }
}

impl FunctionError {
    /// Whether the invocation never reached the function, so that it counts as no attempt.
    pub fn never_arrived(&self) -> bool {
        self.error_type.starts_with("Local.")
    }
}

impl fmt::Display for FunctionError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.error_type, self.error_message)
    }
}

/// Invokes functions, each at most as often at once as it has instances.
///
/// The limit is more than realism: `cargo lambda watch` locks up for good when a hundred invocations of one function
/// wait for it.
#[derive(Clone)]
pub struct Invoker {
    shared: Arc<Shared>,
}

struct Shared {
    client: reqwest::Client,
    url: String,
    functions: HashMap<String, Target>,
    in_flight: AtomicU64,
}

struct Target {
    instances: Arc<Semaphore>,
    timeout: Duration,
}

impl Invoker {
    /// An invoker of `functions`, with `concurrency` instances each where their sources can use them, at the endpoint
    /// `url`.
    pub fn new(client: reqwest::Client, url: &str, functions: &[Function], concurrency: u16) -> Self {
        let target = |function: &Function| Target {
            instances: Arc::new(Semaphore::new(function.instances(concurrency))),
            timeout: function.timeout,
        };
        Self {
            shared: Arc::new(Shared {
                client,
                url: url.to_owned(),
                functions: functions.iter().map(|function| (function.name.clone(), target(function))).collect(),
                in_flight: AtomicU64::new(0),
            }),
        }
    }

    /// How many invocations have begun and not ended, waiting ones included.
    pub fn in_flight(&self) -> u64 {
        self.shared.in_flight.load(Ordering::SeqCst)
    }

    /// Invokes `function` with `payload` and waits for its answer. A caller that stops waiting does not end the
    /// invocation, as on AWS.
    pub async fn invoke(&self, function: &str, payload: Vec<u8>) -> Outcome {
        let shared = Arc::clone(&self.shared);
        let function = function.to_owned();
        shared.in_flight.fetch_add(1, Ordering::SeqCst);
        let invocation = tokio::spawn(async move {
            let outcome = shared.invoke(&function, payload).await;
            shared.in_flight.fetch_sub(1, Ordering::SeqCst);
            outcome
        });
        invocation.await.unwrap_or_else(|error| Outcome::failed("Local.Cancelled", &error))
    }
}

impl Shared {
    async fn invoke(&self, function: &str, payload: Vec<u8>) -> Outcome {
        let Some(target) = self.functions.get(function) else {
            return Outcome::failed("Local.UnknownFunction", &function);
        };
        let _instance = target.instances.acquire().await;
        let url = format!("{}/2015-03-31/functions/{function}/invocations", self.url);
        let answer = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .body(payload)
            .timeout(target.timeout)
            .send()
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.is_timeout() => {
                let seconds = target.timeout.as_secs();
                return Outcome::failed("Sandbox.Timedout", &format!("Task timed out after {seconds} seconds"));
            }
            Err(error) => return Outcome::failed("Local.Unreachable", &error.without_url()),
        };
        let status = answer.status();
        match answer.bytes().await {
            Ok(body) if status.is_success() => Outcome::Answered(body.into()),
            Ok(body) if status == StatusCode::INTERNAL_SERVER_ERROR => {
                Outcome::Failed(serde_json::from_slice(&body).unwrap_or_default())
            }
            Ok(body) => Outcome::failed("Local.Refused", &String::from_utf8_lossy(&body)),
            Err(error) => Outcome::failed("Local.Unreachable", &error.without_url()),
        }
    }
}

impl Outcome {
    fn failed(kind: &str, message: &dyn fmt::Display) -> Self {
        Self::Failed(FunctionError { error_type: kind.to_owned(), error_message: message.to_string() })
    }
}
