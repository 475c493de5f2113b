//! A queue whose delays pass by the test's clock: the part of SQS's JSON protocol that the functions use, in this process.
//! What SQS itself does is tested over the running stack.

use crate::clock::TestClock;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use holdfast_local::engines::ports;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// A queue.
#[derive(Clone)]
pub struct ClockedQueue {
    /// Where it listens; its own URL, too.
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    clock: TestClock,
    messages: Mutex<Vec<Letter>>,
    sent: AtomicU64,
    down: AtomicBool,
}

/// A message.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Unique in its queue.
    pub id: String,
    /// What was sent.
    pub body: String,
    /// When it can be received, in milliseconds since the epoch.
    pub visible_at: i64,
    /// How often it was received.
    pub received: u32,
}

impl ClockedQueue {
    /// An empty queue.
    pub async fn open(clock: &TestClock) -> Self {
        let (listener, address) = ports::listen().await.expect("there is a port");
        let shared = Arc::new(Shared {
            clock: clock.clone(),
            messages: Mutex::default(),
            sent: AtomicU64::default(),
            down: AtomicBool::default(),
        });
        let router = Router::new().fallback(serve).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url: format!("http://{address}"), shared }
    }

    /// From now on the queue fails every call, or none.
    pub fn down(&self, down: bool) {
        self.shared.down.store(down, Ordering::SeqCst);
    }

    /// Takes up to ten messages that can be received now, oldest first.
    pub fn take(&self) -> Vec<Letter> {
        let now = self.shared.now();
        let mut messages = self.messages();
        let mut taken = Vec::new();
        messages.retain(|letter| {
            let take = letter.visible_at <= now && taken.len() < 10;
            if take {
                taken.push(Letter { received: letter.received + 1, ..letter.clone() });
            }
            !take
        });
        taken
    }

    /// Gives a message back that was not done: it can be received again at once.
    pub fn give_back(&self, letter: Letter) {
        self.messages().push(letter);
    }

    /// Sends a message as it is.
    pub fn send(&self, body: &str) {
        self.shared.accept(body, 0);
    }

    /// What waits, delayed messages included.
    pub fn waiting(&self) -> Vec<Letter> {
        self.messages().clone()
    }

    /// In how many milliseconds the next message can be received, if there is one.
    pub fn next_in_ms(&self) -> Option<i64> {
        let now = self.shared.now();
        self.messages().iter().map(|letter| (letter.visible_at - now).max(0)).min()
    }

    fn messages(&self) -> std::sync::MutexGuard<'_, Vec<Letter>> {
        self.shared.messages.lock().expect("no test panics while it holds this")
    }
}

impl Shared {
    fn now(&self) -> i64 {
        self.clock.clock().now().as_millisecond()
    }

    fn accept(&self, body: &str, delay_seconds: i64) -> String {
        assert!((0..=900).contains(&delay_seconds), "SQS delays 15 minutes at most, not {delay_seconds} s");
        let id = format!("m-{}", self.sent.fetch_add(1, Ordering::SeqCst));
        let visible_at = self.now() + 1_000 * delay_seconds;
        let letter = Letter { id: id.clone(), body: body.to_owned(), visible_at, received: 0 };
        self.messages.lock().expect("no test panics while it holds this").push(letter);
        id
    }
}

async fn serve(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    if shared.down.load(Ordering::SeqCst) {
        let error = json!({"__type": "com.amazonaws.sqs#ServiceUnavailable", "message": "down"});
        return (StatusCode::BAD_REQUEST, axum::Json(error)).into_response();
    }
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let sent = |entry: &Value| {
        let id = shared
            .accept(entry["MessageBody"].as_str().unwrap_or_default(), entry["DelaySeconds"].as_i64().unwrap_or(0));
        json!({"Id": entry["Id"], "MessageId": id, "MD5OfMessageBody": "0"})
    };
    let answer = match target {
        "AmazonSQS.SendMessage" => sent(&request),
        "AmazonSQS.SendMessageBatch" => {
            let entries = request["Entries"].as_array().into_iter().flatten();
            json!({"Successful": entries.map(sent).collect::<Vec<_>>(), "Failed": []})
        }
        _ => json!({}),
    };
    axum::Json(answer).into_response()
}
