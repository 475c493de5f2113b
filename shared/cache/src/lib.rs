//! A read-through cache on two levels: in the process (moka), and shared by all processes (Valkey, behind [`Level2`]).
//!
//! - A key is bound to the type of its value and to a tenant ([`Key`]).
//! - One load a key at a time: in a process by moka's own coalescing, across processes by a short lease.
//! - A value is loaded anew a little before its time is over, by one of those who ask, the likelier the nearer the end (XFetch:
//!   Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015). While somebody
//!   loads, and while the origin fails, the others get the old value, within a stated bound ("stale-while-revalidate" and
//!   "stale-if-error", RFC 5861).
//! - Tags and kinds are removed by raising one counter.
//! - The shared cache being down, slow or full fails no request.
//!
//! An environment of Lambda freezes between requests, so nothing runs behind an answer: whoever loads waits for it.

mod batch;
mod cache;
mod entry;
mod figures;
mod kind;
mod level2;
mod loading;
mod marks;
mod read_through;

#[cfg(test)]
mod tests;

pub use cache::{Cache, Cached, Sources};
pub use figures::Figures;
pub use kind::{Key, Limits};
pub use level2::{Kept, Level2, NoAnswer, VERSION_DIGITS};
pub use read_through::ReadThrough;
