//! The `cargo dev` tool: the whole system on one machine, without Docker and without an account.
//!
//! [`stack::Stack`] starts everything; the commands in [`cli`] use it, and so do the tests.

pub mod bench;
pub mod cli;
pub mod demo;
pub mod engines;
pub mod failure;
mod faults;
mod gateway;
pub mod openapi;
pub mod ops;
pub mod progress;
pub mod setup;
pub mod sources;
pub mod stack;
pub mod template;
mod test;
pub mod token;
mod workspace;
