//! The stream of a test's table.

use holdfast_local::engines::aws::JsonService;
use serde_json::json;

/// An iterator at the beginning of the one shard that the local engine has.
pub(crate) async fn start(streams: &JsonService, table: &str) -> String {
    let found = streams.call("ListStreams", &json!({"TableName": table})).await.expect("the table has a stream");
    let arn = found["Streams"][0]["StreamArn"].as_str().expect("the table has a stream").to_owned();
    let stream = streams.call("DescribeStream", &json!({"StreamArn": arn})).await.expect("the stream is there");
    let shard = stream["StreamDescription"]["Shards"][0]["ShardId"].clone();
    let request = json!({"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
    let iterator = streams.call("GetShardIterator", &request).await.expect("the shard is there");
    iterator["ShardIterator"].as_str().expect("a shard has an iterator").to_owned()
}
