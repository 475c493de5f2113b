//! The `catalog` function: wiring only.

use holdfast_runtime::{cached, clients::Aws, clock::Clock, config, http, telemetry};
use holdfast_store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::start();
    let store = Store::new(Aws::from_environment()?.dynamodb(), &config::text("TABLE_NAME")?);
    store.connect().await;
    let clock = Clock::system();
    let products = cached::products(&clock, cached::shared_from_environment());
    http::serve(catalog::router(store, clock, products)).await
}
