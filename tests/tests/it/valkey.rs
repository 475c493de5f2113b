//! The shared cache on a real server: what it promises to [`holdfast_cache`], and what its failures cost (CACHE-5).

use holdfast_cache::{Cache, Kept, Key, Level2, Limits, Sources, VERSION_DIGITS};
use holdfast_local::engines::ports;
use holdfast_local::engines::valkey::Valkey as Server;
use holdfast_local::progress::Progress;
use holdfast_local::setup::Venv;
use holdfast_runtime::outside::BreakerState;
use holdfast_runtime::valkey::Valkey;
use holdfast_tests::endpoints::stack;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Name(String);

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Word(String);

impl Key for Name {
    type Value = Word;
    const KIND: &'static str = "word";
    const SCHEMA: u16 = 1;

    fn tenant(&self) -> &str {
        "acme"
    }

    fn text(&self) -> String {
        self.0.clone()
    }
}

fn cache(shared: Arc<dyn Level2>, local: Duration) -> Cache<Name> {
    let seconds = Duration::from_secs;
    let limits = Limits { local_max: 100, local, shared: seconds(60), stale: seconds(5), absent: seconds(5) };
    Cache::new(limits, Some(shared), Sources::system())
}

/// A name that no other test has.
fn unique() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

fn kept(name: &str, version: u64, word: &str, keep_for: Duration) -> Kept {
    let bytes = format!("{version:0VERSION_DIGITS$}{word}").into_bytes();
    Kept { name: name.to_owned(), version, bytes, keep_for }
}

async fn word_of(valkey: &Valkey, name: &str) -> Option<String> {
    let found = valkey.fetch(&[name.to_owned()]).await.unwrap().remove(0)?;
    Some(String::from_utf8(found[VERSION_DIGITS..].to_vec()).unwrap())
}

#[tokio::test]
async fn cache_4_the_server_keeps_the_newest_version() {
    let valkey = Valkey::new(&stack().redis_url, "tests").unwrap();
    let (name, minute) = (unique(), Duration::from_secs(60));
    assert_eq!(word_of(&valkey, &name).await, None);
    for (version, word, expected) in [(9, "nine", true), (10, "ten", true), (9, "again", false), (10, "other", true)] {
        assert_eq!(valkey.keep(kept(&name, version, word, minute)).await.unwrap(), expected, "{version}");
    }
    assert_eq!(word_of(&valkey, &name).await.as_deref(), Some("other"));
    valkey.forget(&name).await.unwrap();
    assert_eq!(word_of(&valkey, &name).await, None);
    assert!(valkey.keep(kept(&name, 1, "short", Duration::from_millis(50))).await.unwrap());
    tokio::time::sleep(Duration::from_millis(120)).await;
    assert_eq!(word_of(&valkey, &name).await, None, "its time is over");
}

#[tokio::test]
async fn cache_3_a_lease_has_one_holder_until_it_is_given_back_or_over() {
    let valkey = Valkey::new(&stack().redis_url, "tests").unwrap();
    let (name, lasts) = (unique(), Duration::from_millis(300));
    assert!(valkey.lease(&name, 1, lasts).await.unwrap());
    assert!(!valkey.lease(&name, 2, lasts).await.unwrap());
    valkey.release(&name, 2).await.unwrap();
    assert!(!valkey.lease(&name, 2, lasts).await.unwrap(), "it is not theirs to give back");
    valkey.release(&name, 1).await.unwrap();
    assert!(valkey.lease(&name, 2, lasts).await.unwrap());
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(valkey.lease(&name, 3, lasts).await.unwrap(), "whoever died with it keeps it for no longer");
    let counter = unique();
    assert_eq!([valkey.raise(&counter).await.unwrap(), valkey.raise(&counter).await.unwrap()], [1, 2]);
}

