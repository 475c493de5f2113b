//! The `orders` function: wiring only.

use holdfast_runtime::http::CursorKey;
use holdfast_runtime::{clients::Aws, clock::Clock, config, http, telemetry};
use holdfast_store::Store;
use jiff::SignedDuration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::start();
    let store = Store::new(Aws::from_environment()?.dynamodb(), &config::text("TABLE_NAME")?);
    store.connect().await;
    let expiry_seconds: u32 = config::parsed("ORDER_EXPIRY_SECONDS", "a number of seconds")?;
    let settings = orders::Settings {
        expires_in: SignedDuration::from_secs(i64::from(expiry_seconds)),
        cursor_key: CursorKey::new(&config::text("CURSOR_KEY")?),
    };
    http::serve(orders::router(store, Clock::system(), settings)).await
}
