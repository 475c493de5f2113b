//! `cargo dev`.

use std::process::ExitCode;

fn main() -> ExitCode {
    holdfast_local::cli::main()
}
