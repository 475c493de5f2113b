//! Measuring in an optimised build of this tool, as the one that a person runs is not.

use std::process::Stdio;

use anyhow::Context as _;
use serde::de::DeserializeOwned;

use crate::engines::build::cargo;
use crate::engines::process::watched;
use crate::failure::Failure;

/// Optimised like a release, but linked quickly.
const PROFILE: &str = "measured";

/// Runs `cargo dev bench` with `args` in an optimised build, and reads the JSON object that it prints.
///
/// # Errors
/// When the build fails, or what it runs.
pub async fn figures<T: DeserializeOwned>(args: &[&str]) -> anyhow::Result<T> {
    let mut command = watched(&cargo());
    command
        .args(["run", "--quiet", "--profile", PROFILE, "--package", "holdfast-local", "--bin", "holdfast-dev", "--"])
        .arg("bench")
        .args(args)
        .stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let lifeline = child.stdin.take();
    let output = child.wait_with_output().await?;
    drop(lifeline);
    let failed = || Failure::new("the measurement in an optimised build failed", "see what is printed above");
    anyhow::ensure!(output.status.success(), failed());
    serde_json::from_slice(&output.stdout).with_context(failed)
}
