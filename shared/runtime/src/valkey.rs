//! The cache that all environments share: Valkey, or whatever speaks RESP3.
//!
//! Every call has little time, is made once, and goes through a breaker: what is slow or down is left alone, and costs a
//! request nothing for as long. A connection that gave no answer is dropped, since an environment that was frozen may find
//! it dead without being told.

use crate::outside::{BreakerSettings, BreakerState, CallError, Dependency, Settings, Unsettled};
use async_trait::async_trait;
use holdfast_cache::{Kept, Level2, NoAnswer, VERSION_DIGITS};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo, ProtocolVersion, RedisError,
    ServerErrorKind, cmd,
};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a call may take, that of connecting too: several times what one takes within a zone (ElastiCache, "Latency
/// metrics": below a millisecond), and less than the read it spares.
const CALL: Duration = Duration::from_millis(100);
/// How many calls may be under way at once.
const CALLS_AT_ONCE: usize = 256;

/// Keeps a value unless what is there is newer: both begin with their versions, in digits of the same number.
const KEEP: &str = "\
local there = redis.call('GETRANGE', KEYS[1], 0, ARGV[3] - 1)
if there > string.sub(ARGV[1], 1, ARGV[3]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1";

/// Gives a lease back that is still its holder's.
const RELEASE: &str = "\
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0";

/// A server of the cache.
pub struct Valkey {
    /// Before every name: several installations may share a server.
    prefix: String,
    client: Client,
    connection: Mutex<Option<MultiplexedConnection>>,
    dependency: Dependency,
}

impl Valkey {
    /// The server at a URL (`redis://host:port`), not one of a cluster, for an installation of this name. It is connected to
    /// when it is first needed.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(url: &str, installation: &str) -> Result<Self, RedisError> {
        Self::with_settings(url, installation, Self::settings())
    }

    /// The same, called by other settings.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn with_settings(url: &str, installation: &str, settings: Settings) -> Result<Self, RedisError> {
        let info = url.into_connection_info()?;
        let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(info.set_redis_settings(redis))?;
        let (prefix, dependency) = (format!("{installation}/"), Dependency::new("valkey", settings));
        Ok(Self { prefix, client, connection: Mutex::default(), dependency })
    }

    /// How it is called.
    pub fn settings() -> Settings {
        // It is tried again soon: a probe costs one request a tenth of a second.
        let breaker = BreakerSettings { open_for: Duration::from_secs(2), ..BreakerSettings::default() };
        // Patience for more than the one attempt: an attempt without its whole time would say nothing about the server.
        let patience = 2 * CALL;
        Settings {
            call_timeout: CALL,
            patience,
            retries_max: 0,
            calls_at_once: CALLS_AT_ONCE,
            breaker,
            ..Settings::default()
        }
    }

    /// What its breaker lets through.
    pub fn state(&self) -> BreakerState {
        self.dependency.state()
    }

    async fn call<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, NoAnswer> {
        let attempt = || async {
            let mut connection = self.connected().await.map_err(|error| Unsettled::failed(error.to_string()))?;
            let answer = command.query_async(&mut connection).await;
            answer.map_err(|error: RedisError| {
                // A replica that was a primary says so on the connection that it had as one.
                let is_lost = error.is_io_error() || error.is_unrecoverable_error();
                if is_lost || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly) {
                    *self.slot() = None;
                }
                // One that answers with errors, such as that it is full, is of as little use as one that is down.
                Unsettled::failed(error.to_string())
            })
        };
        self.dependency.call(attempt).await.map_err(|error: CallError| {
            if matches!(error, CallError::TimedOut { .. }) {
                *self.slot() = None;
            }
            NoAnswer(error.to_string())
        })
    }

    fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    async fn connected(&self) -> Result<MultiplexedConnection, RedisError> {
        let known = self.slot().clone();
        if let Some(connection) = known {
            return Ok(connection);
        }
        // The dependency bounds the time of all of it.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        *self.slot() = Some(connection.clone());
        Ok(connection)
    }

    fn slot(&self) -> MutexGuard<'_, Option<MultiplexedConnection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Level2 for Valkey {
    async fn fetch(&self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, NoAnswer> {
        let names: Vec<_> = names.iter().map(|name| self.named(name)).collect();
        self.call(cmd("MGET").arg(names)).await
    }

    async fn keep(&self, kept: Kept) -> Result<bool, NoAnswer> {
        let keep_ms = u64::try_from(kept.keep_for.as_millis()).unwrap_or(u64::MAX);
        let mut command = cmd("EVAL");
        command.arg(KEEP).arg(1).arg(self.named(&kept.name)).arg(kept.bytes).arg(keep_ms).arg(VERSION_DIGITS);
        self.call(&command).await
    }

    async fn forget(&self, name: &str) -> Result<(), NoAnswer> {
        self.call(cmd("DEL").arg(self.named(name))).await
    }

    async fn lease(&self, name: &str, holder: u64, lasts: Duration) -> Result<bool, NoAnswer> {
        let lasts_ms = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
        let taken: Option<String> =
            self.call(cmd("SET").arg(self.named(name)).arg(holder).arg("NX").arg("PX").arg(lasts_ms)).await?;
        Ok(taken.is_some())
    }

    async fn release(&self, name: &str, holder: u64) -> Result<(), NoAnswer> {
        self.call(cmd("EVAL").arg(RELEASE).arg(1).arg(self.named(name)).arg(holder)).await
    }

    async fn raise(&self, name: &str) -> Result<u64, NoAnswer> {
        self.call(cmd("INCR").arg(self.named(name))).await
    }
}

impl fmt::Debug for Valkey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Valkey").field("state", &self.state()).finish_non_exhaustive()
    }
}
