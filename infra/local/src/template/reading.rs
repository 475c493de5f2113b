//! Reads the application out of a template's resources.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::LocalValues;
use super::intrinsics::{Resolver, as_text};
use super::model::{Application, Function, Queue, Route, ScheduleRule, Table};

/// The properties of a table that the local engine takes.
const TABLE_PROPERTIES: [&str; 4] =
    ["AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "LocalSecondaryIndexes"];
/// The properties of a queue that are attributes in SQS and matter locally.
const QUEUE_ATTRIBUTES: [&str; 8] = [
    "ContentBasedDeduplication",
    "DelaySeconds",
    "FifoQueue",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "RedrivePolicy",
    "VisibilityTimeout",
];

/// Reads the application out of `document`, which is in long form.
pub(super) fn application(document: &Value, values: &LocalValues) -> anyhow::Result<Application> {
    let resolver = Resolver::new(document, values);
    let resources = document["Resources"].as_object().context("it has no Resources")?;
    let mut functions = Vec::new();
    let mut queues = Vec::new();
    let mut buckets = Vec::new();
    let mut table = None;
    for (logical_id, resource) in resources {
        let properties = &resource["Properties"];
        let read = || format!("the resource {logical_id}");
        match resource["Type"].as_str().unwrap_or_default() {
            "AWS::Serverless::Function" => {
                functions.push(function(document, &resolver, values, logical_id, properties).with_context(read)?);
            }
            "AWS::SQS::Queue" => queues.push(queue(&resolver, logical_id, properties).with_context(read)?),
            "AWS::S3::Bucket" => buckets.push(resolver.bucket_name(logical_id)?),
            "AWS::DynamoDB::Table" => table = Some(self::table(&resolver, logical_id, properties).with_context(read)?),
            _ => {}
        }
    }
    functions.sort_by(|one: &Function, other| one.logical_id.cmp(&other.logical_id));
    queues.sort_by(|one: &Queue, other| one.logical_id.cmp(&other.logical_id));
    buckets.sort();
    Ok(Application { functions, table: table.context("it has no table")?, queues, buckets })
}

fn function(
    document: &Value,
    resolver: &Resolver<'_>,
    values: &LocalValues,
    logical_id: &str,
    properties: &Value,
) -> anyhow::Result<Function> {
    let defaults = &document["Globals"]["Function"];
    let code = properties["CodeUri"].as_str().context("CodeUri is missing")?;
    let setting = |name: &str| properties.get(name).or_else(|| defaults.get(name));
    let number = |name: &str, default: u64| -> anyhow::Result<u64> {
        let Some(value) = setting(name) else { return Ok(default) };
        as_text(&resolver.resolve(value)?)?.parse().with_context(|| format!("{name} is not a number"))
    };
    let mut environment = BTreeMap::new();
    for source in [defaults, properties] {
        for (name, value) in source["Environment"]["Variables"].as_object().into_iter().flatten() {
            let value = as_text(&resolver.resolve(value)?).with_context(|| format!("the variable {name}"))?;
            environment.insert(name.clone(), secret(document, resolver, values, &value)?.unwrap_or(value));
        }
    }
    let mut function = Function {
        logical_id: logical_id.to_owned(),
        name: code.trim_end_matches('/').rsplit('/').next().unwrap_or(code).to_owned(),
        environment,
        timeout: Duration::from_secs(number("Timeout", 3)?),
        memory: number("MemorySize", 128)?,
        routes: Vec::new(),
        queues: Vec::new(),
        streams: Vec::new(),
        schedules: Vec::new(),
    };
    for (name, event) in properties["Events"].as_object().into_iter().flatten() {
        add_event(&mut function, document, resolver, event).with_context(|| format!("the event {name}"))?;
    }
    Ok(function)
}

fn add_event(function: &mut Function, document: &Value, resolver: &Resolver<'_>, event: &Value) -> anyhow::Result<()> {
    let api = event["Properties"]["ApiId"]["Ref"].as_str().unwrap_or_default();
    let properties = resolver.resolve(&event["Properties"])?;
    if properties.get("Enabled").is_some_and(|enabled| enabled == false) || properties["State"] == "DISABLED" {
        return Ok(());
    }
    match event["Type"].as_str().unwrap_or_default() {
        "HttpApi" => {
            let default_authorizer = &document["Resources"][api]["Properties"]["Auth"]["DefaultAuthorizer"];
            function.routes.push(route(&properties, default_authorizer)?);
        }
        "SQS" => function.queues.push(mapping(properties)?),
        "DynamoDB" => function.streams.push(mapping(properties)?),
        "Schedule" | "ScheduleV2" => function.schedules.push(schedule(&properties)?),
        other => bail!("sources of type {other} are not known to cargo dev"),
    }
    Ok(())
}

fn route(properties: &Value, default_authorizer: &Value) -> anyhow::Result<Route> {
    let authorizer = properties["Auth"].get("Authorizer").unwrap_or(default_authorizer);
    let scopes = properties["Auth"]["AuthorizationScopes"].as_array();
    Ok(Route {
        method: properties["Method"].as_str().context("Method is missing")?.to_ascii_uppercase(),
        path: properties["Path"].as_str().context("Path is missing")?.to_owned(),
        authorized: authorizer.as_str().is_some_and(|name| name != "NONE"),
        scopes: scopes.into_iter().flatten().filter_map(|scope| scope.as_str().map(str::to_owned)).collect(),
    })
}

fn schedule(properties: &Value) -> anyhow::Result<ScheduleRule> {
    let expression = properties.get("ScheduleExpression").or_else(|| properties.get("Schedule"));
    let expression = expression.and_then(Value::as_str).context("the schedule is missing")?;
    let zone = properties["ScheduleExpressionTimezone"].as_str().unwrap_or("UTC");
    anyhow::ensure!(zone == "UTC", "schedules in {zone} are not known to cargo dev");
    Ok(ScheduleRule { recurrence: expression.parse()?, input: properties["Input"].as_str().map(str::to_owned) })
}

/// The secret that `value` refers to, if it is a dynamic reference.
fn secret(
    document: &Value,
    resolver: &Resolver<'_>,
    values: &LocalValues,
    value: &str,
) -> anyhow::Result<Option<String>> {
    let Some(reference) = value.strip_prefix("{{resolve:secretsmanager:") else {
        return Ok(None);
    };
    // A secret's Ref is its logical id here, so the rest of the reference follows the first colon.
    let logical_id = reference.split([':', '}']).next().unwrap_or_default();
    let secret = &document["Resources"][logical_id]["Properties"];
    let text = secret.get("SecretString").map(|text| resolver.resolve(text)).transpose()?;
    Ok(Some(match text.filter(|text| !text.is_null()) {
        Some(text) => as_text(&text)?,
        None => values.generated_secret.clone(),
    }))
}

fn table(resolver: &Resolver<'_>, logical_id: &str, properties: &Value) -> anyhow::Result<Table> {
    let name = resolver.physical_name(logical_id, "TableName")?;
    let mut create = json!({ "TableName": name, "BillingMode": "PAY_PER_REQUEST" });
    for property in TABLE_PROPERTIES {
        if let Some(value) = properties.get(property) {
            create[property] = resolver.resolve(value)?;
        }
    }
    for index in create["GlobalSecondaryIndexes"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut)
    {
        index.retain(|property, _| ["IndexName", "KeySchema", "Projection"].contains(&property.as_str()));
    }
    if let Some(stream) = properties.get("StreamSpecification") {
        create["StreamSpecification"] = json!({ "StreamEnabled": true, "StreamViewType": stream["StreamViewType"] });
    }
    if create["GlobalSecondaryIndexes"].is_null() {
        // Indexing a missing property to change it has added it.
        create.as_object_mut().map(|create| create.remove("GlobalSecondaryIndexes"));
    }
    let ttl = &properties["TimeToLiveSpecification"];
    Ok(Table {
        name,
        create,
        ttl_attribute: ttl["AttributeName"].as_str().filter(|_| ttl["Enabled"] == true).map(str::to_owned),
    })
}

fn queue(resolver: &Resolver<'_>, logical_id: &str, properties: &Value) -> anyhow::Result<Queue> {
    let mut attributes = BTreeMap::new();
    for property in QUEUE_ATTRIBUTES {
        if let Some(value) = properties.get(property) {
            let value = resolver.resolve(value)?;
            let text = if value.is_object() { value.to_string() } else { as_text(&value)? };
            attributes.insert(property.to_owned(), text);
        }
    }
    let name = resolver.physical_name(logical_id, "QueueName")?;
    let arn = json!({ "Fn::GetAtt": [logical_id, "Arn"] });
    Ok(Queue { logical_id: logical_id.to_owned(), arn: as_text(&resolver.resolve(&arn)?)?, name, attributes })
}

/// The mapping with these properties, which is enabled.
fn mapping<T: DeserializeOwned>(mut properties: Value) -> anyhow::Result<T> {
    if let Some(properties) = properties.as_object_mut() {
        properties.remove("Enabled");
    }
    Ok(serde_json::from_value(properties)?)
}
