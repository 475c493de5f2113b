//! Writing endpoints while calls fail, and how mails are sent.

use super::{HOOKS, create, open, path, stored};
use crate::faults::each_call_fails;
use holdfast_tests::faults::Way;
use holdfast_tests::requests::{Request, Who};
use serde_json::json;

#[tokio::test]
async fn note_1_whatever_call_of_making_an_endpoint_fails_there_is_one() {
    for &way in Way::of("TransactWriteItems") {
        let (shop, room) = open().await;
        shop.engine.wire.count(Some((0, way)));
        let failed = room.ask(create("k", HOOKS)).await;
        assert!(shop.engine.wire.counted().met);
        match way {
            Way::Killed => assert_eq!(failed.status, 500, "the gateway answers"),
            _ => assert!(failed.status == 503 && !failed.header("retry-after").is_empty(), "{way:?}: {failed:?}"),
        }
        let again = room.ask(create("k", HOOKS)).await;
        assert!(matches!(again.status, 200 | 201), "{way:?}: {again:?}");
        assert_eq!(stored(&shop).await.len(), 1, "{way:?}");
        // Who lost the secret takes a new one.
        let id = again.body["endpoint_id"].as_str().unwrap();
        let rotated = room.ask(Request::post(&format!("{}/secret", path(id)), &json!({}))).await;
        assert!(rotated.status == 200 && rotated.body["secret"].is_string(), "{rotated:?}");
        // It is counted once.
        for n in 1..10 {
            assert_eq!(room.ask(create(&format!("k-{n}"), HOOKS)).await.status, 201, "{way:?}");
        }
        assert_eq!(room.ask(create("one-more", HOOKS)).await.status, 409, "{way:?}");
    }
}

#[tokio::test]
async fn note_1_whatever_call_of_a_change_or_rotation_fails_a_repeat_succeeds() {
    each_call_fails(async |fault| {
        let (shop, room) = open().await;
        let (id, first) = room.endpoint("k", HOOKS, &[]).await;
        let repeated = async |request: Request| {
            let mut answer = room.ask(request.clone()).await;
            let counted = shop.engine.wire.counted();
            if answer.status >= 500 {
                answer = room.ask(request).await;
            }
            assert_eq!(answer.status, 200, "{fault:?}: {answer:?}");
            (answer, counted)
        };
        shop.engine.wire.count(fault);
        let (rotated, counted) = repeated(Request::post(&format!("{}/secret", path(&id)), &json!({}))).await;
        assert_ne!(rotated.body["secret"], json!(first));
        let (changed, _) = repeated(Request::patch(&path(&id), &json!({"events": ["order.paid"]}))).await;
        assert_eq!(changed.body["events"], json!(["order.paid"]), "{fault:?}");
        counted
    })
    .await;
}

#[tokio::test]
async fn note_1_a_shop_says_how_its_mails_are_sent() {
    let (shop, room) = open().await;
    let put =
        |sender: &str, name: &str| Request::put("/notifications/mail", &json!({"sender": sender, "shop_name": name}));
    assert_eq!(room.ask(Request::get("/notifications/mail")).await.status, 404);
    for (sender, name, fields) in [
        ("shop", "Mugs", vec!["sender"]),
        ("a@b.example\r\nBcc: x@y.z", "Mugs", vec!["sender"]),
        ("a@b.example", "", vec!["shop_name"]),
        ("a@b.example", "a\nb", vec!["shop_name"]),
        ("", &"x".repeat(101), vec!["sender", "shop_name"]),
    ] {
        let answer = room.ask(put(sender, name)).await;
        assert_eq!((answer.status, answer.fields()), (400, fields), "{sender:?} {name:?}");
    }
    assert!(shop.engine.items().await.is_empty());
    assert_eq!(room.ask(put("orders@shop.example", "Mugs")).await.status, 201);
    assert_eq!(room.ask(put("orders@shop.example", "Mügs")).await.status, 200);
    let read = room.ask(Request::get("/notifications/mail")).await;
    assert_eq!(read.body, json!({"sender": "orders@shop.example", "shop_name": "Mügs"}));
    let other = Request::get("/notifications/mail").send(&room.webhooks, Some(&Who::staff().of("other"))).await;
    assert_eq!(other.status, 404);
    assert_eq!(room.ask(Request::delete("/notifications/mail")).await.status, 204);
    assert_eq!(room.ask(Request::get("/notifications/mail")).await.status, 404);
}
