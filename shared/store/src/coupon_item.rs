//! The item of a coupon.

use crate::item::{self, Item};
use crate::{StoreError, keys};
use holdfast_domain::ids::{CouponCode, ProductId, TenantId};
use holdfast_domain::money::{Currency, Money};
use holdfast_domain::terms::coupon::{BasisPoints, Coupon, Discount};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Instants are epoch milliseconds. Of `percent_bp` and `amount` there is one.
#[derive(Serialize, Deserialize)]
struct CouponItem {
    pk: String,
    sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    percent_bp: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount: Option<MoneyItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    starts_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends_at: Option<i64>,
    total_uses: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uses_per_customer: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    minimum_total: Option<MoneyItem>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    products: Vec<ProductId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    categories: Vec<String>,
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct MoneyItem {
    amount: i64,
    currency: Currency,
}

/// The item of a coupon of a tenant.
pub(crate) fn coupon_item(tenant: &TenantId, coupon: &Coupon) -> Item {
    let keys::Key { pk, sk } = keys::coupon(tenant, &coupon.code);
    let (percent_bp, amount) = match coupon.discount {
        Discount::Percent(share) => (Some(share.points()), None),
        Discount::Amount(amount) => (None, Some(amount.into())),
    };
    item::written(&CouponItem {
        pk,
        sk,
        percent_bp,
        amount,
        starts_at: coupon.starts_at.map(Timestamp::as_millisecond),
        ends_at: coupon.ends_at.map(Timestamp::as_millisecond),
        total_uses: coupon.total_uses,
        uses_per_customer: coupon.uses_per_customer,
        minimum_total: coupon.minimum_total.map(MoneyItem::from),
        products: coupon.products.clone(),
        categories: coupon.categories.clone(),
        version: coupon.version,
    })
}

/// The coupon that an item holds.
pub(crate) fn coupon_of(code: &CouponCode, item: Item) -> Result<Coupon, StoreError> {
    let item: CouponItem = item::read(item)?;
    let corrupt = |problem: String| StoreError::Corrupt { key: item.pk.clone(), problem };
    let money = |money: &MoneyItem| Money::new(money.amount, money.currency).map_err(|e| corrupt(e.to_string()));
    let instant = |ms: i64| Timestamp::from_millisecond(ms).map_err(|e| corrupt(e.to_string()));
    let discount = match (item.percent_bp, &item.amount) {
        (Some(points), None) => Discount::Percent(BasisPoints::new(points).map_err(|e| corrupt(e.to_string()))?),
        (None, Some(amount)) => Discount::Amount(money(amount)?),
        _ => return Err(corrupt("it takes off neither or both of a percentage and an amount".to_owned())),
    };
    Ok(Coupon {
        code: code.clone(),
        discount,
        starts_at: item.starts_at.map(instant).transpose()?,
        ends_at: item.ends_at.map(instant).transpose()?,
        total_uses: item.total_uses,
        uses_per_customer: item.uses_per_customer,
        minimum_total: item.minimum_total.as_ref().map(money).transpose()?,
        products: item.products,
        categories: item.categories,
        version: item.version,
    })
}

impl From<Money> for MoneyItem {
    fn from(money: Money) -> Self {
        Self { amount: money.amount(), currency: money.currency() }
    }
}
