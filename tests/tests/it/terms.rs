//! Rates of currencies and the choice of warehouses, and any JSON where terms are written.

use holdfast_tests::clock::TestClock;
use holdfast_tests::engine::Engine;
use holdfast_tests::requests::{Answer, Request, Who};
use holdfast_tests::shop::Shop;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

/// A change to a good body, and the field that the answer has to name.
type Case = (fn(&mut Value), &'static str);

fn dollars(rate: &str, as_of: &str) -> Value {
    json!({"rate": rate, "source": "ECB", "as_of": as_of})
}

async fn put(shop: &Shop, path: &str, body: &Value) -> Answer {
    Request::put(path, body).send(&shop.catalog, Some(&Who::staff())).await
}

async fn read(shop: &Shop, path: &str) -> Answer {
    Request::get(path).send(&shop.catalog, Some(&Who::staff())).await
}

async fn shop_at(instant: &str) -> Shop {
    Shop::over(Engine::embedded().await, TestClock::at(instant))
}

#[tokio::test]
async fn ord_6_a_rate_is_replaced_by_later_ones_only() {
    let shop = shop_at("2026-03-29T12:00:00Z").await;
    let path = "/rates/EUR/USD";
    let created = put(&shop, path, &dollars("1.0840", "2026-03-28T16:00:00.1234+01:00")).await;
    let expected = json!({
        "from": "EUR", "to": "USD", "rate": "1.084", "source": "ECB",
        "as_of": "2026-03-28T15:00:00.123Z", "valid_until": "2026-03-29T15:00:00.123Z",
    });
    assert_eq!((created.status, &created.body), (201, &expected));
    let mut later = dollars("1.1", "2026-03-29T12:00:00Z");
    later["valid_seconds"] = json!(60);
    let replaced = put(&shop, path, &later).await;
    assert_eq!((replaced.status, &replaced.body["valid_until"]), (200, &json!("2026-03-29T12:01:00Z")));
    let outdated = put(&shop, path, &dollars("1.2", "2026-03-29T11:59:59.999Z")).await;
    assert_eq!((outdated.status, outdated.slug()), (409, "rate-outdated"));
    assert_eq!(outdated.body["as_of"], "2026-03-29T12:00:00Z");
    // The same instant again is a correction.
    assert_eq!(put(&shop, path, &dollars("1.3", "2026-03-29T12:00:00Z")).await.status, 200);
    let buyer = Request::get(path).send(&shop.catalog, Some(&Who::customer("c-1"))).await;
    assert_eq!((buyer.status, &buyer.body["rate"]), (200, &json!("1.3")));
    // The way back is a rate of its own.
    assert_eq!(read(&shop, "/rates/USD/EUR").await.slug(), "not-found");
    assert_eq!(Request::get(path).send(&shop.catalog, Some(&Who::staff().of("other"))).await.status, 404);
}

#[tokio::test]
async fn ord_6_the_latest_of_rates_written_at_the_same_time_stays() {
    let shop = shop_at("2026-03-29T12:00:00Z").await;
    let bodies: Vec<_> = (0..6).map(|n| dollars(&format!("1.{n}"), &format!("2026-03-29T0{n}:00:00Z"))).collect();
    let puts = bodies.iter().rev().map(|body| put(&shop, "/rates/EUR/USD", body));
    let answers = futures_util::future::join_all(puts).await;
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 201 | 409)), "{answers:?}");
    assert_eq!(read(&shop, "/rates/EUR/USD").await.body["rate"], "1.5");
}

