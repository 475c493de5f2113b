//! The `outbox-relay` function: wiring only.

use holdfast_domain::routing::Queue;
use holdfast_runtime::{cached, clients::Aws, clock::Clock, config, routing::Queues, telemetry};
use holdfast_store::Store;
use lambda_runtime::{LambdaEvent, service_fn};
use outbox_relay::{Relay, Told};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::start();
    let aws = Aws::from_environment()?;
    let store = Store::new(aws.dynamodb(), &config::text("TABLE_NAME")?);
    let queues = Queues::from_environment(&aws.sqs(), &Queue::OF_EVENTS)?;
    let recovery_after = config::recovery_after()?;
    let clock = Clock::system();
    let told = Told::new(cached::products_told(&clock, cached::shared_from_environment()));
    let relay = Relay { store, queues, told, clock, recovery_after };
    lambda_runtime::run(service_fn(async |event: LambdaEvent<_>| {
        Ok::<_, lambda_runtime::Error>(relay.handle(event.payload).await)
    }))
    .await
}
