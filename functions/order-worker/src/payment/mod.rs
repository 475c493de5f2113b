//! Paying for orders.

mod gateway;
mod steps;
mod stripe;

pub use gateway::{Authorisation, PaymentError, PaymentGateway};
pub use stripe::Stripe;
