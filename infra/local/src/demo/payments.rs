//! What the payment provider holds, as it says itself.

use crate::engines::payment::SECRET_KEY;
use anyhow::Context;
use serde::Deserialize;

/// The payments of one page. Stripe gives 100 at most; the local provider looks at all it has for each page.
const PAGE: usize = 10_000;

/// A payment: <https://docs.stripe.com/api/payment_intents/object>.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Payment {
    /// The provider's name for it.
    pub id: String,
    /// In the currency's minor unit. Stripe counts some currencies otherwise, but not those of the demo.
    pub amount: i64,
    /// In lower case.
    pub currency: String,
    /// How far it got: an authorised amount is `requires_capture`.
    pub status: String,
    /// What was captured of it.
    #[serde(default)]
    pub amount_received: i64,
    /// What may still be captured of it.
    #[serde(default)]
    pub amount_capturable: i64,
    /// The charge behind it, once there is one.
    #[serde(default)]
    pub latest_charge: Option<Charge>,
    /// What the order's worker noted on it.
    #[serde(default)]
    pub metadata: Metadata,
}

/// A charge: <https://docs.stripe.com/api/charges/object>.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Charge {
    /// What was given back of it.
    #[serde(default)]
    pub amount_refunded: i64,
}

/// What Holdfast notes on a payment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Metadata {
    /// The order that it is for.
    #[serde(default)]
    pub order_id: String,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Payment>,
    has_more: bool,
}

impl Payment {
    /// Whether its amount is set aside.
    pub fn is_authorised(&self) -> bool {
        self.status == "requires_capture"
    }

    /// What was given back of it.
    pub fn amount_refunded(&self) -> i64 {
        self.latest_charge.as_ref().map_or(0, |charge| charge.amount_refunded)
    }
}

/// Reads every payment of the provider at `url`.
///
/// # Errors
/// When it does not answer, or not as Stripe does.
pub async fn read(client: &reqwest::Client, url: &str) -> anyhow::Result<Vec<Payment>> {
    let mut payments: Vec<Payment> = Vec::new();
    loop {
        let mut address = format!("{url}/v1/payment_intents?limit={PAGE}");
        if let Some(last) = payments.last() {
            address.push_str(&format!("&starting_after={}", last.id));
        }
        let page = page(client, &address).await?;
        let is_last = !page.has_more || page.data.is_empty();
        payments.extend(page.data);
        if is_last {
            return Ok(payments);
        }
    }
}

/// Reads the payments of an order, also those that were declined, of the local provider: it needs no second page.
///
/// # Errors
/// As [`read`].
pub async fn of_order(client: &reqwest::Client, url: &str, order_id: &str) -> anyhow::Result<Vec<Payment>> {
    let query = format!("metadata%5B%22order_id%22%5D:%22{order_id}%22");
    Ok(page(client, &format!("{url}/v1/payment_intents/search?query={query}")).await?.data)
}

async fn page(client: &reqwest::Client, address: &str) -> anyhow::Result<Page> {
    let answer = client.get(address).bearer_auth(SECRET_KEY).send().await?.error_for_status()?;
    answer.json().await.context("the payments are not readable")
}
