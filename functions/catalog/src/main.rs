//! The `catalog` function: wiring only.

use holdfast_runtime::{clients::Aws, clock::Clock, config, http, telemetry};
use holdfast_store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::start();
    let store = Store::new(Aws::from_environment()?.dynamodb(), &config::text("TABLE_NAME")?);
    store.connect().await;
    http::serve(catalog::router(store, Clock::system())).await
}
