//! The embedded engine without a socket: an operation's name and its JSON in, the service's answer out.

use dynoxide::Database;
use dynoxide::errors::DynoxideError;
use holdfast_local::template::{LocalValues, Template};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::LazyLock;

/// The table of every run.
pub const TABLE: &str = "interleave";

/// What a service answers: an HTTP status and a body.
pub type Answer = (u16, String);

/// A database in memory with the template's table.
pub struct Engine(Database);

impl Engine {
    /// A new database.
    ///
    /// # Panics
    /// When the template does not describe the table, or the engine refuses it.
    pub fn open() -> Self {
        static REQUEST: LazyLock<Value> = LazyLock::new(creation);
        let engine = Self(Database::memory().expect("the engine opens a database"));
        let (status, body) = engine.call("CreateTable", REQUEST.clone());
        assert_eq!(status, 200, "the table is made: {body}");
        engine
    }

    /// Applies a call at once.
    ///
    /// # Panics
    /// When the operation is not listed here: add it.
    pub fn call(&self, operation: &str, body: Value) -> Answer {
        let database = &self.0;
        let answered = match operation {
            "BatchGetItem" => answered(body, |request| database.batch_get_item(request)),
            "BatchWriteItem" => answered(body, |request| database.batch_write_item(request)),
            "CreateTable" => answered(body, |request| database.create_table(request)),
            "DeleteItem" => answered(body, |request| database.delete_item(request)),
            "GetItem" => answered(body, |request| database.get_item(request)),
            "PutItem" => answered(body, |request| database.put_item(request)),
            "Query" => answered(body, |request| database.query(request)),
            "Scan" => answered(body, |request| database.scan(request)),
            "TransactGetItems" => answered(body, |request| database.transact_get_items(request)),
            "TransactWriteItems" => answered(body, |request| database.transact_write_items(request)),
            "UpdateItem" => answered(body, |request| database.update_item(request)),
            other => panic!("{other} is not an operation that interleavings know"),
        };
        match answered {
            Ok(body) => (200, body),
            Err(error) => (error.status_code(), error.to_json()),
        }
    }

    /// The table's raw items.
    pub fn items(&self) -> Vec<Value> {
        let (mut items, mut request) = (Vec::new(), json!({"TableName": TABLE}));
        loop {
            let (status, body) = self.call("Scan", request.clone());
            let mut page: Value = serde_json::from_str(&body).unwrap_or_default();
            assert_eq!(status, 200, "the table is readable: {body}");
            if let Value::Array(found) = page["Items"].take() {
                items.extend(found);
            }
            match page["LastEvaluatedKey"].take() {
                Value::Null => return items,
                last => request["ExclusiveStartKey"] = last,
            }
        }
    }

    /// Puts these items.
    pub fn put(&self, items: &[Value]) {
        self.write(items, |item| json!({"PutRequest": {"Item": item}}));
    }

    /// Removes these items.
    pub fn remove(&self, items: &[Value]) {
        self.write(items, |item| json!({"DeleteRequest": {"Key": {"pk": item["pk"], "sk": item["sk"]}}}));
    }

    fn write(&self, items: &[Value], request: impl Fn(&Value) -> Value) {
        for batch in items.chunks(25) {
            let requests: Vec<_> = batch.iter().map(&request).collect();
            let (status, body) = self.call("BatchWriteItem", json!({"RequestItems": {TABLE: requests}}));
            assert_eq!(status, 200, "items are written: {body}");
        }
    }
}

/// The request that makes the table.
fn creation() -> Value {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    let template = Template::read(&template).expect("the template is readable");
    let values = LocalValues { sqs_url: "http://127.0.0.1".to_owned(), ..LocalValues::default() };
    let mut create = template.application(&values).expect("the template describes an application").table.create;
    create["TableName"] = json!(TABLE);
    // Nobody reads the stream here, and without one a write takes half the time.
    create.as_object_mut().expect("a request is an object").remove("StreamSpecification");
    create
}

fn answered<Q: DeserializeOwned, R: Serialize>(
    body: Value,
    call: impl FnOnce(Q) -> Result<R, DynoxideError>,
) -> Result<String, DynoxideError> {
    let request =
        serde_json::from_value(body).map_err(|error| DynoxideError::ValidationException(error.to_string()))?;
    call(request).map(|answer| serde_json::to_string(&answer).expect("the engine's answers are JSON"))
}
