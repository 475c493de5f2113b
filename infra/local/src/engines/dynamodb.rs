//! DynamoDB: the dynoxide engine inside this process, spoken to over HTTP like the real one.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use dynoxide::Database;
use tokio::sync::oneshot;

use crate::engines::ports;

/// How often items whose time has come are looked for. AWS takes up to days; a test should not.
const TTL_SWEEP: Duration = Duration::from_secs(5);

/// A running engine. It stops when it is dropped.
pub struct DynamoDb {
    url: String,
    database: Database,
    stop: Option<oneshot::Sender<()>>,
    server: Option<std::thread::JoinHandle<()>>,
}

impl DynamoDb {
    /// Starts an empty engine; `folder` is for a file it needs while it starts.
    ///
    /// # Errors
    /// When the engine refuses its database, or no port is free.
    pub async fn start(folder: &Path) -> anyhow::Result<Self> {
        let database = empty_database(folder).context("dynoxide did not make its database")?;
        let (listener, address) = ports::listen().await?;
        let listener = listener.into_std()?;
        let served = database.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        // The engine answers on the thread that reads the request. On threads of its own it starves nobody.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("dynamodb")
            .enable_all()
            .build()?;
        let server = std::thread::Builder::new().name("dynamodb".into()).spawn(move || {
            runtime.spawn(sweep(served.clone()));
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("the listener does not block");
                let server = dynoxide::server::serve_on(listener, served);
                tokio::select! {
                    () = server => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        })?;
        Ok(Self { url: format!("http://{address}"), database, stop: Some(stop), server: Some(server) })
    }

    /// The endpoint for clients.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The engine itself, for filling a table past its API.
    pub fn database(&self) -> &Database {
        &self.database
    }
}

impl Drop for DynamoDb {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(server) = self.server.take() {
            // A panic in the server was printed where it happened.
            let _ = server.join();
        }
    }
}

/// A database in memory that finds the end of its stream by an index. Without the index every write to a table with a
/// stream reads the whole stream: 1,024 transactions a second instead of 2,900.
fn empty_database(folder: &Path) -> anyhow::Result<Database> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join(format!("dynamodb-{}.sqlite", uuid::Uuid::now_v7().simple()));
    let name = path.to_str().context("the path is not UTF-8")?;
    drop(Database::new(name)?);
    let file = rusqlite::Connection::open(&path)?;
    file.execute_batch(
        "CREATE INDEX stream_position ON _stream_records(table_name, CAST(sequence_number AS INTEGER));
         PRAGMA wal_checkpoint(TRUNCATE);
         PRAGMA journal_mode = DELETE;",
    )?;
    drop(file);
    let database = Database::memory()?;
    database.restore_from(name)?;
    for suffix in ["", "-wal", "-shm"] {
        // Only the first is sure to exist.
        let _ = std::fs::remove_file(format!("{name}{suffix}"));
    }
    Ok(database)
}

async fn sweep(database: Database) {
    let mut tick = tokio::time::interval(TTL_SWEEP);
    loop {
        tick.tick().await;
        let database = database.clone();
        match tokio::task::spawn_blocking(move || database.sweep_ttl()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "expired items were not swept"),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_in_the_database_that_serves() {
        let folder = std::env::temp_dir().join(format!("holdfast-dynamodb-{}", std::process::id()));
        let database = empty_database(&folder).unwrap();
        let copy = folder.join("copy.sqlite");
        let _ = std::fs::remove_file(&copy);
        database.vacuum_into(copy.to_str().unwrap()).unwrap();
        let copy = rusqlite::Connection::open(copy).unwrap();
        let query = "SELECT MAX(CAST(sequence_number AS INTEGER)) FROM _stream_records WHERE table_name = 'orders'";
        let plan = copy.query_row(&format!("EXPLAIN QUERY PLAN {query}"), [], |row| row.get::<_, String>(3)).unwrap();
        assert!(plan.contains("stream_position"), "{plan}");
    }
}
