//! Bad messages and bad requests: each ends where it should, with its reason, its neighbours unharmed.

use super::{NOWHERE, act, ask, event, groups, open, operator, place, state};
use holdfast_tests::requests::{Request, Who};
use serde_json::json;

#[tokio::test]
async fn out_5_bad_messages_of_every_kind_are_letters_and_their_neighbours_are_done() {
    let (shop, back) = open().await;
    let id = place(&shop, "k").await;
    let large = "x".repeat(1_000_000);
    let future = event("acme", &id, "com.holdfast.order.placed").replace("\"1.0\"", "\"2.0\"");
    let bad = [
        ("", "nonsense", "unreadable.unknown"),
        ("", r#"{"not":"an event"}"#, "unreadable.unknown"),
        ("acme", &event("acme", &id, "com.holdfast.order.exploded"), "unreadable.order.exploded"),
        ("acme", &future, "unreadable.order.placed"),
        ("acme", &event("acme", NOWHERE, "com.holdfast.order.placed"), "no-such-order.order.placed"),
        ("other", &event("other", &id, "com.holdfast.order.placed"), "no-such-order.order.placed"),
        ("", &large, "unreadable.unknown"),
    ];
    for (_, body, _) in &bad {
        back.send(body).await;
    }
    back.drain().await;
    while back.work().await {}
    assert_eq!(state(&shop, &id).await, "paid");
    let causes = groups(&back, &operator()).await;
    assert_eq!(causes.iter().map(|cause| cause["letters"].as_u64().unwrap()).sum::<u64>(), bad.len() as u64);
    for (tenant, body, cause) in bad {
        let tenant = if tenant.is_empty() { json!(null) } else { json!(tenant) };
        let known = causes
            .iter()
            .any(|group| group["tenant"] == tenant && group["fingerprint"] == format!("order-worker.{cause}"));
        assert!(known, "{} of {tenant}: {causes:?}", &body[..body.len().min(80)]);
    }
}

#[tokio::test]
async fn out_3_what_cannot_be_replayed_says_why() {
    let (_shop, back) = open().await;
    back.send(&"x".repeat(1_000_000)).await;
    while back.work().await {}
    let large = groups(&back, &operator()).await[0].clone();
    assert_eq!(large["sample"]["replayable"], false);
    let page = Request::get("/ops/dead-letters/order-worker.unreadable.unknown?tenant=-");
    let page = ask(&back, &operator(), page).await;
    assert_eq!(page.body["letters"][0]["body"].as_str().unwrap().len(), 64 * 1024, "its beginning is kept");
    let refused = act(&back, &operator(), "replay", json!({"id": large["sample"]["id"], "tenant": "-"})).await;
    assert_eq!((refused.status, refused.slug()), (409, "not-replayable"), "{refused:?}");
    let several = act(&back, &operator(), "replay", json!({"fingerprint": large["fingerprint"], "tenant": "-"})).await;
    assert_eq!((several.status, &several.body["done"]), (200, &json!(0)), "{several:?}");
    assert!(several.body["refused"][0]["reason"].as_str().unwrap().contains("too large"), "{several:?}");
    assert_eq!(groups(&back, &operator()).await.len(), 1, "it is still there");
}

#[tokio::test]
async fn out_3_bad_requests_name_their_field_and_change_nothing() {
    let (_shop, back) = open().await;
    back.send(&event("acme", NOWHERE, "com.holdfast.order.placed")).await;
    while back.work().await {}
    let fingerprint = groups(&back, &Who::staff()).await[0]["fingerprint"].clone();
    let bad = [
        (json!({}), "fingerprint"),
        (json!({"fingerprint": fingerprint, "id": "x"}), "id"),
        (json!({"fingerprint": fingerprint, "limit": 0}), "limit"),
        (json!({"fingerprint": fingerprint, "limit": 201}), "limit"),
        (json!({"fingerprint": fingerprint, "rate": 0}), "rate"),
        (json!({"fingerprint": fingerprint, "rate": 101}), "rate"),
        (json!({"fingerprint": fingerprint, "colour": 1}), "colour"),
        (json!({"fingerprint": fingerprint, "dry_run": "yes"}), "dry_run"),
    ];
    for (body, field) in bad {
        let answer = act(&back, &Who::staff(), "replay", body.clone()).await;
        assert_eq!((answer.status, answer.fields()), (400, vec![field]), "{body}");
    }
    let rate = act(&back, &Who::staff(), "discard", json!({"fingerprint": fingerprint, "rate": 1})).await;
    assert_eq!((rate.status, rate.fields()), (400, vec!["rate"]));
    for (query, field) in [("queue=letters", "queue"), ("colour=1", "colour")] {
        let answer = ask(&back, &Who::staff(), Request::get(&format!("/ops/dead-letters?{query}"))).await;
        assert_eq!((answer.status, answer.fields()), (400, vec![field]), "{query}");
    }
    for query in ["limit=0", "limit=51", "cursor=forged"] {
        let path = format!("/ops/dead-letters/order-worker.no-such-order.order.placed?{query}");
        assert_eq!(ask(&back, &Who::staff(), Request::get(&path)).await.status, 400, "{query}");
    }
    let tenant = ask(&back, &operator(), Request::get("/ops/dead-letters?tenant=a%23b")).await;
    assert_eq!((tenant.status, tenant.fields()), (400, vec!["tenant"]));
    assert_eq!(groups(&back, &Who::staff()).await.len(), 1);
    assert!(!back.work().await, "nothing was replayed");
}
