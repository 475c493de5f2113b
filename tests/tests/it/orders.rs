//! Placing, reading and cancelling orders, on both engines.

use holdfast_tests::clock::TestClock;
use holdfast_tests::engine::{Engine, EngineKind};
use holdfast_tests::requests::{Request, Who, order_of};
use holdfast_tests::shop::Shop;
use jiff::SignedDuration;
use serde_json::json;

/// Runs each test of this file against the embedded engine and against the second opinion.
macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {
        mod dynoxide { $(#[tokio::test] async fn $name() {
            super::$name(super::shop(super::EngineKind::Dynoxide).await).await;
        })* }
        mod ministack { $(#[tokio::test] async fn $name() {
            super::$name(super::shop(super::EngineKind::Ministack).await).await;
        })* }
    };
}

on_both_engines!(
    ord_1_a_retry_gets_the_first_order,
    ord_1_a_hundred_retries_make_one_order,
    ord_1_a_key_with_another_body_is_refused,
    ord_1_a_retry_finds_its_order_whatever_changed_since,
    ord_2_fifteen_buyers_of_ten_units_make_ten_orders,
    ord_2_the_last_unit_goes_to_one_buyer,
    ord_2_a_shortage_is_told_with_what_is_left,
    ord_5_free_and_dear_lines_have_exact_totals,
    ord_7_a_changed_price_is_refused_or_paid_as_shown,
    ord_8_a_cancelled_order_gives_its_stock_back_once,
    ord_11_an_address_survives_unchanged,
    the_same_product_on_two_lines_is_one_claim,
);

async fn shop(kind: EngineKind) -> Shop {
    Shop::over(Engine::start(kind).await, TestClock::present())
}

async fn ord_1_a_retry_gets_the_first_order(shop: Shop) {
    shop.sell("mug", 10).await;
    let who = Who::customer("c-1");
    let first = shop.order(&who, "k-1", "mug", 2).await;
    assert_eq!(first.status, 201, "{first:?}");
    let id = first.body["order_id"].as_str().unwrap();
    assert_eq!(first.header("location"), format!("/orders/{id}"));
    assert_eq!(first.body["total"], json!({"amount": 3998, "currency": "EUR"}));
    assert_eq!(first.body["state"], "placed");

    let again = shop.order(&who, "k-1", "mug", 2).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"));
    assert_eq!(again.body, first.body);
    // The quoted form of the header's draft is the same key.
    assert_eq!(shop.order(&who, "\"k-1\"", "mug", 2).await.body["order_id"], id);
    // Keys belong to their customer and tenant.
    assert_eq!(shop.order(&Who::customer("c-2"), "k-1", "mug", 2).await.status, 201);
    assert_eq!(shop.available("mug").await, 6);
    shop.laws_hold().await;
}

async fn ord_1_a_hundred_retries_make_one_order(shop: Shop) {
    shop.sell("mug", 200).await;
    let who = Who::customer("c-1");
    let answers = futures_util::future::join_all((0..100).map(|_| shop.order(&who, "k-1", "mug", 1))).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    let replayed = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((created, replayed), (1, 99));
    assert!(answers.iter().all(|answer| answer.body["order_id"] == answers[0].body["order_id"]));
    assert_eq!(shop.available("mug").await, 199);
    shop.laws_hold().await;
}

async fn ord_1_a_key_with_another_body_is_refused(shop: Shop) {
    shop.sell("mug", 10).await;
    let who = Who::customer("c-1");
    assert_eq!(shop.order(&who, "k-1", "mug", 1).await.status, 201);
    let other = shop.order(&who, "k-1", "mug", 2).await;
    assert_eq!((other.status, other.slug()), (422, "idempotency-key-reused"));
    // A refusal on the way to the first look at the order changes nothing of that.
    let sold_out = shop.order(&who, "k-1", "mug", 5_000).await;
    assert_eq!((sold_out.status, sold_out.slug()), (422, "idempotency-key-reused"));
    assert_eq!(shop.available("mug").await, 9);
}

