//! By what orders are taxed: placed at once by what is remembered, made of a reservation by what holds now.

use crate::App;
use crate::placing::{LOOKUPS_AT_ONCE, NotPlaced};
use futures_util::{StreamExt, TryStreamExt, stream};
use holdfast_domain::ids::{ProductId, TaxClass};
use holdfast_domain::order::{Order, PlaceOrder, Purpose};
use holdfast_domain::terms::tax::{TaxMode, TaxTable, Taxes};
use holdfast_domain::text::Country;
use holdfast_store::Store;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

impl App {
    /// The taxes that a request needs. None for a shop without a tax policy, and for a reservation: where that goes, its
    /// confirmation says.
    pub(crate) async fn taxes_of(
        &self,
        store: &Store,
        request: &PlaceOrder,
        fresh: bool,
    ) -> Result<Option<(TaxMode, Arc<TaxTable>)>, NotPlaced> {
        let Purpose::Order { address, .. } = &request.purpose else { return Ok(None) };
        self.terms.taxes(store, &request.tenant, &address.country, fresh).await.map_err(NotPlaced::Failed)
    }

    /// A reservation with the tax of the country that it goes to, as it is to be confirmed. The classes are those of its
    /// products now, read for this, since no claim tells whether remembered ones are old; a shop without a tax policy
    /// reads none.
    ///
    /// # Errors
    /// [`NotPlaced::Refused`] when a rate is missing, also from the table.
    pub(crate) async fn taxed(&self, store: &Store, held: &Order, country: &Country) -> Result<Order, NotPlaced> {
        let mut classes = None;
        let mut fresh = false;
        loop {
            let taxes = self.terms.taxes(store, &held.tenant, country, fresh).await.map_err(NotPlaced::Failed)?;
            let Some((mode, table)) = taxes else { return Ok(held.clone()) };
            let known = match classes.take() {
                Some(known) => known,
                None => self.classes_now(store, held).await?,
            };
            match held.taxed(&Taxes { mode, table: &table }, &known) {
                Ok(taxed) => return Ok(taxed),
                Err(refusal) if fresh => return Err(NotPlaced::Refused(refusal)),
                Err(_) => (fresh, classes) = (true, Some(known)),
            }
        }
    }

    async fn classes_now(&self, store: &Store, held: &Order) -> Result<HashMap<ProductId, TaxClass>, NotPlaced> {
        let products: BTreeSet<_> = held.lines.iter().map(|line| line.product.clone()).collect();
        let lookups = stream::iter(products).map(|id| async move {
            let product = store.product_read(&held.tenant, &id).await?;
            Ok::<_, NotPlaced>(product.map(|product| (id, product.tax_class)))
        });
        let found = lookups.buffer_unordered(LOOKUPS_AT_ONCE);
        found.try_filter_map(|found| async { Ok(found) }).try_collect().await
    }
}
