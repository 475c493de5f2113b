//! `cargo dev dlq` and `cargo dev job`: what people do to see and mend a running stack.

pub mod client;
mod dlq;
mod job;

pub use dlq::{DlqArgs, run as dlq, shown};
pub use job::{JobArgs, run as job};

use crate::failure::Failure;
use crate::stack::Endpoints;
use crate::workspace;
use std::path::PathBuf;

/// Where a stack is found.
#[derive(Debug, Clone, clap::Args)]
pub struct StackArgs {
    /// The stack's stack.json; that of `cargo dev up` without it
    #[arg(long, value_name = "FILE")]
    stack: Option<PathBuf>,
}

impl StackArgs {
    /// Where the stack's parts are.
    ///
    /// # Errors
    /// When no stack runs there.
    pub fn endpoints(&self) -> anyhow::Result<Endpoints> {
        let path = self.stack.clone().unwrap_or_else(|| workspace::dev().join("stack.json"));
        Endpoints::read(&path).map_err(|_| {
            Failure::new("no stack is running", "start one with `cargo dev up`, in another terminal").into()
        })
    }
}
