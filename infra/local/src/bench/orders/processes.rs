//! Size and memory of the release binaries.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::progress::Progress;
use crate::stack::{Stack, StackOptions};
use crate::token::{Claims, sign};
use crate::workspace;

/// How long the work behind the last order may take.
const DRAIN_PATIENCE: Duration = Duration::from_secs(120);

/// One function.
#[derive(Serialize, Deserialize)]
pub struct ProcessFigures {
    /// Its package.
    pub name: String,
    /// Size of its binary, in bytes.
    pub binary_bytes: u64,
    /// Resident memory after the orders, in bytes.
    pub rss_bytes: u64,
    /// The most resident memory it ever had, in bytes.
    pub rss_peak_bytes: u64,
}

/// Places `orders` orders through a stack of release binaries, one instance each, and looks at the processes.
///
/// # Errors
/// When the stack does not start, an order fails, or a process is not found.
pub async fn measure(orders: usize, progress: &Progress) -> anyhow::Result<Vec<ProcessFigures>> {
    let options = StackOptions { release: true, concurrency: 1, ..StackOptions::named("bench") };
    let stack = Stack::start(options, progress).await?;
    let figures = stack.run(placed(orders, &stack, progress)).await;
    stack.stop().await;
    figures
}

async fn placed(orders: usize, stack: &Stack, progress: &Progress) -> anyhow::Result<Vec<ProcessFigures>> {
    let bar = progress.bars().add(ProgressBar::new(orders as u64));
    let api = Api::new(stack)?;
    api.open_shop(orders).await?;
    for n in 0..orders {
        api.order(n).await?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let step = progress.step("payments");
    tokio::time::timeout(DRAIN_PATIENCE, drained(stack)).await.context("the payments did not come to an end")??;
    step.done("");
    processes(&workspace::root().join("target/release"))
}

async fn drained(stack: &Stack) -> anyhow::Result<()> {
    while stack.idle().await?.is_some() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// The API of the stack, as its staff.
struct Api {
    client: reqwest::Client,
    url: String,
    token: String,
}

impl Api {
    fn new(stack: &Stack) -> anyhow::Result<Self> {
        let scope = "orders stock catalog staff".to_owned();
        let claims = Claims { tenant: "acme".to_owned(), sub: "bench".to_owned(), scope, guest: false };
        let url = stack.endpoints.api_url.clone();
        Ok(Self { client: reqwest::Client::new(), url, token: sign(&claims)? })
    }

    async fn open_shop(&self, units: usize) -> anyhow::Result<()> {
        let product = json!({"name": "Mug", "category": "all", "price": {"amount": 1999, "currency": "EUR"}});
        self.send("PUT", "/products/mug-blue", "", &product).await?;
        let receipt = json!({"warehouse": "main", "quantity": units * 2});
        self.send("POST", "/stock/mug-blue/receipts", "stock", &receipt).await
    }

    async fn order(&self, number: usize) -> anyhow::Result<()> {
        let event = fs::read_to_string(workspace::root().join("events/orders/place.json"))?;
        let event: Value = serde_json::from_str(&event)?;
        let body = serde_json::from_str(event["body"].as_str().context("the sample event has a body")?)?;
        self.send("POST", "/orders", &format!("k-{number}"), &body).await
    }

    async fn send(&self, method: &str, path: &str, key: &str, body: &Value) -> anyhow::Result<()> {
        let request = self.client.request(method.parse()?, format!("{}{path}", self.url)).bearer_auth(&self.token);
        let request = if key.is_empty() { request } else { request.header("Idempotency-Key", key) };
        let answer = request.json(body).send().await?;
        let status = answer.status();
        anyhow::ensure!(status.is_success(), "{method} {path}: {status}: {}", answer.text().await?);
        Ok(())
    }
}

/// The processes that run a program of `folder`, found by what Linux says of each.
fn processes(folder: &Path) -> anyhow::Result<Vec<ProcessFigures>> {
    let mut figures = BTreeMap::new();
    for entry in fs::read_dir("/proc").context("the memory of processes is read from /proc, which Linux has")? {
        let folder_of_process = entry?.path();
        // Processes end at any moment, and not all may be looked at.
        let Ok(program) = fs::read_link(folder_of_process.join("exe")) else { continue };
        if program.parent() == Some(folder) {
            let figure = figures_of(&program, &folder_of_process)?;
            figures.insert(figure.name.clone(), figure);
        }
    }
    anyhow::ensure!(!figures.is_empty(), "no function of {} is running", workspace::shown(folder));
    Ok(figures.into_values().collect())
}

fn figures_of(program: &PathBuf, process: &Path) -> anyhow::Result<ProcessFigures> {
    let status = fs::read_to_string(process.join("status"))?;
    let kilobytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let bytes = |name: &str| kilobytes(name).map(|kilobytes| kilobytes * 1024).context("the process tells its memory");
    let name = program.file_name().context("a program has a name")?.to_string_lossy().into_owned();
    let (rss_bytes, rss_peak_bytes) = (bytes("VmRSS:")?, bytes("VmHWM:")?);
    Ok(ProcessFigures { name, binary_bytes: fs::metadata(program)?.len(), rss_bytes, rss_peak_bytes })
}
