//! Creates the table, the queues and the buckets of the template in the local engines.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::json;

use crate::engines::aws::JsonService;
use crate::template::{Queue, Table};

/// Creates `table` and gives the ARN of its stream, which is empty when it has none.
///
/// # Errors
/// When the engine refuses it.
pub async fn create_table(dynamodb: &JsonService, table: &Table) -> anyhow::Result<String> {
    let created = dynamodb.call("CreateTable", &table.create).await.context("the table was not made")?;
    if let Some(attribute) = &table.ttl_attribute {
        let request = json!({
            "TableName": table.name,
            "TimeToLiveSpecification": { "AttributeName": attribute, "Enabled": true },
        });
        dynamodb.call("UpdateTimeToLive", &request).await.context("the table got no expiry")?;
    }
    let arn = &created["TableDescription"]["LatestStreamArn"];
    Ok(arn.as_str().unwrap_or_default().to_owned())
}

/// Creates `queues`, dead letter queues before those that need them, and gives their URLs by logical id.
///
/// # Errors
/// When SQS refuses one.
pub async fn create_queues(sqs: &JsonService, queues: &[Queue]) -> anyhow::Result<BTreeMap<String, String>> {
    let (with_redrive, without): (Vec<_>, Vec<_>) =
        queues.iter().partition(|queue| queue.attributes.contains_key("RedrivePolicy"));
    let mut urls = BTreeMap::new();
    for queue in without.into_iter().chain(with_redrive) {
        let request = json!({ "QueueName": queue.name, "Attributes": queue.attributes });
        let created = sqs.call("CreateQueue", &request).await;
        let created = created.with_context(|| format!("the queue {} was not made", queue.logical_id))?;
        let url = created["QueueUrl"].as_str().context("the new queue has no URL")?;
        urls.insert(queue.logical_id.clone(), url.to_owned());
    }
    Ok(urls)
}

/// The URLs of `queues` by ARN.
pub fn urls_by_arn(queues: &[Queue], urls: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let url = |queue: &Queue| Some((queue.arn.clone(), urls.get(&queue.logical_id)?.clone()));
    queues.iter().filter_map(url).collect()
}

/// Creates `buckets` in the S3 at `url`.
///
/// # Errors
/// When it refuses one, or does not answer.
pub async fn create_buckets(client: &reqwest::Client, url: &str, buckets: &[String]) -> anyhow::Result<()> {
    for bucket in buckets {
        let created = client.put(format!("{url}/{bucket}")).send().await.and_then(reqwest::Response::error_for_status);
        created.with_context(|| format!("the bucket {bucket} was not made"))?;
    }
    Ok(())
}
