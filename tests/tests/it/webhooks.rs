//! Endpoints of webhooks over HTTP: what is taken, what is refused, and to whom it belongs.

mod failing;

use holdfast_domain::webhook::Loopback;
use holdfast_tests::clock::TestClock;
use holdfast_tests::engine::Engine;
use holdfast_tests::mailroom::Mailroom;
use holdfast_tests::requests::{Answer, Request, Who};
use holdfast_tests::shop::Shop;
use serde_json::{Value, json};
use std::time::Duration;

const HOOKS: &str = "http://127.0.0.1:9/hooks";

async fn open() -> (Shop, Mailroom) {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    let room = Mailroom::open(&shop).await;
    (shop, room)
}

/// As it is deployed: nothing on this machine is called.
async fn open_strict() -> (Shop, Mailroom) {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    let room = Mailroom::with(&shop, Loopback::Refused, Duration::from_secs(15)).await;
    room.names.set("shop.example", &["93.184.216.34", "2606:2800:220:1::1"]);
    (shop, room)
}

fn create(key: &str, url: &str) -> Request {
    Request::post("/webhooks/endpoints", &json!({"url": url, "events": ["order.paid", "order.placed"]})).key(key)
}

fn path(id: &str) -> String {
    format!("/webhooks/endpoints/{id}")
}

/// The endpoints as the table has them.
async fn stored(shop: &Shop) -> Vec<Value> {
    let items = shop.engine.items().await;
    items.into_iter().filter(|item| item["sk"]["S"].as_str().unwrap().starts_with("endpoint#")).collect()
}

