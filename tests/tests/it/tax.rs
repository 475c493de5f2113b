//! Taxes: what is counted when an order is placed, and that it stays (ORD-7).

use holdfast_tests::clock::TestClock;
use holdfast_tests::engine::Engine;
use holdfast_tests::requests::{Answer, Request, Who, order_of};
use holdfast_tests::shop::Shop;
use serde_json::{Value, json};

pub(crate) async fn put(shop: &Shop, path: &str, body: &Value) -> Answer {
    Request::put(path, body).send(&shop.catalog, Some(&Who::staff())).await
}

pub(crate) async fn rate(shop: &Shop, place: &str, percent: &str) {
    let answer = put(shop, &format!("/tax/{place}"), &json!({"percent": percent})).await;
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
}

/// A shop of mugs (standard) and books at 19.99 EUR, taxed in Germany at 19 and 7 percent.
pub(crate) async fn shop(mode: &str) -> Shop {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    shop.sell("mug", 1_000).await;
    shop.offer("book", json!({"tax_class": "books"})).await;
    shop.receive("book", 1_000, "initial-book").await;
    assert_eq!(put(&shop, "/tax", &json!({"mode": mode})).await.status, 201);
    rate(&shop, "DE/standard", "19").await;
    rate(&shop, "DE/books", "7").await;
    shop
}

pub(crate) fn lines(of: &[(&str, i64)]) -> Value {
    let mut body = order_of("mug", 1);
    body["lines"] = of.iter().map(|(id, quantity)| json!({"product_id": id, "quantity": quantity})).collect();
    body
}

pub(crate) async fn place(shop: &Shop, key: &str, body: &Value) -> Answer {
    Request::post("/orders", body).key(key).send(&shop.orders, Some(&Who::customer("c-1"))).await
}

async fn read(shop: &Shop, order: &Answer) -> Answer {
    let path = format!("/orders/{}", order.body["order_id"].as_str().unwrap_or_else(|| panic!("{order:?}")));
    Request::get(&path).send(&shop.orders, Some(&Who::customer("c-1"))).await
}

fn taxes(order: &Answer) -> Vec<i64> {
    order.body["lines"].as_array().unwrap().iter().map(|line| line["tax"].as_i64().unwrap_or(0)).collect()
}

/// What is owed for the lines, as the answer tells it.
fn owed(order: &Answer) -> i64 {
    let beside = order.body["tax"]["mode"] == "exclusive";
    let number = |line: &Value, name: &str| line[name].as_i64().unwrap_or(0);
    let of =
        |line: &Value| number(line, "total") - number(line, "discount") + if beside { number(line, "tax") } else { 0 };
    order.body["lines"].as_array().unwrap().iter().map(of).sum()
}

#[tokio::test]
async fn ord_7_tax_is_in_the_price_or_beside_it() {
    for (mode, total, each) in [("inclusive", 5_997, vec![638, 131]), ("exclusive", 5_997 + 760 + 140, vec![760, 140])]
    {
        let shop = shop(mode).await;
        let placed = place(&shop, "k", &lines(&[("mug", 2), ("book", 1)])).await;
        assert_eq!((placed.status, &placed.body["total"]["amount"]), (201, &json!(total)), "{placed:?}");
        assert_eq!((taxes(&placed), owed(&placed)), (each.clone(), total));
        let rates = json!([{"class": "books", "percent": "7"}, {"class": "standard", "percent": "19"}]);
        let tax = json!({"mode": mode, "amount": each.iter().sum::<i64>(), "rates": rates});
        assert_eq!(placed.body["tax"], tax);
        assert_eq!(placed.body["lines"][1]["tax_class"], "books");
        // A retry, a look and a list tell the same.
        for same in [place(&shop, "k", &lines(&[("mug", 2), ("book", 1)])).await, read(&shop, &placed).await] {
            assert_eq!((same.status, &same.body["tax"], &same.body["lines"]), (200, &tax, &placed.body["lines"]));
        }
        let listed = Request::get("/orders?fields=tax").send(&shop.orders, Some(&Who::customer("c-1"))).await;
        assert_eq!(listed.body["orders"], json!([{"tax": tax}]));
        shop.laws_hold().await;
    }
}

