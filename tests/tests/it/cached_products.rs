//! Products are read through the cache: from memory while they are fresh, told of changes, and served a little old while the
//! table fails.

use async_trait::async_trait;
use axum::Router;
use holdfast_cache::{Kept, Level2, NoAnswer};
use holdfast_runtime::valkey::Valkey;
use holdfast_tests::back_office::BackOffice;
use holdfast_tests::clock::TestClock;
use holdfast_tests::endpoints::stack;
use holdfast_tests::engine::Engine;
use holdfast_tests::faults::Way;
use holdfast_tests::requests::{Answer, Request, Who};
use holdfast_tests::shop::Shop;
use jiff::SignedDuration;
use maintenance::Job;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A connection to the stack's shared cache, as an environment of its own has it.
fn shared() -> Option<Arc<dyn Level2>> {
    Some(Arc::new(Valkey::new(&stack().redis_url, "tests").unwrap()))
}

/// A name that no other test has: all of them share one cache, and one shop.
fn unique(name: &str) -> String {
    format!("{name}-{}", uuid::Uuid::now_v7().simple())
}

async fn read(catalog: &Router, product: &str) -> Answer {
    Request::get(&format!("/products/{product}")).send(catalog, Some(&Who::customer("c-1"))).await
}

async fn put(catalog: &Router, product: &str, amount: i64) -> Answer {
    let price = json!({"amount": amount, "currency": "EUR"});
    let body = json!({"name": product, "description": "", "category": "all", "price": price});
    Request::put(&format!("/products/{product}"), &body).send(catalog, Some(&Who::staff())).await
}

fn age(answer: &Answer) -> i64 {
    answer.header("age").parse().unwrap()
}

#[tokio::test]
async fn cache_1_a_product_that_was_read_is_read_from_memory() {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    shop.sell("mug", 1).await;
    let catalog = shop.another_catalog(None);
    shop.engine.wire.count(None);
    let first = read(&catalog, "mug").await;
    assert_eq!((first.status, age(&first), shop.engine.wire.counted().calls.len()), (200, 0, 1));
    shop.clock.advance(SignedDuration::from_secs(100));
    shop.engine.wire.count(None);
    let second = read(&catalog, "mug").await;
    assert_eq!((age(&second), shop.engine.wire.counted().calls.len()), (100, 0));
    assert_eq!((&second.body, second.header("cache-control")), (&first.body, "private, no-cache"));
    // Another shop's product of this name is another one.
    let other = Request::get("/products/mug").send(&catalog, Some(&Who::customer("c-1").of("other"))).await;
    assert_eq!(other.status, 404);
    // Alone, an environment hears of no change of another's, for five minutes at most.
    shop.price("mug", 2999).await;
    assert_eq!(read(&catalog, "mug").await.body["price"]["amount"], 1999);
    let staff = Request::get("/products/mug").send(&catalog, Some(&Who::staff())).await;
    assert_eq!((&staff.body["price"]["amount"], age(&staff)), (&json!(2999), 0), "who changes it sees it as it is");
    shop.clock.advance(SignedDuration::from_secs(231));
    assert_eq!(read(&catalog, "mug").await.body["price"]["amount"], 2999);
}

#[tokio::test]
async fn cat_2_whoever_has_a_product_is_told_so_until_its_price_changes() {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    let (from, to) = (shop.clock.clock().now() + SignedDuration::from_mins(1), SignedDuration::from_mins(1));
    let price = json!({"amount": 999, "currency": "EUR"});
    shop.offer("mug", json!({"windows": [{"starts_at": from, "ends_at": from + to, "price": price}]})).await;
    let first = read(&shop.catalog, "mug").await;
    let again = async |etag: &str| {
        let request = Request::get("/products/mug").header("if-none-match", etag);
        request.send(&shop.catalog, Some(&Who::customer("c-1"))).await
    };
    let known = again(&format!("\"other\", W/{}", first.header("etag"))).await;
    assert_eq!((known.status, known.header("etag"), &known.body), (304, first.header("etag"), &json!(null)));
    // The flash sale begins: nothing was written, and yet the answer is another.
    shop.clock.advance(SignedDuration::from_secs(61));
    let sale = again(first.header("etag")).await;
    assert_eq!((sale.status, &sale.body["price_now"]["amount"]), (200, &json!(999)));
    shop.clock.advance(SignedDuration::from_secs(61));
    assert_eq!(again(sale.header("etag")).await.body["price_now"]["amount"], 1999);
}

