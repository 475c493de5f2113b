//! Stripes made, merged and levelled while they are sold from.

use holdfast_domain::ids::{ProductId, TenantId, WarehouseId};
use holdfast_domain::pool::{PoolId, StripeNumber};
use holdfast_runtime::routing::Queues;
use holdfast_store::{Meter, Rebalanced, Reshaping, SoldOut};
use holdfast_tests::clock::TestClock;
use holdfast_tests::engine::Engine;
use holdfast_tests::requests::{Answer, Request, Who, order_of};
use holdfast_tests::shop::Shop;
use jiff::Timestamp;
use maintenance::{Job, Maintenance, Task};
use serde_json::{Value, json};
use std::sync::Arc;

mod failing;
mod guards;

fn ids() -> (TenantId, ProductId, WarehouseId) {
    let (tenant, product) = (TenantId::parse("acme").unwrap(), ProductId::parse("mug").unwrap());
    (tenant, product, WarehouseId::parse("main").unwrap())
}

async fn shop_with(quantity: i64) -> Shop {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    shop.sell("mug", quantity).await;
    shop
}

async fn reshape(shop: &Shop, stripes: i64) -> Answer {
    let request = Request::put("/stock/mug/stripes", &json!({"warehouse": "main", "stripes": stripes}));
    request.send(&shop.inventory, Some(&Who::staff())).await
}

/// Reshapes as a caller does who repeats what did not succeed.
async fn reshaped(shop: &Shop, stripes: i64) -> Value {
    for _ in 0..20 {
        let answer = reshape(shop, stripes).await;
        if answer.status == 200 {
            return answer.body;
        }
        assert!(answer.status == 503 && !answer.header("retry-after").is_empty(), "{answer:?}");
    }
    panic!("not reshaped after 20 tries");
}

/// What each stripe has, by number, from the raw table.
async fn levels(shop: &Shop) -> Vec<i64> {
    let number = |value: &Value| value["N"].as_str().unwrap().parse::<i64>().unwrap();
    let items = shop.engine.items().await;
    let stripe = |item: &Value| {
        let name = item["pk"]["S"].as_str()?.strip_prefix("acme#pool#stock#mug@main#")?;
        Some((name.parse::<usize>().unwrap(), number(&item["available"])))
    };
    let mut stripes: Vec<_> = items.iter().filter_map(stripe).collect();
    stripes.sort_unstable();
    assert!(stripes.iter().enumerate().all(|(n, (number, _))| n == *number), "a stripe is missing: {stripes:?}");
    let header = items.iter().find(|item| item["sk"]["S"] == "warehouse#main").unwrap();
    assert_eq!(number(&header["stripes"]), stripes.len() as i64, "the header counts otherwise");
    stripes.into_iter().map(|(_, available)| available).collect()
}

/// Buys one by one until nothing is left; how many there were.
async fn sell_out(shop: &Shop) -> u64 {
    for n in 0.. {
        let answer = shop.order(&Who::customer("last"), &format!("last-{n}"), "mug", 1).await;
        match answer.status {
            201 => {}
            _ => {
                assert_eq!(answer.slug(), "out-of-stock", "{answer:?}");
                return n;
            }
        }
    }
    unreachable!("stock is finite")
}

#[tokio::test]
async fn stk_1_every_unit_survives_a_split_and_a_merge() {
    let shop = shop_with(45).await;
    assert_eq!(
        reshaped(&shop, 16).await,
        json!({"product_id": "mug", "warehouse": "main", "stripes": 16, "before": 1})
    );
    assert!(levels(&shop).await.iter().all(|level| (2..=3).contains(level)));
    shop.engine.wire.count(None);
    assert_eq!(reshaped(&shop, 16).await["before"], 16);
    assert_eq!(shop.engine.wire.counted().calls.len(), 1, "what is done already costs one read");
    let stock = Request::get("/stock/mug").send(&shop.inventory, Some(&Who::staff())).await;
    assert_eq!((&stock.body["warehouses"][0]["stripes"], &stock.body["available"]), (&json!(16), &json!(45)));
    assert_eq!(reshaped(&shop, 3).await["before"], 16);
    assert_eq!(levels(&shop).await, [15, 15, 15]);
    assert_eq!(sell_out(&shop).await, 45);
    // An empty pool is split and merged, too.
    assert_eq!(reshaped(&shop, 200).await["before"], 3);
    assert_eq!(levels(&shop).await, [0; 200]);
    assert_eq!(reshaped(&shop, 1).await["stripes"], 1);
    shop.laws_hold().await;
}