#[tokio::test]
async fn note_1_an_endpoint_shows_its_secret_once() {
    let (shop, room) = open_strict().await;
    let made = room.ask(create("k-1", "https://shop.example/hooks?key=1")).await;
    assert_eq!((made.status, made.header("cache-control")), (201, "no-store"), "{made:?}");
    let secret = made.body["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
    let id = made.body["endpoint_id"].as_str().unwrap();
    assert_eq!(made.header("location"), path(id));
    assert_eq!(made.body["events"], json!(["order.placed", "order.paid"]));
    let again = room.ask(create("k-1", "https://shop.example/hooks?key=1")).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"), "{again:?}");
    let other = room.ask(create("k-1", "https://shop.example/other")).await;
    assert_eq!((other.status, other.slug()), (422, "idempotency-key-reused"));
    let read = room.ask(Request::get(&path(id))).await;
    let list = room.ask(Request::get("/webhooks/endpoints")).await;
    let changed = room.ask(Request::patch(&path(id), &json!({"events": []}))).await;
    for answer in [&again, &read, &list, &changed] {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(!answer.body.to_string().contains("whsec_"), "{answer:?}");
    }
    assert_eq!(list.body["endpoints"].as_array().unwrap().len(), 1);
    assert_eq!((&changed.body["events"], &changed.body["version"]), (&json!([]), &json!(2)));
    assert_eq!(stored(&shop).await.len(), 1);
}

#[tokio::test]
async fn note_1_bad_endpoints_are_named_and_not_written() {
    let (shop, room) = open_strict().await;
    let long = format!("https://shop.example/{}", "a".repeat(2_048));
    let many = vec!["order.placed"; 21];
    let cases = [
        (json!({}), "url"),
        (json!({"url": null}), "url"),
        (json!({"url": "shop.example"}), "url"),
        (json!({"url": "http://shop.example/"}), "url"),
        (json!({"url": "https://u:p@shop.example/"}), "url"),
        (json!({"url": "https://shop.example/#x"}), "url"),
        (json!({"url": "https://nowhere.example/"}), "url"),
        (json!({"url": long}), "url"),
        (json!({"url": "https://shop.example/", "events": ["placed"]}), "events[0]"),
        (json!({"url": "https://shop.example/", "events": ["order.paid", "order.payment_started"]}), "events[1]"),
        (json!({"url": "https://shop.example/", "events": many}), "events"),
        (json!({"url": "https://shop.example/", "events": "order.paid"}), "events"),
        (json!({"url": "https://shop.example/", "secret": "mine"}), "secret"),
    ];
    for (body, field) in cases {
        let answer = room.ask(Request::post("/webhooks/endpoints", &body).key("k")).await;
        assert_eq!((answer.status, answer.fields()), (400, vec![field]), "{body}: {answer:?}");
    }
    let keyless = room.ask(Request::post("/webhooks/endpoints", &json!({"url": "https://shop.example/"}))).await;
    assert_eq!((keyless.status, keyless.slug()), (400, "idempotency-key-missing"));
    assert!(shop.engine.items().await.is_empty());
    // The same goes for changes.
    let (id, _) = room.endpoint("k", "https://shop.example/", &[]).await;
    for (body, field) in [
        (json!({"url": "https://10.0.0.1/"}), "url"),
        (json!({"events": ["order.exploded"]}), "events[0]"),
        (json!({"enabled": 1}), "enabled"),
        (json!({"state": "x"}), "state"),
    ] {
        let answer = room.ask(Request::patch(&path(&id), &body)).await;
        assert_eq!((answer.status, answer.fields()), (400, vec![field]), "{body}: {answer:?}");
    }
    assert_eq!(room.ask(Request::get(&path(&id))).await.body["version"], 1);
}

#[tokio::test]
async fn note_1_endpoints_inside_are_refused_when_they_are_written() {
    let (shop, room) = open_strict().await;
    room.names.set("loop.example", &["127.0.0.1"]);
    room.names.set("six.example", &["::1"]);
    room.names.set("metadata.example", &["169.254.169.254"]);
    room.names.set("mixed.example", &["93.184.216.34", "10.0.0.1"]);
    room.names.set("mapped.example", &["::ffff:192.168.0.1"]);
    for host in [
        "10.0.0.1",
        "169.254.169.254",
        "localhost",
        "[::1]",
        "127.0.0.1",
        "2130706433",
        "loop.example",
        "six.example",
        "metadata.example",
        "mixed.example",
        "mapped.example",
    ] {
        let answer = room.ask(create("k", &format!("https://{host}/hooks"))).await;
        assert_eq!((answer.status, answer.fields()), (400, vec!["url"]), "{host}: {answer:?}");
    }
    assert!(shop.engine.items().await.is_empty());
    // Where it is allowed, this machine is, and nothing else.
    let (_shop, lenient) = open().await;
    lenient.names.set("loop.example", &["127.0.0.1"]);
    lenient.names.set("private.example", &["10.0.0.1"]);
    assert_eq!(lenient.ask(create("k-1", "http://localhost:9/hooks")).await.status, 201);
    assert_eq!(lenient.ask(create("k-2", "https://loop.example/hooks")).await.status, 201);
    for url in ["https://10.0.0.1/", "https://private.example/", "http://loop.example/", "http://169.254.169.254/"] {
        assert_eq!(lenient.ask(create("k", url)).await.fields(), ["url"], "{url}");
    }
}

/// Makes 12 endpoints at the same time; how many were made.
async fn twelve(room: &Mailroom) -> usize {
    let requests: Vec<_> = (0..12).map(|n| create(&format!("k-{n}"), HOOKS)).collect();
    let answers = futures_util::future::join_all(requests.into_iter().map(|request| room.ask(request))).await;
    assert!(answers.iter().all(|answer| answer.status == 201 || answer.slug() == "too-many-endpoints"), "{answers:?}");
    answers.iter().filter(|answer| answer.status == 201).count()
}

#[tokio::test]
async fn note_1_a_shop_has_at_most_ten_endpoints() {
    let (shop, room) = open().await;
    assert_eq!(twelve(&room).await, 10);
    assert_eq!(stored(&shop).await.len(), 10);
    let list = room.ask(Request::get("/webhooks/endpoints")).await;
    let id = list.body["endpoints"][0]["endpoint_id"].as_str().unwrap().to_owned();
    assert_eq!(room.ask(Request::delete(&path(&id))).await.status, 204);
    assert_eq!(room.ask(Request::delete(&path(&id))).await.status, 404);
    assert_eq!(room.ask(create("more", HOOKS)).await.status, 201);
    assert_eq!(room.ask(create("too-many", HOOKS)).await.slug(), "too-many-endpoints");
    // Another shop has its own ten.
    let other = create("k", HOOKS).send(&room.webhooks, Some(&Who::staff().of("other"))).await;
    assert_eq!(other.status, 201, "{other:?}");
}

#[tokio::test]
async fn note_1_without_the_count_a_shop_has_more() {
    let (shop, room) = open().await;
    shop.engine.wire.rewrite(|operation, request| {
        for item in
            request["TransactItems"].as_array_mut().into_iter().flatten().filter(|_| operation == "TransactWriteItems")
        {
            let Some(update) = item.get_mut("Update").and_then(Value::as_object_mut) else { continue };
            update.remove("ConditionExpression");
            update["ExpressionAttributeValues"].as_object_mut().unwrap().remove(":max");
        }
    });
    assert_eq!(twelve(&room).await, 12);
}

/// Two people change an endpoint at the same time: one has read it, and writes after the other. What it is then.
async fn changed_by_two(shop: &Shop, room: &Mailroom) -> Value {
    let (id, _) = room.endpoint("k", HOOKS, &[]).await;
    let halt = shop.engine.wire.halt("UpdateItem");
    let events = room.ask(Request::patch(&path(&id), &json!({"events": ["order.paid"]})));
    let url = async {
        halt.reached().await;
        let url = room.ask(Request::patch(&path(&id), &json!({"url": "http://127.0.0.1:9/other"}))).await;
        halt.go();
        url
    };
    let (events, url) = futures_util::future::join(events, url).await;
    assert_eq!((events.status, url.status), (200, 200), "{events:?} {url:?}");
    room.ask(Request::get(&path(&id))).await.body
}

#[tokio::test]
async fn note_1_changes_at_the_same_time_lose_nothing() {
    let (shop, room) = open().await;
    let endpoint = changed_by_two(&shop, &room).await;
    assert_eq!(endpoint["events"], json!(["order.paid"]));
    assert_eq!((&endpoint["url"], &endpoint["version"]), (&json!("http://127.0.0.1:9/other"), &json!(3)));
}

#[tokio::test]
async fn note_1_without_the_version_the_last_change_undoes_the_others() {
    let (shop, room) = open().await;
    shop.engine.wire.rewrite(|operation, request| {
        if operation == "UpdateItem" && request["ConditionExpression"] == "version = :before" {
            request.as_object_mut().unwrap().remove("ConditionExpression");
            request["ExpressionAttributeValues"].as_object_mut().unwrap().remove(":before");
        }
    });
    assert_eq!(changed_by_two(&shop, &room).await["url"], HOOKS);
}

#[tokio::test]
async fn note_1_another_shop_sees_changes_and_replays_nothing() {
    let (shop, room) = open().await;
    let (id, secret) = room.endpoint("k", HOOKS, &[]).await;
    assert_eq!(room.ask(Request::post(&format!("{}/test", path(&id)), &json!({}))).await.status, 202);
    let event = room.deliveries(&id).await[0]["event_id"].as_str().unwrap().to_owned();
    let before = shop.engine.items().await;
    let other = Who::staff().of("other");
    let requests = [
        Request::get(&path(&id)),
        Request::patch(&path(&id), &json!({"enabled": false})),
        Request::delete(&path(&id)),
        Request::post(&format!("{}/secret", path(&id)), &json!({})),
        Request::post(&format!("{}/test", path(&id)), &json!({})),
        Request::get(&format!("{}/deliveries", path(&id))),
        Request::post(&format!("{}/deliveries/{event}/replay", path(&id)), &json!({})),
    ];
    for request in &requests {
        let answer = request.send(&room.webhooks, Some(&other)).await;
        assert_eq!((answer.status, answer.slug()), (404, "not-found"), "{request:?}");
        assert!(!answer.body.to_string().contains(&secret));
    }
    let list = Request::get("/webhooks/endpoints").send(&room.webhooks, Some(&other)).await;
    assert_eq!(list.body, json!({"endpoints": []}));
    assert_eq!(shop.engine.items().await, before);
    // The same key makes another endpoint there.
    let own = create("k", HOOKS).send(&room.webhooks, Some(&other)).await;
    assert!(own.status == 201 && own.body["endpoint_id"] != json!(id), "{own:?}");
}

#[tokio::test]
async fn note_1_every_route_is_for_staff() {
    let (shop, room) = open().await;
    for (method, route) in webhooks::ROUTES {
        let route = route.replace("{endpoint_id}", "ep_1").replace("{event_id}", "msg_1");
        let request = match *method {
            "GET" => Request::get(&route),
            "PUT" => Request::put(&route, &json!({"sender": "a@b.example", "shop_name": "x"})),
            "PATCH" => Request::patch(&route, &json!({})),
            "DELETE" => Request::delete(&route),
            _ => Request::post(&route, &json!({"url": HOOKS})).key("k"),
        };
        let answer = request.send(&room.webhooks, Some(&Who::customer("c-1"))).await;
        assert_eq!((answer.status, answer.slug()), (403, "forbidden"), "{method} {route}");
        assert_eq!(request.send(&room.webhooks, None).await.status, 401, "{method} {route}");
        // Without an endpoint there is nothing to see or to do.
        if route.contains("ep_1") {
            assert_eq!(room.ask(request).await.status, 404, "{method} {route}");
        }
    }
    assert!(shop.engine.items().await.is_empty());
}

#[tokio::test]
async fn note_1_the_log_of_deliveries_has_pages_and_filters() {
    let (shop, room) = open().await;
    let (id, _) = room.endpoint("k", HOOKS, &[]).await;
    for _ in 0..5 {
        assert_eq!(room.ask(Request::post(&format!("{}/test", path(&id)), &json!({}))).await.status, 202);
        shop.clock.advance(jiff::SignedDuration::from_secs(1));
    }
    let page = async |query: &str| room.ask(Request::get(&format!("{}/deliveries?{query}", path(&id)))).await;
    let ids = |answer: &Answer| -> Vec<String> {
        let deliveries = answer.body["deliveries"].as_array().unwrap().iter();
        deliveries.map(|delivery| delivery["event_id"].as_str().unwrap().to_owned()).collect()
    };
    let all = ids(&page("").await);
    assert_eq!(all.len(), 5);
    assert!(all.is_sorted_by(|a, b| a > b), "{all:?}");
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = page(&format!("limit=2{cursor}")).await;
        paged.extend(ids(&answer));
        let Some(next) = answer.body["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, all);
    assert_eq!(ids(&page("state=pending").await).len(), 5);
    assert!(ids(&page("state=delivered").await).is_empty());
    let foreign = page("limit=2").await.body["next_cursor"].as_str().unwrap().to_owned();
    let long = "x".repeat(300);
    for (query, field) in [
        ("state=open", "state"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("cursor=x", "cursor"),
        ("page=2", "page"),
        (&format!("state=failed&cursor={foreign}"), "cursor"),
        (&format!("cursor={long}"), "cursor"),
    ] {
        let answer = page(query).await;
        assert_eq!((answer.status, answer.fields()), (400, vec![field]), "{query}");
    }
}
