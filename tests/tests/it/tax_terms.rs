//! Writing tax policies and rates, and carts, which are taxed when they are confirmed (ORD-7).

use crate::faults::each_call_fails;
use crate::tax::{lines, place, put, rate, shop};
use holdfast_tests::clock::TestClock;
use holdfast_tests::engine::Engine;
use holdfast_tests::requests::{Answer, Request, Who};
use holdfast_tests::shop::Shop;
use jiff::SignedDuration;
use serde_json::{Value, json};

async fn get(shop: &Shop, path: &str, who: &Who) -> Answer {
    Request::get(path).send(&shop.catalog, Some(who)).await
}

async fn reserve(shop: &Shop, key: &str) -> String {
    let body = json!({"lines": [{"product_id": "mug", "quantity": 1}, {"product_id": "book", "quantity": 2}], "ttl_seconds": 600});
    let mut reserved = Answer { status: 500, ..get(shop, "/tax", &Who::staff()).await };
    while reserved.status >= 500 {
        reserved = Request::post("/reservations", &body).key(key).send(&shop.orders, Some(&Who::customer("c-1"))).await;
    }
    assert_eq!(reserved.body["total"]["amount"], 5_997, "{reserved:?}");
    format!("/reservations/{}", reserved.body["reservation_id"].as_str().unwrap())
}

async fn confirm(shop: &Shop, cart: &str, country: &str) -> Answer {
    let order = lines(&[("mug", 1)]);
    let mut body = json!({"shipping_address": order["shipping_address"], "payment_method": order["payment_method"]});
    body["shipping_address"]["country"] = json!(country);
    Request::post(&format!("{cart}/confirm"), &body).send(&shop.orders, Some(&Who::customer("c-1"))).await
}

#[tokio::test]
async fn ord_7_rates_are_written_read_and_listed() {
    let shop = Shop::open().await;
    let staff = Who::staff();
    assert_eq!(get(&shop, "/tax", &staff).await.body, json!({"mode": "none"}));
    assert_eq!(get(&shop, "/tax/DE", &staff).await.body, json!({"rates": []}));
    assert_eq!(get(&shop, "/tax/DE/standard", &staff).await.slug(), "not-found");
    let created = put(&shop, "/tax/DE/standard", &json!({"percent": "19.50"})).await;
    let standard = json!({"country": "DE", "class": "standard", "percent": "19.5", "version": 1});
    assert_eq!((created.status, &created.body), (201, &standard));
    assert_eq!(put(&shop, "/tax/DE/books", &json!({"percent": "0"})).await.status, 201);
    let replaced = put(&shop, "/tax/DE/standard", &json!({"percent": "19"})).await;
    assert_eq!((replaced.status, &replaced.body["percent"], &replaced.body["version"]), (200, &json!("19"), &json!(2)));
    assert_eq!(put(&shop, "/tax/FR/standard", &json!({"percent": "20"})).await.status, 201);
    // Buyers may see how they are taxed, and not say it.
    let buyer = Who::customer("c-1");
    let listed = get(&shop, "/tax/DE", &buyer).await;
    let classes: Vec<_> = listed.body["rates"].as_array().unwrap().iter().map(|rate| &rate["class"]).collect();
    assert_eq!((listed.status, classes), (200, vec![&json!("books"), &json!("standard")]));
    assert_eq!(get(&shop, "/tax/DE/standard", &buyer).await.body["percent"], "19");
    for (path, body) in [("/tax", json!({"mode": "none"})), ("/tax/DE/standard", json!({"percent": "0"}))] {
        assert_eq!(Request::put(path, &body).send(&shop.catalog, Some(&buyer)).await.slug(), "forbidden");
    }
    let stranger = Who { scope: "stock".to_owned(), ..buyer };
    for path in ["/tax", "/tax/DE", "/tax/DE/standard"] {
        assert_eq!(get(&shop, path, &stranger).await.slug(), "forbidden");
    }
}

#[tokio::test]
async fn sec_1_ord_7_shops_do_not_see_each_others_taxes() {
    let shop = shop("exclusive").await;
    let other = Who::staff().of("other");
    assert_eq!(get(&shop, "/tax", &other).await.body, json!({"mode": "none"}));
    assert_eq!(get(&shop, "/tax/DE", &other).await.body, json!({"rates": []}));
    assert_eq!(get(&shop, "/tax/DE/books", &other).await.slug(), "not-found");
    let body = json!({"name": "mug", "category": "all", "price": {"amount": 1_999, "currency": "EUR"}});
    assert_eq!(Request::put("/products/mug", &body).send(&shop.catalog, Some(&other)).await.status, 201);
    let stock = Request::post("/stock/mug/receipts", &json!({"warehouse": "main", "quantity": 5})).key("r");
    assert_eq!(stock.send(&shop.inventory, Some(&other)).await.status, 201);
    // The same environment serves both, and taxes one.
    assert_eq!(place(&shop, "k", &lines(&[("mug", 1)])).await.body["tax"]["amount"], 380);
    let theirs = Request::post("/orders", &lines(&[("mug", 1)])).key("k").send(&shop.orders, Some(&other)).await;
    assert_eq!((theirs.status, theirs.body.get("tax")), (201, None), "{theirs:?}");
    let policy = Request::put("/tax", &json!({"mode": "inclusive"})).send(&shop.catalog, Some(&other)).await;
    assert_eq!(policy.status, 201);
    let elsewhere = shop.another_environment();
    let theirs = Request::post("/orders", &lines(&[("mug", 1)])).key("k-2").send(&elsewhere, Some(&other)).await;
    assert_eq!(theirs.slug(), "tax-rate-missing");
}

