//! Exports of orders: every order of a span in exactly one line, whatever happens on the way (ORD-18).

mod faults;
mod guards;
mod parts;
mod walk;

use flate2::read::GzDecoder;
use holdfast_tests::exporting::{Exporting, parts_of};
use holdfast_tests::requests::{Request, Who, order_of};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::io::Read;

/// March 29 and 30 of 2026, which the orders of these tests lie around.
pub fn two_days() -> Value {
    json!({"from": "2026-03-29", "to": "2026-03-31"})
}

/// A shop with orders at the edges of days, each a minute or a millisecond after the one before; their ids, oldest first.
/// The first is of the day before [`two_days`], the last of the day after.
pub async fn history() -> (Exporting, Vec<String>) {
    let exporting = Exporting::open("2026-03-28T23:59:59.999Z").await;
    exporting.shop.sell("mug", 200).await;
    let mut ids = Vec::new();
    for (n, step_ms) in [1, 60_000, 86_339_998, 1, 1, 1, 43_200_000, 43_199_998, 1, 0].into_iter().enumerate() {
        let guest = n % 3 == 2;
        let who = Who { guest, ..Who::customer(&format!("c-{}", n % 3)) };
        let placed = exporting.shop.order(&who, &format!("k-{n}"), "mug", 1).await;
        assert_eq!(placed.status, 201, "{placed:?}");
        ids.push(placed.body["order_id"].as_str().unwrap().to_owned());
        exporting.shop.clock.advance(SignedDuration::from_millis(step_ms));
    }
    exporting.shop.clock.advance(SignedDuration::from_hours(24));
    (exporting, ids)
}

pub fn ids(lines: &[Value]) -> Vec<String> {
    lines.iter().map(|line| line["order_id"].as_str().unwrap().to_owned()).collect()
}

async fn shown(exporting: &Exporting, id: &str) -> Value {
    let request = Request::get(&format!("/orders/{id}"));
    request.send(&exporting.shop.orders, Some(&Who::staff())).await.body
}

#[tokio::test]
async fn ord_18_every_order_of_a_span_is_one_line_as_it_is_shown_oldest_first() {
    let (exporting, all) = history().await;
    // Who asks for an order of a millisecond before midnight, and of midnight itself, gets the right one.
    assert_eq!(shown(&exporting, &all[0]).await["placed_at"], "2026-03-28T23:59:59.999Z");
    assert_eq!(shown(&exporting, &all[1]).await["placed_at"], "2026-03-29T00:00:00Z");
    assert_eq!(shown(&exporting, &all[9]).await["placed_at"], "2026-03-31T00:00:00Z");
    let cancel = Request::post(&format!("/orders/{}/cancel", all[4]), &json!({"reason": "changed my mind"}));
    assert_eq!(cancel.send(&exporting.shop.orders, Some(&Who::staff())).await.status, 200);
    let id = exporting.asked("k", &two_days()).await;
    let requested = exporting.export(&id).await;
    assert_eq!((&requested["state"], &requested["progress"]["orders"]), (&json!("requested"), &json!(0)));
    exporting.drain(&exporting.exporter(parts_of(100))).await;
    let export = exporting.export(&id).await;
    assert_eq!((&export["state"], &export["progress"]["parts"]), (&json!("done"), &json!(1)), "{export}");
    assert_eq!((&export["progress"]["orders"], &export["progress"]["day"]), (&json!(8), &json!("2026-03-30")));
    let lines = exporting.lines(&id).await;
    assert_eq!(ids(&lines), all[1..9]);
    for line in lines {
        assert_eq!(line, shown(&exporting, line["order_id"].as_str().unwrap()).await);
    }
    let parts = exporting.parts(&id).await;
    assert_eq!(export["progress"]["bytes"], parts[0].len());
    assert_eq!(exporting.objects().await, [format!("acme/{id}/00001.ndjson.gz")]);
    // One gzip member, complete with its checksum.
    let mut packed = GzDecoder::new(&*parts[0]);
    packed.read_to_end(&mut Vec::new()).unwrap();
    assert!(packed.into_inner().is_empty());
}

