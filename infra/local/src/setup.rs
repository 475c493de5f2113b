//! The Python parts of the stack: virtual environments under `target/dev`, made on first use.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use crate::engines::process::watched;
use crate::failure::Failure;
use crate::progress::{Progress, Step};
use crate::workspace;

/// The interpreter that makes the environments.
const PYTHON: &str = "python3";
/// The oldest Python that the pinned packages support.
const PYTHON_MINIMUM: (u32, u32) = (3, 10);

/// A virtual environment whose packages are those of its requirements file.
#[derive(Clone, Debug)]
pub struct Venv {
    root: PathBuf,
}

impl Venv {
    /// What the stack runs on: the emulators and `cargo lambda`.
    ///
    /// # Errors
    /// When Python is missing, or a package cannot be installed.
    pub async fn engines(progress: &Progress) -> anyhow::Result<Self> {
        Self::ready("venv", "requirements.txt", "python environment", progress).await
    }

    /// What `cargo dev test` checks the template with.
    ///
    /// # Errors
    /// When Python is missing, or a package cannot be installed.
    pub async fn linters(progress: &Progress) -> anyhow::Result<Self> {
        Self::ready("venv-lint", "requirements-lint.txt", "linters", progress).await
    }

    /// The path of a program of this environment.
    pub fn program(&self, name: &str) -> PathBuf {
        self.root.join("bin").join(name)
    }

    /// The environment in `folder`, made anew unless it was made by the Python that is there, from the very text of its
    /// requirements file.
    async fn ready(folder: &str, requirements: &str, label: &str, progress: &Progress) -> anyhow::Result<Self> {
        let root = workspace::dev().join(folder);
        let requirements = workspace::root().join("infra/local").join(requirements);
        let packages = fs::read_to_string(&requirements)
            .with_context(|| format!("{} is not readable", workspace::shown(&requirements)))?;
        let python = check_python(PYTHON).await?;
        // The programs of an environment only run from the folder it was made in, with the interpreter that made it.
        let wanted = format!("{packages}# in {}, with Python {python}\n", root.display());
        fs::create_dir_all(workspace::dev())?;
        // Two commands at once, on first use, would otherwise install into the same folder.
        let lock = File::create(root.with_extension("lock"))?;
        let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await??;
        let stamp = root.join("requirements.installed");
        if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(Self { root });
        }
        let step = progress.step(label);
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        let log = workspace::dev().join(format!("{folder}.log"));
        step.note("making a virtual environment");
        run(watched(Path::new(PYTHON)).arg("-m").arg("venv").arg(&root), &log, &step).await.with_context(|| {
            Failure::new("the virtual environment was not made", "run: apt-get install python3-venv").log(&log)
        })?;
        let mut pip = watched(&root.join("bin/python"));
        pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off", "-r"])
            .arg(&requirements);
        run(&mut pip, &log, &step).await.with_context(|| {
            Failure::new(
                format!("the packages of {} were not installed", workspace::shown(&requirements)),
                "check the network and the package index that pip is set up with, then run the command again",
            )
            .log(&log)
        })?;
        fs::write(&stamp, wanted)?;
        step.done(&workspace::shown(&root));
        drop(lock);
        Ok(Self { root })
    }
}

/// Prints the version and the place of the interpreter, then fails if it cannot make a virtual environment.
const PYTHON_CHECK: &str = "
import os, sys
print(*sys.version_info[:3])
print(os.path.realpath(sys.executable))
import ensurepip, venv
";

/// Checks that Python is there, new enough, and able to make a virtual environment. Gives its version and its place.
async fn check_python(python: &str) -> anyhow::Result<String> {
    let answer = Command::new(python)
        .args(["-c", PYTHON_CHECK])
        .env_remove("PYTHONPATH")
        .env_remove("PYTHONHOME")
        .output()
        .await;
    let Ok(answer) = answer else {
        return Err(Failure::new("python3 is not installed", "run: apt-get install python3 python3-venv").into());
    };
    let told = String::from_utf8_lossy(&answer.stdout).into_owned();
    let (version, place) = told.trim_end().split_once('\n').unwrap_or((told.trim_end(), ""));
    let mut numbers = version.split_whitespace().filter_map(|number| number.parse::<u32>().ok());
    let found = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    if found < PYTHON_MINIMUM {
        let (major, minor) = PYTHON_MINIMUM;
        return Err(Failure::new(
            format!("python3 is {}.{}, which is too old", found.0, found.1),
            format!("put Python {major}.{minor} or newer first in PATH"),
        )
        .into());
    }
    if !answer.status.success() {
        return Err(Failure::new("python3 lacks its venv module", "run: apt-get install python3-venv").into());
    }
    Ok(format!("{} at {place}", version.replace(' ', ".")))
}

/// Runs `command`, a [`watched`] one, to its end; its last line shows in `step` and all of them are in `log`.
async fn run(command: &mut Command, log: &Path, step: &Step) -> anyhow::Result<()> {
    let mut file = tokio::fs::OpenOptions::new().create(true).append(true).open(log).await?;
    let errors = file.try_clone().await?.into_std().await;
    let mut child = command.stdout(Stdio::piped()).stderr(errors).spawn()?;
    let lifeline = child.stdin.take();
    let output = child.stdout.take().expect("standard output is piped");
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await? {
        step.note(line.trim());
        file.write_all(format!("{line}\n").as_bytes()).await?;
    }
    let status = child.wait().await?;
    drop(lifeline);
    anyhow::ensure!(status.success(), "it ended with {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::failure::report;

    /// What the check says about an interpreter that is this shell script.
    async fn said_about(name: &str, script: &str) -> String {
        let folder = std::env::temp_dir().join(format!("holdfast-setup-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let python = folder.join(name);
        fs::write(&python, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
        check_python(python.to_str().unwrap()).await.unwrap_or_else(|error| report(&error))
    }

    #[tokio::test]
    async fn what_is_missing_is_named_with_the_command_that_installs_it() {
        let missing = report(&check_python("python3-that-is-not-there").await.unwrap_err());
        assert_eq!(missing, "error: python3 is not installed\n next: run: apt-get install python3 python3-venv");
        let old = said_about("old", "echo 3 9").await;
        assert!(old.starts_with("error: python3 is 3.9, which is too old"), "{old}");
        let bare = said_about("bare", "echo 3 12; exit 1").await;
        assert_eq!(bare, "error: python3 lacks its venv module\n next: run: apt-get install python3-venv");
        assert_eq!(said_about("good", "echo 3 12 1; echo /bin/python3.12").await, "3.12.1 at /bin/python3.12");
    }
}
