//! Drawing a plan from its seed.

use super::theme::{Draw, Theme};
use super::{
    FIRST_PRICE, Plan, PlannedCoupon, PlannedOrder, PlannedPrice, PlannedProduct, PlannedReceipt, PlannedShape,
};
use crate::interleave::operation::Operation;
use crate::interleave::payments::DECLINED;
use fastrand::Rng;

/// One line more than an order of one item may have.
const LARGE_LINES: u32 = 401;
/// With as many of another product they do not fit into one part.
const MORE_LINES: u32 = 400;

impl Plan {
    /// Draws the plan of a seed.
    pub fn of(seed: u64) -> Self {
        let rng = &mut Rng::with_seed(seed);
        // Large orders, which come last, take ten times as long as others.
        let theme = Theme::ALL[rng.usize(..4 * Theme::ALL.len() - 3) / 4];
        // What two lanes do again and again meets what is remembered from before.
        let narrow = matches!(theme, Theme::Prices | Theme::Coupons | Theme::Shapes | Theme::Parts);
        let one = rng.u32(..10) < if narrow { 9 } else { 7 };
        let ids = if one { &["mug"][..] } else { &["mug", "pan"][..] };
        let products: Vec<_> = ids.iter().map(|id| product(rng, theme, id)).collect();
        let count = |rng: &mut Rng, most: usize| rng.usize(1..=most);
        let most = if theme == Theme::Parts { 1 } else { 3 };
        let orders: Vec<_> = (0..count(rng, most)).map(|n| order(rng, theme, n, products.len())).collect();
        let receipts: Vec<_> = (0..count(rng, 2)).map(|n| receipt(rng, n, products.len())).collect();
        let prices: Vec<_> = (0..count(rng, 3)).map(|n| price(rng, n, products.len())).collect();
        let coupons: Vec<_> = (0..count(rng, 2)).map(|n| coupon(rng, 10 + n as i64)).collect();
        let shapes: Vec<_> = (0..count(rng, 2)).map(|_| shape(rng, &products)).collect();
        let mut lanes = vec![Vec::new(); if narrow { rng.usize(2..=3) } else { rng.usize(2..=4) }];
        let operations = match theme {
            Theme::Parts => 1..=2,
            _ if narrow => 3..=5,
            _ => 2..=4,
        };
        for _ in 0..rng.usize(operations) {
            let operation = match theme.draw(rng) {
                Draw::Order => Operation::Order(rng.usize(..orders.len())),
                Draw::Confirm => Operation::Confirm(rng.usize(..orders.len())),
                Draw::Release => Operation::Release(rng.usize(..orders.len())),
                Draw::Cancel => Operation::Cancel(rng.usize(..orders.len())),
                Draw::Expire => Operation::Expire(rng.usize(..orders.len())),
                Draw::Pay => Operation::Pay(rng.usize(..orders.len())),
                Draw::Settle => Operation::Settle(rng.usize(..orders.len())),
                Draw::Sum => Operation::Sum(rng.usize(..orders.len())),
                Draw::Receive => Operation::Receive(rng.usize(..receipts.len())),
                Draw::Price => Operation::Price(rng.usize(..prices.len())),
                Draw::Coupon => Operation::Coupon(rng.usize(..coupons.len())),
                Draw::Reshape => Operation::Reshape(rng.usize(..shapes.len())),
                Draw::Level => Operation::Level(rng.usize(..products.len())),
                Draw::Read => Operation::Read(rng.usize(..products.len())),
            };
            let lane = rng.usize(..lanes.len());
            lanes[lane].push(operation);
        }
        // A large order is written while the first lane already may give it up.
        if theme == Theme::Parts {
            lanes[0].insert(0, if rng.bool() { Operation::Expire(0) } else { Operation::Order(0) });
            lanes[1].insert(0, Operation::Order(0));
        }
        let ahead = if theme == Theme::Parts { vec![0] } else { vec![] };
        let long = if theme == Theme::Parts { 600_000 } else { 30 };
        Self {
            seed,
            theme,
            products,
            orders,
            receipts,
            prices,
            coupon: (theme == Theme::Coupons && rng.u32(..3) > 0)
                .then(|| PlannedCoupon { uses: rng.u32(2..=3), percent: super::FIRST_PERCENT }),
            coupon_limit: (rng.u32(..4) == 0).then_some(1),
            coupons,
            shapes,
            lanes,
            ahead,
            repeats: rng.bool(),
            expires_in_ms: if rng.u32(..4) == 0 { long } else { 1 },
            faults_percent: if theme == Theme::Parts { [0, 5, 15, 15] } else { [0, 0, 5, 15] }[rng.usize(..4)],
        }
    }
}

