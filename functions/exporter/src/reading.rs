//! Reading orders ahead, some batches at a time.

use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use holdfast_domain::export::Export;
use holdfast_domain::ids::OrderId;
use holdfast_store::{FoundOrder, Store, StoreError, StoredOrder};
use std::pin::Pin;
use std::vec::IntoIter;

/// How many batches of orders are read at the same time, and so in memory: enough for DynamoDB's time to answer.
const BATCHES_AT_ONCE: usize = 3;

/// A batch of orders, and the position up to which there are no others.
type Batch = (Vec<FoundOrder>, String);

/// What is read of an export's span, from where the export stands.
pub(crate) struct Reading {
    batches: Pin<Box<dyn Stream<Item = Result<Batch, StoreError>> + Send>>,
    orders: IntoIter<FoundOrder>,
    through: Option<String>,
}

/// What comes next.
pub(crate) enum Next {
    /// An order at its position, or why it cannot be read.
    Order(String, OrderId, Result<Box<StoredOrder>, StoreError>),
    /// There is no further order up to here.
    Through(String),
}

impl Reading {
    pub(crate) fn of(store: &Store, export: &Export) -> Self {
        let (store, tenant) = (store.clone(), export.tenant.clone());
        let (from, to) = (export.span.from(), export.span.to());
        let walk = store.order_walk(&tenant, from, to, export.progress.through.as_deref());
        let places = stream::try_unfold(walk, async |mut walk| {
            let places = walk.next().await?;
            Ok(places.map(|places| (places, walk)))
        });
        let batches = places.map(move |places| {
            let (store, tenant) = (store.clone(), tenant.clone());
            async move {
                let places = places?;
                Ok((store.orders_found(&tenant, places.orders).await?, places.through))
            }
        });
        let batches = Box::pin(batches.buffered(BATCHES_AT_ONCE));
        Self { batches, orders: Vec::new().into_iter(), through: None }
    }

    /// What comes next; none at the end of the span.
    pub(crate) async fn next(&mut self) -> Result<Option<Next>, StoreError> {
        if let Some((position, id, stored)) = self.orders.next() {
            return Ok(Some(Next::Order(position, id, stored.map(Box::new))));
        }
        if let Some(through) = self.through.take() {
            return Ok(Some(Next::Through(through)));
        }
        let Some((orders, through)) = self.batches.try_next().await? else { return Ok(None) };
        let mut orders = orders.into_iter();
        let first = orders.next();
        (self.orders, self.through) = (orders, Some(through));
        Ok(match first {
            Some((position, id, stored)) => Some(Next::Order(position, id, stored.map(Box::new))),
            None => self.through.take().map(Next::Through),
        })
    }
}
