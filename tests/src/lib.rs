//! The test harness: real engines, the functions in this process, faults, and the laws afterwards.

pub mod back_office;
pub mod clock;
pub mod clocked_queue;
pub mod endpoints;
pub mod engine;
pub mod exporting;
pub mod faults;
pub mod faulty;
pub mod interleave;
pub mod mailroom;
pub mod provider;
pub mod receiver;
pub mod requests;
pub mod shop;
mod stream;
mod ways;
