//! Lambda: `cargo lambda watch` with the functions of the workspace.
//!
//! It runs in one of two ways. For work on the code, it builds and starts the functions itself and restarts them when
//! a file changes. For tests and measurements it serves the Lambda APIs alone, and this module starts the instances:
//! `cargo lambda watch` would start each with `cargo run`, which waits for cargo's lock, and would not replace one that
//! crashed.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::seq::IndexedRandom as _;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::engines::invoker::{Invoker, Outcome};
use crate::engines::ports;
use crate::engines::process::{ChildProcess, log_file};
use crate::failure::Failure;
use crate::progress::Step;
use crate::setup::Venv;
use crate::template::Function;
use crate::workspace;

/// How the functions run.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// With optimisation, as they are deployed.
    pub release: bool,
    /// Whether they are built and started anew when a file changes.
    pub reload: bool,
    /// Instances of a function, where its sources can use them.
    pub concurrency: u16,
}

/// How long an instance that ended is not replaced.
const RESTART_PAUSE: Duration = Duration::from_millis(300);
/// A function that ended so often before it answered does not work.
const CRASHES_MAX: u32 = 3;
/// How long all functions may take until they answer. They may wait for another cargo to give up its lock.
const READY_PATIENCE: Duration = Duration::from_secs(180);
/// How often functions that were started and have not answered are looked after.
const READY_POLL: Duration = Duration::from_millis(100);

/// Kills instances of functions, as a machine that is lost does.
#[derive(Clone, Default)]
pub struct Killer {
    alive: Arc<Mutex<BTreeMap<u32, String>>>,
}

impl Killer {
    /// Kills an instance of a function (SIGKILL); whether there was one.
    pub fn kill_one(&self, function: &str) -> bool {
        let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        let instances: Vec<_> = alive.iter().filter(|(_, name)| *name == function).map(|(pid, _)| *pid).collect();
        let Some(pid) = instances.choose(&mut rand::rng()).and_then(|pid| i32::try_from(*pid).ok()) else {
            return false;
        };
        kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok()
    }

    fn born(&self, pid: u32, function: &str) {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner).insert(pid, function.to_owned());
    }

    fn died(&self, pid: u32) {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid);
    }
}

/// The functions, running.
pub struct Functions {
    url: String,
    lambda: ChildProcess,
    instances: JoinSet<()>,
    crashes: BTreeMap<String, Arc<AtomicU32>>,
    killer: Killer,
    logs: PathBuf,
}

impl Functions {
    /// Starts `functions` from the programs that [`super::build`] made. Each has its environment from the template and
    /// `shared` besides.
    ///
    /// # Errors
    /// When `cargo lambda watch` does not start.
    pub async fn start(
        venv: &Venv,
        functions: &[Function],
        programs: &BTreeMap<String, PathBuf>,
        shared: &BTreeMap<String, String>,
        settings: Settings,
        logs: &Path,
    ) -> anyhow::Result<Self> {
        let port = ports::free()?;
        let number = port.to_string();
        let mut arguments = vec!["lambda", "watch", "--invoke-address", "127.0.0.1", "--invoke-port", &number];
        let concurrency = settings.concurrency.to_string();
        let mut environment = BTreeMap::new();
        if settings.reload {
            arguments.extend(["--concurrency", &concurrency]);
            arguments.extend(settings.release.then_some("--release"));
            environment = union(functions);
            environment.extend(shared.clone());
        } else {
            arguments.push("--only-lambda-apis");
        }
        let environment = environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let program = venv.program("cargo-lambda");
        let lambda = ChildProcess::start("functions", &program, arguments, environment, logs)?;
        let url = format!("http://127.0.0.1:{port}");
        lambda.ready(async || TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await?;
        let mut running = Self {
            url,
            lambda,
            instances: JoinSet::new(),
            crashes: BTreeMap::new(),
            killer: Killer::default(),
            logs: logs.to_owned(),
        };
        if !settings.reload {
            for function in functions {
                let program =
                    programs.get(&function.name).with_context(|| format!("{} was not built", function.name))?;
                running.start_instances(function, program, shared, settings.concurrency);
            }
        }
        Ok(running)
    }

    /// The endpoint of the Lambda API.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until every function answers.
    ///
    /// # Errors
    /// When a function ends again and again, or does not answer in time.
    pub async fn ready(&mut self, functions: &[Function], invoker: &Invoker, step: &Step) -> anyhow::Result<()> {
        let mut silent = BTreeSet::new();
        let mut asked: JoinSet<String> = JoinSet::new();
        for function in functions {
            let Some(event) = harmless_event(function) else { continue };
            silent.insert(function.name.clone());
            asked.spawn(answers(invoker.clone(), function.name.clone(), event));
        }
        let began = Instant::now();
        while !silent.is_empty() {
            step.note(format!("waiting for {}", Vec::from_iter(silent.iter().map(String::as_str)).join(", ")));
            if let Ok(Some(Ok(name))) = tokio::time::timeout(READY_POLL, asked.join_next()).await {
                silent.remove(&name);
            }
            if let Some(failure) = self.lambda.failure() {
                return Err(failure.into());
            }
            let crashing = self.crashes.iter().find(|(_, crashes)| crashes.load(Ordering::SeqCst) >= CRASHES_MAX);
            if let Some((name, _)) = crashing {
                return Err(self.broken(&format!("the function {name}"), "ends when it is started", name));
            }
            if began.elapsed() > READY_PATIENCE {
                let silent = Vec::from_iter(silent).join(", ");
                return Err(self.broken(&silent, "does not answer", "functions"));
            }
        }
        Ok(())
    }

    /// Who kills instances of these functions.
    pub fn killer(&self) -> Killer {
        self.killer.clone()
    }

    /// The failure it is that `cargo lambda watch` has ended, if it has.
    pub fn failure(&self) -> Option<Failure> {
        self.lambda.failure()
    }

    /// Stops every instance and `cargo lambda watch`.
    pub async fn stop(mut self) {
        self.instances.shutdown().await;
        self.lambda.stop().await;
    }

    fn broken(&self, who: &str, what: &str, log: &str) -> anyhow::Error {
        let log = self.logs.join(format!("{log}.log"));
        Failure::new(format!("{who} {what}"), "read the log, correct the function, then run the command again")
            .log(log)
            .into()
    }

    fn start_instances(
        &mut self,
        function: &Function,
        program: &Path,
        shared: &BTreeMap<String, String>,
        concurrency: u16,
    ) {
        let crashes = Arc::clone(self.crashes.entry(function.name.clone()).or_default());
        for _ in 0..function.instances(concurrency) {
            let instance = Instance {
                name: function.name.clone(),
                program: program.to_owned(),
                environment: instance_environment(function, shared, &self.url),
                log: self.logs.join(format!("{}.log", function.name)),
                crashes: Arc::clone(&crashes),
                killer: self.killer.clone(),
            };
            self.instances.spawn(instance.run());
        }
    }
}

/// Returns `name` once the function of that name has answered `event`, be it with an error of its own.
async fn answers(invoker: Invoker, name: String, event: Vec<u8>) -> String {
    loop {
        match invoker.invoke(&name, event.clone()).await {
            // An instance that ended took the invocation with it.
            Outcome::Failed(error) if error.is_from_platform() => tokio::time::sleep(READY_POLL).await,
            Outcome::Answered(_) | Outcome::Failed(_) => return name,
        }
    }
}

/// One environment of a function, which is replaced when it crashes.
struct Instance {
    name: String,
    program: PathBuf,
    environment: BTreeMap<String, String>,
    log: PathBuf,
    crashes: Arc<AtomicU32>,
    killer: Killer,
}

impl Instance {
    async fn run(self) {
        loop {
            match self.once().await {
                Ok(status) => tracing::warn!(
                    function = self.name,
                    code = status.code(),
                    signal = status.signal(),
                    "an instance ended"
                ),
                Err(error) => {
                    tracing::warn!(function = self.name, error = %format!("{error:#}"), "an instance did not start")
                }
            }
            self.crashes.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(RESTART_PAUSE).await;
        }
    }

