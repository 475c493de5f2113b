//! The terms of a sale beside the price: what a currency is worth in another, what a coupon takes off, which
//! warehouses deliver, and what is taxed how.

pub mod allocation;
pub mod coupon;
pub mod orders;
pub mod rate;
pub mod tax;