#[tokio::test]
async fn ord_18_the_span_is_exact_to_the_millisecond() {
    let (exporting, all) = history().await;
    let exporter = exporting.exporter(parts_of(100));
    let spans = [
        ("2026-03-28", "2026-04-01", 0..10),
        ("2026-03-29T00:00:00Z", "2026-03-29T00:00:00.001Z", 1..2),
        ("2026-03-29T23:59:59.998Z", "2026-03-29T23:59:59.999Z", 3..4),
        ("2026-03-29T23:59:59.999Z", "2026-03-30T00:00:00.001Z", 4..6),
        ("2026-03-30", "2026-03-31", 5..9),
        ("2026-03-30T02:00:00+02:00", "2026-03-30T02:00:00.002+02:00", 5..7),
        ("2026-03-31T00:00:00.001Z", "2027-04-01T00:00:00.001Z", 10..10),
    ];
    for (from, to, expected) in spans {
        let id = exporting.asked(&format!("{from}-{to}"), &json!({"from": from, "to": to})).await;
        assert!(exporting.deliver(&exporter, &id, Timestamp::MAX).await);
        assert_eq!(ids(&exporting.lines(&id).await), all[expected], "{from} to {to}");
    }
}

#[tokio::test]
async fn ord_18_states_are_filtered_and_lines_may_stay_as_they_are() {
    let (exporting, all) = history().await;
    let exporter = exporting.exporter(parts_of(100));
    for order in [&all[2], &all[5]] {
        let cancel = Request::post(&format!("/orders/{order}/cancel"), &json!({}));
        assert_eq!(cancel.send(&exporting.shop.orders, Some(&Who::staff())).await.status, 200);
    }
    let export = async |states: Value| {
        let mut body = two_days();
        body["states"] = states.clone();
        let id = exporting.asked(&states.to_string(), &body).await;
        assert!(exporting.deliver(&exporter, &id, Timestamp::MAX).await);
        ids(&exporting.lines(&id).await)
    };
    assert_eq!(export(json!(["cancelled"])).await, [all[2].clone(), all[5].clone()]);
    assert_eq!(export(json!(["placed", "placed"])).await.len(), 6);
    assert_eq!(export(json!(["cancelled", "placed"])).await, all[1..9]);
    assert!(export(json!(["paid"])).await.is_empty());
    let mut body = two_days();
    body["compression"] = json!("none");
    let id = exporting.asked("plain", &body).await;
    assert!(exporting.deliver(&exporter, &id, Timestamp::MAX).await);
    let text = String::from_utf8(exporting.parts(&id).await.remove(0)).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(ids(&lines), all[1..9]);
    assert!(exporting.objects().await.contains(&format!("acme/{id}/00001.ndjson")));
}

#[tokio::test]
async fn ord_18_an_empty_span_is_done_without_parts() {
    let exporting = Exporting::open("2026-04-01T12:00:00Z").await;
    let id = exporting.asked("k", &two_days()).await;
    exporting.drain(&exporting.exporter(parts_of(3))).await;
    let done = exporting.export(&id).await;
    assert_eq!((&done["state"], &done["parts"], &done["progress"]["orders"]), (&json!("done"), &json!([]), &json!(0)));
    assert!(exporting.objects().await.is_empty());
}

#[tokio::test]
async fn ord_18_a_large_order_has_all_its_lines() {
    let exporting = Exporting::open("2026-03-29T12:00:00Z").await;
    for n in 0..110 {
        exporting.shop.sell(&format!("p{n}"), 10).await;
    }
    let mut body = order_of("p0", 1);
    body["lines"] = (0..110).map(|n| json!({"product_id": format!("p{n}"), "quantity": 1})).collect();
    let request = Request::post("/orders", &body).key("k");
    let placed = request.send(&exporting.shop.orders, Some(&Who::customer("c-1"))).await;
    assert_eq!(placed.status, 201, "{placed:?}");
    let id = exporting.asked("k", &two_days()).await;
    // The span is not over: its message is delayed a little.
    assert!(!exporting.work(&exporting.exporter(parts_of(3))).await);
    assert!(exporting.deliver(&exporting.exporter(parts_of(3)), &id, Timestamp::MAX).await);
    let lines = exporting.lines(&id).await;
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["lines"].as_array().unwrap().len(), 110);
    assert_eq!(lines[0], shown(&exporting, placed.body["order_id"].as_str().unwrap()).await);
}