#[tokio::test]
async fn ord_6_bad_rates_are_named_and_not_written() {
    let shop = shop_at("2026-03-29T12:00:00Z").await;
    let cases: [Case; 19] = [
        (|b| b["rate"] = json!("0"), "rate"),
        (|b| b["rate"] = json!("-1"), "rate"),
        (|b| b["rate"] = json!("1e3"), "rate"),
        (|b| b["rate"] = json!("1.0000000000001"), "rate"),
        (|b| b["rate"] = json!("1234567890123456789"), "rate"),
        (|b| b["rate"] = json!(1.0842), "rate"),
        (|b| drop(b.as_object_mut().unwrap().remove("rate")), "rate"),
        (|b| b["source"] = json!(""), "source"),
        (|b| b["source"] = json!("x".repeat(101)), "source"),
        (|b| b["source"] = json!("a\u{0}b"), "source"),
        (|b| b["as_of"] = json!("2026-03-29T12:00:00.001Z"), "as_of"),
        (|b| b["as_of"] = json!("1969-12-31T00:00:00Z"), "as_of"),
        (|b| b["as_of"] = json!("2026-03-29"), "as_of"),
        (|b| b["as_of"] = json!(1), "as_of"),
        (|b| b["valid_seconds"] = json!(59), "valid_seconds"),
        (|b| b["valid_seconds"] = json!(31_536_001), "valid_seconds"),
        (|b| b["valid_seconds"] = json!(i64::MIN), "valid_seconds"),
        (|b| b["valid_seconds"] = json!("60"), "valid_seconds"),
        (|b| b["note"] = json!(1), "note"),
    ];
    for (change, field) in cases {
        let mut body = dollars("1.0842", "2026-03-29T12:00:00Z");
        change(&mut body);
        let answer = put(&shop, "/rates/EUR/USD", &body).await;
        assert_eq!((answer.status, answer.fields()), (400, vec![field]), "{body}: {answer:?}");
    }
    let body = dollars("1", "2026-03-29T12:00:00Z");
    for (path, fields) in [
        ("/rates/EUR/EUR", vec!["to"]),
        ("/rates/eur/USD", vec!["from"]),
        ("/rates/EUR/XAU", vec!["to"]),
        ("/rates/X/Y", vec!["from", "to"]),
    ] {
        assert_eq!(put(&shop, path, &body).await.fields(), fields, "{path}");
    }
    assert_eq!(read(&shop, "/rates/X/Y").await.fields(), ["from", "to"]);
    let buyer = Request::put("/rates/EUR/USD", &body).send(&shop.catalog, Some(&Who::customer("c-1"))).await;
    assert_eq!(buyer.slug(), "forbidden");
    assert!(shop.engine.items().await.is_empty());
}

#[tokio::test]
async fn stk_1_a_shop_says_from_which_warehouses_it_delivers() {
    let shop = Shop::open().await;
    let before = read(&shop, "/allocation").await;
    assert_eq!((before.status, before.body), (200, json!({"strategy": "priority", "warehouses": []})));
    let policy = json!({"strategy": "nearest", "warehouses": [
        {"warehouse": "north", "country": "DE", "serves": ["DK", "PL"]},
        {"warehouse": "main", "serves": []},
    ]});
    assert_eq!(put(&shop, "/allocation", &policy).await.status, 201);
    assert_eq!(read(&shop, "/allocation").await.body, policy);
    let replaced = put(&shop, "/allocation", &json!({"strategy": "fewest-parcels"})).await;
    assert_eq!((replaced.status, &replaced.body["warehouses"]), (200, &json!([])));
    let elsewhere = Request::get("/allocation").send(&shop.catalog, Some(&Who::staff().of("other"))).await;
    assert_eq!(elsewhere.body["strategy"], "priority");
    for request in [Request::get("/allocation"), Request::put("/allocation", &policy)] {
        assert_eq!(request.send(&shop.catalog, Some(&Who::customer("c-1"))).await.slug(), "forbidden");
    }
}