    /// Runs until the process ends. It needs no lifeline: it ends by itself when the Lambda API is gone.
    async fn once(&self) -> anyhow::Result<ExitStatus> {
        let mut child = Command::new(&self.program)
            .envs(&self.environment)
            .current_dir(workspace::root())
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(log_file(&self.log)?)
            .stderr(log_file(&self.log)?)
            .spawn()?;
        let pid = child.id().unwrap_or_default();
        self.killer.born(pid, &self.name);
        let status = child.wait().await;
        self.killer.died(pid);
        Ok(status?)
    }
}

/// An event that shows that a function of this kind answers, and changes nothing. A function that is only scheduled
/// has none: its events are orders to do something.
fn harmless_event(function: &Function) -> Option<Vec<u8>> {
    let event = if !function.routes.is_empty() {
        json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": "/",
            "rawQueryString": "",
            "headers": { "host": "127.0.0.1" },
            "requestContext": {
                "accountId": "anonymous",
                "apiId": "local",
                "domainName": "127.0.0.1",
                "domainPrefix": "127",
                "http": { "method": "OPTIONS", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "cargo-dev" },
                "requestId": "ready",
                "routeKey": "$default",
                "stage": "$default",
                "time": "01/Jan/2026:00:00:00 +0000",
                "timeEpoch": 1_767_225_600_000_u64,
            },
            "isBase64Encoded": false,
        })
    } else if !function.queues.is_empty() || !function.streams.is_empty() {
        json!({ "Records": [] })
    } else {
        return None;
    };
    Some(event.to_string().into_bytes())
}

/// The variables that have one value in all functions that have them. `cargo lambda watch` gives every function the
/// same environment.
fn union(functions: &[Function]) -> BTreeMap<String, String> {
    let all = functions.iter().flat_map(|function| &function.environment);
    let differs = |name: &String, value: &String| {
        functions.iter().any(|function| function.environment.get(name).is_some_and(|other| other != value))
    };
    all.filter(|(name, value)| !differs(name, value)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// What an instance of `function` finds in its environment, as `cargo lambda watch` would set it.
fn instance_environment(function: &Function, shared: &BTreeMap<String, String>, api: &str) -> BTreeMap<String, String> {
    let mut environment = function.environment.clone();
    environment.extend(shared.clone());
    environment.extend(
        [
            ("AWS_LAMBDA_FUNCTION_NAME", function.name.clone()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory.to_string()),
            ("AWS_LAMBDA_RUNTIME_API", format!("{api}/.rt/{}", function.name)),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    environment
}
