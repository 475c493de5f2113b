//! HTTP servers of this process, on free ports of the loopback interface.

use axum::Router;

use super::ports;

/// A server that runs until it is dropped.
pub struct Server {
    url: String,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Serves the router that `routes` makes for a port.
    ///
    /// # Errors
    /// When no port is free, or there are no routes.
    pub async fn start(routes: impl FnOnce(u16) -> anyhow::Result<Router>) -> anyhow::Result<Self> {
        let (listener, address) = ports::listen().await?;
        let router = routes(address.port())?;
        let task = tokio::spawn(async move {
            // It only ends with an error if the listener is broken, and callers notice that by themselves.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url: format!("http://{address}"), task })
    }

    /// The base URL.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