#[tokio::test]
async fn cache_4_a_change_is_told_to_all_by_the_relay() {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    let mut back = BackOffice::open(&shop.engine, &shop.clock).await;
    back.tell(shared().unwrap());
    let mug = unique("mug");
    let (reader, later) = (shop.another_catalog(shared()), shop.another_catalog(shared()));
    assert_eq!(read(&reader, &mug).await.status, 404);
    // This environment knows no shared cache: it is the relay that tells.
    assert_eq!(put(&shop.catalog, &mug, 1999).await.status, 201);
    back.drain().await;
    shop.engine.wire.count(None);
    assert_eq!(read(&later, &mug).await.body["price"]["amount"], 1999);
    shop.clock.advance(SignedDuration::from_secs(34));
    assert_eq!(read(&reader, &mug).await.body["price"]["amount"], 1999, "that there is none held for half a minute");
    assert!(shop.engine.wire.counted().calls.is_empty(), "nobody asked the table");
    assert_eq!(put(&shop.catalog, &mug, 2999).await.status, 200);
    back.drain().await;
    assert_eq!(read(&later, &mug).await.body["price"]["amount"], 1999, "the bound: five minutes, and a tenth more");
    shop.clock.advance(SignedDuration::from_secs(331));
    assert_eq!(read(&later, &mug).await.body["price"]["amount"], 2999);
    // An environment that writes tells the others itself.
    assert_eq!(put(&reader, &mug, 3999).await.status, 200);
    assert_eq!(read(&shop.another_catalog(shared()), &mug).await.body["price"]["amount"], 3999);
}

/// A shared cache that is down from time to time.
struct Failing {
    valkey: Valkey,
    is_down: Arc<AtomicBool>,
}

impl Failing {
    fn up(&self) -> Result<&Valkey, NoAnswer> {
        if self.is_down.load(Ordering::SeqCst) { Err(NoAnswer("down".to_owned())) } else { Ok(&self.valkey) }
    }
}

#[async_trait]
impl Level2 for Failing {
    async fn fetch(&self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, NoAnswer> {
        self.up()?.fetch(names).await
    }

    async fn keep(&self, kept: Kept) -> Result<bool, NoAnswer> {
        self.up()?.keep(kept).await
    }

    async fn forget(&self, name: &str) -> Result<(), NoAnswer> {
        self.up()?.forget(name).await
    }

    async fn lease(&self, name: &str, holder: u64, lasts: Duration) -> Result<bool, NoAnswer> {
        self.up()?.lease(name, holder, lasts).await
    }

    async fn release(&self, name: &str, holder: u64) -> Result<(), NoAnswer> {
        self.up()?.release(name, holder).await
    }

    async fn raise(&self, name: &str) -> Result<u64, NoAnswer> {
        self.up()?.raise(name).await
    }
}

/// What the shared cache did not hear of, it is told to forget; and an environment that knew of it does not go back.
#[tokio::test]
async fn cache_5_a_change_that_was_missed_is_made_up_for() {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    let mut back = BackOffice::open(&shop.engine, &shop.clock).await;
    let is_down = Arc::new(AtomicBool::new(false));
    let failing = || {
        let valkey = Valkey::new(&stack().redis_url, "tests").unwrap();
        Arc::new(Failing { valkey, is_down: Arc::clone(&is_down) }) as Arc<dyn Level2>
    };
    back.tell(failing());
    let (mug, writer) = (unique("mug"), shop.another_catalog(Some(failing())));
    let price = async |catalog: &Router| read(catalog, &mug).await.body["price"]["amount"].clone();
    assert_eq!(put(&writer, &mug, 1999).await.status, 201);
    is_down.store(true, Ordering::SeqCst);
    assert_eq!(put(&writer, &mug, 2999).await.status, 200);
    is_down.store(false, Ordering::SeqCst);
    assert_eq!(price(&shop.another_catalog(shared())).await, 1999, "it is what the shared cache has");
    // The writer knew better, still does when its own time is over, and tells.
    shop.clock.advance(SignedDuration::from_secs(331));
    assert_eq!(price(&writer).await, 2999);
    assert_eq!(price(&shop.another_catalog(shared())).await, 2999);
    back.drain().await;
    // A writer without a shared cache, while the relay has none either.
    is_down.store(true, Ordering::SeqCst);
    assert_eq!(put(&shop.catalog, &mug, 3999).await.status, 200);
    back.drain().await;
    is_down.store(false, Ordering::SeqCst);
    assert_eq!(price(&shop.another_catalog(shared())).await, 2999);
    // Whatever the relay is invoked for next, a pulse at the latest.
    back.maintain(Job::Pulse).await;
    back.drain().await;
    assert_eq!(price(&shop.another_catalog(shared())).await, 3999);
}

#[tokio::test]
async fn cache_3_a_product_is_served_for_a_while_when_the_table_fails() {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    shop.sell("mug", 1).await;
    let catalog = shop.another_catalog(None);
    read(&catalog, "mug").await;
    let failing = async |advance: SignedDuration| {
        shop.clock.advance(advance);
        shop.engine.wire.count(Some((0, Way::Before)));
        let answer = read(&catalog, "mug").await;
        assert!(shop.engine.wire.counted().met);
        answer
    };
    let old = failing(SignedDuration::from_mins(63)).await;
    assert_eq!((old.status, age(&old)), (200, 63 * 60));
    let gone = failing(SignedDuration::from_mins(14)).await;
    assert_eq!((gone.status, gone.slug()), (503, "unavailable"));
    assert_eq!(read(&catalog, "mug").await.status, 200);
}
