//! DynamoDB engines for tests: each test has a table of its own.

use crate::endpoints::stack;
use crate::faults::Wire;
use aws_sdk_dynamodb::config::Credentials;
use holdfast_local::demo::evidence::Evidence;
use holdfast_local::engines::aws::JsonService;
use holdfast_local::engines::dynamodb::DynamoDb;
use holdfast_local::template::{LocalValues, Template};
use holdfast_runtime::clients::{Aws, Endpoints};
use holdfast_store::Store;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// Which engine a test runs against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// Embedded, one for each test.
    Dynoxide,
    /// The second opinion, that of the running stack.
    Ministack,
}

/// A table of a test's own, and the wire to it.
pub struct Engine {
    /// The table's name.
    pub table: String,
    /// Where the engine listens.
    pub url: String,
    /// What may go wrong on the way.
    pub wire: Arc<Wire>,
    // Kept for its Drop: the embedded engine stops with the test.
    _embedded: Option<DynamoDb>,
}

impl Engine {
    /// The embedded engine with an empty table.
    pub async fn embedded() -> Self {
        Self::start(EngineKind::Dynoxide).await
    }

    /// An engine with an empty table, made from the template.
    pub async fn start(kind: EngineKind) -> Self {
        let folder = std::env::temp_dir();
        let (url, embedded) = match kind {
            EngineKind::Dynoxide => {
                let embedded = DynamoDb::start(&folder).await.expect("dynoxide starts");
                (embedded.url().to_owned(), Some(embedded))
            }
            EngineKind::Ministack => (stack().sqs_url.clone(), None),
        };
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
        let template = Template::read(&template).expect("the template is readable");
        let values = LocalValues { sqs_url: "http://127.0.0.1".to_owned(), ..LocalValues::default() };
        let mut create = template.application(&values).expect("the template describes an application").table.create;
        let table = format!("t{}", uuid::Uuid::now_v7().simple());
        create["TableName"] = json!(table);
        let dynamodb = JsonService::dynamodb(reqwest::Client::new(), &url);
        dynamodb.call("CreateTable", &create).await.expect("the table is made");
        Self { table, url, wire: Arc::default(), _embedded: embedded }
    }

    /// Clients whose calls pass the wire.
    pub fn aws(&self, sqs_url: Option<String>) -> Aws {
        let credentials = Credentials::new("local", "local", None, None, "tests");
        let endpoints = Endpoints { dynamodb: Some(self.url.clone()), s3: sqs_url.clone(), sqs: sqs_url };
        Aws::new("us-east-1".to_owned(), credentials, Arc::clone(&self.wire).client(), endpoints)
    }

    /// Clients of the services at a URL, past the wire.
    pub fn plain(url: &str) -> Aws {
        let credentials = Credentials::new("local", "local", None, None, "tests");
        let endpoints = Endpoints { dynamodb: None, sqs: Some(url.to_owned()), s3: Some(url.to_owned()) };
        Aws::new("us-east-1".to_owned(), credentials, Arc::<Wire>::default().client(), endpoints)
    }

    /// A client of a queue service past the wire.
    pub fn plain_sqs(url: &str) -> aws_sdk_sqs::Client {
        Self::plain(url).sqs()
    }

    /// A store over the table, through the wire.
    pub fn store(&self) -> Store {
        Store::new(self.aws(None).dynamodb(), &self.table)
    }

    /// What the table really holds, read past the code under test.
    pub async fn evidence(&self) -> Evidence {
        Evidence::read(&self.dynamodb(), &self.table).await.expect("the table is readable")
    }

    /// The table's raw items.
    pub async fn items(&self) -> Vec<Value> {
        let request = json!({"TableName": self.table, "ConsistentRead": true});
        let answer = self.dynamodb().call("Scan", &request).await.expect("the table is readable");
        answer["Items"].as_array().cloned().unwrap_or_default()
    }

    /// The engine, past the wire.
    pub fn dynamodb(&self) -> JsonService {
        JsonService::dynamodb(reqwest::Client::new(), &self.url)
    }

    /// The engine's streams, past the wire.
    pub fn streams(&self) -> JsonService {
        JsonService::streams(reqwest::Client::new(), &self.url)
    }
}
