//! The sources against the real stream engine, with a queue service and a function made up here.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::*;
use crate::engines::dynamodb::DynamoDb;
use crate::engines::ports;
use crate::template::{LocalValues, Template};

const TEMPLATE: &str = r#"
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{ AttributeName: pk, AttributeType: S }]
      KeySchema: [{ AttributeName: pk, KeyType: HASH }]
      StreamSpecification: { StreamViewType: NEW_AND_OLD_IMAGES }
  Work: { Type: AWS::SQS::Queue }
  Failures: { Type: AWS::SQS::Queue }
  TestFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/test
      Events:
        Stream:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Table.StreamArn
            StartingPosition: TRIM_HORIZON
            MaximumRetryAttempts: 2
            BisectBatchOnFunctionError: true
            FunctionResponseTypes: [ReportBatchItemFailures]
            FilterCriteria: { Filters: [{ Pattern: '{"eventName":["INSERT"]}' }] }
            DestinationConfig: { OnFailure: { Type: SQS, Destination: !GetAtt Failures.Arn } }
        Queue:
          Type: SQS
          Properties: { Queue: !GetAtt Work.Arn, FunctionResponseTypes: [ReportBatchItemFailures] }
"#;

/// What the made-up function and queue service saw.
#[derive(Default)]
struct World {
    /// Keys of stream records that the function handled.
    handled: Mutex<Vec<String>>,
    /// Messages that can be received, by the path of their queue's URL.
    messages: Mutex<Vec<(String, Value)>>,
    /// Receipt handles that were deleted.
    deleted: Mutex<Vec<Value>>,
    /// Whether the next attempt to receive from an empty queue fails.
    receive_fails: AtomicBool,
    /// Whether the next read of the stream fails.
    read_fails: AtomicBool,
}

/// A function that fails whenever it meets `poison`, on a stream record or in a message.
async fn invoke(State(world): State<Arc<World>>, Json(event): Json<Value>) -> Response {
    let records = event["Records"].as_array().unwrap();
    if records[0]["eventSource"] == "aws:sqs" {
        let failed = records.iter().filter(|record| record["body"].as_str().unwrap().contains("poison"));
        let failures: Vec<_> = failed.map(|record| json!({ "itemIdentifier": record["messageId"] })).collect();
        return Json(json!({ "batchItemFailures": failures })).into_response();
    }
    let key = |record: &Value| record["dynamodb"]["Keys"]["pk"]["S"].as_str().unwrap().to_owned();
    if records.iter().any(|record| key(record) == "poison") {
        let error = json!({ "errorType": "Poison", "errorMessage": "no" });
        return (StatusCode::INTERNAL_SERVER_ERROR, Json(error)).into_response();
    }
    world.handled.lock().unwrap().extend(records.iter().map(key));
    Json(json!({ "batchItemFailures": [] })).into_response()
}

