//! The payment provider: localstripe, a Stripe API server, behind the proxy that adds what it lacks.

use std::path::Path;

use crate::engines::payment_proxy::PaymentProxy;
use crate::engines::ports;
use crate::engines::process::ChildProcess;
use crate::failure::Failure;
use crate::setup::Venv;

/// Starts localstripe on the loopback interface alone, and without the copy of its whole store that it writes to disk
/// after each request.
const LAUNCHER: &str = "
import sys
from aiohttp import web
from localstripe import server
server.store.dump_to_disk = lambda: None
web.run_app(server.app, host='127.0.0.1', port=int(sys.argv[1]), access_log=None, print=None)
";

/// The secret key that local calls are made with. The provider takes any that begins like one.
pub const SECRET_KEY: &str = "sk_test_holdfast";

/// The secret that local events are signed with.
pub const WEBHOOK_SECRET: &str = "whsec_local_holdfast";

/// A running provider.
pub struct Payment {
    child: ChildProcess,
    proxy: PaymentProxy,
}

impl Payment {
    /// Starts the provider and the proxy, and waits until they answer.
    ///
    /// # Errors
    /// When either does not start.
    pub async fn start(venv: &Venv, client: &reqwest::Client, logs: &Path) -> anyhow::Result<Self> {
        let port = ports::free()?.to_string();
        let program = venv.program("python");
        let arguments = ["-c", LAUNCHER, &port];
        let child = ChildProcess::start("payment", &program, arguments, [("PYTHONUNBUFFERED", "1")], logs)?;
        let url = format!("http://127.0.0.1:{port}");
        child.ready(async || client.get(&url).send().await.is_ok()).await?;
        let proxy = PaymentProxy::start(&url).await?;
        Ok(Self { child, proxy })
    }

    /// The base URL of the API, as `https://api.stripe.com` is Stripe's.
    pub fn url(&self) -> &str {
        self.proxy.url()
    }

    /// From here on, events go to this URL, signed with [`WEBHOOK_SECRET`].
    pub fn send_events_to(&self, url: String) {
        self.proxy.send_events_to(url, WEBHOOK_SECRET);
    }

    /// The failure it is that the process has ended, if it has.
    pub fn failure(&self) -> Option<Failure> {
        self.child.failure()
    }

    /// Stops both.
    pub async fn stop(self) {
        drop(self.proxy);
        self.child.stop().await;
    }
}
