//! Where the running stack is, for tests that need more than the embedded engine.

use holdfast_local::stack::Endpoints;
use std::sync::LazyLock;

/// The stack that `cargo dev test` started, or that `cargo dev up` keeps running.
///
/// # Panics
/// When there is none: says how to start one.
pub fn stack() -> &'static Endpoints {
    static STACK: LazyLock<Endpoints> = LazyLock::new(|| {
        let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/dev/stack.json");
        let path = std::env::var("HOLDFAST_STACK").unwrap_or_else(|_| default.to_owned());
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!("{path}: {error}. These tests need the stack: run `cargo dev test`, or `cargo dev up` beside them.")
        });
        serde_json::from_str(&text).expect("the stack's file is what `cargo dev` writes")
    });
    &STACK
}
