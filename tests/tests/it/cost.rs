//! What the order path costs, in round trips and capacity units: asserted, since it is the bill.

use holdfast_domain::event::Trace;
use holdfast_domain::ids::{Fingerprint, IdempotencyKey, OrderId, ProductId, TaxClass, TenantId, WarehouseId};
use holdfast_domain::money::Currency;
use holdfast_domain::order::{Customer, PlaceOrder, Purpose, Quantity, RequestedLine, Terms};
use holdfast_domain::payment::{CapturePolicy, PaymentMethod};
use holdfast_domain::pool::{Claim, Guard, PoolId, StripeId, Take};
use holdfast_domain::terms::tax::{TaxMode, TaxPercent, TaxTable, Taxes};
use holdfast_domain::text::Country;
use holdfast_store::{Meter, Placing};
use holdfast_tests::clock::TestClock;
use holdfast_tests::engine::Engine;
use holdfast_tests::requests::{Request, Who, order_of};
use holdfast_tests::shop::Shop;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::sync::Arc;

/// A realistic order for the store alone: its item is about 1 KB at most.
fn request(key: &str) -> PlaceOrder {
    let (tenant, customer) = (TenantId::parse("acme").unwrap(), "01890a5d-ac96-774b-bcce-b302099a8057");
    let customer = Customer { id: holdfast_domain::ids::CustomerId::parse(customer).unwrap(), guest: false };
    let address = serde_json::from_value(order_of("mug", 1)["shipping_address"].clone()).unwrap();
    PlaceOrder {
        order_id: OrderId::derive(&tenant, &customer.id, &IdempotencyKey::parse(key).unwrap()),
        tenant,
        customer,
        fingerprint: Fingerprint::of(b"request"),
        currency: Some(Currency::parse("EUR").unwrap()),
        lines: vec![RequestedLine {
            product: ProductId::parse("mug").unwrap(),
            quantity: Quantity::new(1).unwrap(),
            shown_price: None,
        }],
        coupon: None,
        purpose: Purpose::Order { address, method: PaymentMethod::parse("pm_card_visa".to_owned()).ok() },
        capture: CapturePolicy::default(),
        contact: None,
    }
}

#[tokio::test]
async fn a_placed_order_is_one_call_of_six_units_and_a_replay_is_one_call() {
    let rates = [(TaxClass::default(), TaxPercent::parse("8.875").unwrap())];
    let table = TaxTable { country: Country::parse("DE".to_owned()).unwrap(), rates: rates.into() };
    for tax in [None, Some(Taxes { mode: TaxMode::Exclusive, table: &table })] {
        placed_at_a_cost(tax).await;
    }
}

async fn placed_at_a_cost(tax: Option<Taxes<'_>>) {
    let shop = Shop::open().await;
    shop.sell("mug", 10).await;
    let tenant = TenantId::parse("acme").unwrap();
    let product = ProductId::parse("mug").unwrap();
    let products =
        HashMap::from([(product.clone(), shop.engine.store().product_read(&tenant, &product).await.unwrap().unwrap())]);
    let pool = PoolId::Stock { product, warehouse: WarehouseId::parse("main").unwrap() };
    let claim = Claim { stripe: StripeId { pool, number: 0 }, quantity: 1 };
    let trace = Trace {
        correlation_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
    };
    let place = async || {
        let meter = Arc::<Meter>::default();
        let store = shop.engine.store().metered(Arc::clone(&meter));
        let request = request("0190f3c2-8d4e-7a51-b1c2-5a7c1e7d9f10");
        let at = Timestamp::now();
        let terms = Terms { products: &products, rates: &HashMap::new(), coupon: None, tax, at };
        let priced = request.priced(&terms).unwrap();
        let order = request.placed(&priced, std::slice::from_ref(&claim), at, SignedDuration::from_mins(15));
        let take = Take { claim: claim.clone(), guard: Guard::Terms(1) };
        let placing = store.order_place(&order, &[take], &trace).await.unwrap();
        (placing, meter.spent())
    };
    let (placing, spent) = place().await;
    assert!(matches!(placing, Placing::Placed), "{placing:?}");
    assert_eq!((spent.calls, spent.wcu), (1, 6.0), "{tax:?}");
    let (placing, spent) = place().await;
    assert!(matches!(placing, Placing::Existing(_)), "{placing:?}");
    assert_eq!(spent.calls, 1);
}

/// Counted on the wire, through the handler: nothing is read on the warm path.
#[tokio::test]
async fn the_warm_path_is_one_round_trip() {
    let shop = Shop::open().await;
    shop.sell("mug", 100).await;
    let who = Who::customer("c-1");
    let calls = async |key: &str| {
        shop.engine.wire.count(None);
        let answer = shop.order(&who, key, "mug", 1).await;
        (answer.status, shop.engine.wire.counted().calls.len())
    };
    assert_eq!(calls("cold").await, (201, 4), "product, warehouses, the rules of the shop, transaction");
    assert_eq!(calls("warm").await, (201, 1));
    assert_eq!(calls("warm").await, (200, 1), "a replay");
}

/// The first buyer who comes too late costs a refused transaction, the look at all stripes between two looks at the
/// headers, since units may be moving, and the look for the order; within the next second others cost only the last.
#[tokio::test]
async fn a_refusal_reads_the_order_last() {
    let shop = Shop::open().await;
    shop.sell("mug", 1).await;
    let who = Who::customer("c-1");
    assert_eq!(shop.order(&who, "k-1", "mug", 1).await.status, 201);
    shop.engine.wire.count(None);
    assert_eq!(shop.order(&who, "k-2", "mug", 1).await.slug(), "out-of-stock");
    assert_eq!(shop.engine.wire.counted().calls.len(), 5);
    shop.engine.wire.count(None);
    assert_eq!(shop.order(&who, "k-3", "mug", 1).await.slug(), "out-of-stock");
    assert_eq!(shop.engine.wire.counted().calls.len(), 1);
}

#[tokio::test]
async fn ord_17_a_page_is_two_calls_however_long() {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    shop.sell("mug", 100).await;
    let who = Who::customer("c-1");
    for n in 0..30 {
        assert_eq!(shop.order(&who, &format!("k-{n}"), "mug", 1).await.status, 201);
    }
    shop.engine.wire.count(None);
    let page = Request::get("/orders?limit=100").send(&shop.orders, Some(&who)).await;
    assert_eq!(page.body["orders"].as_array().unwrap().len(), 30);
    assert_eq!(shop.engine.wire.counted().calls.len(), 2);
}

/// Stock that came after an environment first looked is found by a look at the table once, not with every order.
#[tokio::test]
async fn stock_that_came_later_costs_its_look_once() {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    shop.sell("mug", 0).await;
    let who = Who::customer("c-1");
    assert_eq!(shop.order(&who, "k-1", "mug", 1).await.slug(), "out-of-stock");
    shop.receive("mug", 10, "later").await;
    shop.clock.advance(SignedDuration::from_secs(2));
    let calls = async |key: &str| {
        shop.engine.wire.count(None);
        assert_eq!(shop.order(&who, key, "mug", 1).await.status, 201);
        shop.engine.wire.counted().calls.len()
    };
    assert!(calls("k-2").await > 1);
    assert_eq!(calls("k-3").await, 1);
}
