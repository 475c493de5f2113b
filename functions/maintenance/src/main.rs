//! The `maintenance` function: wiring only.

use holdfast_domain::routing::Queue;
use holdfast_runtime::dead_queue::DeadQueue;
use holdfast_runtime::routing::{Queues, dead_variable};
use holdfast_runtime::{clients::Aws, clock::Clock, config, telemetry};
use holdfast_store::Store;
use lambda_runtime::{LambdaEvent, service_fn};
use maintenance::{Maintenance, Task};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::start();
    let aws = Aws::from_environment()?;
    let store = Store::new(aws.dynamodb(), &config::text("TABLE_NAME")?);
    let queues = Queues::from_environment(&aws.sqs(), &Queue::ALL)?;
    let dead_queue = |name, of| Ok(DeadQueue::new(aws.sqs(), config::text(name)?, of));
    let of_queues = Queue::ALL.map(|queue| (dead_variable(queue), Some(queue)));
    let all = of_queues.into_iter().chain([("RELAY_FAILURES_URL", None)]);
    let dead_queues = all.map(|(name, of)| dead_queue(name, of)).collect::<Result<_, config::ConfigError>>()?;
    let recovery_after = config::recovery_after()?;
    let maintenance = Maintenance { store, queues, dead_queues, recovery_after, clock: Clock::system() };
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Task>| {
        maintenance.run(event.payload).await.map_err(lambda_runtime::Error::from)
    }))
    .await
}
