//! The folder of a stack under `target/dev`.

use std::fs::{self, File, OpenOptions};
use std::path::Path;

use anyhow::Context as _;

use crate::failure::Failure;
use crate::workspace;

/// Makes sure that no other process runs a stack in `folder`: two would share their logs and their `stack.json`.
pub fn only_one(folder: &Path, name: &str) -> anyhow::Result<File> {
    fs::create_dir_all(folder).with_context(|| format!("{} was not made", workspace::shown(folder)))?;
    let lock = File::create(folder.join("lock"))?;
    lock.try_lock().map_err(|_| {
        Failure::new(format!("another `cargo dev {name}` is running"), "wait until it ends, or stop it with Ctrl-C")
    })?;
    Ok(lock)
}

/// Removes the logs of the run before, and nothing else that may be in the folder.
pub fn clear_logs(logs: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(logs).with_context(|| format!("{} was not made", workspace::shown(logs)))?;
    for entry in fs::read_dir(logs)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            // A writer that has it open keeps writing; an empty file shows that its lines are old.
            OpenOptions::new().write(true).truncate(true).open(&path)?;
        }
    }
    Ok(())
}
