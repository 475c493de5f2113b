//! A function's binary, invoked by the Lambda Runtime API
//! (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>), one invocation at a time.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::{Mutex, mpsc};

use crate::engines::aws::{ACCESS_KEY, REGION};
use crate::engines::ports;
use crate::engines::process::ChildProcess;
use crate::workspace;

/// A function's process.
pub struct Invoked {
    process: ChildProcess,
    events: mpsc::Sender<String>,
    answers: mpsc::Receiver<Result<Bytes, Bytes>>,
    server: tokio::task::JoinHandle<()>,
    timeout: SignedDuration,
}

/// What the runtime's requests are answered from.
#[derive(Clone)]
struct Api {
    events: Arc<Mutex<mpsc::Receiver<String>>>,
    answers: mpsc::Sender<Result<Bytes, Bytes>>,
    name: &'static str,
    timeout: SignedDuration,
}

impl Invoked {
    /// Starts a function whose invocations may take `timeout`, with these variables beside what every function has.
    ///
    /// # Errors
    /// When no port is free, or the program does not start.
    pub async fn start<'a>(
        name: &'static str,
        program: &Path,
        timeout: SignedDuration,
        variables: impl IntoIterator<Item = (&'a str, String)>,
    ) -> anyhow::Result<Self> {
        let (events, waiting) = mpsc::channel(1);
        let (answered, answers) = mpsc::channel(1);
        let api = Api { events: Arc::new(Mutex::new(waiting)), answers: answered, name, timeout };
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .with_state(api);
        let (listener, address) = ports::listen().await?;
        let server = tokio::spawn(async move {
            // It ends with this process, or is ended.
            let _ = axum::serve(listener, router).await;
        });
        let environment = [
            ("AWS_LAMBDA_RUNTIME_API", address.to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", name.to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", ACCESS_KEY.to_owned()),
        ];
        let logs = workspace::stack("bench").join("logs");
        let arguments: [&str; 0] = [];
        let environment = environment.into_iter().chain(variables).map(|(name, value)| (name.to_owned(), value));
        let process = ChildProcess::start(name, program, arguments.map(str::to_owned), environment, &logs)?;
        Ok(Self { process, events, answers, server, timeout })
    }

    /// Invokes the function.
    ///
    /// # Errors
    /// When it answers with an error, or not at all.
    pub async fn invoke(&mut self, event: &Value) -> anyhow::Result<Value> {
        self.events.send(event.to_string()).await.context("the runtime API is served")?;
        let patience = std::time::Duration::from_secs(self.timeout.as_secs().unsigned_abs() + 10);
        let answer =
            tokio::time::timeout(patience, self.answers.recv()).await.context("the function does not answer")?;
        match answer.context("the runtime API is served")? {
            Ok(body) => Ok(serde_json::from_slice(&body)?),
            Err(body) => anyhow::bail!("the function failed: {}", String::from_utf8_lossy(&body)),
        }
    }

    /// Its resident memory, now and at most, in bytes.
    ///
    /// # Errors
    /// Where there is no /proc.
    pub fn memory(&self) -> anyhow::Result<(u64, u64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.context("the memory of processes is read from /proc, which Linux has")?;
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
        };
        bytes("VmRSS:").zip(bytes("VmHWM:")).context("the process tells its memory")
    }

    /// How long it was at work on a processor so far, in steps of the kernel's clock.
    ///
    /// # Errors
    /// Where there is no /proc.
    pub fn cpu(&self) -> anyhow::Result<std::time::Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()));
        let stat = stat.context("the time of processes is read from /proc, which Linux has")?;
        // The name, in brackets, may hold anything; of the fields behind it the 12th and 13th are user and system time.
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |field: usize| fields.get(field).and_then(|ticks| ticks.parse::<u64>().ok());
        let ticks =
            ticks(11).zip(ticks(12)).map(|(user, system)| user + system).context("the process tells its time")?;
        let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)?.context("the kernel has a clock")?;
        Ok(std::time::Duration::from_secs_f64(ticks as f64 / per_second as f64))
    }

    /// Ends the process.
    pub async fn stop(self) {
        self.process.stop().await;
        self.server.abort();
    }
}

async fn next(State(api): State<Api>) -> Response {
    let Some(event) = api.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let deadline = Timestamp::now().saturating_add(api.timeout).unwrap_or(Timestamp::MAX).as_millisecond();
    let headers = [
        ("lambda-runtime-aws-request-id", uuid::Uuid::now_v7().to_string()),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", format!("arn:aws:lambda:{REGION}:000000000000:function:{}", api.name)),
        ("lambda-runtime-trace-id", "Root=1-0-0;Sampled=0".to_owned()),
    ];
    (headers, event).into_response()
}

async fn response(State(api): State<Api>, UrlPath(_): UrlPath<String>, body: Bytes) -> StatusCode {
    // Nobody waits for it any more if this fails.
    let _ = api.answers.send(Ok(body)).await;
    StatusCode::ACCEPTED
}

async fn error(State(api): State<Api>, UrlPath(_): UrlPath<String>, body: Bytes) -> StatusCode {
    let _ = api.answers.send(Err(body)).await;
    StatusCode::ACCEPTED
}
