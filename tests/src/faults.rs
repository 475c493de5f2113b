//! Faults on the wire to AWS: calls that are not applied, calls that are applied but look failed, and guards that are
//! taken away.

use crate::ways::OUTSIDE;
pub use crate::ways::{Counted, Way};
use aws_smithy_http_client::Builder;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use http::StatusCode;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{Barrier, Notify};

/// Takes guards away: may rewrite a request, by the name of its operation.
type Rewrite = Box<dyn Fn(&str, &mut Value) + Send + Sync>;

/// The wire: counts calls, and lets one of them fail.
///
/// A call is one operation with the SDK's own retries of it, which all fail alike: what is tested is our handling.
#[derive(Default)]
pub struct Wire {
    state: Mutex<State>,
    rewrite: Mutex<Option<Rewrite>>,
    stripped: Mutex<Option<&'static str>>,
    meeting: Mutex<Option<(&'static str, Arc<Barrier>)>>,
    halt: Mutex<Option<(&'static str, Halt)>>,
    outside_is_down: AtomicBool,
    killed: Notify,
}

/// A call that waits on the wire: what its caller read before may change meanwhile.
#[derive(Clone, Default)]
pub struct Halt {
    reached: Arc<Notify>,
    gone: Arc<Notify>,
}

impl Halt {
    /// Waits until the call is there.
    pub async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Lets the call go on.
    pub fn go(&self) {
        self.gone.notify_one();
    }
}

#[derive(Default)]
struct State {
    /// The position of each call since the counting began, by its invocation id.
    positions: HashMap<String, usize>,
    /// The operations of those calls, in their order.
    operations: Vec<String>,
    counting: bool,
    fault: Option<(usize, Way)>,
    fired: bool,
}

impl Wire {
    /// Counts calls from here on, and lets the one at `fault`'s position fail, if any.
    pub fn count(&self, fault: Option<(usize, Way)>) {
        *self.state.lock().expect("no test panics while it holds this") =
            State { counting: true, fault, ..State::default() };
    }

    /// Stops counting.
    pub fn counted(&self) -> Counted {
        let state = std::mem::take(&mut *self.state.lock().expect("no test panics while it holds this"));
        Counted { calls: state.operations, met: state.fired }
    }

    /// The operations called since the counting began, in their order.
    pub fn operations(&self) -> Vec<String> {
        self.state.lock().expect("no test panics while it holds this").operations.clone()
    }

    /// Rewrites requests from here on.
    pub fn rewrite(&self, rewrite: impl Fn(&str, &mut Value) + Send + Sync + 'static) {
        *self.rewrite.lock().expect("no test panics while it holds this") = Some(Box::new(rewrite));
    }

    /// Takes a header away from every request from here on.
    pub fn strip(&self, header: &'static str) {
        *self.stripped.lock().expect("no test panics while it holds this") = Some(header);
    }

    /// From here on, calls of an operation wait until `calls` of them are there, and are sent together: whatever their
    /// callers read before, they read before any of them wrote.
    pub fn meet(&self, operation: &'static str, calls: usize) {
        *self.meeting.lock().expect("no test panics while it holds this") =
            Some((operation, Arc::new(Barrier::new(calls))));
    }

    /// Halts the next call of an operation before it is sent; those after it pass.
    pub fn halt(&self, operation: &'static str) -> Halt {
        let halt = Halt::default();
        *self.halt.lock().expect("no test panics while it holds this") = Some((operation, halt.clone()));
        halt
    }

    /// From now on every call that is not made over AWS's wire fails, or none does.
    pub fn outside_down(&self, down: bool) {
        self.outside_is_down.store(down, Ordering::SeqCst);
    }

    /// Makes a call that is not made over AWS's wire, such as one to the payment provider, unless it is to fail before; and
    /// loses its answer if it is to fail after.
    pub async fn outside<T, E>(&self, call: impl Future<Output = Result<T, E>>, lost: impl Fn() -> E) -> Result<T, E> {
        match self.outside_call() {
            None => call.await,
            Some(Way::After | Way::TimedOut) => call.await.and(Err(lost())),
            Some(Way::Killed) => {
                // Whatever became of it, nobody hears of it.
                let _ = call.await;
                self.dies().await
            }
            Some(_) => Err(lost()),
        }
    }

    fn outside_call(&self) -> Option<Way> {
        if self.outside_is_down.load(Ordering::SeqCst) {
            return Some(Way::Before);
        }
        let mut state = self.state.lock().expect("no test panics while it holds this");
        let id = format!("outside-{}", state.positions.len());
        state.way_of(id, OUTSIDE)
    }

    /// Lets an invocation run to its end, or until a call kills its process: none then, and nothing of it is left.
    pub async fn lives<T>(&self, invocation: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.killed.notified() => None,
            done = invocation => Some(done),
        }
    }

    /// Kills the process of whoever calls.
    pub async fn dies<T>(&self) -> T {
        self.killed.notify_one();
        std::future::pending().await
    }

    /// A function's router whose process may be killed: the gateway answers for it then, as HTTP APIs do (API Gateway,
    /// "Troubleshooting issues with HTTP API Lambda integrations").
    pub fn mortal(self: &Arc<Self>, router: Router) -> Router {
        let wire = Arc::clone(self);
        router.layer(from_fn(move |request: Request, next: Next| {
            let wire = Arc::clone(&wire);
            async move {
                let answer = wire.lives(next.run(request)).await;
                answer.unwrap_or_else(|| StatusCode::INTERNAL_SERVER_ERROR.into_response())
            }
        }))
    }

    /// An HTTP client over this wire.
    pub fn client(self: Arc<Self>) -> SharedHttpClient {
        // Connections belong to the runtime of their test, so each wire has its own.
        let http = Builder::new().build_http();
        http_client_fn(move |settings: &HttpConnectorSettings, components| {
            let inner = http.http_connector(settings, components);
            SharedHttpConnector::new(FaultyConnector { wire: Arc::clone(&self), inner })
        })
    }

    fn way_of(&self, request: &HttpRequest) -> Option<Way> {
        let id = request.headers().get("amz-sdk-invocation-id").unwrap_or_default().to_owned();
        self.state.lock().expect("no test panics while it holds this").way_of(id, operation_of(request))
    }

    fn meeting(&self, request: &HttpRequest) -> Option<Arc<Barrier>> {
        let meeting = self.meeting.lock().expect("no test panics while it holds this");
        let (operation, barrier) = meeting.as_ref()?;
        (operation_of(request) == *operation).then(|| Arc::clone(barrier))
    }

    fn halted(&self, request: &HttpRequest) -> Option<Halt> {
        let mut halt = self.halt.lock().expect("no test panics while it holds this");
        halt.take_if(|(operation, _)| operation_of(request) == *operation).map(|(_, halt)| halt)
    }

    fn rewritten(&self, request: &mut HttpRequest) {
        if let Some(header) = *self.stripped.lock().expect("no test panics while it holds this") {
            request.headers_mut().remove(header);
        }
        let rewrite = self.rewrite.lock().expect("no test panics while it holds this");
        let Some(rewrite) = &*rewrite else { return };
        if !request.headers().contains_key(TARGET) {
            return;
        }
        let operation = operation_of(request).to_owned();
        let body = request.body().bytes().unwrap_or_default();
        let mut json: Value = serde_json::from_slice(body).unwrap_or_default();
        rewrite(&operation, &mut json);
        let body = json.to_string();
        request.headers_mut().insert("content-length", body.len().to_string());
        *request.body_mut() = SdkBody::from(body);
    }
}

impl State {
    fn way_of(&mut self, id: String, operation: &str) -> Option<Way> {
        if !self.counting {
            return None;
        }
        let next = self.positions.len();
        let position = *self.positions.entry(id).or_insert(next);
        if position == next {
            self.operations.push(operation.to_owned());
        }
        let way = self.fault.filter(|(at, _)| *at == position).map(|(_, way)| way);
        self.fired |= way.is_some();
        way
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

#[derive(Debug)]
struct FaultyConnector {
    wire: Arc<Wire>,
    inner: SharedHttpConnector,
}

impl HttpConnector for FaultyConnector {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        self.wire.rewritten(&mut request);
        let way = self.wire.way_of(&request);
        let meeting = self.wire.meeting(&request);
        let halt = self.wire.halted(&request);
        let transaction_items = transaction_items(&request);
        let (inner, wire) = (self.inner.clone(), Arc::clone(&self.wire));
        HttpConnectorFuture::new(async move {
            if let Some(meeting) = meeting {
                meeting.wait().await;
            }
            if let Some(halt) = halt {
                halt.reached.notify_one();
                halt.gone.notified().await;
            }
            let answer = match way {
                Some(Way::Hang) => return std::future::pending().await,
                None | Some(Way::After) => Some(inner.call(request).await?),
                Some(Way::TimedOut) => {
                    inner.call(request).await?;
                    return Err(ConnectorError::timeout("injected".into()));
                }
                Some(Way::Killed) => {
                    inner.call(request).await?;
                    return wire.dies().await;
                }
                Some(_) => None,
            };
            match (way, answer) {
                (None, Some(answer)) => Ok(answer),
                (Some(Way::Conflict), _) if transaction_items > 0 => Ok(conflict(transaction_items)),
                (Some(Way::Throttled | Way::Conflict), _) => {
                    Ok(error(400, json!({"__type": "com.amazonaws#ThrottlingException", "message": "injected"})))
                }
                _ => Ok(error(500, json!({"__type": "com.amazonaws#InternalServerError", "message": "injected"}))),
            }
        })
    }
}

/// Names the operation where the protocol is JSON.
const TARGET: &str = "x-amz-target";

/// The name of a request's operation; for S3, which has none in its requests, their method.
fn operation_of(request: &HttpRequest) -> &str {
    match request.headers().get(TARGET) {
        Some(target) => target.rsplit('.').next().unwrap_or_default(),
        None => request.method(),
    }
}

fn transaction_items(request: &HttpRequest) -> usize {
    let body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
    body["TransactItems"].as_array().map_or(0, Vec::len)
}

fn conflict(items: usize) -> HttpResponse {
    let mut reasons = vec![json!({"Code": "None"}); items];
    reasons[items - 1] = json!({"Code": "TransactionConflict", "Message": "injected"});
    error(
        400,
        json!({"__type": "com.amazonaws#TransactionCanceledException", "Message": "injected", "CancellationReasons": reasons}),
    )
}

fn error(status: u16, body: Value) -> HttpResponse {
    let status = status.try_into().expect("statuses of this file are valid");
    HttpResponse::new(status, SdkBody::from(body.to_string()))
}
