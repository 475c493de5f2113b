//! Child processes that never outlive this tool, however it ends.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, ChildStdin, Command};

use crate::failure::Failure;
use crate::workspace;

/// Becomes the program it is given, and leaves a watcher behind in the same process group. The watcher waits for the
/// end of a pipe that this tool holds, and then ends the group. The kernel closes the pipe even if the tool is killed
/// with SIGKILL, so nothing is left running. The watcher keeps no output open, or its readers would wait for its end.
const WATCHED: &str = r#"exec 3<&0
(trap "" TERM INT; read -r _ <&3; kill -TERM 0; sleep 3; kill -KILL 0) >/dev/null 2>&1 &
exec 3<&-
exec "$@" </dev/null"#;

/// How long a process may take to end by itself.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// How long one question whether an engine is ready may stay without an answer.
const PROBE_PATIENCE: Duration = Duration::from_secs(2);
/// How long an engine may take until it answers.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// A process in a group of its own, with its output in a log.
pub struct ChildProcess {
    name: String,
    /// Locked to ask whether it has ended.
    child: Mutex<Child>,
    group: Pid,
    /// Ends the process when it is closed.
    lifeline: Option<ChildStdin>,
    log: PathBuf,
}

impl ChildProcess {
    /// Starts `program`. `name` is how messages call it, and its log is `<name>.log` in `logs`.
    ///
    /// # Errors
    /// When the log cannot be written or the program cannot be started.
    pub fn start<A: AsRef<OsStr>, V: AsRef<OsStr>>(
        name: &str,
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        environment: impl IntoIterator<Item = (A, V)>,
        logs: &Path,
    ) -> anyhow::Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let mut child = watched(program)
            .args(arguments)
            .envs(environment)
            .stdout(log_file(&log)?)
            .stderr(log_file(&log)?)
            .spawn()
            .with_context(|| format!("{name} did not start"))?;
        let id = child.id().expect("a child that was not waited for has an id");
        Ok(Self {
            name: name.to_owned(),
            group: Pid::from_raw(i32::try_from(id)?),
            lifeline: child.stdin.take(),
            child: Mutex::new(child),
            log,
        })
    }

    /// The id of the process.
    pub fn id(&self) -> i32 {
        self.group.as_raw()
    }

    /// How the process ended, if it has.
    fn ended(&self) -> Option<ExitStatus> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait().ok().flatten()
    }

    /// Waits until `ready` says yes.
    ///
    /// # Errors
    /// When the process ends first, or takes too long.
    pub async fn ready(&self, mut ready: impl AsyncFnMut() -> bool) -> anyhow::Result<()> {
        let began = Instant::now();
        while !tokio::time::timeout(PROBE_PATIENCE, ready()).await.unwrap_or_default() {
            let ended = self.ended();
            if ended.is_some() || began.elapsed() > START_PATIENCE {
                let how = ended.map_or("it does not answer".to_owned(), |status| format!("it ended with {status}"));
                let what = format!("{} did not start: {how}", self.name);
                return Err(Failure::new(what, "read the log, then run the command again").log(&self.log).into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// The failure it is that the process has ended, if it has.
    pub fn failure(&self) -> Option<Failure> {
        let status = self.ended()?;
        let what = format!("{} ended with {status}", self.name);
        Some(Failure::new(what, "read the log, then run the command again").log(&self.log))
    }

    /// Asks the process to end, and ends it if it does not.
    pub async fn stop(mut self) {
        // Errors mean that the group is gone already.
        let _ = killpg(self.group, Signal::SIGTERM);
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = tokio::time::timeout(STOP_PATIENCE, child.wait()).await;
        let _ = killpg(self.group, Signal::SIGKILL);
        let _ = child.wait().await;
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        drop(self.lifeline.take());
    }
}

/// A command that runs `program` in the workspace's root and in a process group of its own, which ends when the pipe
/// to its standard input does: [`Child::stdin`] must be taken and kept for as long as it may run.
///
/// The environment's Python finds its packages by itself; what a person's shell says of Python would lead it astray.
pub fn watched(program: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", WATCHED, "sh"])
        .arg(program)
        .env_remove("PYTHONPATH")
        .env_remove("PYTHONHOME")
        .current_dir(workspace::root())
        .process_group(0)
        .stdin(Stdio::piped());
    command
}

/// The program of a [`watched`] command, if `status` tells that it was not found.
pub fn missing_program(command: &Command, status: ExitStatus) -> Option<String> {
    let program = command.as_std().get_args().nth(3)?;
    // So shells say that.
    (status.code() == Some(127)).then(|| workspace::shown(Path::new(program)))
}

/// Opens `log` to append to it, so that several processes can share it.
///
/// # Errors
/// When the file or its folder cannot be made.
pub fn log_file(log: &Path) -> anyhow::Result<File> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("{} is not writable", workspace::shown(log)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logs() -> PathBuf {
        std::env::temp_dir().join(format!("holdfast-process-{}", std::process::id()))
    }

    fn none() -> [(&'static str, &'static str); 0] {
        []
    }

    #[tokio::test]
    async fn a_dropped_process_ends_with_all_it_started() {
        let marker = format!("{}.5", 9_000 + std::process::id());
        let script = format!("sleep {marker} & sleep {marker}");
        let child = ChildProcess::start("sleeper", Path::new("sh"), ["-c", &script], none(), &logs()).unwrap();
        let group = child.group;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(killpg(group, None).is_ok());
        drop(child);
        for _ in 0..100 {
            if killpg(group, None).is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the group is still there");
    }

    #[tokio::test]
    async fn a_program_that_is_missing_is_named() {
        let ended = async |program: &str| {
            let mut command = watched(Path::new(program));
            let mut child = command.spawn().unwrap();
            let lifeline = child.stdin.take();
            let status = child.wait().await.unwrap();
            drop(lifeline);
            missing_program(&command, status)
        };
        assert_eq!(ended("a-program-that-is-not-there").await.as_deref(), Some("a-program-that-is-not-there"));
        assert_eq!(ended("false").await, None);
    }

    #[tokio::test]
    async fn a_process_that_ends_early_is_named_with_its_log() {
        let child = ChildProcess::start("early", Path::new("sh"), ["-c", "exit 7"], none(), &logs()).unwrap();
        let error = child.ready(async || false).await.unwrap_err();
        let told = crate::failure::report(&error);
        assert!(told.contains("early did not start: it ended with exit status: 7"), "{told}");
        assert!(told.contains("early.log"), "{told}");
    }
}
