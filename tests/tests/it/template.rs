//! What neither linter sees in `template.yaml`: misspelt properties of events, and names that the code spells otherwise.

use holdfast_domain::ids::{CustomerId, IdempotencyKey, OrderId, TenantId};
use holdfast_domain::routing::Queue;
use holdfast_runtime::config::{COMMON, VARIABLES};
use holdfast_runtime::heartbeat::BEATS;
use holdfast_runtime::routing::{dead_variable, reader, variable};
use holdfast_runtime::worker::DELIVERIES_MAX;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The template with its intrinsic functions reduced to their arguments: `!Ref Table` reads `"Table"`.
fn template() -> Value {
    fn plain(yaml: serde_norway::Value) -> Value {
        use serde_norway::Value as Y;
        match yaml {
            Y::Tagged(tagged) => plain(tagged.value),
            Y::Sequence(items) => items.into_iter().map(plain).collect(),
            Y::Mapping(entries) => {
                let named = |(name, value): (Y, Y)| (name.as_str().expect("names are text").to_owned(), plain(value));
                Value::Object(entries.into_iter().map(named).collect())
            }
            scalar => serde_json::to_value(scalar).expect("scalars are JSON"),
        }
    }
    let text = std::fs::read_to_string(root().join("template.yaml")).expect("the template is there");
    plain(serde_norway::from_str(&text).expect("the template is YAML"))
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not text"))
}

/// The functions by the name of their crate.
fn functions(template: &Value) -> BTreeMap<String, Value> {
    let resources = entries(&template["Resources"]).map(|(_, resource)| resource);
    let functions = resources.filter(|resource| resource["Type"] == "AWS::Serverless::Function");
    let named = functions.map(|function| {
        let code = text(&function["Properties"]["CodeUri"]).strip_prefix("functions/");
        (code.expect("code lives in functions/").to_owned(), function.clone())
    });
    named.collect()
}

/// The published schema of SAM, printed by the translator that the linters of `cargo dev test` are made of.
fn sam_schema() -> Value {
    const PRINT: &str = "import json; from samtranslator.internal.schema_source.schema import SamModel, get_schema; \
                         print(json.dumps(get_schema(SamModel)))";
    let python = root().join("target/dev/venv-lint/bin/python");
    let missing = "`cargo dev test` makes the environment of the template's linters; run that first";
    let output = Command::new(&python).args(["-c", PRINT]).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}; {missing}", python.display()));
    assert!(output.status.success(), "{}; {missing}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the schema is JSON")
}

/// The definitions a schema stands for, through references and alternatives.
fn alternatives<'a>(schema: &'a Value, node: &'a Value) -> Vec<&'a Value> {
    if let Some(name) = node["$ref"].as_str() {
        let name = name.trim_start_matches("#/definitions/");
        return alternatives(schema, &schema["definitions"][name]);
    }
    let several = ["anyOf", "allOf", "oneOf"].into_iter().filter_map(|kind| node[kind].as_array()).flatten();
    let several: Vec<_> = several.flat_map(|choice| alternatives(schema, choice)).collect();
    if several.is_empty() { vec![node] } else { several }
}

/// The paths of the names in `value` that no alternative of `node` knows. What the schema passes on to CloudFormation
/// unread is not looked into: the linters check that after the transformation.
fn unknown_names(schema: &Value, node: &Value, path: &str, value: &Value) -> Vec<String> {
    let closed = alternatives(schema, node).into_iter().filter(|choice| choice["properties"].is_object());
    let closed: Vec<_> = closed.collect();
    if closed.is_empty() {
        return Vec::new();
    }
    let mut unknown = Vec::new();
    for (name, inner) in entries(value) {
        let path = format!("{path}.{name}");
        match closed.iter().find_map(|choice| choice["properties"].get(name)) {
            Some(node) => unknown.extend(unknown_names(schema, node, &path, inner)),
            None => unknown.push(path),
        }
    }
    unknown
}

/// The paths of the properties of a function's events that SAM does not know and would leave out in silence.
fn unknown_event_properties(schema: &Value, events: &Value) -> Vec<String> {
    let function = "samtranslator__internal__schema_source__aws_serverless_function__Properties";
    let node = &schema["definitions"][function]["properties"]["Events"]["additionalProperties"];
    let kinds = alternatives(schema, node);
    let mut unknown = Vec::new();
    for (name, event) in entries(events) {
        let kind = kinds.iter().find(|kind| kind["properties"]["Type"]["enum"][0] == event["Type"]);
        match kind {
            Some(kind) => unknown.extend(unknown_names(schema, kind, name, event)),
            None => unknown.push(format!("{name}.Type {}", event["Type"])),
        }
    }
    unknown
}

#[test]
fn every_event_property_is_one_that_sam_knows() {
    let (schema, template) = (sam_schema(), template());
    let mut events = 0;
    for (name, function) in functions(&template) {
        let unknown = unknown_event_properties(&schema, &function["Properties"]["Events"]);
        assert!(unknown.is_empty(), "{name}: unknown to SAM: {unknown:?}");
        events += entries(&function["Properties"]["Events"]).count();
    }
    assert!(events >= 12, "only {events} events were found");
}

