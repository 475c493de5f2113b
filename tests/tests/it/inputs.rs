//! Bad input: a 4xx that names the field, and nothing written (ORD-3).

use holdfast_tests::requests::{Request, Who, order_of};
use holdfast_tests::shop::Shop;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

/// A change to a good order, and the field that the answer has to name.
type Case = (fn(&mut Value), &'static str);

const CASES: &[Case] = &[
    (|b| b["lines"][0]["quantity"] = json!(0), "lines[0].quantity"),
    (|b| b["lines"][0]["quantity"] = json!(-1), "lines[0].quantity"),
    (|b| b["lines"][0]["quantity"] = json!(10_001), "lines[0].quantity"),
    (|b| b["lines"][0]["quantity"] = json!(1.5), "lines[0].quantity"),
    (|b| b["lines"][0]["quantity"] = json!("1"), "lines[0].quantity"),
    (|b| b["lines"][0]["quantity"] = json!(null), "lines[0].quantity"),
    (|b| b["lines"][0]["quantity"] = json!(u64::MAX), "lines[0].quantity"),
    (|b| drop(b["lines"][0].as_object_mut().unwrap().remove("quantity")), "lines[0].quantity"),
    (|b| b["lines"][0]["product_id"] = json!(""), "lines[0].product_id"),
    (|b| b["lines"][0]["product_id"] = json!("a#b"), "lines[0].product_id"),
    (|b| b["lines"][0]["product_id"] = json!("x".repeat(65)), "lines[0].product_id"),
    (|b| b["lines"][0]["product_id"] = json!(7), "lines[0].product_id"),
    (|b| b["lines"][0]["unit_price"] = json!(-1), "lines[0].unit_price"),
    (|b| b["lines"][0]["unit_price"] = json!(i64::MAX), "lines[0].unit_price"),
    (|b| b["lines"][0]["colour"] = json!("red"), "lines[0].colour"),
    (|b| b["lines"] = json!([]), "lines"),
    (|b| b["lines"] = json!(null), "lines"),
    (|b| b["lines"] = json!({}), "lines"),
    (|b| b["lines"] = json!([null]), "lines[0]"),
    (|b| drop(b.as_object_mut().unwrap().remove("lines")), "lines"),
    (|b| b["currency"] = json!("EURO"), "currency"),
    (|b| b["currency"] = json!("XXX"), "currency"),
    (|b| drop(b.as_object_mut().unwrap().remove("currency")), "currency"),
    (|b| b["payment_method"] = json!("4242424242424242"), "payment_method"),
    (|b| b["payment_method"] = json!(""), "payment_method"),
    (|b| b["coupon"] = json!("no coupon"), "coupon"),
    (|b| b["cupon"] = json!("X"), "cupon"),
    (|b| b["shipping_address"] = json!(null), "shipping_address"),
    (|b| b["shipping_address"]["name"] = json!("a\u{0}b"), "shipping_address.name"),
    (|b| b["shipping_address"]["name"] = json!(" "), "shipping_address.name"),
    (|b| b["shipping_address"]["city"] = json!("x".repeat(201)), "shipping_address.city"),
    (|b| b["shipping_address"]["phone"] = json!("1\n2"), "shipping_address.phone"),
    (|b| b["shipping_address"]["country"] = json!("Germany"), "shipping_address.country"),
    (|b| b["shipping_address"]["planet"] = json!("Mars"), "shipping_address.planet"),
];

#[tokio::test]
async fn ord_3_a_bad_order_names_its_field_and_writes_nothing() {
    let shop = Shop::open().await;
    shop.sell("mug", 10).await;
    let before = shop.engine.items().await;
    for (index, (change, field)) in CASES.iter().enumerate() {
        let mut body = order_of("mug", 1);
        change(&mut body);
        let request = Request::post("/orders", &body).key(&format!("k-{index}"));
        let answer = request.send(&shop.orders, Some(&Who::customer("c-1"))).await;
        assert_eq!((answer.status, answer.slug()), (400, "invalid-request"), "{body}: {answer:?}");
        assert!(answer.fields().contains(field), "{body}: {:?} lacks {field}", answer.fields());
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.body["correlation_id"], answer.header("x-correlation-id"));
    }
    assert_eq!(shop.engine.items().await.len(), before.len());
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once() {
    let shop = Shop::open().await;
    let mut body = order_of("mug", 0);
    body["currency"] = json!("?");
    body["shipping_address"]["name"] = json!("");
    let answer = Request::post("/orders", &body).key("k").send(&shop.orders, Some(&Who::customer("c-1"))).await;
    let mut fields = answer.fields();
    fields.sort_unstable();
    assert_eq!(fields, ["currency", "lines[0].quantity", "shipping_address.name"]);
}

#[tokio::test]
async fn ord_3_refusals_of_the_shop_say_what_is_wrong() {
    let shop = Shop::open().await;
    shop.sell("mug", 10).await;
    let who = Who::customer("c-1");
    let unknown = shop.order(&who, "k-1", "cup", 1).await;
    assert_eq!((unknown.status, unknown.slug()), (422, "unknown-product"));
    assert_eq!(unknown.fields(), ["lines[0].product_id"]);

    let mut dollars = order_of("mug", 1);
    dollars["currency"] = json!("USD");
    let differs = Request::post("/orders", &dollars).key("k-2").send(&shop.orders, Some(&who)).await;
    assert_eq!((differs.status, differs.slug()), (409, "rate-unavailable"));
    assert_eq!((&differs.body["from"], &differs.body["to"]), (&json!("EUR"), &json!("USD")));

    let mut long = order_of("mug", 1);
    long["lines"] = json!(vec![json!({"product_id": "mug", "quantity": 1}); 5_001]);
    let too_long = Request::post("/orders", &long).key("k-3").send(&shop.orders, Some(&who)).await;
    assert_eq!((too_long.status, too_long.slug(), too_long.fields()), (422, "too-many-lines", vec!["lines"]));
    // Case counts in product ids.
    assert_eq!(shop.order(&who, "k-4", "MUG", 1).await.slug(), "unknown-product");
}

#[tokio::test]
async fn bad_headers_bodies_and_paths_are_named() {
    let shop = Shop::open().await;
    let who = Who::customer("c-1");
    let order = Request::post("/orders", &order_of("mug", 1));
    let send = async |request: Request| request.send(&shop.orders, Some(&who)).await;

    let keyless = send(order.clone()).await;
    assert_eq!(
        (keyless.status, keyless.slug(), keyless.fields()),
        (400, "idempotency-key-missing", vec!["Idempotency-Key"])
    );
    for key in ["", " ", "a b", "é", &"k".repeat(256), "\"\""] {
        let answer = send(order.clone().key(key)).await;
        assert_eq!((answer.status, answer.fields()), (400, vec!["Idempotency-Key"]), "{key:?}");
    }
    let as_array = r#"["EUR",[["mug",1]],["A","B",null,"C",null,null,"DE",null],"pm_card_visa"]"#;
    for body in ["", "nonsense", "{", "[", "\"x\"", "{}{}", "\u{0}", "[[[[[[[[", as_array] {
        let answer = send(order.clone().key("k").raw(body)).await;
        assert_eq!((answer.status, answer.slug()), (400, "invalid-request"), "{body:?}: {answer:?}");
        assert!(!answer.fields().is_empty(), "{body:?}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(send(order.clone().key("k").raw(&deep)).await.status, 400);
    let large = send(order.clone().key("k").raw(&"x".repeat(2 << 20))).await;
    assert_eq!((large.status, large.slug()), (413, "body-too-large"));
    for path in ["/orders/x", "/orders/%20", "/orders/%FF", "/orders/{6ba7b810-9dad-11d1-80b4-00c04fd430c8}"] {
        assert_eq!(send(Request::get(path)).await.status, 400, "{path}");
    }
    for (path, status) in [("/", 404), ("/nothing", 404), ("/orders/x/y", 404)] {
        let answer = send(Request::get(path)).await;
        assert_eq!((answer.status, answer.slug()), (status, "not-found"), "{path}");
    }
    let method = send(Request::put("/orders", &json!({}))).await;
    assert_eq!((method.status, method.slug()), (405, "method-not-allowed"));
    let allowed = method.header("allow");
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed:?}");
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let shop = Shop::open().await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("limit=1&limit=2", "limit"),
        ("state=PAID", "state"),
        ("from=yesterday", "from"),
        ("from=2026-02-30", "from"),
        ("from=1969-12-31", "from"),
        ("to=2026-03-29T10:00:00", "to"),
        ("from=2026-03-31&to=2026-03-30", "from"),
        ("to=2287-01-01", "to"),
        ("cursor=%00", "cursor"),
        ("fields=order_id,secret", "fields"),
        ("colour=red", "colour"),
    ] {
        let answer = Request::get(&format!("/orders?{query}")).send(&shop.orders, Some(&Who::customer("c-1"))).await;
        assert_eq!((answer.status, answer.fields()), (400, vec![field]), "{query}: {answer:?}");
    }
}

/// Paths come decoded; what ends or begins a part of a URI must not change which product is meant.
#[tokio::test]
async fn a_product_id_is_never_cut_or_decoded_twice() {
    let shop = Shop::open().await;
    let body = json!({"name": "Mug", "category": "all", "price": {"amount": 1, "currency": "EUR"}});
    for path in ["/products/mug%23blue", "/products/mug%3Fblue", "/products/mug%2520blue", "/products/mug%25"] {
        let put = Request::put(path, &body).send(&shop.catalog, Some(&Who::staff())).await;
        assert_eq!((put.status, put.fields()), (400, vec!["product_id"]), "{path}: {put:?}");
    }
    assert!(shop.engine.items().await.is_empty());
    let put = Request::put("/products/mug%20blue", &body).send(&shop.catalog, Some(&Who::staff())).await;
    assert_eq!((put.status, &put.body["product_id"]), (201, &json!("mug blue")));
}

#[tokio::test]
async fn sec_1_and_2_nobody_gets_what_is_not_theirs() {
    let shop = Shop::open().await;
    shop.sell("mug", 10).await;
    let order = shop.order(&Who::customer("c-1"), "k", "mug", 1).await;
    let path = format!("/orders/{}", order.body["order_id"].as_str().unwrap());
    let read = async |who: Option<&Who>| Request::get(&path).send(&shop.orders, who).await;

    assert_eq!(read(Some(&Who::staff())).await.status, 200);
    for stranger in [Who::customer("c-2"), Who::customer("c-1").of("other"), Who::staff().of("other")] {
        let answer = read(Some(&stranger)).await;
        assert_eq!((answer.status, answer.slug()), (404, "not-found"), "{stranger:?}");
    }
    let nobody = read(None).await;
    assert_eq!((nobody.slug(), nobody.header("www-authenticate")), ("unauthorized", "Bearer"));
    let without_right = Who { scope: "stock".to_owned(), ..Who::customer("c-1") };
    assert_eq!(read(Some(&without_right)).await.slug(), "forbidden");
    for tenant in ["", "a#b", "a b"] {
        assert_eq!(read(Some(&Who::customer("c-1").of(tenant))).await.slug(), "forbidden", "{tenant:?}");
    }
    // A tenant's order can only be placed for products of the tenant.
    let elsewhere = shop.order(&Who::customer("c-1").of("other"), "k", "mug", 1).await;
    assert_eq!(elsewhere.slug(), "unknown-product");
    let customer = Who::customer("c-1");
    let product = json!({"name": "Mug", "category": "all", "price": {"amount": 1, "currency": "EUR"}});
    let put = Request::put("/products/mug", &product).send(&shop.catalog, Some(&customer)).await;
    assert_eq!((put.status, put.slug()), (403, "forbidden"));
    let receive = Request::post("/stock/mug/receipts", &json!({"warehouse": "main", "quantity": 1})).key("k");
    assert_eq!(receive.send(&shop.inventory, Some(&customer)).await.slug(), "forbidden");
}

/// Any JSON in any place of an order's body ends in an answer below 500.
#[test]
fn ord_3_no_body_makes_a_handler_fail() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let shop = runtime.block_on(Shop::open());
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
    ];
    let places = [
        "",
        "/lines",
        "/lines/0",
        "/lines/0/quantity",
        "/lines/0/product_id",
        "/lines/0/unit_price",
        "/currency",
        "/payment_method",
        "/shipping_address",
        "/shipping_address/country",
        "/shipping_address/line2",
    ];
    let cases = (prop::sample::select(places.to_vec()), leaf, "[ -~]{0,8}");
    TestRunner::default()
        .run(&cases, |(place, value, key)| {
            let mut body = order_of("mug", 1);
            body["lines"][0]["unit_price"] = json!(1);
            body["shipping_address"]["line2"] = json!("x");
            *body.pointer_mut(place).unwrap() = value;
            let request = Request::post("/orders", &body).key(&key);
            let answer = runtime.block_on(request.send(&shop.orders, Some(&Who::customer("c-1"))));
            prop_assert!((400..500).contains(&answer.status), "{body}: {answer:?}");
            Ok(())
        })
        .unwrap();
    assert!(runtime.block_on(shop.engine.items()).is_empty());
}
