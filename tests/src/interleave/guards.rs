//! Condition expressions by name, and taking one away.
//!
//! A guard is one conjunct of a condition expression on one kind of item, such as
//! `Update stripe: available >= :quantity`. Names are made from the requests that the code really sends, so a new
//! condition shows up by itself and wants a negative control.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The members of an action that hold expressions.
const EXPRESSIONS: [&str; 4] =
    ["ConditionExpression", "UpdateExpression", "KeyConditionExpression", "ProjectionExpression"];

/// What stands in for a condition that was taken away: some actions are none without one.
const ALWAYS: &str = "attribute_exists(pk) OR attribute_not_exists(pk)";

/// Notes the guards of a request, and takes away those in `without`.
pub fn visit(operation: &str, body: &mut Value, without: &[&str], seen: &mut BTreeSet<String>) {
    match body.get_mut("TransactItems").and_then(Value::as_array_mut) {
        Some(items) => {
            for (name, action) in items.iter_mut().filter_map(Value::as_object_mut).flatten() {
                if let Some(action) = action.as_object_mut() {
                    visit_action(name, action, without, seen);
                }
            }
        }
        None => {
            if let Some(action) = body.as_object_mut() {
                visit_action(operation, action, without, seen);
            }
        }
    }
}

fn visit_action(name: &str, action: &mut Map<String, Value>, without: &[&str], seen: &mut BTreeSet<String>) {
    let Some(condition) = action.get("ConditionExpression").and_then(Value::as_str).map(str::to_owned) else { return };
    let entity = entity(action.get("Item").or_else(|| action.get("Key")).unwrap_or(&Value::Null));
    let label = |conjunct: &str| format!("{name} {entity}: {conjunct}");
    let conjuncts: Vec<_> = condition.split(" AND ").collect();
    seen.extend(conjuncts.iter().map(|conjunct| label(conjunct)));
    let left: Vec<_> =
        conjuncts.iter().filter(|conjunct| !without.contains(&label(conjunct).as_str())).copied().collect();
    if left.len() == conjuncts.len() {
        return;
    }
    let left = if left.is_empty() { ALWAYS.to_owned() } else { left.join(" AND ") };
    action.insert("ConditionExpression".to_owned(), left.into());
    // The service refuses a request with names or values that no expression uses.
    let expressions: Vec<_> = EXPRESSIONS.iter().filter_map(|name| action.get(*name)?.as_str()).collect();
    let expressions = expressions.join(" ");
    for member in ["ExpressionAttributeValues", "ExpressionAttributeNames"] {
        if let Some(Value::Object(entries)) = action.get_mut(member) {
            entries.retain(|placeholder, _| uses(&expressions, placeholder));
            if entries.is_empty() {
                action.remove(member);
            }
        }
    }
}

fn uses(expressions: &str, placeholder: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    expressions.match_indices(placeholder).any(|(at, _)| !expressions[at + placeholder.len()..].starts_with(word))
}

/// What kind of item a key belongs to.
pub fn entity(key: &Value) -> &str {
    let text = |name: &str| key[name]["S"].as_str().unwrap_or_default();
    let mut pk = text("pk").split('#').skip(1);
    let sk = text("sk").split('#').next().unwrap_or_default();
    match (pk.next().unwrap_or_else(|| text("pk")), pk.next().unwrap_or_default()) {
        ("stock", _) => sk,
        ("pool", "stock") => "stripe",
        ("pool", "coupon") => "uses",
        ("pool", _) => "allowance",
        ("order", _) if sk == "lines" => "part",
        ("coupon", _) if sk == "pool" => "header",
        (kind, _) => kind,
    }
}