/// Without a policy nothing is counted, and items are as they were before there were taxes.
#[tokio::test]
async fn ord_7_a_shop_without_a_policy_has_no_tax() {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    shop.sell("mug", 10).await;
    rate(&shop, "DE/standard", "19").await;
    let placed = place(&shop, "k", &order_of("mug", 1)).await;
    assert_eq!((placed.status, &placed.body["total"]["amount"]), (201, &json!(1_999)));
    assert!(placed.body.get("tax").is_none() && placed.body["lines"][0].get("tax").is_none(), "{placed:?}");
    let items = shop.engine.items().await;
    let item = |sk: &str| items.iter().find(|item| item["sk"]["S"] == sk).unwrap();
    assert!(item("order").get("tax").is_none() && item("order")["lines"]["L"][0]["M"].get("tax").is_none());
    assert!(item("product").get("tax_class").is_none());
    let mug = Request::get("/products/mug").send(&shop.catalog, Some(&Who::staff())).await;
    assert_eq!(mug.body["tax_class"], "standard");
}

#[tokio::test]
async fn ord_7_a_missing_rate_refuses_the_order_and_zero_is_a_rate() {
    let shop = shop("exclusive").await;
    // What is known of a country is remembered; what refuses is not.
    assert_eq!(place(&shop, "warm", &lines(&[("mug", 1)])).await.status, 201);
    shop.sell("game", 10).await;
    shop.offer("game", json!({"tax_class": "games"})).await;
    let (before, order) = (shop.engine.items().await.len(), lines(&[("mug", 1), ("game", 1)]));
    let refused = place(&shop, "k", &order).await;
    assert_eq!(
        (refused.status, refused.slug(), refused.fields()),
        (409, "tax-rate-missing", vec!["lines[1].product_id"])
    );
    assert_eq!((&refused.body["country"], &refused.body["class"]), (&json!("DE"), &json!("games")));
    let mut abroad = lines(&[("mug", 1)]);
    abroad["shipping_address"]["country"] = json!("FR");
    let refused = place(&shop, "k-2", &abroad).await;
    assert_eq!(
        (refused.slug(), &refused.body["country"], &refused.body["class"]),
        ("tax-rate-missing", &json!("FR"), &json!("standard"))
    );
    assert_eq!((shop.engine.items().await.len(), shop.available("mug").await), (before, 999));
    rate(&shop, "DE/games", "0").await;
    let placed = place(&shop, "k", &order).await;
    assert_eq!((placed.status, taxes(&placed)), (201, vec![380, 0]), "{placed:?}");
    assert_eq!(placed.body["tax"]["rates"][0], json!({"class": "games", "percent": "0"}));
    // A retry finds its order, also when the rate was lost since.
    shop.offer("game", json!({"tax_class": "unheard-of"})).await;
    assert_eq!(place(&shop, "k", &order).await.status, 200);
    assert_eq!(place(&shop, "k-3", &order).await.slug(), "tax-rate-missing");
    shop.laws_hold().await;
}

#[tokio::test]
async fn ord_7_a_placed_order_keeps_its_tax() {
    let shop = shop("exclusive").await;
    let first = place(&shop, "k-1", &lines(&[("mug", 1)])).await;
    assert_eq!((first.status, &first.body["total"]["amount"]), (201, &json!(2_379)));
    rate(&shop, "DE/standard", "16").await;
    shop.offer("mug", json!({"tax_class": "reduced"})).await;
    rate(&shop, "DE/reduced", "5.5").await;
    assert_eq!(put(&shop, "/tax", &json!({"mode": "inclusive"})).await.status, 200);
    let later = read(&shop, &first).await;
    assert_eq!((&later.body["total"], &later.body["tax"]), (&first.body["total"], &first.body["tax"]));
    // An environment that remembers nothing goes by the new rate, class and mode.
    let who = Who::customer("c-1");
    let elsewhere = shop.another_environment();
    let order = Request::post("/orders", &lines(&[("mug", 1)])).key("k-2").send(&elsewhere, Some(&who)).await;
    assert_eq!(
        order.body["tax"],
        json!({"mode": "inclusive", "amount": 104, "rates": [{"class": "reduced", "percent": "5.5"}]})
    );
    // Without a policy, nothing is counted any more.
    assert_eq!(put(&shop, "/tax", &json!({"mode": "none"})).await.body, json!({"mode": "none"}));
    let elsewhere = shop.another_environment();
    let order = Request::post("/orders", &lines(&[("mug", 1)])).key("k-3").send(&elsewhere, Some(&who)).await;
    assert_eq!((order.status, order.body.get("tax")), (201, None));
    shop.laws_hold().await;
}

/// A new class holds when its answer is there, as a price does: stripes refuse what was counted by the old one.
#[tokio::test]
async fn ord_7_a_new_class_holds_at_once_where_the_old_one_is_remembered() {
    let shop = shop("exclusive").await;
    assert_eq!(taxes(&place(&shop, "k-1", &lines(&[("mug", 1)])).await), [380]);
    shop.offer("mug", json!({"tax_class": "books"})).await;
    assert_eq!(taxes(&place(&shop, "k-2", &lines(&[("mug", 1)])).await), [140]);
}

