//! Builds the functions with cargo.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context as _;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::functions::Settings;
use super::process::{missing_program, watched};
use crate::failure::Failure;
use crate::progress::{Progress, Step};
use crate::template::{Function, LocalValues, Template};
use crate::workspace;

/// Builds one function as it is deployed, and gives its program.
///
/// # Errors
/// As [`functions`], and when the template has no such function.
pub async fn released(name: &str, progress: &Progress) -> anyhow::Result<PathBuf> {
    let template = Template::read(&workspace::root().join("template.yaml"))?;
    let application = template.application(&LocalValues::default())?;
    let one: Vec<_> = application.functions.into_iter().filter(|function| function.name == name).collect();
    let step = progress.step(name);
    let settings = Settings { release: true, reload: false, concurrency: 1 };
    let program = functions(&one, settings, &step).await?.remove(name).context("the function was built")?;
    step.done("");
    Ok(program)
}

/// Builds the functions and gives the program of each.
///
/// # Errors
/// When cargo is missing or the code does not build; cargo's messages are shown.
pub async fn functions(
    functions: &[Function],
    settings: Settings,
    step: &Step,
) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut command = watched(&cargo());
    command.args(["build", "--message-format", "json-render-diagnostics"]);
    command.args(settings.release.then_some("--release"));
    for function in functions {
        // With packages named, cargo enables the features that these need and no others, as a deployment has them.
        // Otherwise it enables those of the whole workspace, and shares the work with the tests and with the
        // `cargo run` of `cargo lambda watch`.
        if settings.release && !settings.reload {
            command.args(["--package", &function.name]);
        }
        command.args(["--bin", &function.name]);
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let lifeline = child.stdin.take();
    let mut errors = BufReader::new(child.stderr.take().expect("standard error is piped")).lines();
    let said = tokio::spawn(async move {
        let mut said = String::new();
        while let Ok(Some(line)) = errors.next_line().await {
            said.push_str(&line);
            said.push('\n');
        }
        said
    });
    let mut programs = BTreeMap::new();
    let mut crates = 0_u32;
    let mut messages = BufReader::new(child.stdout.take().expect("standard output is piped")).lines();
    while let Some(line) = messages.next_line().await? {
        let message: Value = serde_json::from_str(&line).unwrap_or_default();
        let Some(name) = message["target"]["name"].as_str().filter(|_| message["reason"] == "compiler-artifact") else {
            continue;
        };
        crates += 1;
        step.note(format!("{crates} crates, {name}"));
        if let Some(program) = message["executable"].as_str() {
            programs.insert(name.to_owned(), PathBuf::from(program));
        }
    }
    let status = child.wait().await?;
    drop(lifeline);
    if missing_program(&command, status).is_some() {
        return Err(Failure::new("cargo was not found", "install Rust from https://rustup.rs").into());
    }
    if !status.success() {
        let said = said.await.unwrap_or_default();
        return Err(Failure::new(
            format!("the functions do not build\n{}", said.trim_end()),
            "correct the code, then run the command again",
        )
        .into());
    }
    Ok(programs)
}

/// The cargo that runs this tool, or else the one in PATH.
pub fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}
