//! What names resolve to, and whether it may be called.

use async_trait::async_trait;
use holdfast_domain::webhook::{Loopback, may_be_called};
use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// How long a name may take to resolve.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Resolves names.
#[async_trait]
pub trait Names: Send + Sync {
    /// The addresses of a name.
    ///
    /// # Errors
    /// When it has none, or nobody can tell.
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNames;

#[async_trait]
impl Names for SystemNames {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::time::timeout(TIMEOUT, tokio::net::lookup_host((name, 0))).await;
        let found =
            found.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the name did not resolve in time"))??;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// Why a name may not be called.
#[derive(Debug, thiserror::Error)]
pub enum Uncallable {
    /// It leads to an address that is not public. One such address is enough: nobody chooses which is called.
    #[error("the name leads to an address that is not public")]
    NotPublic,
    /// It leads nowhere.
    #[error("the name does not resolve")]
    Unresolved(#[source] io::Error),
}

/// The addresses of a name that a shop chose, if all of them may be called.
///
/// # Errors
/// When it leads nowhere, or to a place that is not public.
pub async fn callable_addresses(names: &dyn Names, name: &str, loopback: Loopback) -> Result<Vec<IpAddr>, Uncallable> {
    let addresses = names.addresses(name).await.map_err(Uncallable::Unresolved)?;
    if addresses.is_empty() {
        return Err(Uncallable::Unresolved(io::Error::new(io::ErrorKind::NotFound, "the name has no address")));
    }
    match addresses.iter().all(|address| may_be_called(*address, loopback)) {
        true => Ok(addresses),
        false => Err(Uncallable::NotPublic),
    }
}
