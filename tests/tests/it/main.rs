//! Every test that needs more than one crate, in one binary.

#![allow(clippy::unwrap_used, reason = "a test that finds something else than it expects ends there")]

mod catalogue;
mod cost;
mod faults;
mod guards;
mod inputs;
mod lists;
mod messages;
mod openapi;
mod orders;
mod stack;
mod stock;
mod template;
mod tidy;
