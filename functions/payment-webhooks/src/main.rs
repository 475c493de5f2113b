//! The `payment-webhooks` function: wiring only.

use holdfast_runtime::{clients::Aws, clock::Clock, config, http, message::Publisher, telemetry};
use payment_webhooks::{Secrets, router};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::start();
    let publisher = Publisher::new(Aws::from_environment()?.sqs(), config::text("EVENTS_QUEUE_URL")?);
    let secrets = Secrets::parse(&config::text("STRIPE_WEBHOOK_SECRET")?);
    http::serve(router(publisher, secrets, Clock::system())).await
}
