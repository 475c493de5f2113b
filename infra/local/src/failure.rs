//! Failures as a person meets them: what failed, what to do next, and where to read more.

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use crate::workspace;

/// A failure with a way out.
#[derive(Debug)]
pub struct Failure {
    what: String,
    next: String,
    log: Option<PathBuf>,
}

impl Failure {
    /// `what` failed, on one line; `next` is the step to take, with the command where there is one.
    pub fn new(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { what: what.into(), next: next.into(), log: None }
    }

    /// Points to the file that has the details.
    #[must_use]
    pub fn log(mut self, log: impl Into<PathBuf>) -> Self {
        self.log = Some(log.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

/// The lines that tell a person about `error`.
pub fn report(error: &anyhow::Error) -> String {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    let mut text = format!("error: {}", causes.join(": "));
    if let Some(failure) = error.downcast_ref::<Failure>() {
        // Writing to a string does not fail.
        let _ = write!(text, "\n next: {}", failure.next);
        if let Some(log) = &failure.log {
            let _ = write!(text, "\n  log: {}", workspace::shown(log));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_tells_what_next_and_where() {
        let failure = Failure::new("ministack did not start", "run the command again").log("/logs/ministack.log");
        let error = anyhow::Error::new(failure).context("no stack");
        assert_eq!(
            report(&error),
            "error: no stack: ministack did not start\n next: run the command again\n  log: /logs/ministack.log"
        );
    }

    #[test]
    fn a_failure_keeps_its_cause() {
        let error = anyhow::anyhow!("exit status 1").context(Failure::new("pip failed", "check the network"));
        assert_eq!(
            report(&error.context("no stack")),
            "error: no stack: pip failed: exit status 1\n next: check the network"
        );
    }

    #[test]
    fn any_other_error_tells_its_causes() {
        let error = anyhow::anyhow!("connection refused").context("the table was not made");
        assert_eq!(report(&error), "error: the table was not made: connection refused");
    }
}
