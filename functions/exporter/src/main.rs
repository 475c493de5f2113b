//! The `exporter` function: wiring only.

use exporter::{Exporter, Objects, PartLimits};
use holdfast_domain::routing::Queue;
use holdfast_runtime::{clients::Aws, clock::Clock, config, routing::Queues, telemetry};
use holdfast_store::Store;
use jiff::Timestamp;
use lambda_runtime::{LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::start();
    let aws = Aws::from_environment()?;
    let store = Store::new(aws.dynamodb(), &config::text("TABLE_NAME")?);
    let queues = Queues::from_environment(&aws.sqs(), &[Queue::Exports])?;
    let objects = Objects::new(aws.s3(), config::text("EXPORTS_BUCKET")?);
    let exporter = Exporter { store, queues, objects, clock: Clock::system(), limits: PartLimits::default() };
    lambda_runtime::run(service_fn(async |event: LambdaEvent<_>| {
        let deadline = i64::try_from(event.context.deadline).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        // Runtimes that stand in for Lambda tell none, or one that is over.
        let deadline = deadline.filter(|deadline| *deadline > Timestamp::now()).unwrap_or(Timestamp::MAX);
        Ok::<_, lambda_runtime::Error>(Box::pin(exporter.handle(event.payload, deadline)).await)
    }))
    .await
}
