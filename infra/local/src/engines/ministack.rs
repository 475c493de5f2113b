//! SQS and S3: ministack, an emulator of AWS that runs on Python.

use std::path::Path;

use crate::engines::aws::ACCESS_KEY;
use crate::engines::ports;
use crate::engines::process::ChildProcess;
use crate::failure::Failure;
use crate::setup::Venv;

/// A running ministack.
pub struct Ministack {
    url: String,
    child: ChildProcess,
}

impl Ministack {
    /// Starts an empty one and waits until it answers.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(venv: &Venv, client: &reqwest::Client, logs: &Path) -> anyhow::Result<Self> {
        let port = ports::free()?.to_string();
        let environment = [
            ("BIND_HOST", "127.0.0.1"),
            ("GATEWAY_PORT", &port),
            ("MINISTACK_HOST", "127.0.0.1"),
            ("LAMBDA_EXECUTOR", "local"),
            // It checks the signatures of links to objects, and of nothing else.
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", ACCESS_KEY),
            ("AWS_SESSION_TOKEN", ""),
            ("SFTP_ENABLED", "0"),
            // It would listen on every interface.
            ("IOT_MTLS_ENABLED", "0"),
            ("LOG_LEVEL", "WARNING"),
            ("PYTHONUNBUFFERED", "1"),
        ];
        let program = venv.program("ministack");
        let child = ChildProcess::start("ministack", &program, [""; 0], environment, logs)?;
        let url = format!("http://127.0.0.1:{port}");
        let health = format!("{url}/_ministack/health");
        child.ready(async || client.get(&health).send().await.is_ok_and(|answer| answer.status().is_success())).await?;
        Ok(Self { url, child })
    }

    /// The endpoint for clients of any service.
    pub fn url(&self) -> &str {
        &self.url
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
