//! How well the kit uses the time that somebody outside takes.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_lambda_events::event::sqs::SqsEvent;
use holdfast_domain::routing::Queue;
use holdfast_runtime::clients::{Aws, Endpoints};
use holdfast_runtime::clock::Clock;
use holdfast_runtime::routing::Queues;
use holdfast_runtime::worker::{About, Consumer, Delivery, Desk, Failure, consume};
use holdfast_store::Store;
use jiff::Timestamp;
use serde_json::json;

use super::WorkerFigures;
use crate::engines::aws::{ACCESS_KEY, REGION};

/// How long the outside takes.
const OUTSIDE: Duration = Duration::from_millis(20);
/// Messages of a measurement: many rounds of the limit.
const MESSAGES: usize = 400;

/// A consumer whose work is to wait for somebody outside.
struct Waiting {
    store: Store,
    queues: Queues,
    clock: Clock,
}

#[async_trait]
impl Consumer for Waiting {
    type Letter = ();
    type Shared = ();
    type Error = Infallible;

    const NAME: &'static str = "waiting";
    const QUEUE: Queue = Queue::Orders;
    const TIMEOUT: Duration = Duration::from_secs(12);

    fn desk(&self) -> Desk<'_> {
        Desk { store: &self.store, queues: &self.queues, clock: &self.clock }
    }

    fn read(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn about((): &()) -> About {
        About::default()
    }

    async fn work(&self, (): &(), _: &Delivery, (): &()) -> Result<(), Infallible> {
        tokio::time::sleep(OUTSIDE).await;
        Ok(())
    }

    fn failure(error: &Infallible) -> Failure {
        match *error {}
    }
}

/// Measures the kit one message at a time, in one large batch, and in batches of eight.
///
/// # Errors
/// When a message is not done.
pub async fn measure() -> anyhow::Result<WorkerFigures> {
    let credentials = aws_sdk_dynamodb::config::Credentials::new(ACCESS_KEY, ACCESS_KEY, None, None, "bench");
    let http = aws_smithy_http_client::Builder::new().build_http();
    let aws = Aws::new(REGION.to_owned(), credentials, http, Endpoints::default());
    // Nothing fails, so neither is called.
    let consumer =
        Waiting { store: Store::new(aws.dynamodb(), "none"), queues: Queues::new([]), clock: Clock::system() };
    let limit = Waiting::AT_ONCE;
    let one = per_second(&consumer, 1, MESSAGES / limit).await?;
    let all = per_second(&consumer, MESSAGES, MESSAGES).await?;
    let eights = per_second(&consumer, 8, MESSAGES).await?;
    let most = limit as f64 * one;
    Ok(WorkerFigures {
        limit,
        outside_ms: OUTSIDE.as_millis() as u64,
        one_at_a_time_per_second: one,
        per_second: all,
        used: all / most,
        used_in_eights: eights / most,
    })
}

async fn per_second(consumer: &Waiting, batch: usize, messages: usize) -> anyhow::Result<f64> {
    let record =
        |number: usize| json!({"messageId": number.to_string(), "body": "", "attributes": {}, "messageAttributes": {}});
    let event: SqsEvent = serde_json::from_value(json!({"Records": (0..batch).map(record).collect::<Vec<_>>()}))?;
    let begun = Instant::now();
    for _ in 0..messages / batch {
        let answer = consume(consumer, event.clone(), Timestamp::MAX).await;
        anyhow::ensure!(answer.batch_item_failures.is_empty(), "a message was not done");
    }
    Ok(messages as f64 / begun.elapsed().as_secs_f64())
}