async fn ord_1_a_retry_finds_its_order_whatever_changed_since(shop: Shop) {
    shop.sell("mug", 1).await;
    let who = Who::customer("c-1");
    let body = {
        let mut body = order_of("mug", 1);
        body["lines"][0]["unit_price"] = json!(1999);
        body
    };
    let request = Request::post("/orders", &body).key("k-1");
    let first = request.send(&shop.orders, Some(&who)).await;
    assert_eq!(first.status, 201, "{first:?}");
    // Sold out.
    let again = request.send(&shop.orders, Some(&who)).await;
    assert_eq!((again.status, &again.body["order_id"]), (200, &first.body["order_id"]));
    // The price changed, and another environment has never heard of the order.
    shop.price("mug", 2999).await;
    for environment in [&shop.orders, &shop.another_environment()] {
        let again = request.send(environment, Some(&who)).await;
        assert_eq!((again.status, &again.body["order_id"]), (200, &first.body["order_id"]), "{again:?}");
        assert_eq!(again.body["total"]["amount"], 1999);
    }
    shop.laws_hold().await;
}

async fn ord_2_fifteen_buyers_of_ten_units_make_ten_orders(shop: Shop) {
    shop.sell("mug", 10).await;
    let buyers: Vec<_> = (0..15).map(|n| Who::customer(&format!("c-{n}"))).collect();
    let answers = futures_util::future::join_all(buyers.iter().map(|who| shop.order(who, "k", "mug", 1))).await;
    let placed = answers.iter().filter(|answer| answer.status == 201).count();
    let sold_out = answers.iter().filter(|answer| answer.slug() == "out-of-stock").count();
    assert_eq!((placed, sold_out), (10, 5));
    assert_eq!(shop.available("mug").await, 0);
    shop.laws_hold().await;
}

async fn ord_2_the_last_unit_goes_to_one_buyer(shop: Shop) {
    shop.sell("mug", 1).await;
    let (one, other) = (Who::customer("c-1"), Who::customer("c-2"));
    let (one, other) = tokio::join!(shop.order(&one, "k", "mug", 1), shop.order(&other, "k", "mug", 1));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    shop.laws_hold().await;
}

async fn ord_2_a_shortage_is_told_with_what_is_left(shop: Shop) {
    shop.sell("mug", 3).await;
    let who = Who::customer("c-1");
    let refused = shop.order(&who, "k-1", "mug", 4).await;
    assert_eq!((refused.status, refused.slug()), (409, "out-of-stock"));
    assert_eq!((&refused.body["product_id"], &refused.body["available"]), (&json!("mug"), &json!(3)));
    // A refusal is not recorded: the same key may succeed later, once the second is over for which it is remembered.
    shop.receive("mug", 1, "more").await;
    shop.clock.advance(SignedDuration::from_secs(1));
    assert_eq!(shop.order(&who, "k-1", "mug", 4).await.status, 201);
    // A product that lies nowhere is out of stock, too.
    shop.sell("cup", 0).await;
    assert_eq!(shop.order(&who, "k-2", "cup", 1).await.body["available"], 0);
    shop.laws_hold().await;
}

async fn ord_5_free_and_dear_lines_have_exact_totals(shop: Shop) {
    for (product, price) in [("sample", 0), ("dear", 9_007_199_254_740_991_i64)] {
        shop.price(product, price).await;
        shop.receive(product, 10, "k").await;
    }
    let who = Who::customer("c-1");
    let free = shop.order(&who, "k-1", "sample", 3).await;
    assert_eq!((free.status, &free.body["total"]["amount"]), (201, &json!(0)));
    let dear = shop.order(&who, "k-2", "dear", 1).await;
    assert_eq!((dear.status, &dear.body["total"]["amount"]), (201, &json!(9_007_199_254_740_991_i64)));
    let dearer = shop.order(&who, "k-3", "dear", 2).await;
    assert_eq!((dearer.status, dearer.fields()), (400, vec!["lines"]));
    shop.laws_hold().await;
}

