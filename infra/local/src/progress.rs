//! What a person sees while something takes its time: one line a step, with a spinner while it runs.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Shows steps on standard error: animated on a terminal, one plain line when a step begins and one when it ends elsewhere.
#[derive(Clone)]
pub struct Progress {
    bars: MultiProgress,
    plain: bool,
    hidden: bool,
}

impl Progress {
    /// Shows every step.
    pub fn visible() -> Self {
        Self { bars: MultiProgress::new(), plain: !std::io::stderr().is_terminal(), hidden: false }
    }

    /// Shows nothing, for tests.
    pub fn hidden() -> Self {
        Self {
            bars: MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::hidden()),
            plain: false,
            hidden: true,
        }
    }

    /// The bars on screen, for commands that add their own below the steps.
    pub fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Begins a step. It counts as failed if it is dropped before [`Step::done`].
    pub fn step(&self, label: &str) -> Step {
        let bar = self.bars.add(ProgressBar::new_spinner());
        let style =
            ProgressStyle::with_template("  {spinner} {prefix:22} {wide_msg}").expect("the template is well formed");
        bar.set_style(style);
        bar.set_prefix(label.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        if self.plain {
            // Without a spinner, a step that takes minutes would look like a tool that hangs.
            self.line(&format!("  … {label}"));
        }
        Step { progress: self.clone(), bar, label: label.to_owned(), began: Instant::now(), over: false }
    }

    fn line(&self, line: &str) {
        if self.plain {
            eprintln!("{line}");
        } else if !self.hidden {
            // A terminal that has gone away is no reason to fail.
            let _ = self.bars.println(line);
        }
    }
}

/// A step that is under way.
pub struct Step {
    progress: Progress,
    bar: ProgressBar,
    label: String,
    began: Instant,
    over: bool,
}

impl Step {
    /// Says what the step is doing now.
    pub fn note(&self, text: impl Into<String>) {
        self.bar.set_message(text.into());
    }

    /// Says something that stays on screen.
    pub fn say(&self, text: &str) {
        text.lines().for_each(|line| self.progress.line(&format!("    {line}")));
    }

    /// Ends the step; `outcome` stays on screen beside its label.
    pub fn done(mut self, outcome: &str) {
        self.end("✓", outcome);
    }

    fn end(&mut self, mark: &str, outcome: &str) {
        self.over = true;
        self.bar.finish_and_clear();
        let seconds = self.began.elapsed().as_secs_f64();
        let line = format!("  {mark} {:22} {seconds:6.1} s  {outcome}", self.label);
        self.progress.line(line.trim_end());
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.over {
            self.end("✗", "");
        }
    }
}