#[tokio::test]
async fn ord_7_bad_taxes_are_named_and_not_written() {
    let shop = Shop::open().await;
    let long = "x".repeat(300);
    for percent in ["101", "100.0001", "-1", "+1", "1.0123456789", "1e1", "1,5", "", " 1", "019", "٣", long.as_str()] {
        let answer = put(&shop, "/tax/DE/standard", &json!({"percent": percent})).await;
        assert_eq!((answer.status, answer.fields()), (400, vec!["percent"]), "{percent:?}: {answer:?}");
    }
    for body in [json!({}), json!({"percent": 19}), json!({"percent": null})] {
        assert_eq!(put(&shop, "/tax/DE/standard", &body).await.fields(), ["percent"], "{body}");
    }
    let unknown = put(&shop, "/tax/DE/standard", &json!({"percent": "1", "note": 1})).await;
    assert_eq!((unknown.status, unknown.fields()), (400, vec!["note"]));
    for mode in [json!("net"), json!("Inclusive"), json!(""), json!(1), json!(null), json!(long)] {
        let answer = put(&shop, "/tax", &json!({"mode": mode})).await;
        assert_eq!((answer.status, answer.fields()), (400, vec!["mode"]), "{mode}: {answer:?}");
    }
    let good = json!({"percent": "19"});
    for (place, fields) in [
        ("de/standard".to_owned(), vec!["country"]),
        ("DEU/standard".to_owned(), vec!["country"]),
        ("D1/standard".to_owned(), vec!["country"]),
        (format!("DE/{long}"), vec!["class"]),
        ("DE/a%07b".to_owned(), vec!["class"]),
        ("DE/a%20b".to_owned(), vec!["class"]),
        ("DE/a%23b".to_owned(), vec!["class"]),
        ("DE/b%C3%BCcher".to_owned(), vec!["class"]),
        ("x/a%07b".to_owned(), vec!["country", "class"]),
    ] {
        let path = format!("/tax/{place}");
        for answer in [put(&shop, &path, &good).await, get(&shop, &path, &Who::staff()).await] {
            assert_eq!((answer.status, answer.fields()), (400, fields.clone()), "{place}: {answer:?}");
        }
    }
    assert_eq!(get(&shop, "/tax/germany", &Who::staff()).await.fields(), ["country"]);
    for class in [json!(long), json!("a\u{7}b"), json!("a#b"), json!(""), json!("two words"), json!(7)] {
        let body =
            json!({"name": "m", "category": "all", "price": {"amount": 1, "currency": "EUR"}, "tax_class": class});
        assert_eq!(put(&shop, "/products/mug", &body).await.fields(), ["tax_class"], "{class}");
    }
    assert!(shop.engine.items().await.is_empty());
}

#[tokio::test]
async fn ord_7_a_cart_is_taxed_when_it_is_confirmed() {
    for (mode, total, tax) in [("inclusive", 5_997, 319 + 190), ("exclusive", 5_997 + 380 + 200, 580)] {
        let shop = shop(mode).await;
        let cart = reserve(&shop, "k").await;
        // The price binds; the class is that of the confirmation, wherever else it is remembered.
        shop.price("mug", 9_999).await;
        shop.offer("book", json!({"tax_class": "reduced"})).await;
        rate(&shop, "DE/reduced", "5").await;
        let confirmed = confirm(&shop, &cart, "DE").await;
        assert_eq!((confirmed.status, &confirmed.body["total"]["amount"]), (201, &json!(total)), "{confirmed:?}");
        assert_eq!((&confirmed.body["tax"]["mode"], &confirmed.body["tax"]["amount"]), (&json!(mode), &json!(tax)));
        assert_eq!(confirmed.body["lines"][1]["tax_class"], "reduced");
        let replayed = confirm(&shop, &cart, "DE").await;
        assert_eq!((replayed.status, &replayed.body), (200, &confirmed.body));
        shop.laws_hold().await;
    }
}

