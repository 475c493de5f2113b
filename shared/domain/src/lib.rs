//! The rules of Holdfast, pure: what an order, a hold, a price and a payment are and what may happen to them.
//!
//! Nothing here does I/O, reads a clock or draws a random number: callers pass instants in and perform the decisions
//! that come back. Parsing happens once, at the edge; after that the types carry what was checked.

pub mod address;
pub mod contact;
pub mod dead_letter;
pub mod effects;
pub mod event;
pub mod export;
pub mod ids;
pub mod invalid;
pub mod mail;
pub mod money;
pub mod order;
pub mod payment;
pub mod pool;
pub mod product;
pub mod routing;
#[cfg(feature = "schema")]
pub mod schema;
pub mod terms;
pub mod text;
pub mod webhook;
