//! JSON schemas of events (JSON Schema 2020-12), made of the types that are sent.
//!
//! A schema may grow: consumers leave alone what they do not know. What they may rely on stays: names, types, and that a
//! field is always there. A change that takes away any of this is another version, beside the one before.

use crate::event::{
    CloudEvent, EventKind, ORDER_EXPIRY_TYPE, ORDER_RECOVERY_TYPE, PAYMENT_LAPSED_TYPE, PAYMENT_NOTICE_TYPE,
};
use crate::webhook::{DELIVERY_TIMER_TYPE, DeliveryTimer};
use schemars::schema_for;
use serde_json::{Value, json};

/// The version of the schemas that are made here.
pub const VERSION: u32 = 1;

/// Every type of event that goes through a queue.
pub fn types() -> Vec<String> {
    let timers =
        [ORDER_EXPIRY_TYPE, ORDER_RECOVERY_TYPE, PAYMENT_NOTICE_TYPE, PAYMENT_LAPSED_TYPE, DELIVERY_TIMER_TYPE];
    EventKind::ALL.iter().map(|kind| kind.event_type()).chain(timers.map(str::to_owned)).collect()
}

/// The schema of a type; none for one that is not sent.
pub fn schema_of(event_type: &str) -> Option<Value> {
    if !types().iter().any(|known| known == event_type) {
        return None;
    }
    let schema = match event_type {
        DELIVERY_TIMER_TYPE => schema_for!(DeliveryTimer),
        _ => schema_for!(CloudEvent),
    };
    let mut schema = Value::from(schema);
    schema["$id"] = json!(format!("/events/schema/{event_type}?version={VERSION}"));
    schema["title"] = json!(event_type);
    schema["properties"]["specversion"]["const"] = json!("1.0");
    schema["properties"]["type"]["const"] = json!(event_type);
    Some(schema)
}
