//! The `exports` function: wiring only.

use exports::{Links, Settings};
use holdfast_runtime::http::CursorKey;
use holdfast_runtime::message::Publisher;
use holdfast_runtime::{clients::Aws, clock::Clock, config, http, telemetry};
use holdfast_store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::start();
    let aws = Aws::from_environment()?;
    let store = Store::new(aws.dynamodb(), &config::text("TABLE_NAME")?);
    store.connect().await;
    let settings = Settings {
        queue: Publisher::new(aws.sqs(), config::text("EXPORTS_QUEUE_URL")?),
        links: Links::new(aws.s3(), config::text("EXPORTS_BUCKET")?),
        cursor_key: CursorKey::new(&config::text("CURSOR_KEY")?),
    };
    http::serve(exports::router(store, Clock::system(), settings)).await
}