#[tokio::test]
async fn stk_1_every_unit_is_sold_once_beside_a_split_and_a_merge() {
    let shop = shop_with(150).await;
    let environments: Vec<_> = (0..6).map(|_| shop.another_environment()).collect();
    let buyers = environments.iter().enumerate().map(async |(n, environment)| {
        for k in 0..20 {
            let request = Request::post("/orders", &order_of("mug", 1)).key(&format!("{n}-{k}"));
            let mut answer = request.send(environment, Some(&Who::customer("c-1"))).await;
            // While stripes come and go, an environment may not find one in time.
            while answer.status == 503 {
                answer = request.send(environment, Some(&Who::customer("c-1"))).await;
            }
            assert_eq!(answer.status, 201, "{answer:?}");
        }
    });
    let reshaping = async {
        for stripes in [16, 3, 120, 7] {
            reshaped(&shop, stripes).await;
        }
    };
    tokio::join!(futures_util::future::join_all(buyers), reshaping);
    shop.laws_hold().await;
    assert_eq!(levels(&shop).await.iter().sum::<i64>(), 30);
    assert_eq!(sell_out(&shop).await, 30);
    shop.laws_hold().await;
}

#[tokio::test]
async fn stk_1_levelling_moves_units_to_where_they_are_missing_once() {
    let shop = shop_with(100).await;
    reshaped(&shop, 4).await;
    // It takes one whole stripe.
    assert_eq!(shop.order(&Who::customer("c-1"), "k", "mug", 25).await.status, 201);
    let (tenant, product, warehouse) = ids();
    let level = async || shop.engine.store().pool_rebalance(&tenant, &product, &warehouse).await.unwrap();
    let levelled = level().await;
    assert_eq!((levelled.refused, levelled.units), (0, 18));
    let mut after = levels(&shop).await;
    after.sort_unstable();
    assert!(after[0] >= 18 && after.iter().sum::<i64>() == 75, "{after:?}");
    assert_eq!(level().await, Rebalanced::default());
    assert_eq!(sell_out(&shop).await, 75);
    shop.laws_hold().await;
}

#[tokio::test]
async fn bad_numbers_of_stripes_are_named_and_change_nothing() {
    let shop = shop_with(5).await;
    let put =
        async |body: Value, who: Who| Request::put("/stock/mug/stripes", &body).send(&shop.inventory, Some(&who)).await;
    for stripes in [0, -1, 1_025, 65_537, i64::MAX] {
        let answer = put(json!({"warehouse": "main", "stripes": stripes}), Who::staff()).await;
        assert_eq!((answer.status, answer.fields()), (400, vec!["stripes"]), "{stripes}");
    }
    let answer = put(json!({"warehouse": "a#b", "stripes": 0}), Who::staff()).await;
    assert_eq!(answer.fields(), ["warehouse", "stripes"]);
    assert_eq!(put(json!({"warehouse": "main"}), Who::staff()).await.status, 400);
    assert_eq!(put(json!({"warehouse": "main", "stripes": 1.5}), Who::staff()).await.status, 400);
    assert_eq!(put(json!({"warehouse": "north", "stripes": 2}), Who::staff()).await.slug(), "not-found");
    let unknown = Request::put("/stock/cup/stripes", &json!({"warehouse": "main", "stripes": 2}));
    assert_eq!(unknown.send(&shop.inventory, Some(&Who::staff())).await.slug(), "not-found");
    let stranger = put(json!({"warehouse": "main", "stripes": 2}), Who::staff().of("other")).await;
    assert_eq!(stranger.slug(), "not-found");
    assert_eq!(put(json!({"warehouse": "main", "stripes": 2}), Who::customer("c-1")).await.slug(), "forbidden");
    assert_eq!(levels(&shop).await, [5]);
}

#[tokio::test]
async fn stk_1_maintenance_splits_a_pool_that_too_many_meet_at() {
    let shop = shop_with(100).await;
    let (tenant, product, warehouse) = ids();
    let store = shop.engine.store();
    // This job sends nothing.
    let queues = Queues::new([]);
    let (recovery_after, clock) = (jiff::SignedDuration::from_hours(1), shop.clock.clock());
    let maintenance = Maintenance { store: store.clone(), queues, dead_queues: Vec::new(), recovery_after, clock };
    let press = async || store.pool_press(&tenant, &product, &warehouse, 20, Timestamp::UNIX_EPOCH).await.unwrap();
    let run = async || {
        let report = maintenance.run(Task::from(Job::Pools)).await.unwrap();
        (report.seen, report.changed, report.waiting)
    };
    assert_eq!(run().await, (0, 0, 0));
    for stripes in [2, 4] {
        press().await;
        assert_eq!(run().await, (1, 1, 0));
        assert_eq!(levels(&shop).await.len(), stripes);
        assert_eq!(run().await, (0, 0, 0), "the note is gone");
    }
    // Conflicts that were noted after the note was read keep it.
    press().await;
    let noted = store.pools_pressed(10).await.unwrap();
    assert_eq!((noted.len(), noted[0].conflicts), (1, 20));
    press().await;
    assert!(!store.pool_relieved(&noted[0]).await.unwrap());
    assert_eq!(store.pools_pressed(10).await.unwrap()[0].conflicts, 40);
    shop.laws_hold().await;
}