#[test]
fn a_misspelt_event_property_is_found() {
    let events = serde_json::json!({
        "Changes": {"Type": "DynamoDB", "Properties": {"Stream": "s", "StartingPosition": "LATEST", "MaximumRetries": 1}},
        "Place": {"Type": "HttpApi", "Properties": {"Auth": {"AuthorisationScopes": ["orders"]}}},
        "Sweep": {"Type": "Timer", "Properties": {}},
    });
    let unknown = unknown_event_properties(&sam_schema(), &events);
    let expected =
        ["Changes.Properties.MaximumRetries", "Place.Properties.Auth.AuthorisationScopes", "Sweep.Type \"Timer\""];
    assert_eq!(unknown, expected);
}

#[test]
fn the_template_sets_exactly_the_variables_that_the_code_reads() {
    let template = template();
    let names = |variables: &Value| entries(variables).map(|(name, _)| name.to_owned()).collect::<BTreeSet<_>>();
    let global = names(&template["Globals"]["Function"]["Environment"]["Variables"]);
    for (name, function) in functions(&template) {
        let set = &global | &names(&function["Properties"]["Environment"]["Variables"]);
        let own = VARIABLES.iter().find(|(function, _)| *function == name);
        let (_, own) = own.unwrap_or_else(|| panic!("the code names no variables of {name}"));
        let read = own.iter().chain(COMMON).map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(set, read, "variables of {name}: in the template (left), in the code (right)");
    }
    assert_eq!(functions(&template).len(), VARIABLES.len());
}

/// The routes of a function as (method, path).
fn routes(function: &Value) -> BTreeSet<(String, String)> {
    let events = entries(&function["Properties"]["Events"]).map(|(_, event)| event);
    let http = events.filter(|event| event["Type"] == "HttpApi").map(|event| &event["Properties"]);
    http.map(|route| (text(&route["Method"]).to_owned(), text(&route["Path"]).to_owned())).collect()
}

#[test]
fn the_template_routes_exactly_what_the_functions_serve() {
    let functions = functions(&template());
    let all = [
        ("orders", orders::ROUTES),
        ("inventory", inventory::ROUTES),
        ("catalog", catalog::ROUTES),
        ("payment-webhooks", payment_webhooks::ROUTES),
        ("webhooks", webhooks::ROUTES),
        ("exports", exports::ROUTES),
        ("ops", ops::ROUTES),
    ];
    for (name, served) in all {
        let served = served.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned()));
        assert_eq!(routes(&functions[name]), served.collect(), "routes of {name}: in the template (left), in the code");
    }
}

#[test]
fn every_route_asks_for_a_scope() {
    for (name, function) in functions(&template()) {
        for (event, entry) in entries(&function["Properties"]["Events"]).filter(|(_, event)| event["Type"] == "HttpApi")
        {
            let open = entry["Properties"]["Auth"]["Authorizer"] == "NONE";
            let may_be_open =
                ["DescribeApi", "TakeStripeEvent", "ReadHealth", "ListEventTypes", "ReadEventSchema"].contains(&event);
            assert!(!open || may_be_open, "{name}: {event} is open to everybody");
            if open {
                continue;
            }
            let scopes = entry["Properties"]["Auth"]["AuthorizationScopes"].as_array();
            assert!(scopes.is_some_and(|scopes| !scopes.is_empty()), "{name}: {event} is open to any token");
        }
    }
}

#[test]
fn a_message_stays_hidden_for_six_times_the_workers_timeout() {
    let template = template();
    for (queue, worker) in Queue::ALL.map(|queue| (resource_of(queue), reader(queue))) {
        let hidden = template["Resources"][queue]["Properties"]["VisibilityTimeout"].as_u64();
        let timeout = functions(&template)[worker]["Properties"]["Timeout"].as_u64();
        assert!(hidden.expect("a number") >= 6 * timeout.expect("a number"), "{hidden:?} against {timeout:?} seconds");
    }
}

#[test]
fn ord_18_parts_of_exports_are_private_and_kept_as_long_as_the_code_says() {
    let bucket = &template()["Resources"]["ExportsBucket"]["Properties"];
    let block = &bucket["PublicAccessBlockConfiguration"];
    let all = ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"];
    assert!(all.iter().all(|setting| block[setting] == true), "{block}");
    assert!(bucket["BucketEncryption"].is_object() && bucket["VersioningConfiguration"].is_null());
    let rule = &bucket["LifecycleConfiguration"]["Rules"][0];
    let kept = holdfast_domain::export::KEPT.as_hours() / 24;
    assert_eq!((&rule["Status"], rule["ExpirationInDays"].as_i64()), (&Value::from("Enabled"), Some(kept)));
}

