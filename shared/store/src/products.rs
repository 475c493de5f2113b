//! Products and their prices.

use crate::contention::repeated;
use crate::item::{self, Item, number};
use crate::stream::Image;
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use futures_util::{StreamExt, TryStreamExt, stream};
use holdfast_domain::ids::{ProductId, TaxClass, TenantId};
use holdfast_domain::money::{Currency, Money};
use holdfast_domain::product::{PriceVersion, PriceWindow, Product, PurchaseLimit};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How many stripes are raised to a new price at the same time.
const RAISES_AT_ONCE: usize = 64;

/// What a write of a product is to say.
#[derive(Debug, Clone)]
pub struct ProductWrite {
    /// Which product.
    pub id: ProductId,
    /// See [`Product`].
    pub name: String,
    /// See [`Product`].
    pub description: String,
    /// See [`Product`].
    pub category: String,
    /// See [`Product`].
    pub price: Money,
    /// See [`Product`].
    pub windows: Vec<PriceWindow>,
    /// See [`Product`].
    pub limit: Option<PurchaseLimit>,
    /// See [`Product`].
    pub tax_class: TaxClass,
}

#[derive(Serialize, Deserialize)]
struct ProductItem {
    pk: String,
    sk: String,
    name: String,
    description: String,
    category: String,
    price: i64,
    currency: Currency,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    windows: Vec<WindowItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<LimitItem>,
    /// Left out for the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tax_class: Option<TaxClass>,
    price_version: PriceVersion,
    version: u64,
}

/// A price window; its price is in the product's currency, its instants are epoch milliseconds.
#[derive(Serialize, Deserialize)]
struct WindowItem {
    starts_at: i64,
    ends_at: i64,
    price: i64,
}

#[derive(Serialize, Deserialize)]
struct LimitItem {
    quantity: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window_seconds: Option<u32>,
}

impl Store {
    /// Reads a product, consistently.
    ///
    /// # Errors
    /// When the table gives no answer, or the item is not readable.
    pub async fn product_read(&self, tenant: &TenantId, id: &ProductId) -> Result<Option<Product>, StoreError> {
        let item = self.get(keys::product(tenant, id)).await?;
        item.map(|item| product(id, item)).transpose()
    }

    /// Creates or replaces a product: the product after the write, and whether it is new.
    ///
    /// The product is written first and then every stripe of its stock is raised to the price version. When this
    /// returns, no claim priced earlier succeeds any more (ORD-7). Repeating it after a failure finishes what was left.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another write of the product came between; otherwise as for any write.
    pub async fn product_put(&self, tenant: &TenantId, write: ProductWrite) -> Result<(Product, bool), StoreError> {
        let before = self.product_read(tenant, &write.id).await?;
        let price_version = match &before {
            Some(before) if sells_alike(before, &write) => before.price_version,
            Some(before) => before.price_version + 1,
            None => 1,
        };
        let after = Product {
            id: write.id,
            name: write.name,
            description: write.description,
            category: write.category,
            price: write.price,
            windows: write.windows,
            limit: write.limit,
            tax_class: write.tax_class,
            price_version,
            version: before.as_ref().map_or(1, |before| before.version + 1),
        };
        if before.is_none() {
            self.tenant_register(tenant).await?;
        }
        self.product_write(tenant, &after).await?;
        self.stock_raise(tenant, &after.id, price_version).await?;
        Ok((after, before.is_none()))
    }

    /// Notes that a tenant exists, so that maintenance visits it. A tenant is known from its first product on.
    async fn tenant_register(&self, tenant: &TenantId) -> Result<(), StoreError> {
        self.put(keys::tenant(tenant).attributes()).await
    }

