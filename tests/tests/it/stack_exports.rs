//! An export on the whole stack over HTTP.

use crate::stack::Shop;
use flate2::read::GzDecoder;
use holdfast_tests::requests::Request;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Read;
use std::time::{Duration, Instant};

#[tokio::test]
async fn ord_18_orders_are_exported_and_fetched_without_a_token() {
    let shop = Shop::open("mug", 20).await;
    let mut placed = BTreeSet::new();
    for n in 0..5 {
        let order = shop.order("c-1", &format!("k-{n}"), "mug", 1).await;
        placed.insert(order.body["order_id"].as_str().unwrap_or_else(|| panic!("{order:?}")).to_owned());
    }
    let (now, day) = (Timestamp::now(), SignedDuration::from_hours(24));
    let body = json!({"from": (now - day).to_string(), "to": (now + day).to_string()});
    let asked = shop.staff(Request::post("/exports", &body).key("k")).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let path = asked.header("location").to_owned();
    let begun = Instant::now();
    let export = loop {
        let export = shop.staff(Request::get(&path)).await.body;
        if export["state"] == "done" {
            break export;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "the export is not done: {export}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let link = export["parts"][0]["url"].as_str().unwrap_or_else(|| panic!("{export}"));
    let packed = reqwest::get(link).await.unwrap().error_for_status().unwrap().bytes().await.unwrap();
    let mut text = String::new();
    GzDecoder::new(&*packed).read_to_string(&mut text).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let exported: BTreeSet<_> = lines.iter().map(|line| line["order_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!((exported, lines.len()), (placed, 5));
    let list = shop.staff(Request::get("/exports?limit=1")).await;
    assert_eq!(list.body["exports"][0]["export_id"], export["export_id"]);
}
