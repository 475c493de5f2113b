//! Shipping what was paid for.

mod carrier;
mod http;

pub use carrier::{BookShipment, Booking, Carrier, CarrierError};
pub use http::HttpCarrier;
