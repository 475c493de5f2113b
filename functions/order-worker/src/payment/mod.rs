//! Paying for orders.

mod amount;
mod gateway;
mod steps;
mod stripe;

pub use gateway::{Authorisation, PaymentError, PaymentGateway};
pub use stripe::Stripe;
