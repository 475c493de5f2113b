//! Parts: when they end, and how they are fetched.

use super::{history, ids, two_days};
use exporter::PartLimits;
use holdfast_tests::exporting::parts_of;
use holdfast_tests::requests::{Request, Who};
use jiff::Timestamp;
use serde_json::{Value, json};

#[tokio::test]
async fn ord_18_parts_are_linked_for_an_hour_as_they_are_written() {
    let (exporting, all) = history().await;
    let id = exporting.asked("k", &two_days()).await;
    let exporter = exporting.exporter(parts_of(3));
    // No time is left: a run writes what it has and leaves the rest to the next.
    assert!(exporting.deliver(&exporter, &id, Timestamp::MIN).await);
    let running = exporting.export(&id).await;
    assert_eq!((&running["state"], &running["progress"]["parts"]), (&json!("running"), &json!(1)), "{running}");
    let written = exporting.lines(&id).await;
    assert_eq!(ids(&written), all[1..1 + written.len()]);
    let link = &running["parts"][0];
    assert_eq!(link["number"], 1);
    let url = link["url"].as_str().unwrap();
    for changed in [url.replace("00001", "00002"), url.replace("=3600", "=86400")] {
        assert_eq!(reqwest::get(&changed).await.unwrap().status(), 403, "a link is good for what it was made for");
    }
    for expected in ["X-Amz-Expires=3600", "X-Amz-Signature=", &format!("/acme/{id}/00001.ndjson.gz?")] {
        assert!(url.contains(expected), "{url}");
    }
    exporting.drain(&exporter).await;
    let done = exporting.export(&id).await;
    assert_eq!((&done["state"], &done["next_part"]), (&json!("done"), &Value::Null), "{done}");
    assert_eq!(ids(&exporting.lines(&id).await), all[1..9]);
    let count = done["parts"].as_array().unwrap().len() as u64;
    assert_eq!((done["progress"]["parts"].as_u64(), count >= 3), (Some(count), true));
    let path = format!("/exports/{id}?first_part={count}");
    let rest = Request::get(&path).send(&exporting.exports, Some(&Who::staff())).await;
    assert_eq!(rest.body["parts"].as_array().unwrap().len(), 1);
    let path = format!("/exports/{id}?first_part={}", count + 1);
    let none = Request::get(&path).send(&exporting.exports, Some(&Who::staff())).await;
    assert_eq!((&none.body["parts"], &none.body["next_part"]), (&json!([]), &Value::Null));
}

#[tokio::test]
async fn ord_18_a_part_ends_with_the_order_that_fills_it() {
    let (exporting, all) = history().await;
    let limits = [
        (PartLimits { line_bytes: 1, ..PartLimits::default() }, "gzip", 8),
        (PartLimits { object_bytes: 1, ..PartLimits::default() }, "gzip", 8),
        (PartLimits { object_bytes: 1, ..PartLimits::default() }, "none", 8),
        (parts_of(4), "gzip", 2),
        (parts_of(3), "none", 3),
        (PartLimits::default(), "gzip", 1),
    ];
    for (n, (limits, compression, parts)) in limits.into_iter().enumerate() {
        let mut body = two_days();
        body["compression"] = json!(compression);
        let id = exporting.asked(&format!("k-{n}"), &body).await;
        assert!(exporting.deliver(&exporting.exporter(limits), &id, Timestamp::MAX).await);
        let export = exporting.export(&id).await;
        let progress = &export["progress"];
        assert_eq!((&progress["parts"], &progress["orders"]), (&json!(parts), &json!(8)), "{limits:?}");
        if compression == "gzip" {
            assert_eq!(ids(&exporting.lines(&id).await), all[1..9], "{limits:?}");
        }
        let bytes: usize = exporting.parts(&id).await.iter().map(Vec::len).sum();
        assert_eq!(progress["bytes"], bytes);
    }
}
