//! Where every call to a service waits until the scheduler lets it go.

use super::engine::{Answer, Engine};
use super::guards;
use super::payments::Ledger;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;

tokio::task_local! {
    /// The lane on whose behalf a call is made.
    pub static LANE: usize;
}

/// A call that waits to be let go.
pub struct Call {
    /// Who made it.
    pub lane: usize,
    /// The same for the SDK's own repetitions of it.
    pub invocation: String,
    /// Its name.
    pub operation: String,
    /// Its request.
    pub body: Value,
    answer: oneshot::Sender<Answer>,
}

/// The services and the calls to them.
pub struct Switchboard {
    state: Mutex<State>,
    /// Told when a call arrived or a lane ended.
    pub changed: Notify,
}

/// What the switchboard knows; one run at a time.
pub struct State {
    /// The table.
    pub engine: Engine,
    /// The payment provider.
    pub ledger: Ledger,
    /// Whether calls wait for the scheduler. Otherwise they are applied as they come.
    pub scheduled: bool,
    /// The guards that are taken away.
    pub without: &'static [&'static str],
    /// Every guard that was sent.
    pub guards: BTreeSet<String>,
    /// Calls that wait, in the order of their arrival.
    pub parked: Vec<Call>,
    /// Calls that are on their way still although nobody may wait for them any more.
    pub adrift: Vec<Call>,
    /// What each lane is doing.
    pub running: BTreeMap<usize, AbortHandle>,
    /// What happened, line by line.
    pub trace: Vec<String>,
    /// When the order of an id was put into the table.
    pub placed: BTreeMap<String, usize>,
    /// The items that a run with these products starts from.
    pub prepared: HashMap<String, Vec<Value>>,
    moment: usize,
    /// How many runs there were.
    runs: usize,
}

impl Switchboard {
    /// A switchboard before a new table.
    pub fn open() -> Arc<Self> {
        let state = State {
            engine: Engine::open(),
            ledger: Ledger::default(),
            scheduled: false,
            without: &[],
            guards: BTreeSet::new(),
            parked: Vec::new(),
            adrift: Vec::new(),
            running: BTreeMap::new(),
            trace: Vec::new(),
            placed: BTreeMap::new(),
            prepared: HashMap::new(),
            moment: 0,
            runs: 0,
        };
        Arc::new(Self { state: Mutex::new(state), changed: Notify::new() })
    }

    /// What it knows. Never held over an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds this")
    }

    /// An HTTP client whose requests end here.
    pub fn client(self: &Arc<Self>) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(Connector(Arc::clone(self)));
        http_client_fn(move |_, _| connector.clone())
    }

    /// Makes a call, and waits for its answer as long as it takes.
    pub async fn call(&self, operation: String, invocation: String, body: Value) -> Answer {
        let waiting = {
            let mut state = self.state();
            if !state.scheduled {
                return state.apply(&operation, body);
            }
            let (answer, waiting) = oneshot::channel();
            let lane = LANE.try_with(|lane| *lane).unwrap_or_default();
            state.parked.push(Call { lane, invocation, operation, body, answer });
            waiting
        };
        self.changed.notify_one();
        match waiting.await {
            Ok(answer) => answer,
            Err(_) => std::future::pending().await,
        }
    }
}

impl State {
    /// Prepares a run: forgets what was noted in the last one.
    pub fn reset(&mut self) {
        self.ledger = Ledger::default();
        self.scheduled = false;
        self.without = &[];
        self.guards.clear();
        self.parked.clear();
        self.adrift.clear();
        self.running.clear();
        self.trace.clear();
        self.placed.clear();
        self.moment = 0;
        self.runs += 1;
    }