fn product(rng: &mut Rng, theme: Theme, id: &'static str) -> PlannedProduct {
    let listed = rng.u32(..10) > if theme == Theme::Listings { 3 } else { 0 };
    let empty = match theme {
        Theme::Listings => true,
        Theme::Parts | Theme::Limits | Theme::Coupons | Theme::Shapes => false,
        Theme::Prices => rng.u32(..4) == 0,
        Theme::Receipts => rng.bool(),
        _ => rng.u32(..8) == 0,
    };
    let stock = match theme {
        Theme::Parts => LARGE_LINES * rng.u32(1..=2),
        Theme::Coupons => 9,
        Theme::Limits => 6,
        Theme::Shapes => 12 * rng.u32(0..=1) + 3,
        _ => rng.u32(1..=6),
    };
    PlannedProduct {
        id,
        listed,
        stock: if listed && !empty { stock } else { 0 },
        limit: (theme == Theme::Limits && rng.u32(..8) > 0).then_some(3),
        stripes: if theme == Theme::Shapes { [1, 1, 3, 3, 9][rng.usize(..5)] } else { 1 },
    }
}

fn order(rng: &mut Rng, theme: Theme, number: usize, products: usize) -> PlannedOrder {
    let large = theme == Theme::Parts && rng.u32(..6) > 0;
    let mut lines: Vec<_> = (0..products).map(|product| (product, rng.u32(1..=3))).collect();
    rng.shuffle(&mut lines);
    lines.truncate(rng.usize(1..=products));
    if large {
        lines.iter_mut().zip([LARGE_LINES, MORE_LINES]).for_each(|((_, quantity), units)| *quantity = units);
    }
    let payment_method = if rng.u32(..4) == 0 { DECLINED } else { "pm_card_visa" };
    let reserved = match theme {
        Theme::Holds => rng.u32(..6) > 0,
        Theme::Mixed | Theme::Limits | Theme::Shapes => rng.u32(..4) == 0,
        _ => false,
    };
    let coupon = match theme {
        Theme::Coupons => rng.u32(..6) > 0,
        Theme::Mixed => rng.u32(..4) == 0,
        _ => false,
    };
    PlannedOrder {
        customer: ["ada", "bob"][rng.usize(..2)],
        key: format!("k{number}"),
        lines,
        shown: (rng.u32(..4) == 0).then_some(FIRST_PRICE),
        payment_method,
        early: match theme {
            Theme::Ends | Theme::Holds => true,
            Theme::Parts => rng.u32(..3) == 0,
            _ => rng.u32(..5) == 0,
        },
        reserved,
        coupon: coupon && !reserved,
        large,
    }
}

fn receipt(rng: &mut Rng, number: usize, products: usize) -> PlannedReceipt {
    PlannedReceipt { key: format!("r{number}"), product: rng.usize(..products), quantity: rng.u32(1..=4) }
}

fn price(rng: &mut Rng, number: usize, products: usize) -> PlannedPrice {
    PlannedPrice { product: rng.usize(..products), amount: FIRST_PRICE + 100 * (number as i64 + 1) }
}

fn coupon(rng: &mut Rng, percent: i64) -> PlannedCoupon {
    PlannedCoupon { uses: rng.u32(1..=4), percent }
}

fn shape(rng: &mut Rng, products: &[PlannedProduct]) -> PlannedShape {
    let product = rng.usize(..products.len());
    let targets: &[u16] = if products[product].stripes > 1 { &[1, 1, 2] } else { &[2, 3, 3, 9] };
    PlannedShape { product, stripes: targets[rng.usize(..targets.len())] }
}