#[tokio::test]
async fn ord_7_a_cart_whose_rate_is_missing_stays_held() {
    let shop = shop("exclusive").await;
    let cart = reserve(&shop, "k").await;
    let refused = confirm(&shop, &cart, "FR").await;
    assert_eq!(
        (refused.status, refused.slug(), refused.fields()),
        (409, "tax-rate-missing", vec!["lines[0].product_id"])
    );
    assert_eq!((&refused.body["country"], &refused.body["class"]), (&json!("FR"), &json!("standard")));
    let held = Request::get(&cart).send(&shop.orders, Some(&Who::customer("c-1"))).await;
    assert_eq!((&held.body["state"], &held.body["total"]["amount"]), (&json!("held"), &json!(5_997)), "{held:?}");
    assert_eq!(shop.available("mug").await, 999);
    rate(&shop, "FR/standard", "20").await;
    assert_eq!(confirm(&shop, &cart, "FR").await.body["class"], "books");
    rate(&shop, "FR/books", "5.5").await;
    let confirmed = confirm(&shop, &cart, "FR").await;
    assert_eq!(
        (confirmed.status, &confirmed.body["total"]["amount"]),
        (201, &json!(5_997 + 400 + 220)),
        "{confirmed:?}"
    );
    // What is over expires, whatever is missing.
    let late = reserve(&shop, "k-2").await;
    shop.clock.advance(SignedDuration::from_secs(601));
    assert_eq!(confirm(&shop, &late, "IT").await.body["ended"], "expired");
    shop.laws_hold().await;
}

#[tokio::test]
async fn ord_7_holds_whatever_call_of_a_taxed_cart_fails() {
    each_call_fails(async |fault| {
        let shop = shop("exclusive").await;
        shop.engine.wire.count(fault);
        let cart = reserve(&shop, "k").await;
        let mut confirmed = confirm(&shop, &cart, "DE").await;
        if confirmed.status >= 500 {
            confirmed = confirm(&shop, &cart, "DE").await;
        }
        let counted = shop.engine.wire.counted();
        assert!(matches!(confirmed.status, 200 | 201), "{fault:?}: {confirmed:?}");
        assert_eq!(confirmed.body["total"]["amount"], json!(5_997 + 380 + 280), "{fault:?}");
        shop.laws_hold().await;
        counted
    })
    .await;
}

#[tokio::test]
async fn ord_7_holds_whatever_call_of_a_taxed_order_fails() {
    each_call_fails(async |fault| {
        let shop = shop("exclusive").await;
        shop.engine.wire.count(fault);
        let mut placed = place(&shop, "k", &lines(&[("mug", 1), ("book", 1)])).await;
        if placed.status >= 500 {
            placed = place(&shop, "k", &lines(&[("mug", 1), ("book", 1)])).await;
        }
        let counted = shop.engine.wire.counted();
        assert!(matches!(placed.status, 200 | 201), "{fault:?}: {placed:?}");
        assert_eq!(placed.body["total"]["amount"], json!(3_998 + 380 + 140), "{fault:?}");
        shop.laws_hold().await;
        counted
    })
    .await;
}

/// Two confirmations for two countries, both taxed before either is written: one wins with its own tax.
#[tokio::test]
async fn ord_7_two_confirmations_never_mix_their_taxes() {
    let shop = shop("exclusive").await;
    rate(&shop, "AT/standard", "20").await;
    rate(&shop, "AT/books", "10").await;
    let cart = reserve(&shop, "k").await;
    shop.engine.wire.meet("UpdateItem", 2);
    let (one, other) = tokio::join!(confirm(&shop, &cart, "DE"), confirm(&shop, &cart, "AT"));
    shop.engine.wire.meet("UpdateItem", 1);
    let (won, lost) = if one.status == 201 { (one, other) } else { (other, one) };
    assert_eq!((won.status, lost.status, lost.slug()), (201, 409, "hold-ended"), "{won:?} {lost:?}");
    let path = format!("/orders/{}", won.body["order_id"].as_str().unwrap());
    let read = Request::get(&path).send(&shop.orders, Some(&Who::customer("c-1"))).await;
    let tax: Value = if read.body["shipping_address"]["country"] == "DE" { json!(660) } else { json!(800) };
    assert_eq!((&read.body["tax"]["amount"], &read.body["total"]), (&tax, &won.body["total"]), "{read:?}");
    shop.laws_hold().await;
}

/// An order that was written before there were taxes, read and called off by a shop that has them now.
#[tokio::test]
async fn ord_7_an_order_from_before_the_taxes_has_none() {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    shop.sell("mug", 10).await;
    let placed = place(&shop, "k", &lines(&[("mug", 1)])).await;
    assert_eq!(put(&shop, "/tax", &json!({"mode": "exclusive"})).await.status, 201);
    let path = format!("/orders/{}", placed.body["order_id"].as_str().unwrap());
    let elsewhere = shop.another_environment();
    let who = Who::customer("c-1");
    let read = Request::get(&path).send(&elsewhere, Some(&who)).await;
    assert_eq!((read.status, &read.body), (200, &placed.body));
    let cancelled = Request::post(&format!("{path}/cancel"), &json!({})).send(&elsewhere, Some(&who)).await;
    assert_eq!((cancelled.status, cancelled.body.get("tax")), (200, None));
    shop.laws_hold().await;
}