#[tokio::test]
async fn ord_7_a_coupon_is_taken_off_before_tax() {
    let shop = shop("exclusive").await;
    let coupon = json!({"percent": "50", "total_uses": 10, "categories": ["all"]});
    assert_eq!(put(&shop, "/coupons/HALF", &coupon).await.status, 201);
    shop.price("gift", 0).await;
    shop.receive("gift", 10, "gift").await;
    let mut body = lines(&[("mug", 1), ("book", 1), ("gift", 1)]);
    body["coupon"] = json!("HALF");
    let placed = place(&shop, "k", &body).await;
    // Half of 39.98 is dealt as 10.00 and 9.99, since an earlier line comes first.
    let left: Vec<_> = placed.body["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l["total"].as_i64().unwrap() - l["discount"].as_i64().unwrap_or(0))
        .collect();
    assert_eq!(left.iter().sum::<i64>(), 1_999, "{placed:?}");
    let half_up = |amount: i64, percent: i64| (amount * percent + 50) / 100;
    assert_eq!(taxes(&placed), [half_up(left[0], 19), half_up(left[1], 7), 0]);
    assert_eq!(placed.body["total"]["amount"], json!(owed(&placed)));
    shop.laws_hold().await;
}

/// What is priced in another currency is converted first, and then taxed.
#[tokio::test]
async fn ord_7_a_converted_price_is_taxed_in_the_currency_of_the_order() {
    let shop = shop("exclusive").await;
    shop.offer("import", json!({"price": {"amount": 1_000, "currency": "USD"}})).await;
    shop.receive("import", 10, "import").await;
    let at = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(60);
    let dollars = json!({"rate": "0.9", "source": "ECB", "as_of": at.to_string()});
    assert_eq!(put(&shop, "/rates/USD/EUR", &dollars).await.status, 201);
    let placed = place(&shop, "k", &lines(&[("import", 3)])).await;
    assert_eq!(
        (placed.status, taxes(&placed), &placed.body["total"]),
        (201, vec![513], &json!({"amount": 3_213, "currency": "EUR"})),
        "{placed:?}"
    );
    shop.laws_hold().await;
}

#[tokio::test]
async fn ord_7_a_large_order_keeps_the_tax_of_its_lines_in_parts() {
    let shop = shop("exclusive").await;
    let of: Vec<_> = (0..1_000).map(|n| (if n % 4 == 0 { "book" } else { "mug" }, 1)).collect();
    let placed = place(&shop, "k", &lines(&of)).await;
    assert_eq!(
        (placed.status, &placed.body["tax"]["amount"]),
        (201, &json!(750 * 380 + 250 * 140)),
        "{}",
        placed.slug()
    );
    assert_eq!(taxes(&placed)[..5], [140, 380, 380, 380, 140]);
    assert_eq!(placed.body["total"]["amount"], json!(owed(&placed)));
    assert_eq!(placed.body["total"]["amount"], json!(1_999_000 + 320_000));
    let read = read(&shop, &placed).await;
    assert_eq!((&read.body["lines"], &read.body["tax"]), (&placed.body["lines"], &placed.body["tax"]));
    let header = shop.engine.items().await;
    let header = header.iter().find(|item| item["sk"]["S"] == "order").unwrap();
    assert_eq!(
        (header["lines"]["L"].as_array().map(Vec::len), &header["tax"]["M"]["amount"]["N"]),
        (Some(0), &json!("320000"))
    );
    shop.laws_hold().await;
    // A rate that is missing leaves nothing behind.
    let before = shop.engine.items().await.len();
    shop.offer("book", json!({"tax_class": "unheard-of"})).await;
    let (elsewhere, who) = (shop.another_environment(), Who::customer("c-1"));
    let refused = Request::post("/orders", &lines(&of)).key("k-2").send(&elsewhere, Some(&who)).await;
    assert_eq!(refused.slug(), "tax-rate-missing");
    assert_eq!(shop.engine.items().await.len(), before);
}

#[tokio::test]
async fn the_warm_path_of_a_taxed_order_is_one_round_trip() {
    let shop = shop("exclusive").await;
    let calls = async |key: &str| {
        shop.engine.wire.count(None);
        let answer = place(&shop, key, &order_of("mug", 1)).await;
        (answer.status, shop.engine.wire.counted().calls.len())
    };
    assert_eq!(calls("cold").await, (201, 5), "product, warehouses, the rules of the shop, tax rates, transaction");
    assert_eq!(calls("warm").await, (201, 1));
    assert_eq!(calls("warm").await, (200, 1), "a replay");
}
