//! The `order-worker` function: wiring only.

use holdfast_domain::routing::Queue;
use holdfast_runtime::{clients::Aws, clock::Clock, config, routing::Queues, telemetry};
use holdfast_store::Store;
use lambda_runtime::{LambdaEvent, service_fn};
use order_worker::{HttpCarrier, Stripe, Worker};
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::start();
    let aws = Aws::from_environment()?;
    let store = Store::new(aws.dynamodb(), &config::text("TABLE_NAME")?);
    let queues = Queues::from_environment(&aws.sqs(), &[Queue::Orders, Queue::Fulfilment])?;
    let stripe = Stripe::new(&config::text("STRIPE_API_URL")?, &config::text("STRIPE_API_KEY")?)?;
    let carrier = HttpCarrier::new(&config::text("CARRIER_API_URL")?, &config::text("CARRIER_API_KEY")?)?;
    let (payments, carrier) = (Arc::new(stripe), Arc::new(carrier));
    let worker = Worker { store, queues, payments, carrier, clock: Clock::system() };
    lambda_runtime::run(service_fn(async |event: LambdaEvent<_>| {
        Ok::<_, lambda_runtime::Error>(worker.handle(event.payload).await)
    }))
    .await
}