#[tokio::test]
async fn stk_1_a_receipt_is_spread_over_the_stripes() {
    let shop = shop_with(0).await;
    shop.receive("mug", 8, "k-1").await;
    reshaped(&shop, 8).await;
    shop.receive("mug", 800, "k-2").await;
    assert_eq!(levels(&shop).await, [101; 8]);
    shop.receive("mug", 3, "k-3").await;
    let after = levels(&shop).await;
    assert_eq!((after.iter().max(), after.iter().sum::<i64>()), (Some(&104), 811));
    // A receipt on its way while its stripes are merged finds those that stayed.
    let halt = shop.engine.wire.halt("TransactWriteItems");
    tokio::join!(shop.receive("mug", 800, "k-4"), async {
        halt.reached().await;
        reshaped(&shop, 2).await;
        halt.go();
    });
    assert_eq!(levels(&shop).await.iter().sum::<i64>(), 1_611);
    shop.laws_hold().await;
}

#[tokio::test]
async fn sold_out_is_noted_in_the_header_until_stock_comes_in() {
    let shop = shop_with(3).await;
    let (tenant, product, warehouse) = ids();
    let store = shop.engine.store();
    let instant = |ms| Timestamp::from_millisecond(ms).unwrap();
    let note = async |available, until| {
        let warehouses = [(warehouse.clone(), available), (WarehouseId::parse("north").unwrap(), 0)];
        store.stock_sold_out(&tenant, &product, &warehouses, instant(until)).await.unwrap();
        let headers = store.stock_headers(&tenant, &product).await.unwrap();
        assert_eq!(headers.len(), 1, "a note makes no warehouse");
        headers[0].sold_out
    };
    assert_eq!(note(3, 2_000).await, Some(SoldOut { until: instant(2_000), available: 3 }));
    assert_eq!(note(1, 1_000).await, Some(SoldOut { until: instant(2_000), available: 3 }), "the later one stays");
    assert_eq!(note(0, 3_000).await, Some(SoldOut { until: instant(3_000), available: 0 }));
    shop.receive("mug", 1, "k").await;
    assert_eq!(store.stock_headers(&tenant, &product).await.unwrap()[0].sold_out, None);
}

#[tokio::test]
async fn another_stripe_is_drawn_from_those_that_are_there_now() {
    let shop = shop_with(3).await;
    let (tenant, product, warehouse) = ids();
    let store = shop.engine.store();
    let pool = PoolId::Stock { product: product.clone(), warehouse };
    let any = async |avoid: &[StripeNumber]| {
        store.pool_any_stripe(&tenant, &pool, avoid).await.unwrap().map(|stripe| stripe.number)
    };
    assert_eq!(any(&[0]).await, Some(0), "there is no other");
    reshaped(&shop, 3).await;
    assert_eq!(any(&[0, 2, 7]).await, Some(1));
    let nowhere = PoolId::Stock { product, warehouse: WarehouseId::parse("north").unwrap() };
    assert_eq!(store.pool_any_stripe(&tenant, &nowhere, &[]).await.unwrap(), None);
    let sample = store.stripe_levels(&tenant, &pool, &[2, 9]).await.unwrap();
    assert_eq!(sample.iter().map(|level| (level.stripe.number, level.available)).collect::<Vec<_>>(), [(2, 1)]);
}

/// Asserted, since it is the bill: each action of a transaction is two write units.
#[tokio::test]
async fn a_split_into_64_costs_four_calls_and_132_units() {
    let shop = shop_with(1_000).await;
    let (tenant, product, warehouse) = ids();
    let spent = async |to: StripeNumber| {
        let meter = Arc::<Meter>::default();
        let store = shop.engine.store().metered(Arc::clone(&meter));
        let done = store.pool_reshape(&tenant, &product, &warehouse, to).await.unwrap();
        assert!(matches!(done, Reshaping::Reshaped { .. }), "{done:?}");
        let spent = meter.spent();
        (spent.calls, spent.wcu, spent.rcu)
    };
    assert_eq!(spent(64).await, (4, 132.0, 3.0), "header, stripe, product; one transaction");
    assert_eq!(spent(1).await, (3, 130.0, 65.0), "header, stripes; one transaction");
    // The most there can be: readings of the stripes go in batches, side by side.
    let (calls, ..) = spent(1_024).await;
    assert_eq!(calls, 3 + 11);
    let headers = shop.engine.store().stock_headers(&tenant, &product).await.unwrap();
    let meter = Arc::<Meter>::default();
    let levels = shop.engine.store().metered(Arc::clone(&meter)).stock_levels(&tenant, &product, &headers).await;
    assert_eq!((levels.unwrap().len(), meter.spent().calls), (1_024, 11));
}

/// Whoever adds up stripes must not miss units that are on their way between them.
#[tokio::test]
async fn ord_2_units_on_their_way_are_not_missed() {
    let shop = shop_with(100).await;
    let (tenant, product, _) = ids();
    let store = shop.engine.store();
    let before = store.stock_headers(&tenant, &product).await.unwrap();
    let halt = shop.engine.wire.halt("BatchGetItem");
    let (settled, ()) = tokio::join!(store.stock_settled(&tenant, &product, before), async {
        halt.reached().await;
        reshaped(&shop, 16).await;
        halt.go();
    });
    let (headers, levels) = settled.unwrap();
    assert_eq!((headers[0].stripes, levels.iter().map(|level| level.available).sum::<u64>()), (16, 100));
}