/// Whoever publishes by the routing table has the URL of each of its queues, and may send to it; and each queue is read by
/// the one function that is meant to.
#[test]
fn note_1_the_template_has_the_queues_of_the_routing_table() {
    let template = template();
    let functions = functions(&template);
    for queue in Queue::ALL {
        let resource = resource_of(queue);
        for (publisher, role) in [("outbox-relay", "OutboxRelayRole"), ("maintenance", "MaintenanceRole")] {
            if publisher == "outbox-relay" && !Queue::OF_EVENTS.contains(&queue) {
                continue;
            }
            let set = &functions[publisher]["Properties"]["Environment"]["Variables"][variable(queue)];
            assert_eq!(set, resource, "{} of {publisher}", variable(queue));
            let statements =
                template["Resources"][role]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"].clone();
            let publish = statements.as_array().expect("a list").iter().find(|statement| statement["Sid"] == "Publish");
            let may = publish.expect("a right to publish")["Resource"].to_string();
            assert!(may.contains(&format!("{resource}.Arn")), "{publisher} may not send to {resource}: {may}");
        }
        let read = |function: &Value| {
            entries(&function["Properties"]["Events"])
                .any(|(_, event)| event["Properties"]["Queue"] == format!("{resource}.Arn"))
        };
        let readers: Vec<_> = functions.iter().filter(|(_, function)| read(function)).map(|(name, _)| name).collect();
        assert_eq!(readers, [reader(queue)], "readers of {resource}");
    }
}

fn resource_of(queue: Queue) -> &'static str {
    match queue {
        Queue::Orders => "OrderEventsQueue",
        Queue::Fulfilment => "FulfilmentQueue",
        Queue::Notifications => "NotificationsQueue",
        Queue::Exports => "ExportsQueue",
    }
}

/// "We recommend setting the maxReceiveCount on the source queue's redrive policy to at least 5." The workers bury a message
/// at the last delivery that SQS makes.
#[test]
fn out_3_a_message_is_buried_at_its_last_delivery_and_its_own_dead_letters_are_collected() {
    let template = template();
    let maintenance = &functions(&template)["maintenance"]["Properties"]["Environment"]["Variables"];
    for queue in Queue::ALL {
        let policy = &template["Resources"][resource_of(queue)]["Properties"]["RedrivePolicy"];
        assert_eq!(policy["maxReceiveCount"], DELIVERIES_MAX, "{queue:?}");
        let dead = text(&policy["deadLetterTargetArn"]).trim_end_matches(".Arn");
        assert_eq!(maintenance[dead_variable(queue)], dead, "{queue:?}");
    }
    assert_eq!(maintenance["RELAY_FAILURES_URL"], "RelayFailuresQueue");
}

/// Every schedule gives signs of life, and nothing else does but the relay.
#[test]
fn ops_5_every_schedule_is_missed_when_it_stays_away() {
    let functions = functions(&template());
    let events = entries(&functions["maintenance"]["Properties"]["Events"]).map(|(_, event)| event);
    let input = |event: &Value| serde_json::from_str::<Value>(text(&event["Properties"]["Input"])).expect("JSON");
    let scheduled: BTreeSet<_> = events.map(|event| text(&input(event)["job"]).to_owned()).collect();
    let beats: BTreeSet<_> = BEATS.iter().map(|beat| beat.name.to_owned()).filter(|beat| beat != "relay").collect();
    assert_eq!(scheduled, beats);
}

#[test]
fn sample_requests_go_to_routes_of_the_template() {
    for (name, function) in functions(&template()) {
        let folder = root().join("events").join(&name);
        let samples: Vec<_> = std::fs::read_dir(&folder).unwrap_or_else(|_| panic!("no samples for {name}")).collect();
        assert!(!samples.is_empty(), "no samples for {name}");
        for sample in samples {
            let path = sample.expect("the folder can be read").path();
            let sample = std::fs::read(&path).expect("the sample can be read");
            let sample: Value = serde_json::from_slice(&sample).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            if let Some((method, route)) = sample["routeKey"].as_str().and_then(|key| key.split_once(' ')) {
                let routes = routes(&function);
                assert!(
                    routes.contains(&(method.to_owned(), route.to_owned())),
                    "{}: not in {routes:?}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn samples_are_about_the_order_that_the_first_of_them_places() {
    let sample = |path: &str| std::fs::read_to_string(root().join("events").join(path)).expect("the sample is there");
    let place: Value = serde_json::from_str(&sample("orders/place.json")).expect("the sample is JSON");
    let (claims, key) = (&place["requestContext"]["authorizer"]["jwt"]["claims"], &place["headers"]["idempotency-key"]);
    let (tenant, customer) = (TenantId::parse(text(&claims["tenant"])), CustomerId::parse(text(&claims["sub"])));
    let key = IdempotencyKey::parse(text(key)).expect("the key can be used");
    let order = OrderId::derive(&tenant.expect("a tenant"), &customer.expect("a customer"), &key).to_string();
    let worker = ["order-placed", "order-expiry", "malformed-in-batch"].map(|name| format!("order-worker/{name}.json"));
    let others = ["orders/get.json", "orders/cancel.json", "outbox-relay/order-placed.json"].map(str::to_owned);
    let notifier = ["order-placed", "delivery-due"].map(|name| format!("notifier/{name}.json"));
    for path in others.iter().chain(&worker).chain(&notifier) {
        assert!(sample(path).contains(&order), "{path} is not about {order}");
    }
}