#[tokio::test]
async fn cache_1_two_environments_share_what_one_loaded_and_removed() {
    let environment = || {
        let valkey = Arc::new(Valkey::new(&stack().redis_url, "tests").unwrap());
        // No memory of its own outlives the next look.
        cache(valkey, Duration::ZERO)
    };
    let (first, second, key) = (environment(), environment(), Name(unique()));
    let loads = AtomicU64::new(0);
    let load = || async { Ok::<_, String>(Some(Word(format!("load {}", loads.fetch_add(1, Ordering::SeqCst))))) };
    for cache in [&first, &second, &second] {
        assert_eq!(cache.get(&key, load).await.unwrap().value.unwrap().0, "load 0");
    }
    assert_eq!(second.figures().hits_shared, 2);
    assert!(!first.remove(&key).await);
    assert_eq!(second.get(&key, load).await.unwrap().value.unwrap().0, "load 1");
}

/// The server is killed and started again under load: nobody fails, and it is used again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cache_5_a_server_that_dies_and_comes_back_fails_no_request() {
    let venv = Venv::engines(&Progress::hidden()).await.unwrap();
    let logs = std::env::temp_dir().join(unique());
    let server = Server::start(&venv, &logs).await.unwrap();
    let port = server.port();
    let valkey = Arc::new(Valkey::new(&server.url(), "tests").unwrap());
    let cache = Arc::new(cache(Arc::clone(&valkey) as Arc<dyn Level2>, Duration::from_millis(5)));
    let over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let askers: Vec<_> = (0..8)
        .map(|asker| {
            let (cache, over) = (Arc::clone(&cache), Arc::clone(&over));
            tokio::spawn(async move {
                let (mut asked, mut slowest) = (0_u32, Duration::ZERO);
                while !over.load(Ordering::SeqCst) {
                    let (key, began) = (Name(format!("{}", (asked + asker) % 10)), Instant::now());
                    let load = || async { Ok::<_, String>(Some(Word(key.0.clone()))) };
                    assert_eq!(cache.get(&key, load).await.unwrap().value.unwrap().0, key.0);
                    slowest = slowest.max(began.elapsed());
                    asked += 1;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                (asked, slowest)
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = cache.figures();
    assert!(before.hits_shared > 0 && before.shared_failed == 0, "{before:?}");
    server.stop().await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(valkey.state(), BreakerState::Open, "it is left alone");
    let server = Server::start_at(port, &venv, &logs).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2_600)).await;
    let recovered = cache.figures();
    tokio::time::sleep(Duration::from_millis(400)).await;
    over.store(true, Ordering::SeqCst);
    for asker in askers {
        let (asked, slowest) = asker.await.unwrap();
        assert!(asked > 100 && slowest < Duration::from_secs(1), "{asked} asked, the slowest took {slowest:?}");
    }
    let after = cache.figures();
    assert_eq!((valkey.state(), after.shared_failed), (BreakerState::Closed, recovered.shared_failed));
    assert!(after.hits_shared > recovered.hits_shared, "{after:?}");
    server.stop().await;
}

/// A server that takes calls and answers none costs each a tenth of a second, until it is left alone.
#[tokio::test]
async fn cache_5_a_server_that_hangs_costs_little() {
    let (listener, address) = ports::listen().await.unwrap();
    let held = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let valkey = Arc::new(Valkey::new(&format!("redis://{address}"), "tests").unwrap());
    let cache = cache(Arc::clone(&valkey) as Arc<dyn Level2>, Duration::ZERO);
    let began = Instant::now();
    for number in 0..50 {
        let key = Name(number.to_string());
        let found = cache.get(&key, || async { Ok::<_, String>(Some(Word("there".to_owned()))) }).await.unwrap();
        assert_eq!(found.value.unwrap().0, "there");
    }
    assert_eq!(valkey.state(), BreakerState::Open);
    assert!(began.elapsed() < Duration::from_secs(2), "50 requests took {:?}", began.elapsed());
    held.abort();
}
