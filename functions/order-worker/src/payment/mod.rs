//! Paying for orders.

mod amount;
mod gateway;
mod steps;
mod stripe;

pub use gateway::{
    Authorisation, CaptureOutcome, PaymentError, PaymentGateway, RefundOutcome, RefundRequest, Standing, VoidOutcome,
    VoidRequest,
};
pub use stripe::Stripe;
