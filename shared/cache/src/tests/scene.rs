//! A shop's shelf to be cached, a clock that the test sets, and a shared cache in memory.

use crate::{Cache, Cached, Kept, Key, Level2, Limits, NoAnswer, Sources, VERSION_DIGITS};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    pub tenant: String,
    pub shelf: String,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thing {
    pub version: u64,
    pub what: String,
}

impl Key for Place {
    type Value = Thing;
    const KIND: &'static str = "thing";
    const SCHEMA: u16 = 1;

    fn tenant(&self) -> &str {
        &self.tenant
    }

    fn text(&self) -> String {
        format!("{}/{}", self.shelf, self.name)
    }

    fn tags(&self) -> Vec<String> {
        vec![format!("shelf:{}", self.shelf)]
    }

    fn version(value: &Thing) -> u64 {
        value.version
    }
}

pub fn place(name: &str) -> Place {
    Place { tenant: "acme".to_owned(), shelf: "top".to_owned(), name: name.to_owned() }
}

/// Fresh for a minute in a process and ten together, then two more in need; absence holds for half a minute.
pub fn limits() -> Limits {
    let seconds = Duration::from_secs;
    Limits { local_max: 100, local: seconds(60), shared: seconds(600), stale: seconds(120), absent: seconds(30) }
}

/// Where values come from.
#[derive(Default)]
pub struct Origin {
    pub things: Mutex<BTreeMap<String, Thing>>,
    pub loads: AtomicU64,
    pub is_down: AtomicBool,
    /// How long a load takes, in milliseconds of the machine's time.
    pub takes_ms: AtomicU64,
}

impl Origin {
    pub fn set(&self, name: &str, version: u64) -> Thing {
        let thing = Thing { version, what: format!("{name} {version}") };
        self.things.lock().unwrap().insert(name.to_owned(), thing.clone());
        thing
    }

    pub async fn load(&self, key: &Place) -> Result<Option<Thing>, String> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        let takes = self.takes_ms.load(Ordering::SeqCst);
        if takes > 0 {
            tokio::time::sleep(Duration::from_millis(takes)).await;
        }
        match self.is_down.load(Ordering::SeqCst) {
            true => Err("down".to_owned()),
            false => Ok(self.things.lock().unwrap().get(&key.name).cloned()),
        }
    }

    pub fn loads(&self) -> u64 {
        self.loads.load(Ordering::SeqCst)
    }
}

/// Bytes, and when they are forgotten.
type Values = HashMap<String, (Vec<u8>, i64)>;

/// A shared cache in memory, by the scene's clock.
#[derive(Default)]
pub struct Memory {
    values: Mutex<Values>,
    now: Arc<AtomicI64>,
    pub is_down: AtomicBool,
    /// For controls: it keeps older versions too, and gives a lease to everybody.
    pub keeps_all: AtomicBool,
    pub leases_to_all: AtomicBool,
    pub calls: AtomicU64,
}

impl Memory {
    fn called(&self) -> Result<std::sync::MutexGuard<'_, Values>, NoAnswer> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.is_down.load(Ordering::SeqCst) {
            return Err(NoAnswer("down".to_owned()));
        }
        let mut values = self.values.lock().unwrap();
        let now = self.now.load(Ordering::SeqCst);
        values.retain(|_, (_, until)| now < *until);
        Ok(values)
    }

    fn until(&self, lasts: Duration) -> i64 {
        self.now.load(Ordering::SeqCst) + lasts.as_millis() as i64
    }
}

#[async_trait]
impl Level2 for Memory {
    async fn fetch(&self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, NoAnswer> {
        let values = self.called()?;
        Ok(names.iter().map(|name| values.get(name).map(|(bytes, _)| bytes.clone())).collect())
    }

    async fn keep(&self, kept: Kept) -> Result<bool, NoAnswer> {
        let mut values = self.called()?;
        let is_older =
            values.get(&kept.name).is_some_and(|(there, _)| there[..VERSION_DIGITS] > kept.bytes[..VERSION_DIGITS]);
        let is_older = is_older && !self.keeps_all.load(Ordering::SeqCst);
        if !is_older {
            values.insert(kept.name, (kept.bytes, self.until(kept.keep_for)));
        }
        Ok(!is_older)
    }

    async fn forget(&self, name: &str) -> Result<(), NoAnswer> {
        self.called()?.remove(name);
        Ok(())
    }

    async fn lease(&self, name: &str, holder: u64, lasts: Duration) -> Result<bool, NoAnswer> {
        let mut values = self.called()?;
        let is_free = !values.contains_key(name) || self.leases_to_all.load(Ordering::SeqCst);
        if is_free {
            values.insert(name.to_owned(), (holder.to_be_bytes().to_vec(), self.until(lasts)));
        }
        Ok(is_free)
    }

    async fn release(&self, name: &str, holder: u64) -> Result<(), NoAnswer> {
        let mut values = self.called()?;
        if values.get(name).is_some_and(|(there, _)| *there == holder.to_be_bytes()) {
            values.remove(name);
        }
        Ok(())
    }

    async fn raise(&self, name: &str) -> Result<u64, NoAnswer> {
        let mut values = self.called()?;
        let number = values.get(name).and_then(|(bytes, _)| String::from_utf8_lossy(bytes).parse::<u64>().ok());
        let raised = number.unwrap_or_default() + 1;
        values.insert(name.to_owned(), (raised.to_string().into_bytes(), i64::MAX));
        Ok(raised)
    }
}

/// Which levels there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Levels {
    Local,
    Shared,
    Both,
    SharedIsDown,
}

impl Levels {
    pub const ALL: [Self; 4] = [Self::Local, Self::Shared, Self::Both, Self::SharedIsDown];
}

/// Processes over one shared cache and one origin.
pub struct Scene {
    pub now: Arc<AtomicI64>,
    pub origin: Arc<Origin>,
    pub memory: Arc<Memory>,
    levels: Levels,
}

impl Scene {
    pub fn of(levels: Levels) -> Self {
        let now = Arc::new(AtomicI64::new(1_000_000));
        let memory = Arc::new(Memory { now: Arc::clone(&now), ..Memory::default() });
        memory.is_down.store(levels == Levels::SharedIsDown, Ordering::SeqCst);
        Self { now, origin: Arc::default(), memory, levels }
    }

    /// A process without early refresh, whose values all last exactly as long as said: chance is always one half, and loads
    /// take no time.
    pub fn process(&self) -> Arc<Cache<Place>> {
        let now = Arc::clone(&self.now);
        let sources = Sources { now: Arc::new(move || now.load(Ordering::SeqCst)), random: Arc::new(|| 0.5) };
        let local_max = if self.levels == Levels::Shared { 0 } else { 100 };
        let shared = (self.levels != Levels::Local).then(|| Arc::clone(&self.memory) as Arc<dyn Level2>);
        Arc::new(Cache::new(Limits { local_max, ..limits() }, shared, sources))
    }

    pub fn pass(&self, seconds: i64) {
        self.now.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }

    pub async fn get(&self, cache: &Cache<Place>, name: &str) -> Result<Cached<Thing>, Arc<String>> {
        let key = place(name);
        cache.get(&key, || self.origin.load(&key)).await
    }

    /// What a key leads to, in words.
    pub async fn read(&self, cache: &Cache<Place>, name: &str) -> String {
        match self.get(cache, name).await {
            Ok(cached) => cached.value.map_or_else(|| "nothing".to_owned(), |thing| thing.what.clone()),
            Err(error) => error.to_string(),
        }
    }
}
