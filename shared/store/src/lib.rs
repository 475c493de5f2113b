//! The table: keys, items, conditional writes and transactions. The only crate that names a DynamoDB expression.
//!
//! Each file holds one entity: how its key is built, what its item looks like, and the writes that keep its rules.

mod allocations;
mod claims;
pub mod contention;
mod coupon_item;
mod coupons;
mod dead_letters;
mod deliveries;
mod error;
mod exports;
mod fences;
mod fulfilment_item;
mod heartbeats;
mod item;
pub mod keys;
mod line_item;
mod mails;
mod meter;
mod order_changes;
mod order_item;
mod order_parts;
mod order_policy;
mod orders;
mod orders_list;
mod orders_span;
mod outbox;
mod passes;
mod payment_item;
mod pools;
mod products;
mod rates;
pub mod reconciliation;
mod republishing;
mod stock;
mod stream;
mod tax_item;
mod taxes;
mod transact;
mod webhook_items;
mod webhooks;

pub use claims::{Contention, Found, RefusedClaim};
pub use coupons::{COUPON_STRIPES_MAX, CouponPut};
pub use dead_letters::{DeadAction, DeadOf, DeadPage};
pub use deliveries::{DeliveryPage, Written};
pub use error::StoreError;
pub use exports::{ExportPage, ExportPut};
pub use fences::{Fence, FenceEnd, Fenced};
pub use heartbeats::{Heartbeat, is_pulse, pulse_of_image};
pub use meter::{Meter, Spent};
pub use order_changes::{Changed, Revising, Splitting};
pub use order_item::StoredOrder;
pub use order_parts::{Opening, PARTS_AT_ONCE, PartWriting};
pub use order_policy::TenantRules;
pub use orders::Placing;
pub use orders_list::{ListRange, Page};
pub use orders_span::{FoundOrder, OrderPlaces, OrderWalk, PLACES_MAX};
pub use outbox::{OutboxEntry, Unreadable};
pub use passes::{Pass, PassPosition};
pub use pools::{PressedPool, Rebalanced, Receipt, Received, Reshaping};
pub use products::{ProductWrite, product_of_image};
pub use rates::RatePut;
pub use republishing::{ChangedPage, Republishing};
pub use stock::{SoldOut, StockHeader};
pub use stream::{Image, OrderChange, partition_of};
pub use webhooks::EndpointCreated;

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

    /// Opens the connection while a function starts, so that the first request does not wait for TLS. Whether it succeeds
    /// is of no matter: the first request would then open it.
    pub async fn connect(&self) {
        let nothing = keys::Key { pk: "connect".to_owned(), sk: "connect".to_owned() };
        let request = self.client.get_item().table_name(&*self.table).set_key(Some(nothing.attributes()));
        if let Err(error) = request.send().await {
            tracing::debug!(%error, "not connected yet");
        }
    }

    /// The same store, counting into `meter`.
    pub fn metered(&self, meter: Arc<Meter>) -> Self {
        Self { meter, ..self.clone() }
    }
}
