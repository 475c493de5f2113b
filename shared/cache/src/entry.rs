//! What is kept of a value, in the process and in the form that the shared cache has.

use crate::level2::VERSION_DIGITS;
use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};

/// From how many bytes on a value is deflated.
const DEFLATED_FROM: usize = 1_024;
/// The most bytes that a value may have once it is inflated: what is larger was not written by us.
const INFLATED_MAX: u64 = 16 << 20;

/// A value, or that there is none, and for how long that holds.
#[derive(Debug)]
pub(crate) struct Entry<V> {
    pub value: Option<Arc<V>>,
    pub version: u64,
    pub times: Times,
    /// Until when this process takes it for fresh.
    pub local_until: AtomicI64,
    /// The marks of its counters when this process took it, and when they were last compared.
    pub marks: Vec<u64>,
    pub epoch: AtomicU64,
}

/// When a value was loaded, in milliseconds since the epoch, and how long it holds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Times {
    pub loaded_at: i64,
    pub fresh_until: i64,
    pub stale_until: i64,
    /// How long loading it took, in milliseconds.
    pub load_ms: i64,
}

/// What goes before the value, on a line of its own.
#[derive(Serialize, Deserialize)]
struct Head {
    #[serde(flatten)]
    times: Times,
    generations: Vec<u64>,
    form: Form,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    Absent,
    Json,
    Deflated,
}

/// What the shared cache had.
pub(crate) struct Read<V> {
    pub value: Option<V>,
    pub version: u64,
    pub times: Times,
    pub generations: Vec<u64>,
}

/// The form in the shared cache: the version, a line about the value, and the value.
pub(crate) fn written<V: Serialize>(value: Option<&V>, version: u64, times: Times, generations: &[u64]) -> Vec<u8> {
    let json = value.map(|value| serde_json::to_vec(value).expect("cached values have JSON forms"));
    let (form, body) = match json {
        None => (Form::Absent, Vec::new()),
        Some(json) if json.len() < DEFLATED_FROM => (Form::Json, json),
        Some(json) => {
            let mut deflated = Vec::with_capacity(json.len() / 2);
            DeflateEncoder::new(&*json, Compression::fast()).read_to_end(&mut deflated).expect("memory does not fail");
            (Form::Deflated, deflated)
        }
    };
    let head = Head { times, generations: generations.to_vec(), form };
    let mut bytes = format!("{version:0VERSION_DIGITS$}").into_bytes();
    serde_json::to_writer(&mut bytes, &head).expect("memory does not fail");
    bytes.push(b'\n');
    bytes.extend(body);
    bytes
}

/// Reads that form; none if it is another, such as that of somebody else.
pub(crate) fn read<V: DeserializeOwned>(bytes: &[u8]) -> Option<Read<V>> {
    let (version, rest) = bytes.split_at_checked(VERSION_DIGITS)?;
    let version = std::str::from_utf8(version).ok()?.parse().ok()?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let Head { times, generations, form } = serde_json::from_slice(&rest[..end]).ok()?;
    let body = &rest[end + 1..];
    let value = match form {
        Form::Absent => None,
        Form::Json => Some(serde_json::from_slice(body).ok()?),
        Form::Deflated => {
            let mut json = Vec::new();
            DeflateDecoder::new(body).take(INFLATED_MAX).read_to_end(&mut json).ok()?;
            Some(serde_json::from_slice(&json).ok()?)
        }
    };
    Some(Read { value, version, times, generations })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times { loaded_at: 1, fresh_until: 2, stale_until: 3, load_ms: 4 };

    #[test]
    fn cache_1_what_is_written_is_read_and_large_values_are_deflated() {
        for (text, deflated) in [("short".to_owned(), false), ("long".repeat(5_000), true)] {
            let bytes = written(Some(&text), 7, TIMES, &[1, 2]);
            assert_eq!(bytes.len() < text.len(), deflated);
            let read = read::<String>(&bytes).unwrap();
            assert_eq!((read.value.unwrap(), read.version, read.generations), (text, 7, vec![1, 2]));
            assert_eq!((read.times.loaded_at, read.times.load_ms), (1, 4));
        }
        let absent = read::<String>(&written::<String>(None, 0, TIMES, &[])).unwrap();
        assert!(absent.value.is_none());
    }

    #[test]
    fn cache_5_what_somebody_else_wrote_is_nothing() {
        let good = written(Some(&"x".repeat(3_000)), 7, TIMES, &[1]);
        for bytes in
            [&b""[..], b"short", &good[..good.len() - 9], &good[1..], b"00000000000000000007{}\nx", &[0xFF; 64]]
        {
            assert!(read::<String>(bytes).is_none(), "{bytes:?}");
        }
    }
}