    /// Every tenant that has a product.
    ///
    /// # Errors
    /// When the table gives no answer.
    pub async fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        let request = self
            .client
            .query()
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(keys::TENANTS.to_owned()));
        let tenant = |item: Item| match item.get("sk") {
            Some(AttributeValue::S(tenant)) => TenantId::parse(tenant).ok(),
            _ => None,
        };
        Ok(self.query_all(request).await?.into_iter().filter_map(tenant).collect())
    }

    async fn product_write(&self, tenant: &TenantId, product: &Product) -> Result<(), StoreError> {
        let keys::Key { pk, sk } = keys::product(tenant, &product.id);
        let item = item::written(&ProductItem {
            pk,
            sk,
            name: product.name.clone(),
            description: product.description.clone(),
            category: product.category.clone(),
            price: product.price.amount(),
            currency: product.price.currency(),
            windows: product.windows.iter().map(WindowItem::from).collect(),
            limit: product.limit.map(LimitItem::from),
            tax_class: Some(product.tax_class.clone()).filter(|class| *class != TaxClass::default()),
            price_version: product.price_version,
            version: product.version,
        });
        let request = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item))
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes);
        let request = match product.version {
            1 => request.condition_expression("attribute_not_exists(pk)"),
            version => request
                .condition_expression("version = :before")
                .expression_attribute_values(":before", number(version - 1)),
        };
        match self.applied(request.send(), |output| &output.consumed_capacity).await? {
            true => Ok(()),
            false => Err(StoreError::Conflict),
        }
    }

    /// Raises the price version of every stripe of a product's stock.
    async fn stock_raise(&self, tenant: &TenantId, id: &ProductId, to: PriceVersion) -> Result<(), StoreError> {
        let headers = self.stock_headers(tenant, id).await?;
        let stripes = headers.iter().flat_map(|header| header.stripe_ids(id));
        self.stripes_raise(stripes.map(|stripe| keys::stripe(tenant, &stripe)).collect(), to).await
    }

    /// Raises stripes to later terms, so that no claim counted by earlier ones succeeds any more.
    pub(crate) async fn stripes_raise(&self, stripes: Vec<keys::Key>, to: PriceVersion) -> Result<(), StoreError> {
        stream::iter(stripes)
            .map(|stripe| async move { self.stripe_raise(&stripe, to).await })
            .buffer_unordered(RAISES_AT_ONCE)
            .try_collect()
            .await
    }

    /// Raises one stripe, as often as it takes beside the orders that claim from it. The terms are written by now, so
    /// giving up leaves a change that is neither acknowledged nor undone.
    async fn stripe_raise(&self, stripe: &keys::Key, to: PriceVersion) -> Result<(), StoreError> {
        let raised = repeated(|| self.stripe_raise_once(stripe, to)).await;
        raised.map_err(|error| match error {
            StoreError::Conflict | StoreError::Throttled => StoreError::Unavailable(Box::new(error)),
            other => other,
        })
    }

    async fn stripe_raise_once(&self, stripe: &keys::Key, to: PriceVersion) -> Result<(), StoreError> {
        let request = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(stripe.clone().attributes()))
            .update_expression("SET price_version = :to, version = version + :one")
            .condition_expression("price_version < :to")
            .expression_attribute_values(":to", number(to))
            .expression_attribute_values(":one", number(1))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        // A stripe that refuses has these terms or later ones already.
        self.applied(request.send(), |output| &output.consumed_capacity).await.map(|_| ())
    }
}

/// Whether a write leaves what an order is priced by as it is.
fn sells_alike(before: &Product, write: &ProductWrite) -> bool {
    before.price == write.price
        && before.category == write.category
        && before.windows == write.windows
        && before.limit == write.limit
        && before.tax_class == write.tax_class
}

impl From<&PriceWindow> for WindowItem {
    fn from(window: &PriceWindow) -> Self {
        let (starts_at, ends_at) = (window.starts_at.as_millisecond(), window.ends_at.as_millisecond());
        Self { starts_at, ends_at, price: window.price.amount() }
    }
}

impl WindowItem {
    fn window(&self, currency: Currency) -> Result<PriceWindow, String> {
        let instant = |ms| Timestamp::from_millisecond(ms).map_err(|error| error.to_string());
        let (starts_at, ends_at) = (instant(self.starts_at)?, instant(self.ends_at)?);
        let price = Money::new(self.price, currency).map_err(|invalid| invalid.to_string())?;
        Ok(PriceWindow { starts_at, ends_at, price })
    }
}

impl From<PurchaseLimit> for LimitItem {
    fn from(limit: PurchaseLimit) -> Self {
        Self { quantity: limit.quantity(), window_seconds: limit.window_seconds() }
    }
}

impl LimitItem {
    fn limit(&self) -> Result<PurchaseLimit, String> {
        let limit = PurchaseLimit::new(self.quantity.into(), self.window_seconds.map(i64::from));
        limit.map_err(|invalid| invalid.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }
}

/// Reads the new image of a product's stream record.
///
/// # Errors
/// [`StoreError::Corrupt`] when it is not a product's.
pub fn product_of_image(image: Image) -> Result<(TenantId, Product), StoreError> {
    let corrupt = |problem: String| StoreError::Corrupt { key: "of a stream record".to_owned(), problem };
    let item: ProductItem = serde_dynamo::from_item(image).map_err(|error| corrupt(error.to_string()))?;
    let key = keys::parse_product_pk(&item.pk).ok_or_else(|| corrupt("the key is not a product's".to_owned()))?;
    Ok((key.0, item.product(&key.1)?))
}

fn product(id: &ProductId, item: Item) -> Result<Product, StoreError> {
    item::read::<ProductItem>(item)?.product(id)
}

impl ProductItem {
    fn product(self, id: &ProductId) -> Result<Product, StoreError> {
        let corrupt = |problem: String| StoreError::Corrupt { key: self.pk.clone(), problem };
        let windows = self.windows.iter().map(|window| window.window(self.currency)).collect::<Result<_, _>>();
        Ok(Product {
            id: id.clone(),
            price: Money::new(self.price, self.currency).map_err(|invalid| corrupt(invalid.to_string()))?,
            windows: windows.map_err(corrupt)?,
            limit: self.limit.as_ref().map(LimitItem::limit).transpose().map_err(corrupt)?,
            name: self.name,
            description: self.description,
            category: self.category,
            tax_class: self.tax_class.unwrap_or_default(),
            price_version: self.price_version,
            version: self.version,
        })
    }
}