    /// Begins to let calls wait, and to take these guards away: what a run starts from is sound.
    pub fn begin(&mut self, without: &'static [&'static str]) {
        self.scheduled = true;
        self.without = without;
    }

    /// The next moment: moments order what happens in a run.
    pub fn tick(&mut self) -> usize {
        self.moment += 1;
        self.moment
    }

    /// Notes what happened.
    pub fn note(&mut self, line: impl FnOnce() -> String) {
        self.trace.push(line());
    }

    /// Applies a call, now and whole.
    pub fn apply(&mut self, operation: &str, mut body: Value) -> Answer {
        self.tick();
        match operation {
            // Timers that are sent on come due in another life.
            "SendMessageBatch" => return (200, sent(&body)),
            "Book" => return (200, String::new()),
            "Authorise" | "Void" | "Capture" | "Refund" => return self.ledger.apply(operation, &body),
            _ => {}
        }
        guards::visit(operation, &mut body, self.without, &mut self.guards);
        // The SDK draws tokens from the run's seed, too, and the engine remembers those of other runs of the seed.
        if let Some(Value::String(token)) = body.get_mut("ClientRequestToken") {
            *token = format!("{}-{}", self.runs, &token[token.len().min(9)..]);
        }
        let order = order_placed(&body);
        let answer = self.engine.call(operation, body);
        if let Some(order) = order.filter(|_| answer.0 == 200) {
            let moment = self.moment;
            self.placed.entry(order).or_insert(moment);
        }
        answer
    }
}

impl Call {
    /// Gives the caller an answer, if there is a caller still.
    pub fn answer(self, answer: Answer) {
        // A caller that gave up or was stopped hears nothing.
        let _ = self.answer.send(answer);
    }

    /// Whether nobody waits for it any more.
    pub fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    /// The number of items if it is a transaction.
    pub fn transaction_items(&self) -> usize {
        self.body["TransactItems"].as_array().map_or(0, Vec::len)
    }

    /// What it does, in a few words.
    pub fn words(&self) -> String {
        let action = |(name, action): (&String, &Value)| {
            let key = action.get("Item").or_else(|| action.get("Key")).unwrap_or(&Value::Null);
            format!("{name} {}", guards::entity(key))
        };
        match self.body["TransactItems"].as_array() {
            Some(items) => {
                let items: Vec<_> = items.iter().filter_map(Value::as_object).flatten().map(action).collect();
                format!("{} [{}]", self.operation, items.join(", "))
            }
            None => action((&self.operation, &self.body)),
        }
    }
}

fn sent(body: &Value) -> String {
    let entries = body["Entries"].as_array().into_iter().flatten();
    let sent = |entry: &Value| json!({"Id": entry["Id"], "MessageId": entry["Id"], "MD5OfMessageBody": ""});
    json!({"Successful": entries.map(sent).collect::<Vec<_>>(), "Failed": []}).to_string()
}

/// The id of the order that a call places or reserves. A large one is placed by the change of its header.
fn order_placed(body: &Value) -> Option<String> {
    let id = |key: &Value| key["pk"]["S"].as_str()?.rsplit('#').next().map(str::to_owned);
    if body["Key"]["sk"]["S"] == "order" {
        let placed = body["ExpressionAttributeValues"][":state"]["S"] == "placed";
        return id(&body["Key"]).filter(|_| placed);
    }
    let mut items = body["TransactItems"].as_array()?.iter().map(|item| &item["Put"]["Item"]);
    id(items.find(|item| item["sk"]["S"] == "order" && item["state"]["S"] != "placing")?)
}

struct Connector(Arc<Switchboard>);

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let header = |name: &str| request.headers().get(name).unwrap_or_default().to_owned();
        let operation = header("x-amz-target").rsplit('.').next().unwrap_or_default().to_owned();
        let invocation = header("amz-sdk-invocation-id");
        let body = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
        let board = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move {
            let (status, body) = board.call(operation, invocation, body).await;
            let status = status.try_into().expect("services answer with valid statuses");
            Ok(HttpResponse::new(status, SdkBody::from(body)))
        })
    }
}
