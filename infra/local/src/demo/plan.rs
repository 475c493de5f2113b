//! What the demo is going to do: the shop it opens and the orders it sends.

use holdfast_domain::order::QUANTITY_MAX;
use std::collections::BTreeMap;

/// A shop and its customers' orders.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Where the orders come from, in a few words.
    pub title: String,
    /// The currency of every price.
    pub currency: &'static str,
    /// What the shop sells.
    pub products: Vec<Product>,
    /// What its customers order, in the order of their sending.
    pub orders: Vec<Order>,
    /// What the source holds beyond that, counted by the reason it was left out.
    pub skipped: BTreeMap<&'static str, u64>,
    /// Seconds an order may stay unpaid: long enough for the worker to get to it, short enough to watch one expire.
    pub expiry_seconds: u32,
}

/// Something the shop sells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The price of one, in minor units.
    pub price: u32,
    /// The units that are received before the first order.
    pub stock: u64,
}

/// One order of a customer, under one idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The idempotency key.
    pub key: String,
    /// The `sub` claim.
    pub customer: String,
    /// Whether the customer has no account.
    pub guest: bool,
    /// Product and quantity, each product once.
    pub lines: Vec<(String, u32)>,
    /// The provider's token of the means of payment.
    pub payment_method: &'static str,
    /// How the request is sent.
    pub sending: Sending,
}

/// How an order's request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    /// As it should be.
    Once,
    /// Three times at the same moment, as an impatient client does.
    Thrice,
    /// Once more after all others, when the stock may be gone.
    AgainLater,
    /// While the payment provider cannot be reached, so that nobody can pay it in time.
    WhileUnpayable,
}

/// The provider's test card that pays.
pub const PAYS: &str = "pm_card_visa";
/// The provider's test card that is declined when it is charged.
pub const IS_DECLINED: &str = "pm_card_chargeCustomerFail";

impl Plan {
    /// The units of every product that the orders ask for, if each of them succeeds.
    pub fn demand(orders: &[Order]) -> BTreeMap<String, u64> {
        let mut demand = BTreeMap::new();
        for (product, quantity) in orders.iter().flat_map(|order| &order.lines) {
            *demand.entry(product.clone()).or_default() += u64::from(*quantity);
        }
        demand
    }

    /// The orders that are sent in this way.
    pub fn sent(&self, sending: Sending) -> impl Iterator<Item = &Order> {
        self.orders.iter().filter(move |order| order.sending == sending)
    }
}

impl Product {
    /// The deliveries that bring the stock, each within what one receipt may hold.
    pub fn deliveries(&self) -> impl Iterator<Item = (u64, u64)> {
        let most = u64::from(QUANTITY_MAX);
        let (stock, count) = (self.stock, self.stock.div_ceil(most));
        (0..count).map(move |number| (number, most.min(stock - number * most)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_add_up_to_the_stock() {
        for stock in [0, 1, 9_999, 10_000, 10_001, 123_456] {
            let product = Product { id: "p".to_owned(), name: "P".to_owned(), price: 1, stock };
            assert_eq!(product.deliveries().map(|(_, quantity)| quantity).sum::<u64>(), stock);
            assert!(product.deliveries().all(|(_, quantity)| (1..=10_000).contains(&quantity)));
        }
    }
}
