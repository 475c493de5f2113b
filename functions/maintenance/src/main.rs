//! The `maintenance` function: wiring only.

use holdfast_runtime::{
    clients::Aws, clock::Clock, config, message::Publisher, routing::Queues, task_queue::TaskQueue, telemetry,
};
use holdfast_store::Store;
use lambda_runtime::{LambdaEvent, service_fn};
use maintenance::{Maintenance, Task};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::start();
    let aws = Aws::from_environment()?;
    let store = Store::new(aws.dynamodb(), &config::text("TABLE_NAME")?);
    let queues = Queues {
        orders: Publisher::new(aws.sqs(), config::text("EVENTS_QUEUE_URL")?),
        notifications: Publisher::new(aws.sqs(), config::text("NOTIFICATIONS_QUEUE_URL")?),
    };
    let exports = TaskQueue::new(aws.sqs(), config::text("EXPORTS_QUEUE_URL")?);
    let maintenance = Maintenance { store, queues, exports, clock: Clock::system() };
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Task>| {
        maintenance.run(event.payload).await.map_err(lambda_runtime::Error::from)
    }))
    .await
}
