//! Free ports on the loopback interface.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// A port of 127.0.0.1 that nothing listens on, for a process that cannot be handed a socket.
///
/// # Errors
/// When the system has no port left.
pub fn free() -> std::io::Result<u16> {
    // The system hands out ephemeral ports in turn or at random, so the next one to ask gets another.
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr().map(|address| address.port())
}

/// A listener on a free port of 127.0.0.1, for a server in this process.
///
/// # Errors
/// When the system has no port left.
pub async fn listen() -> std::io::Result<(tokio::net::TcpListener, SocketAddr)> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