#[tokio::test]
async fn ord_18_a_retry_gets_its_export_and_another_body_is_refused() {
    let (exporting, _) = history().await;
    let first = exporting.ask("k", &two_days()).await;
    let again = exporting.ask("k", &two_days()).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (202, "true"));
    assert_eq!(again.body["export_id"], first.body["export_id"]);
    let mut other = two_days();
    other["to"] = json!("2026-03-30");
    let refused = exporting.ask("k", &other).await;
    assert_eq!((refused.status, refused.slug()), (422, "idempotency-key-reused"));
    // One message, one export.
    let exporter = exporting.exporter(parts_of(100));
    assert!(exporting.work(&exporter).await && !exporting.work(&exporter).await);
    let list = Request::get("/exports").send(&exporting.exports, Some(&Who::staff())).await;
    assert_eq!(list.body["exports"].as_array().unwrap().len(), 1);
    let colleague = Who { sub: "staff-2".to_owned(), ..Who::staff() };
    let theirs = Request::post("/exports", &other).key("k").send(&exporting.exports, Some(&colleague)).await;
    assert_eq!(theirs.status, 202, "keys are a person's own");
}

#[tokio::test]
async fn ord_18_bad_input_is_refused_by_field_and_changes_nothing() {
    let exporting = Exporting::open("2026-03-28T12:00:00Z").await;
    let with = |name: &str, value: Value| {
        let mut body = two_days();
        body[name] = value;
        body
    };
    let cases = [
        (with("to", json!("2026-03-29")), "from"),
        (with("from", json!("2026-04-29")), "from"),
        (with("to", json!("2027-03-31")), "to"),
        (with("from", json!("yesterday")), "from"),
        (with("from", json!("2026-03-29T00:00:00")), "from"),
        (with("to", json!("2026-02-30")), "to"),
        (with("to", json!(5)), "to"),
        (with("states", json!(["paid", "lost"])), "states[1]"),
        (with("states", json!(["reserved"])), "states[0]"),
        (with("states", json!([])), "states"),
        (with("compression", json!("zip")), "compression"),
        (with("format", json!("csv")), "format"),
        (json!({"from": "2026-03-29"}), "to"),
        (json!([]), "body"),
    ];
    for (body, field) in cases {
        let refused = exporting.ask("k", &body).await;
        assert_eq!((refused.status, refused.fields()), (400, vec![field]), "{body}: {refused:?}");
    }
    let keyless = Request::post("/exports", &two_days()).send(&exporting.exports, Some(&Who::staff())).await;
    assert_eq!((keyless.status, keyless.slug()), (400, "idempotency-key-missing"));
    for path in ["/exports?limit=0", "/exports?limit=101", "/exports?cursor=AAAA", "/exports?state=done", "/exports/1"]
    {
        let refused = Request::get(path).send(&exporting.exports, Some(&Who::staff())).await;
        assert_eq!((refused.status, refused.slug()), (400, "invalid-request"), "{path}");
    }
    assert!(exporting.shop.engine.items().await.is_empty());
    let id = exporting.asked("k", &two_days()).await;
    for first in ["0", "-1", "x"] {
        let request = Request::get(&format!("/exports/{id}?first_part={first}"));
        let refused = request.send(&exporting.exports, Some(&Who::staff())).await;
        assert_eq!((refused.status, refused.fields()), (400, vec!["first_part"]));
    }
}

