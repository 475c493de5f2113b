//! A shop's own system that takes webhooks, on this machine.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use holdfast_local::engines::ports;
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;
use std::sync::{Arc, Mutex};

/// What a receiver does with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Habit {
    /// Answers with a status.
    Answer(u16),
    /// Never answers.
    Hang,
    /// Answers with 200 and a body without end.
    Endless,
    /// Answers with 200 and a body that never comes.
    Dripping,
    /// Sends the caller elsewhere.
    Redirect(String),
}

/// A call that was received.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, to the letter.
    pub body: String,
}

impl Received {
    /// A header's text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// A receiver.
pub struct Receiver {
    /// Where it listens.
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    habit: Mutex<Habit>,
    received: Mutex<Vec<Received>>,
}

impl Receiver {
    /// A receiver of a habit.
    pub async fn open(habit: Habit) -> Self {
        let (listener, address) = ports::listen().await.expect("there is a port");
        let shared = Arc::new(Shared { habit: Mutex::new(habit), received: Mutex::default() });
        let router = Router::new().fallback(serve).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url: format!("http://{address}/hooks"), shared }
    }

    /// From now on it does something else.
    pub fn turn(&self, habit: Habit) {
        *self.shared.habit.lock().expect("no test panics while it holds this") = habit;
    }

    /// What it received so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().expect("no test panics while it holds this").clone()
    }
}

async fn serve(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let received = Received { headers, body: String::from_utf8_lossy(&body).into_owned() };
    shared.received.lock().expect("no test panics while it holds this").push(received);
    let habit = shared.habit.lock().expect("no test panics while it holds this").clone();
    let chunk = || Ok::<_, std::convert::Infallible>(Bytes::from_static(&[b'x'; 512]));
    match habit {
        Habit::Answer(status) => StatusCode::from_u16(status).expect("the test gives a status").into_response(),
        Habit::Hang => std::future::pending().await,
        Habit::Endless => Body::from_stream(stream::repeat_with(chunk)).into_response(),
        Habit::Dripping => {
            Body::from_stream(stream::pending::<Result<Bytes, std::convert::Infallible>>()).into_response()
        }
        Habit::Redirect(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
    }
}
