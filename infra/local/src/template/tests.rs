use serde_json::json;

use super::*;

const FIXTURE: &str = r#"
Parameters:
  Expiry: { Type: Number, Default: 900 }
  Workers: { Type: Number, Default: 3 }
  ApiKey: { Type: String }
  Warm: { Type: Number, Default: 0 }
Conditions:
  IsWarm: !Not [!Equals [!Ref Warm, "0"]]
Globals:
  Function:
    Timeout: 10
    Environment: { Variables: { TABLE_NAME: !Ref Table } }
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{ AttributeName: pk, AttributeType: S }]
      KeySchema: [{ AttributeName: pk, KeyType: HASH }]
      WarmThroughput: !If [IsWarm, { ReadUnitsPerSecond: !Ref Warm }, !Ref AWS::NoValue]
      StreamSpecification: { StreamViewType: NEW_AND_OLD_IMAGES }
      TimeToLiveSpecification: { AttributeName: ttl, Enabled: true }
  Work:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 60
      RedrivePolicy: { deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 5 }
  Dead: { Type: AWS::SQS::Queue }
  Parts: { Type: AWS::S3::Bucket }
  CursorKey: { Type: AWS::SecretsManager::Secret, Properties: { GenerateSecretString: {} } }
  PaymentKey: { Type: AWS::SecretsManager::Secret, Properties: { SecretString: !Ref ApiKey } }
  Api:
    Type: AWS::Serverless::HttpApi
    Properties: { Auth: { DefaultAuthorizer: Jwt } }
  FrontFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/front/
      Environment:
        Variables:
          CURSOR_KEY: !Sub "{{resolve:secretsmanager:${CursorKey}:SecretString}}"
          PAYMENT_KEY: !Sub "{{resolve:secretsmanager:${PaymentKey}:SecretString}}"
          EXPIRY: !Ref Expiry
          QUEUE: !Ref Work
          BUCKET: !Ref Parts
          WHERE: !Sub ["${AWS::Region}/${Thing}/${!Kept}", { Thing: !Join ["-", [a, !Ref Expiry]] }]
      Events:
        Read:
          Type: HttpApi
          Properties: { ApiId: !Ref Api, Method: get, Path: "/things/{id}", Auth: { AuthorizationScopes: [a, b] } }
        Open:
          Type: HttpApi
          Properties: { ApiId: !Ref Api, Method: ANY, Path: /open, Auth: { Authorizer: NONE } }
  BackFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/back
      Timeout: 20
      Events:
        Queue:
          Type: SQS
          Properties:
            Queue: !GetAtt Work.Arn
            BatchSize: "5"
            FunctionResponseTypes: [ReportBatchItemFailures]
            ScalingConfig: { MaximumConcurrency: !Ref Workers }
        Stream:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Table.StreamArn
            StartingPosition: TRIM_HORIZON
            MaximumRetryAttempts: 4
            BisectBatchOnFunctionError: true
            FilterCriteria: { Filters: [{ Pattern: '{"eventName":["INSERT"]}' }] }
            DestinationConfig: { OnFailure: { Type: SQS, Destination: !GetAtt Dead.Arn } }
        Sweep:
          Type: ScheduleV2
          Properties: { ScheduleExpression: rate(1 minute), Input: '{"job":"sweep"}' }
        Off:
          Type: ScheduleV2
          Properties: { ScheduleExpression: rate(1 minute), State: DISABLED }
"#;

fn application() -> Application {
    let values = LocalValues {
        parameters: BTreeMap::from([("Expiry".to_owned(), "2".to_owned())]),
        sqs_url: "http://127.0.0.1:1".to_owned(),
        generated_secret: "generated".to_owned(),
    };
    Template::parse(FIXTURE).unwrap().application(&values).unwrap()
}

#[test]
fn a_function_has_its_environment_with_local_values() {
    let application = application();
    let front = application.functions.iter().find(|function| function.name == "front").unwrap();
    assert_eq!(front.timeout.as_secs(), 10);
    let expected = [
        ("BUCKET", "holdfast-parts"),
        ("CURSOR_KEY", "generated"),
        ("EXPIRY", "2"),
        ("PAYMENT_KEY", "local-ApiKey"),
        ("QUEUE", "http://127.0.0.1:1/000000000000/holdfast-Work"),
        ("TABLE_NAME", "holdfast-Table"),
        ("WHERE", "us-east-1/a-2/${Kept}"),
    ];
    let environment: Vec<_> = front.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(environment, expected);
}

