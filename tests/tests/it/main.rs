//! Every test that needs more than one crate, in one binary.

#![allow(clippy::unwrap_used, reason = "a test that finds something else than it expects ends there")]

mod catalogue;
mod cost;
mod coupons;
mod exports;
mod faults;
mod guards;
mod inputs;
mod interleave;
mod large_orders;
mod lists;
mod messages;
mod openapi;
mod orders;
mod pools;
mod promotions;
mod reconciliation;
mod reservations;
mod sold_out;
mod stack;
mod stack_exports;
mod stack_holds;
mod stock;
mod template;
mod terms;
mod tidy;
mod warehouses;
