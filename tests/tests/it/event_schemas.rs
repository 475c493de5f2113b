//! The catalogue of events: a schema for each type and version, made of the types, which only grows.

use crate::dead_letters::open;
use holdfast_domain::event::{CloudEvent, EventKind, ORDER_EXPIRY_TYPE, OrderNotice, Trace};
use holdfast_domain::ids::{OrderId, TenantId};
use holdfast_domain::schema::{VERSION, schema_of, types};
use holdfast_tests::requests::Request;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn file(event_type: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../events/schema/{event_type}.v{VERSION}.json"))
}

/// What of a schema consumers rely on that its successor takes away. What is sent may grow: consumers leave alone what they
/// do not know.
fn incompatibilities(path: &str, old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for word in ["type", "const", "format", "pattern", "$ref", "enum", "items"] {
        if !old[word].is_null() && old[word] != new[word] {
            found.push(format!("{path}: {word} was {}, is {}", old[word], new[word]));
        }
    }
    let required =
        |schema: &Value, name: &str| schema["required"].as_array().is_some_and(|all| all.contains(&json!(name)));
    for (name, before) in old["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        match new["properties"].get(name) {
            None => found.push(format!("{path} is gone")),
            Some(now) => found.extend(incompatibilities(&path, before, now)),
        }
        if required(old, name) && !required(new, name) {
            found.push(format!("{path} was always there"));
        }
    }
    for (name, before) in old["$defs"].as_object().into_iter().flatten() {
        found.extend(incompatibilities(&format!("{path}/{name}"), before, &new["$defs"][name]));
    }
    found
}

/// `UPDATE_DOCS=1` writes the files, but never over what consumers rely on.
#[test]
fn out_1_the_schemas_are_those_of_the_types_and_only_grow() {
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    for event_type in types() {
        let (path, schema) = (file(&event_type), schema_of(&event_type).unwrap());
        let written = std::fs::read_to_string(&path).ok().map(|text| serde_json::from_str::<Value>(&text).unwrap());
        if let Some(written) = &written {
            let taken_away = incompatibilities(&event_type, written, &schema);
            assert!(taken_away.is_empty(), "this takes another version: {taken_away:?}");
        }
        if update {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, serde_json::to_string_pretty(&schema).unwrap() + "\n").unwrap();
        } else {
            let hint = "run UPDATE_DOCS=1 cargo test -p holdfast-tests --test it out_1_the_schemas";
            assert_eq!(written, Some(schema), "{} is out of date: {hint}", path.display());
        }
    }
    let files = std::fs::read_dir(file("x").parent().unwrap()).unwrap().count();
    assert_eq!(files, types().len(), "a schema of a type that is not sent");
}

#[test]
fn what_consumers_rely_on_is_missed_when_it_is_taken_away() {
    let old = schema_of("com.holdfast.order.placed").unwrap();
    let broken: [fn(&mut Value); 5] = [
        |schema| _ = schema["properties"].as_object_mut().unwrap().remove("traceparent"),
        |schema| schema["required"].as_array_mut().unwrap().retain(|name| name != "id"),
        |schema| schema["properties"]["type"]["const"] = json!("com.holdfast.order.ordered"),
        |schema| schema["$defs"]["OrderNotice"]["properties"]["version"]["type"] = json!("string"),
        |schema| _ = schema["$defs"]["OrderNotice"]["properties"].as_object_mut().unwrap().remove("tenant"),
    ];
    for breaks in broken {
        let mut new = old.clone();
        breaks(&mut new);
        assert_eq!(incompatibilities("e", &old, &new).len(), 1, "{new}");
    }
    let mut grown = old.clone();
    grown["properties"]["more"] = json!({"type": "string"});
    assert!(incompatibilities("e", &old, &grown).is_empty());
}

/// An event has what its schema asks for, and is small whatever the order holds: it is a reference.
#[test]
fn out_1_events_are_what_their_schemas_say_and_never_large() {
    let tenant = TenantId::parse("t".repeat(TenantId::LENGTH_MAX)).unwrap();
    let order_id = OrderId::parse("6ba7b810-9dad-81d1-80b4-00c04fd430c8").unwrap();
    // As long as the API takes them.
    let trace = Trace { correlation_id: "c".repeat(128), traceparent: "0".repeat(55) };
    for kind in EventKind::ALL {
        let notice = OrderNotice {
            tenant: tenant.clone(),
            order_id,
            version: u64::MAX,
            state: "payment_failed".to_owned(),
            due_at: i64::MAX,
        };
        let event = CloudEvent::of_change(kind.name(), jiff::Timestamp::MAX, &trace, notice);
        let (text, schema) = (serde_json::to_string(&event).unwrap(), schema_of(&event.kind).unwrap());
        assert!(text.len() < 2_048, "{} bytes: SQS takes 256 KB in older regions", text.len());
        let event: Value = serde_json::from_str(&text).unwrap();
        for (of, schema) in [(&event, &schema), (&event["data"], &schema["$defs"]["OrderNotice"])] {
            for name in schema["required"].as_array().unwrap() {
                assert!(!of[name.as_str().unwrap()].is_null(), "{name} is missing");
            }
            assert!(of.as_object().unwrap().keys().all(|name| !schema["properties"][name].is_null()), "{of}");
        }
    }
}

#[tokio::test]
async fn out_1_schemas_are_served_to_everybody() {
    let (_shop, back) = open().await;
    let get = async |path: &str| Request::get(path).send(&back.ops(), None).await;
    let list = get("/events/schema").await;
    assert_eq!(list.body["types"].as_array().unwrap().len(), EventKind::ALL.len() + 5);
    let placed = get("/events/schema/com.holdfast.order.placed").await;
    assert_eq!((placed.status, placed.header("content-type")), (200, "application/schema+json"));
    assert_eq!(placed.body["properties"]["type"]["const"], "com.holdfast.order.placed");
    assert_eq!(get(&format!("/events/schema/{ORDER_EXPIRY_TYPE}?version=1")).await.status, 200);
    for unknown in ["com.holdfast.order.exploded", "com.holdfast.order.placed?version=2"] {
        assert_eq!(get(&format!("/events/schema/{unknown}")).await.slug(), "not-found", "{unknown}");
    }
    let bad = get("/events/schema/com.holdfast.order.placed?version=0").await;
    assert_eq!((bad.status, bad.fields()), (400, vec!["version"]));
}
