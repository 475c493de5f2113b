//! A made-up shop: few products are in great demand and sell out, some requests are repeated, some cards are declined,
//! and some orders cannot be paid in time.

use super::plan::{IS_DECLINED, Order, PAYS, Plan, Product, Sending};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Zipf};
use std::collections::BTreeMap;

const THINGS: [&str; 10] = ["mug", "bowl", "plate", "jug", "vase", "tray", "lamp", "candle", "basket", "blanket"];
const COLOURS: [&str; 4] = ["blue", "green", "red", "white"];

/// The most popular products, of which there is less than people want.
const SCARCE: usize = 6;

/// The share of the demand that there is of a scarce product, in percent.
const SCARCE_STOCK_PERCENT: u64 = 60;

/// The exponent of the demand's Zipf distribution: 1 is that of city sizes and words.
const ZIPF_EXPONENT: f64 = 1.0;

/// Orders that cannot be paid in time, one in so many.
const UNPAYABLE_ONE_IN: usize = 50;

/// Seconds an order may stay unpaid, at least and at most. The worker tries a payment 5, 30 and 155 s after the order:
/// what expires before the last of these is found expired then, and not given up to the dead letters.
const EXPIRY_SECONDS: (usize, usize) = (15, 120);

/// A shop with `orders` orders; the same seed gives the same plan.
pub fn plan(orders: usize, seed: u64) -> Plan {
    let mut random = StdRng::seed_from_u64(seed);
    let names: Vec<_> = THINGS.iter().flat_map(|thing| COLOURS.map(|colour| (*thing, colour))).collect();
    let demand = Zipf::new(names.len() as f64, ZIPF_EXPONENT).expect("the exponent is positive");
    let unpayable = (orders / UNPAYABLE_ONE_IN).clamp(usize::from(orders > 0), 20);
    let orders: Vec<_> = (0..orders)
        .map(|number| {
            // What cannot be paid is ordered last, so it must be something that is still there.
            let (first, last) = if number < unpayable { (SCARCE, names.len() - 2) } else { (0, names.len() - 1) };
            let order = order(number, seed, &mut random, |random| {
                let rank = demand.sample(random) as usize;
                let (thing, colour) = names[rank.saturating_sub(1).clamp(first, last)];
                format!("{thing}-{colour}")
            });
            match number < unpayable {
                true => Order { sending: Sending::WhileUnpayable, payment_method: PAYS, ..order },
                false => order,
            }
        })
        .collect();
    let wanted = Plan::demand(&orders);
    let products = names.iter().enumerate().map(|(rank, (thing, colour))| {
        let id = format!("{thing}-{colour}");
        let wanted = wanted.get(&id).copied().unwrap_or_default();
        let stock = if rank < SCARCE { wanted * SCARCE_STOCK_PERCENT / 100 } else { wanted + 10 };
        let name = format!("{} {thing}", capitalised(colour));
        // The last product is a sample that costs nothing.
        let price = if rank + 1 == names.len() { 0 } else { random.random_range(2..60) * 100 - 1 };
        Product { id, name, price, stock: stock.max(1) }
    });
    Plan {
        title: format!("a made-up shop, seed {seed}"),
        currency: "EUR",
        products: products.collect(),
        skipped: BTreeMap::new(),
        expiry_seconds: (orders.len() / 25).clamp(EXPIRY_SECONDS.0, EXPIRY_SECONDS.1) as u32,
        orders,
    }
}

fn order(number: usize, seed: u64, random: &mut StdRng, product: impl Fn(&mut StdRng) -> String) -> Order {
    let lines = match random.random_range(0..100) {
        0..60 => 1,
        60..85 => 2,
        85..95 => 3,
        _ => 5,
    };
    let mut wanted = BTreeMap::new();
    for _ in 0..lines {
        let quantity = if random.random_bool(0.75) { 1 } else { random.random_range(2..=4) };
        *wanted.entry(product(random)).or_insert(0) += quantity;
    }
    let guest = random.random_bool(0.1);
    let customer = if guest { format!("guest-{number}") } else { format!("customer-{}", random.random_range(0..200)) };
    let payment_method = if random.random_bool(0.04) { IS_DECLINED } else { PAYS };
    let sending = match random.random_range(0..100) {
        0..4 => Sending::Thrice,
        4..8 => Sending::AgainLater,
        _ => Sending::Once,
    };
    Order {
        key: format!("demo-{seed}-{number}"),
        customer,
        guest,
        lines: wanted.into_iter().collect(),
        payment_method,
        sending,
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_plan() {
        assert_eq!(plan(200, 7), plan(200, 7));
        assert_ne!(plan(200, 7).orders, plan(200, 8).orders);
    }

    #[test]
    fn scarce_products_cannot_serve_everybody_and_the_others_can() {
        let plan = plan(500, 1);
        let wanted = Plan::demand(&plan.orders);
        for (rank, product) in plan.products.iter().enumerate() {
            let wanted = wanted.get(&product.id).copied().unwrap_or_default();
            assert_eq!(product.stock < wanted, rank < SCARCE, "{}: {} of {wanted}", product.id, product.stock);
        }
    }

    #[test]
    fn ord_13_an_order_expires_before_the_last_try_of_its_payment() {
        for (orders, seconds) in [(0, 15), (500, 20), (2_000, 80), (20_000, 120)] {
            assert_eq!(plan(orders, 1).expiry_seconds, seconds, "{orders} orders");
        }
    }

    #[test]
    fn every_kind_of_trouble_occurs() {
        let plan = plan(500, 42);
        for sending in [Sending::Once, Sending::Thrice, Sending::AgainLater, Sending::WhileUnpayable] {
            assert!(plan.sent(sending).count() > 0, "{sending:?}");
        }
        assert!(plan.orders.iter().any(|order| order.payment_method == IS_DECLINED));
        assert!(plan.orders.iter().any(|order| order.guest));
        assert!(plan.products.iter().any(|product| product.price == 0));
    }
}