#[tokio::test]
async fn stk_1_bad_policies_are_named_and_not_written() {
    let shop = Shop::open().await;
    let cases: [Case; 13] = [
        (|b| b["strategy"] = json!("cheapest"), "strategy"),
        (|b| b["strategy"] = json!(""), "strategy"),
        (|b| drop(b.as_object_mut().unwrap().remove("strategy")), "strategy"),
        (|b| b["warehouses"] = json!("main"), "warehouses"),
        (
            |b| b["warehouses"] = json!((0..51).map(|n| json!({"warehouse": n.to_string()})).collect::<Vec<_>>()),
            "warehouses",
        ),
        (|b| b["warehouses"][1]["warehouse"] = json!("a b"), "warehouses[1].warehouse"),
        (|b| b["warehouses"][1]["warehouse"] = json!("north"), "warehouses[1].warehouse"),
        (|b| b["warehouses"][1] = json!({}), "warehouses[1].warehouse"),
        (|b| b["warehouses"][0]["country"] = json!("Germany"), "warehouses[0].country"),
        (|b| b["warehouses"][0]["serves"][1] = json!("de"), "warehouses[0].serves[1]"),
        (|b| b["warehouses"][0]["serves"][1] = json!("DK"), "warehouses[0].serves[1]"),
        (|b| b["warehouses"][0]["serves"] = json!(vec!["DK"; 51]), "warehouses[0].serves"),
        (|b| b["warehouses"][0]["city"] = json!("Kiel"), "warehouses[0].city"),
    ];
    for (change, field) in cases {
        let mut body = json!({"strategy": "nearest", "warehouses": [
            {"warehouse": "north", "country": "DE", "serves": ["DK", "PL"]}, {"warehouse": "main"},
        ]});
        change(&mut body);
        let answer = put(&shop, "/allocation", &body).await;
        assert_eq!((answer.status, answer.fields()), (400, vec![field]), "{body}: {answer:?}");
    }
    assert!(shop.engine.items().await.is_empty());
}

/// Any JSON in any place of these bodies ends in an answer below 500.
#[test]
fn no_terms_make_a_handler_fail() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let shop = runtime.block_on(Shop::open());
    let money = json!({"amount": 1, "currency": "EUR"});
    let instant = json!("2026-03-29T12:00:00Z");
    let bodies = [
        (
            "/products/mug",
            json!({
                "name": "Mug", "category": "all", "price": money,
                "windows": [{"starts_at": instant, "ends_at": "2026-03-29T13:00:00Z", "price": money}],
                "purchase_limit": {"quantity": 1, "window_seconds": 60}, "tax_class": "books",
            }),
        ),
        (
            "/coupons/SPRING",
            json!({
                "amount": money, "starts_at": instant, "ends_at": "2026-03-29T13:00:00Z", "total_uses": 1,
                "uses_per_customer": 1, "minimum_total": money, "products": ["mug"], "categories": ["all"], "stripes": 1,
            }),
        ),
        ("/rates/EUR/USD", json!({"rate": "1", "source": "ECB", "as_of": instant, "valid_seconds": 60})),
        ("/tax", json!({"mode": "inclusive"})),
        ("/tax/DE/standard", json!({"percent": "19"})),
        (
            "/allocation",
            json!({"strategy": "nearest", "warehouses": [{"warehouse": "a", "country": "DE", "serves": ["FR"]}]}),
        ),
    ];
    let mut places = Vec::new();
    for (path, body) in &bodies {
        places_of(body, String::new(), &mut |place| places.push((*path, body.clone(), place)));
    }
    assert!(places.len() > 40, "{}", places.len());
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[0-9]{1,20}(\\.[0-9]{0,14})?".prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!("-009999-01-02T01:59:59Z")),
        Just(json!("9999-12-30T22:00:00.9999999Z")),
        Just(json!([])),
        Just(json!({})),
    ];
    TestRunner::default()
        .run(&(prop::sample::select(places), leaf), |((path, mut body, place), value)| {
            *body.pointer_mut(&place).unwrap() = value;
            let answer = runtime.block_on(put(&shop, path, &body));
            prop_assert!(answer.status < 500, "{path} {body}: {answer:?}");
            prop_assert!(answer.status != 400 || !answer.fields().is_empty(), "{path} {body}: {answer:?}");
            Ok(())
        })
        .unwrap();
}

/// The JSON pointers of all that a value holds, and of itself.
fn places_of(value: &Value, at: String, found: &mut impl FnMut(String)) {
    let inner: Vec<_> = match value {
        Value::Object(members) => members.iter().map(|(name, inner)| (name.clone(), inner)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(index, inner)| (index.to_string(), inner)).collect(),
        _ => Vec::new(),
    };
    for (name, inner) in inner {
        places_of(inner, format!("{at}/{name}"), found);
    }
    found(at);
}
