//! Kinds of cached values: how each is named, and how long and how many of it are kept.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::hash::Hash;
use std::time::Duration;

/// A key, bound to the type of its value: no other kind can read it.
pub trait Key: Hash + Eq + Clone + Send + Sync + 'static {
    /// What the key leads to.
    type Value: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// The name of the kind.
    const KIND: &'static str;
    /// Raised when what is written changes its form: values of another form are never read.
    const SCHEMA: u16;

    /// Whose it is: keys of two tenants never meet.
    fn tenant(&self) -> &str;

    /// The key among those of its kind and tenant.
    fn text(&self) -> String;

    /// What it can be removed by, beside the key itself and its kind: tags of its tenant.
    fn tags(&self) -> Vec<String> {
        Vec::new()
    }

    /// What a value counts among those that a process keeps: 1 to count values, or about its bytes.
    fn weight(_value: &Self::Value) -> u32 {
        1
    }

    /// The number of a value's write, for values that have one: an older one never replaces a newer one.
    fn version(_value: &Self::Value) -> u64 {
        0
    }
}

/// How long values of a kind are kept, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How much the process keeps, in what [`Key::weight`] counts; 0 to keep none.
    pub local_max: u64,
    /// How long a value is fresh in the process.
    pub local: Duration,
    /// How long it is fresh in the shared cache, and nowhere longer.
    pub shared: Duration,
    /// How much longer it may be served while somebody loads another, or while the origin gives none.
    pub stale: Duration,
    /// How long it is remembered that there is no value.
    pub absent: Duration,
}

/// The name of a key in the shared cache. The tenant's length goes before it, so that no two of them can be read as one.
pub(crate) fn name_of<K: Key>(key: &K) -> String {
    let (tenant, text) = (key.tenant(), key.text());
    format!("{}.{}/{}:{tenant}/{text}", K::KIND, K::SCHEMA, tenant.len())
}

/// The names of the counters whose change removes a key: the one of its kind, and those of its tags.
pub(crate) fn counters_of<K: Key>(key: &K) -> Vec<String> {
    let tenant = key.tenant();
    let tags = key.tags().into_iter().map(|tag| counter(tenant, &tag));
    std::iter::once(kind_counter::<K>(tenant)).chain(tags).collect()
}

/// The counter of a tag.
pub(crate) fn counter(tenant: &str, tag: &str) -> String {
    format!("generation/{}:{tenant}/tag/{tag}", tenant.len())
}

/// The counter of everything that a tenant has of a kind.
pub(crate) fn kind_counter<K: Key>(tenant: &str) -> String {
    format!("generation/{}:{tenant}/kind/{}", tenant.len(), K::KIND)
}