#[test]
fn a_route_has_its_scopes_and_the_default_authorizer() {
    let application = application();
    let front = application.functions.iter().find(|function| function.name == "front").unwrap();
    let route = |method: &str, path: &str, authorized, scopes: &[&str]| Route {
        method: method.to_owned(),
        path: path.to_owned(),
        authorized,
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
    };
    let mut routes = front.routes.clone();
    routes.sort_by(|one, other| one.path.cmp(&other.path));
    assert_eq!(routes, [route("ANY", "/open", false, &[]), route("GET", "/things/{id}", true, &["a", "b"])]);
}

#[test]
fn sources_have_their_limits() {
    let application = application();
    let back = application.functions.iter().find(|function| function.name == "back").unwrap();
    let [queue] = back.queues.as_slice() else { panic!("one queue") };
    assert_eq!(queue.queue, "arn:aws:sqs:us-east-1:000000000000:holdfast-Work");
    assert_eq!((queue.batch_size, queue.scaling_config.maximum_concurrency), (5, Some(3)));
    let [stream] = back.streams.as_slice() else { panic!("one stream") };
    assert_eq!(
        (stream.batch_size, stream.maximum_retry_attempts, stream.maximum_record_age_in_seconds),
        (100, Some(4), None)
    );
    assert!(stream.bisect_batch_on_function_error);
    assert_eq!(
        stream.destination_config.on_failure.as_ref().unwrap().destination,
        "arn:aws:sqs:us-east-1:000000000000:holdfast-Dead"
    );
    assert_eq!(back.schedules.len(), 1);
    assert_eq!((back.instances(16), back.instances(2)), (5, 2));
}

#[test]
fn the_table_the_queues_and_the_buckets_can_be_created() {
    let application = application();
    assert_eq!(application.buckets, ["holdfast-parts"]);
    let expected = json!({
        "TableName": "holdfast-Table",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
        "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
    });
    assert_eq!(application.table.create, expected);
    assert_eq!(application.table.ttl_attribute.as_deref(), Some("ttl"));
    let work = application.queues.iter().find(|queue| queue.logical_id == "Work").unwrap();
    assert_eq!(work.attributes["VisibilityTimeout"], "60");
    let redrive: Value = serde_json::from_str(&work.attributes["RedrivePolicy"]).unwrap();
    assert_eq!(
        redrive,
        json!({ "deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:holdfast-Dead", "maxReceiveCount": 5 })
    );
}

#[test]
fn what_is_not_known_is_named_with_its_place() {
    let text = FIXTURE.replace("ScheduleExpression: rate(1 minute), Input", "ScheduleExpression: rate(1 eon), Input");
    let error = Template::parse(&text).unwrap().application(&LocalValues::default()).unwrap_err();
    let told = format!("{error:#}");
    assert!(told.contains("BackFunction") && told.contains("Sweep") && told.contains("rate(1 eon)"), "{told}");
}

#[test]
fn a_mapping_that_is_not_played_as_it_is_written_is_refused() {
    let refused = |from: &str, to: &str| {
        let text = FIXTURE.replacen(from, to, 1);
        assert_ne!(text, FIXTURE);
        let error = Template::parse(&text).unwrap().application(&LocalValues::default()).unwrap_err();
        format!("{error:#}")
    };
    let told = refused("TRIM_HORIZON", "LATEST");
    assert!(told.contains("Stream") && told.contains("LATEST"), "{told}");
    let told = refused("MaximumRetryAttempts: 4", "TumblingWindowInSeconds: 4");
    assert!(told.contains("Stream") && told.contains("TumblingWindowInSeconds"), "{told}");
    let told = refused("BatchSize: \"5\"", "KmsKeyArn: a");
    assert!(told.contains("Queue") && told.contains("KmsKeyArn"), "{told}");
    let told = refused("{ Type: SQS, Destination", "{ Type: SNS, Destination");
    assert!(told.contains("SNS"), "{told}");
    let text = FIXTURE.replacen("BatchSize: \"5\"", "Enabled: true", 1);
    assert!(Template::parse(&text).unwrap().application(&LocalValues::default()).is_ok());
}

#[test]
fn the_template_of_this_workspace_is_understood() {
    let template = Template::read(&workspace::root().join("template.yaml")).unwrap();
    let application = template.application(&LocalValues::default()).unwrap();
    let names: Vec<_> = application.functions.iter().map(|function| function.name.as_str()).collect();
    let functions = [
        "catalog",
        "inventory",
        "maintenance",
        "notifier",
        "order-worker",
        "orders",
        "outbox-relay",
        "payment-webhooks",
        "webhooks",
    ];
    for name in functions {
        assert!(names.contains(&name), "{name} is missing in {names:?}");
    }
    assert!(application.functions.iter().all(|function| function.environment.contains_key("TABLE_NAME")));
}
