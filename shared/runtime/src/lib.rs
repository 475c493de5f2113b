//! What every function shares: configuration, clients, HTTP, messages, telemetry.

pub mod cached;
pub mod clients;
pub mod clock;
pub mod config;
pub mod dead_queue;
pub mod heartbeat;
pub mod http;
pub mod message;
pub mod names;
pub mod outside;
pub mod routing;
pub mod telemetry;
pub mod valkey;
pub mod view;
pub mod worker;
