//! The `webhooks` function: wiring only.

use holdfast_runtime::http::CursorKey;
use holdfast_runtime::{clients::Aws, clock::Clock, config, http, message::Publisher, names::SystemNames, telemetry};
use holdfast_store::Store;
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::start();
    let aws = Aws::from_environment()?;
    let store = Store::new(aws.dynamodb(), &config::text("TABLE_NAME")?);
    store.connect().await;
    http::serve(webhooks::router(webhooks::App {
        store,
        publisher: Publisher::new(aws.sqs(), config::text("NOTIFICATIONS_QUEUE_URL")?),
        names: Arc::new(SystemNames),
        loopback: config::loopback()?,
        cursor_key: CursorKey::new(&config::text("CURSOR_KEY")?),
        clock: Clock::system(),
    }))
    .await
}
