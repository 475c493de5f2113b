//! The `ops` function: wiring only.

use holdfast_domain::routing::Queue;
use holdfast_runtime::http::CursorKey;
use holdfast_runtime::{clients::Aws, clock::Clock, config, http, routing::Queues, telemetry};
use holdfast_store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::start();
    let aws = Aws::from_environment()?;
    let store = Store::new(aws.dynamodb(), &config::text("TABLE_NAME")?);
    store.connect().await;
    http::serve(ops::router(ops::App {
        store,
        queues: Queues::from_environment(&aws.sqs(), &Queue::ALL)?,
        recovery_after: config::recovery_after()?,
        cursor_key: CursorKey::new(&config::text("CURSOR_KEY")?),
        clock: Clock::system(),
    }))
    .await
}
