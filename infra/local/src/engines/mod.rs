//! The engines of the local stack: what stands in for DynamoDB, SQS, ElastiCache, Stripe, the carrier and Lambda.

pub mod aws;
pub mod build;
pub mod carrier;
pub mod dynamodb;
pub mod faults;
pub mod functions;
pub mod invoker;
pub mod ministack;
pub mod payment;
pub mod payment_proxy;
pub mod ports;
pub mod process;
pub mod server;
pub mod valkey;
