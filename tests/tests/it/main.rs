//! Every test that needs more than one crate, in one binary.

#![allow(clippy::unwrap_used, reason = "a test that finds something else than it expects ends there")]

mod cached_products;
mod carrier;
mod catalogue;
mod changes;
mod cost;
mod coupons;
mod dead_letters;
mod event_schemas;
mod exports;
mod faults;
mod fences;
mod guards;
mod heartbeats;
mod inputs;
mod interleave;
mod large_orders;
mod life;
mod lists;
mod messages;
mod notifications;
mod openapi;
mod orders;
mod outside;
mod payment_notices;
mod payments;
mod pools;
mod promotions;
mod reconciliation;
mod reservations;
mod sold_out;
mod stack;
mod stack_exports;
mod stack_holds;
mod stock;
mod stripe;
mod tax;
mod tax_terms;
mod template;
mod terms;
mod tidy;
mod valkey;
mod warehouses;
mod webhooks;
mod worker_kit;