#[tokio::test]
async fn sec_1_exports_are_the_tenants_own_and_for_staff() {
    let (exporting, _) = history().await;
    let id = exporting.asked("k", &two_days()).await;
    let path = format!("/exports/{id}");
    let other = Who::staff().of("other");
    for request in [Request::get(&path), Request::delete(&path)] {
        let theirs = request.send(&exporting.exports, Some(&other)).await;
        assert_eq!((theirs.status, theirs.slug()), (404, "not-found"));
        let customers = request.send(&exporting.exports, Some(&Who::customer("c-1"))).await;
        assert_eq!((customers.status, customers.slug()), (403, "forbidden"));
    }
    for request in [Request::get("/exports"), Request::post("/exports", &two_days()).key("k")] {
        assert_eq!(request.send(&exporting.exports, Some(&Who::customer("c-1"))).await.status, 403);
    }
    let list = Request::get("/exports").send(&exporting.exports, Some(&other)).await;
    assert_eq!(list.body["exports"], json!([]));
    // Another tenant's staff get their own orders, which are none, under the same key.
    let theirs = Request::post("/exports", &two_days()).key("k").send(&exporting.exports, Some(&other)).await;
    assert_ne!(theirs.body["export_id"], id);
    exporting.drain(&exporting.exporter(parts_of(100))).await;
    let path = format!("/exports/{}", theirs.body["export_id"].as_str().unwrap());
    let theirs = Request::get(&path).send(&exporting.exports, Some(&other)).await;
    assert_eq!((&theirs.body["state"], &theirs.body["progress"]["orders"]), (&json!("done"), &json!(0)));
}

#[tokio::test]
async fn ord_18_the_latest_exports_are_listed_by_pages() {
    let exporting = Exporting::open("2026-04-01T12:00:00Z").await;
    let mut asked = Vec::new();
    for n in 0..5 {
        asked.push(exporting.asked(&format!("k-{n}"), &two_days()).await);
        exporting.shop.clock.advance(SignedDuration::from_secs(1));
    }
    asked.reverse();
    for limit in [1, 2, 5, 100] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        for _ in 0..8 {
            let request = Request::get(&format!("/exports?limit={limit}{cursor}"));
            let page = request.send(&exporting.exports, Some(&Who::staff())).await;
            let exports = page.body["exports"].as_array().unwrap();
            seen.extend(exports.iter().map(|export| export["export_id"].as_str().unwrap().to_owned()));
            match page.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen, asked, "limit {limit}");
    }
}

#[tokio::test]
async fn ord_18_a_cancelled_export_stops_and_one_that_ended_is_not_cancelled() {
    let (exporting, _) = history().await;
    let exporter = exporting.exporter(parts_of(3));
    let delete =
        async |id: &str| Request::delete(&format!("/exports/{id}")).send(&exporting.exports, Some(&Who::staff())).await;
    let id = exporting.asked("k", &two_days()).await;
    let halt = exporting.wire.halt("PUT");
    let cancelled = async {
        halt.reached().await;
        let cancelled = delete(&id).await;
        halt.go();
        cancelled
    };
    let (_, cancelled) = futures_util::future::join(exporting.drain(&exporter), cancelled).await;
    assert_eq!((cancelled.status, &cancelled.body["state"]), (200, &json!("cancelled")), "{cancelled:?}");
    let export = exporting.export(&id).await;
    assert_eq!(
        (&export["state"], &export["parts"], &export["progress"]["parts"]),
        (&json!("cancelled"), &json!([]), &json!(0))
    );
    assert_eq!(delete(&id).await.status, 200, "a second time");
    // A message that comes late finds it over.
    assert!(exporting.deliver(&exporter, &id, Timestamp::MAX).await);
    assert_eq!(exporting.export(&id).await["state"], "cancelled");
    let done = exporting.asked("k-2", &two_days()).await;
    exporting.drain(&exporter).await;
    let refused = delete(&done).await;
    assert_eq!((refused.status, refused.slug(), &refused.body["from"]), (409, "illegal-transition", &json!("done")));
}

#[tokio::test]
async fn ord_18_an_export_expires_with_its_parts() {
    let (exporting, _) = history().await;
    let id = exporting.asked("k", &two_days()).await;
    exporting.drain(&exporting.exporter(parts_of(3))).await;
    exporting.shop.clock.advance(SignedDuration::from_hours(7 * 24 - 1));
    assert_eq!(exporting.export(&id).await["state"], "done");
    exporting.shop.clock.advance(SignedDuration::from_hours(1));
    let expired = exporting.export(&id).await;
    assert_eq!((&expired["state"], &expired["parts"]), (&json!("expired"), &json!([])));
}
