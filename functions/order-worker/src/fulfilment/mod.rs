//! Shipping what was paid for.

mod carrier;
mod http;
mod steps;

pub use carrier::{BookShipment, Carrier, CarrierError};
pub use http::HttpCarrier;