/// As much of SQS as the sources use.
async fn sqs(State(world): State<Arc<World>>, headers: HeaderMap, body: String) -> Response {
    let request: Value = serde_json::from_str(&body).unwrap();
    let queue = request["QueueUrl"].as_str().unwrap().to_owned();
    let mut messages = world.messages.lock().unwrap();
    Json(match headers["x-amz-target"].to_str().unwrap() {
        "AmazonSQS.SendMessage" => {
            messages.push((queue, json!({ "Body": request["MessageBody"] })));
            json!({})
        }
        "AmazonSQS.ReceiveMessage" => {
            let received = messages.extract_if(.., |(of, _)| *of == queue).map(|(_, message)| message).take(10);
            let received: Vec<_> = received.collect();
            if received.is_empty() && queue == "Work" && world.receive_fails.swap(false, Ordering::SeqCst) {
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
            if received.is_empty() { json!({}) } else { json!({ "Messages": received }) }
        }
        "AmazonSQS.DeleteMessageBatch" => {
            let entries = request["Entries"].as_array().unwrap();
            world.deleted.lock().unwrap().extend(entries.iter().map(|entry| entry["ReceiptHandle"].clone()));
            json!({ "Successful": entries.iter().map(|entry| json!({ "Id": entry["Id"] })).collect::<Vec<_>>() })
        }
        other => panic!("{other}"),
    })
    .into_response()
}

/// The stream's service, but for the reads that are ordered to fail.
async fn streams(
    State((world, engine)): State<(Arc<World>, String)>,
    headers: HeaderMap,
    body: String,
) -> Result<String, StatusCode> {
    let target = headers["x-amz-target"].to_str().unwrap();
    if target.ends_with(".GetRecords") && world.read_fails.swap(false, Ordering::SeqCst) {
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    let mut request = reqwest::Client::new().post(engine).body(body);
    for name in ["x-amz-target", "x-amz-date", "content-type", "authorization"] {
        request = request.header(name, &headers[name]);
    }
    Ok(request.send().await.unwrap().text().await.unwrap())
}

struct Scene {
    world: Arc<World>,
    sources: Sources,
    dynamodb: JsonService,
    _engine: DynamoDb,
}

impl Scene {
    async fn set(name: &str) -> Self {
        let world = Arc::new(World::default());
        let engine = DynamoDb::start(&std::env::temp_dir().join(format!("holdfast-{name}"))).await.unwrap();
        let router = Router::new()
            .route("/", post(sqs))
            .route("/2015-03-31/functions/test/invocations", post(invoke))
            .with_state(Arc::clone(&world))
            .route("/streams", post(streams))
            .with_state((Arc::clone(&world), engine.url().to_owned()));
        let (listener, address) = ports::listen().await.unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let url = format!("http://{address}");

        let client = reqwest::Client::new();
        let dynamodb = JsonService::dynamodb(client.clone(), engine.url());
        let application = Template::parse(TEMPLATE).unwrap().application(&LocalValues::default()).unwrap();
        let created = dynamodb.call("CreateTable", &application.table.create).await.unwrap();
        let queue_urls = application.queues.iter().map(|queue| (queue.arn.clone(), queue.logical_id.clone()));
        let services = Services {
            invoker: Invoker::new(client.clone(), &url, &application.functions, 2),
            sqs: JsonService::sqs(client.clone(), &url),
            streams: JsonService::streams(client, &format!("{url}/streams")),
            queue_urls: queue_urls.collect(),
            stream_arn: created["TableDescription"]["LatestStreamArn"].as_str().unwrap().to_owned(),
        };
        let sources = Sources::start(&application, &services).unwrap();
        Self { world, sources, dynamodb, _engine: engine }
    }

    async fn put(&self, key: &str) {
        let item = json!({ "TableName": "holdfast-Table", "Item": { "pk": { "S": key } } });
        self.dynamodb.call("PutItem", &item).await.unwrap();
    }
}

/// Waits until `holds`, for ten seconds at most.
async fn until(holds: impl Fn() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it did not come about");
}

#[tokio::test]
async fn a_poisoned_record_is_reported_and_its_neighbours_are_handled() {
    let scene = Scene::set("stream").await;
    for key in ["a", "b", "poison", "c", "d"] {
        scene.put(key).await;
    }
    // A change of an item that is there is not an INSERT, so the filter keeps it back.
    scene.put("a").await;
    let position = &scene.sources.streams[0];
    until(|| position.read() == 6 && position.pending() == 0).await;
    assert_eq!(*scene.world.handled.lock().unwrap(), ["a", "b", "c", "d"]);

    let messages = scene.world.messages.lock().unwrap();
    let [(queue, message)] = messages.as_slice() else { panic!("one report in {messages:?}") };
    assert_eq!(queue, "Failures");
    let report: Value = serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
    assert_eq!(report["requestContext"]["condition"], "RetryAttemptsExhausted");
    assert_eq!(report["requestContext"]["approximateInvokeCount"], 3);
    let batch = &report["DDBStreamBatchInfo"];
    assert_eq!(batch["batchSize"], 1);
    assert_eq!(batch["startSequenceNumber"], batch["endSequenceNumber"]);
    assert!(batch["shardId"].as_str().is_some_and(|shard| shard.starts_with("shardId-")));
}

#[tokio::test]
async fn a_read_that_fails_is_taken_up_where_it_was() {
    let scene = Scene::set("stream-fails").await;
    let position = &scene.sources.streams[0];
    for (read, key) in [(1, "a"), (2, "b")] {
        scene.put(key).await;
        until(|| position.read() == read && position.pending() == 0).await;
    }
    scene.world.read_fails.store(true, Ordering::SeqCst);
    until(|| !scene.world.read_fails.load(Ordering::SeqCst)).await;
    scene.put("c").await;
    until(|| scene.world.handled.lock().unwrap().iter().any(|key| key == "c")).await;
    assert_eq!(*scene.world.handled.lock().unwrap(), ["a", "b", "c"]);
    assert_eq!(position.read(), 3);
}

#[tokio::test]
async fn a_batch_that_could_not_be_filled_is_not_lost() {
    let scene = Scene::set("queue-fails").await;
    let message = json!({ "MessageId": "1", "ReceiptHandle": "receipt-1", "Body": r#"{"id":"o/1"}"# });
    {
        // Nothing is received meanwhile: the failure follows the message.
        let mut messages = scene.world.messages.lock().unwrap();
        scene.world.receive_fails.store(true, Ordering::SeqCst);
        messages.push(("Work".to_owned(), message));
    }
    until(|| scene.sources.deliveries.acknowledged("o/1") == 1).await;
    assert!(!scene.world.receive_fails.load(Ordering::SeqCst), "the batch was filled without a failure");
}

#[tokio::test]
async fn only_handled_messages_are_deleted_and_counted() {
    let scene = Scene::set("queue").await;
    let message = |id: &str, body: &str| {
        let message = json!({ "MessageId": id, "ReceiptHandle": format!("receipt-{id}"), "Body": body });
        ("Work".to_owned(), message)
    };
    scene.world.messages.lock().unwrap().extend([
        message("1", r#"{"id":"o/1"}"#),
        message("2", r#"{"id":"o/2","poison":true}"#),
        message("3", "no event"),
    ]);
    until(|| scene.sources.deliveries.acknowledged("o/1") == 1).await;
    assert_eq!(*scene.world.deleted.lock().unwrap(), ["receipt-1", "receipt-3"]);
    let deliveries = &scene.sources.deliveries;
    assert_eq!((deliveries.delivered("o/1"), deliveries.delivered("o/2"), deliveries.acknowledged("o/2")), (1, 1, 0));
}
