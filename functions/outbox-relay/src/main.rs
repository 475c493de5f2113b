//! The `outbox-relay` function: wiring only.

use holdfast_runtime::{clients::Aws, clock::Clock, config, message::Publisher, routing::Queues, telemetry};
use holdfast_store::Store;
use jiff::SignedDuration;
use lambda_runtime::{LambdaEvent, service_fn};
use outbox_relay::Relay;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::start();
    let aws = Aws::from_environment()?;
    let store = Store::new(aws.dynamodb(), &config::text("TABLE_NAME")?);
    let queues = Queues {
        orders: Publisher::new(aws.sqs(), config::text("EVENTS_QUEUE_URL")?),
        notifications: Publisher::new(aws.sqs(), config::text("NOTIFICATIONS_QUEUE_URL")?),
    };
    let recovery_seconds: u32 = config::parsed("RECOVERY_SECONDS", "a number of seconds")?;
    let recovery_after = SignedDuration::from_secs(i64::from(recovery_seconds));
    let relay = Relay { store, queues, clock: Clock::system(), recovery_after };
    lambda_runtime::run(service_fn(async |event: LambdaEvent<_>| {
        Ok::<_, lambda_runtime::Error>(relay.handle(event.payload).await)
    }))
    .await
}