async fn ord_7_a_changed_price_is_refused_or_paid_as_shown(shop: Shop) {
    shop.sell("mug", 10).await;
    let who = Who::customer("c-1");
    let order_at = async |key: &str, shown: Option<i64>| {
        let mut body = order_of("mug", 1);
        if let Some(shown) = shown {
            body["lines"][0]["unit_price"] = json!(shown);
        }
        Request::post("/orders", &body).key(key).send(&shop.orders, Some(&who)).await
    };
    // This environment remembers the price from here on.
    assert_eq!(order_at("k-1", Some(1999)).await.status, 201);
    shop.price("mug", 2499).await;
    let refused = order_at("k-2", Some(1999)).await;
    assert_eq!((refused.status, refused.slug()), (409, "price-changed"));
    assert_eq!(refused.body["prices"][0]["price"], json!({"amount": 2499, "currency": "EUR"}));
    assert_eq!(refused.fields(), ["lines[0].unit_price"]);
    assert_eq!(order_at("k-3", Some(2499)).await.body["total"]["amount"], 2499);

    shop.price("mug", 1499).await;
    // A buyer who saw no price pays the one that holds now, not the one remembered.
    assert_eq!(order_at("k-4", None).await.body["total"]["amount"], 1499);
    shop.laws_hold().await;
}

async fn ord_8_a_cancelled_order_gives_its_stock_back_once(shop: Shop) {
    shop.sell("mug", 5).await;
    let who = Who::customer("c-1");
    let order = shop.order(&who, "k-1", "mug", 2).await;
    let path = format!("/orders/{}/cancel", order.body["order_id"].as_str().unwrap());
    let cancel = Request::post(&path, &json!({"reason": "changed my mind"}));
    let cancels = futures_util::future::join_all((0..5).map(|_| cancel.send(&shop.orders, Some(&who)))).await;
    for answer in &cancels {
        assert_eq!((answer.status, &answer.body["state"]), (200, &json!("cancelled")), "{answer:?}");
        assert_eq!(answer.body["history"].as_array().unwrap().len(), 2);
        assert_eq!(answer.body["history"][1]["why"], "changed my mind");
    }
    assert_eq!(shop.available("mug").await, 5);
    // A retry of the placing gets the order as it is now.
    assert_eq!(shop.order(&who, "k-1", "mug", 2).await.body["state"], "cancelled");
    // Without a body it works as well, and somebody else's order does not exist.
    assert_eq!(Request::get(&path).send(&shop.orders, Some(&who)).await.status, 405);
    let theirs = cancel.send(&shop.orders, Some(&Who::customer("c-2"))).await;
    assert_eq!((theirs.status, theirs.slug()), (404, "not-found"));
    shop.laws_hold().await;
}

async fn ord_11_an_address_survives_unchanged(shop: Shop) {
    shop.sell("mug", 1).await;
    let mut body = order_of("mug", 1);
    let address = json!({
        "name": "Ngũgĩ wa Thiong'o 李小龍 محمد 🎈", "line1": "Ὁδός Ἀθηνᾶς 1", "line2": "न\u{200D}ी", "city": "東京都",
        "region": "e\u{301}", "postal_code": "１００", "country": "JP", "phone": "+81 3-1234-5678",
    });
    body["shipping_address"] = address.clone();
    let who = Who::customer("c-1");
    let order = Request::post("/orders", &body).key("k").send(&shop.orders, Some(&who)).await;
    let path = format!("/orders/{}", order.body["order_id"].as_str().unwrap());
    let read = Request::get(&path).send(&shop.orders, Some(&who)).await;
    assert_eq!(read.body["shipping_address"], address);
    assert_eq!(read.header("etag"), "\"1\"");
    let known = Request::get(&path).header("if-none-match", "W/\"1\"").send(&shop.orders, Some(&who)).await;
    assert_eq!(known.status, 304);
}

async fn the_same_product_on_two_lines_is_one_claim(shop: Shop) {
    shop.sell("mug", 5).await;
    let mut body = order_of("mug", 2);
    body["lines"].as_array_mut().unwrap().push(json!({"product_id": "mug", "quantity": 3}));
    let order = Request::post("/orders", &body).key("k").send(&shop.orders, Some(&Who::customer("c-1"))).await;
    assert_eq!(order.status, 201, "{order:?}");
    assert_eq!(order.body["lines"][1]["from"], json!([{"warehouse": "main", "quantity": 3}]));
    assert_eq!(shop.available("mug").await, 0);
    shop.laws_hold().await;
}
