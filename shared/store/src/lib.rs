//! The table: keys, items, conditional writes and transactions. The only crate that names a DynamoDB expression.
//!
//! Each file holds one entity: how its key is built, what its item looks like, and the writes that keep its rules.

pub mod claiming;
mod error;
mod item;
pub mod keys;
mod meter;
mod order_item;
mod orders;
mod orders_list;
mod outbox;
mod products;
mod stock;

pub use error::{Outcome, StoreError};
pub use meter::{Meter, Spent};
pub use order_item::{StoredOrder, order_of_stream_image};
pub use orders::{Changed, Placing, RefusedClaim};
pub use orders_list::{ListRange, Page};
pub use outbox::OutboxEntry;
pub use products::ProductWrite;
pub use stock::{Receipt, Received, StockHeader};

use aws_sdk_dynamodb::Client;
use std::sync::Arc;

/// Access to the table. Cheap to clone; [`Store::metered`] gives a handle that counts what one request spends.
#[derive(Clone)]
pub struct Store {
    client: Client,
    table: Arc<str>,
    meter: Arc<Meter>,
}

impl Store {
    /// A store over `table`, through a client that carries time-outs and retries.
    pub fn new(client: Client, table: &str) -> Self {
        Self { client, table: table.into(), meter: Arc::default() }
    }

    /// The same store, counting into `meter`.
    pub fn metered(&self, meter: Arc<Meter>) -> Self {
        Self { meter, ..self.clone() }
    }
}
