//! The `notifier` function: wiring only.

use aws_sdk_sesv2::config::Builder;
use holdfast_domain::routing::Queue;
use holdfast_runtime::{clients::Aws, clock::Clock, config, names::SystemNames, routing::Queues, telemetry};
use holdfast_store::Store;
use lambda_runtime::{LambdaEvent, service_fn};
use notifier::{Notifications, Sender, Ses};
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::start();
    let aws = Aws::from_environment()?;
    let mut ses = Builder::from(aws.config());
    ses.set_endpoint_url(config::text("AWS_ENDPOINT_URL_SESV2").ok());
    let notifications = Notifications {
        store: Store::new(aws.dynamodb(), &config::text("TABLE_NAME")?),
        queues: Queues::from_environment(&aws.sqs(), &[Queue::Notifications])?,
        sender: Arc::new(Sender::new(Arc::new(SystemNames), config::loopback()?)?),
        mails: Arc::new(Ses::new(ses)),
        clock: Clock::system(),
    };
    lambda_runtime::run(service_fn(async |event: LambdaEvent<_>| {
        Ok::<_, lambda_runtime::Error>(notifications.handle(event.payload).await)
    }))
    .await
}
