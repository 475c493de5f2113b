//! Writing and reading coupons, and what becomes of their uses.

use crate::faults::each_call_fails;
use holdfast_tests::requests::{Answer, Request, Who};
use holdfast_tests::shop::Shop;
use serde_json::{Value, json};

/// A change to a good coupon, and the field that the answer has to name.
type Case = (fn(&mut Value), &'static str);

fn spring(total_uses: i64) -> Value {
    json!({"percent": "12.5", "total_uses": total_uses})
}

async fn put(shop: &Shop, body: &Value) -> Answer {
    Request::put("/coupons/SPRING", body).send(&shop.catalog, Some(&Who::staff())).await
}

async fn read(shop: &Shop) -> Value {
    Request::get("/coupons/SPRING").send(&shop.catalog, Some(&Who::staff())).await.body
}

fn n(item: &Value, name: &str) -> i64 {
    item[name]["N"].as_str().unwrap_or_else(|| panic!("{name} of {item}")).parse().unwrap()
}

/// The coupon's raw items.
struct Raw {
    coupon: Value,
    pool: Value,
    stripes: Vec<Value>,
}

impl Raw {
    async fn of(shop: &Shop) -> Self {
        let items = shop.engine.items().await;
        let one = |sk: &str| {
            let found = |item: &&Value| item["pk"]["S"] == "acme#coupon#SPRING" && item["sk"]["S"] == sk;
            items.iter().find(found).unwrap_or_else(|| panic!("no {sk} in {items:?}")).clone()
        };
        let of_pool = |item: &&Value| item["pk"]["S"].as_str().unwrap().starts_with("acme#pool#coupon#SPRING#");
        let mut stripes: Vec<_> = items.iter().filter(of_pool).cloned().collect();
        stripes.sort_by_key(|item| item["pk"]["S"].as_str().unwrap().to_owned());
        Self { coupon: one("coupon"), pool: one("pool"), stripes }
    }

    fn available(&self) -> Vec<i64> {
        self.stripes.iter().map(|item| n(item, "available")).collect()
    }

    /// What the coupon was given is what its stripes have and what was used, and no stripe takes earlier terms.
    fn breach(&self, used: i64) -> Option<String> {
        let (total, received) = (n(&self.coupon, "total_uses"), n(&self.pool, "received"));
        let available: i64 = self.available().iter().sum();
        let terms: Vec<_> = self.stripes.iter().map(|item| n(item, "price_version")).collect();
        let version = n(&self.coupon, "version");
        let holds = total == received
            && received == available + used
            && n(&self.pool, "stripes") == self.stripes.len() as i64
            && terms.iter().all(|terms| *terms == version);
        (!holds).then(|| format!("total {total}, received {received}, available {available}, used {used}, version {version}, terms {terms:?}"))
    }
}

/// Takes uses as claims of orders do, past the code under test.
async fn used(shop: &Shop, stripe: u16, uses: i64) {
    let request = json!({
        "TableName": shop.engine.table,
        "Key": {"pk": {"S": format!("acme#pool#coupon#SPRING#{stripe}")}, "sk": {"S": "stripe"}},
        "UpdateExpression": "SET available = available - :uses",
        "ConditionExpression": "available >= :uses",
        "ExpressionAttributeValues": {":uses": {"N": uses.to_string()}},
    });
    shop.engine.dynamodb().call("UpdateItem", &request).await.unwrap();
}

#[tokio::test]
async fn ord_14_a_coupon_is_created_replaced_and_read() {
    let shop = Shop::open().await;
    let body = json!({
        "amount": {"amount": 500, "currency": "EUR"}, "starts_at": "2026-03-01T00:00:00+01:00",
        "ends_at": "2026-03-31T22:00:00.1234Z", "total_uses": 10, "uses_per_customer": 1,
        "minimum_total": {"amount": 2000, "currency": "EUR"}, "products": ["mug blue"], "categories": ["kitchen"],
        "stripes": 3,
    });
    let created = put(&shop, &body).await;
    let mut expected = body.clone();
    for (name, value) in [
        ("starts_at", json!("2026-02-28T23:00:00Z")),
        ("ends_at", json!("2026-03-31T22:00:00.123Z")),
        ("code", json!("SPRING")),
        ("remaining", json!(10)),
        ("version", json!(1)),
    ] {
        expected[name] = value;
    }
    expected.as_object_mut().unwrap().remove("stripes");
    assert_eq!((created.status, created.header("etag"), &created.body), (201, "\"1\"", &expected));
    assert_eq!(read(&shop).await, expected);
    let raw = Raw::of(&shop).await;
    assert_eq!((raw.available(), raw.breach(0)), (vec![4, 3, 3], None));

    // The number of stripes counts only for a new coupon; new uses go to the emptiest.
    let replaced = put(&shop, &json!({"percent": "50", "total_uses": 15, "stripes": 2})).await;
    assert_eq!((replaced.status, replaced.header("etag")), (200, "\"2\""));
    let expected = json!({
        "code": "SPRING", "percent": "50", "total_uses": 15, "remaining": 15, "products": [], "categories": [], "version": 2,
    });
    assert_eq!((&replaced.body, &read(&shop).await), (&expected, &expected));
    let raw = Raw::of(&shop).await;
    assert_eq!((raw.available(), raw.breach(0)), (vec![4, 8, 3], None));
}

#[tokio::test]
async fn ord_14_uses_that_are_taken_are_not_taken_away() {
    let shop = Shop::open().await;
    let mut body = spring(10);
    body["stripes"] = json!(2);
    assert_eq!(put(&shop, &body).await.status, 201);
    used(&shop, 0, 3).await;
    used(&shop, 1, 1).await;
    let before = shop.engine.items().await;
    let taken = put(&shop, &spring(3)).await;
    assert_eq!((taken.status, taken.slug(), &taken.body["free"]), (409, "coupon-uses-taken", &json!(6)));
    assert_eq!(taken.body["total_uses"], 10);
    assert_eq!(shop.engine.items().await.len(), before.len());
    assert_eq!(read(&shop).await["version"], 1, "nothing was written");
    assert_eq!(put(&shop, &spring(5)).await.body["remaining"], 1);
    assert_eq!(Raw::of(&shop).await.breach(4), None);
    let least = put(&shop, &spring(4)).await;
    assert_eq!((least.status, &least.body["remaining"]), (200, &json!(0)));
    assert_eq!(put(&shop, &spring(14)).await.body["remaining"], 10);
    assert_eq!(Raw::of(&shop).await.breach(4), None);
}

#[tokio::test]
async fn writers_of_a_coupon_at_the_same_time_lose_no_use() {
    let shop = Shop::open().await;
    let bodies: Vec<_> = [10, 25, 7, 13].into_iter().map(spring).collect();
    let answers = futures_util::future::join_all(bodies.iter().map(|body| put(&shop, body))).await;
    let mut versions: Vec<_> = answers.iter().map(|answer| answer.body["version"].as_u64().unwrap()).collect();
    versions.sort_unstable();
    assert_eq!(versions, [1, 2, 3, 4], "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert_eq!(Raw::of(&shop).await.breach(0), None);
}

/// A writer that read the number of uses before another lowered it, and their stripes after, is not told that they are
/// taken.
#[tokio::test]
async fn uses_that_another_writer_took_away_are_not_called_taken() {
    let shop = Shop::open().await;
    assert_eq!(put(&shop, &spring(25)).await.status, 201);
    let (lower, lowest) = (spring(13), spring(7));
    let halt = shop.engine.wire.halt("BatchGetItem");
    let meanwhile = async {
        halt.reached().await;
        let answer = put(&shop, &lowest).await;
        halt.go();
        answer
    };
    let (late, early) = tokio::join!(put(&shop, &lower), meanwhile);
    assert_eq!((early.status, &early.body["remaining"]), (200, &json!(7)), "{early:?}");
    assert_eq!((late.status, &late.body["remaining"], &late.body["version"]), (200, &json!(13), &json!(3)), "{late:?}");
    assert_eq!(Raw::of(&shop).await.breach(0), None);
}

/// Two writers that both count from what they read first: their shifts add up to more than either asked for.
#[tokio::test]
async fn without_the_coupon_version_uses_are_added_twice() {
    let shop = Shop::open().await;
    put(&shop, &spring(10)).await;
    shop.engine.wire.rewrite(|operation, request| {
        for item in request["TransactItems"].as_array_mut().into_iter().flatten() {
            let put = item.get_mut("Put").and_then(Value::as_object_mut);
            if let Some(put) =
                put.filter(|put| operation == "TransactWriteItems" && put.contains_key("ConditionExpression"))
            {
                put.remove("ConditionExpression");
                put.remove("ExpressionAttributeValues");
            }
        }
    });
    shop.engine.wire.meet("TransactWriteItems", 2);
    let (more, most) = (spring(15), spring(17));
    tokio::join!(put(&shop, &more), put(&shop, &most));
    let raw = Raw::of(&shop).await;
    assert_eq!(raw.available(), [22]);
    assert!(raw.breach(0).is_some());
}

/// Whatever call of a change fails, in whatever way: repeated as its caller would, it is done once, and to every stripe.
#[tokio::test]
async fn ord_14_holds_whatever_call_of_a_change_fails() {
    each_call_fails(async |fault| {
        let shop = Shop::open().await;
        let mut first = spring(10);
        first["stripes"] = json!(2);
        assert_eq!(put(&shop, &first).await.status, 201);
        used(&shop, 0, 2).await;
        let more = json!({"percent": "20", "total_uses": 5});
        shop.engine.wire.count(fault);
        let mut answer = put(&shop, &more).await;
        let counted = shop.engine.wire.counted();
        if answer.status >= 500 {
            answer = put(&shop, &more).await;
        }
        assert_eq!((answer.status, &answer.body["remaining"]), (200, &json!(3)), "{fault:?}: {answer:?}");
        assert_eq!(Raw::of(&shop).await.breach(2), None, "{fault:?}");
        let calls = &counted.calls;
        assert!(
            fault.is_some() || calls.len() >= 7,
            "the coupon, its header, its stripes, the write, both raises: {calls:?}"
        );
        counted
    })
    .await;
}

#[tokio::test]
async fn ord_14_bad_coupons_are_named_and_not_written() {
    let shop = Shop::open().await;
    let cases: [Case; 33] = [
        (|b| b["percent"] = json!("0"), "percent"),
        (|b| b["percent"] = json!("100.01"), "percent"),
        (|b| b["percent"] = json!("12.345"), "percent"),
        (|b| b["percent"] = json!("-5"), "percent"),
        (|b| b["percent"] = json!(12.5), "percent"),
        (|b| b["percent"] = json!(null), "percent"),
        (|b| b["amount"] = json!({"amount": 1, "currency": "EUR"}), "amount"),
        (|b| *b = json!({"amount": {"amount": 0, "currency": "EUR"}, "total_uses": 1}), "amount.amount"),
        (|b| *b = json!({"amount": {"amount": -1, "currency": "EUR"}, "total_uses": 1}), "amount.amount"),
        (|b| *b = json!({"amount": {"amount": 1, "currency": "EURO"}, "total_uses": 1}), "amount.currency"),
        (|b| *b = json!({"amount": {"amount": 1}, "total_uses": 1}), "amount.currency"),
        (|b| b["total_uses"] = json!(0), "total_uses"),
        (|b| b["total_uses"] = json!(-1), "total_uses"),
        (|b| b["total_uses"] = json!(1_000_000_001), "total_uses"),
        (|b| b["total_uses"] = json!(i64::MAX), "total_uses"),
        (|b| b["total_uses"] = json!(1.5), "total_uses"),
        (|b| drop(b.as_object_mut().unwrap().remove("total_uses")), "total_uses"),
        (|b| b["uses_per_customer"] = json!(0), "uses_per_customer"),
        (|b| b["uses_per_customer"] = json!(1_i64 << 32), "uses_per_customer"),
        (|b| b["starts_at"] = json!("soon"), "starts_at"),
        (|b| b["starts_at"] = json!("1969-12-31T00:00:00Z"), "starts_at"),
        (|b| b["ends_at"] = json!("2287-01-01T00:00:00Z"), "ends_at"),
        (|b| b["ends_at"] = json!("2026-03-01T00:00:00Z"), "ends_at"),
        (|b| b["minimum_total"] = json!({"amount": -1, "currency": "EUR"}), "minimum_total.amount"),
        (|b| b["minimum_total"] = json!({"amount": 1, "currency": "XXX"}), "minimum_total.currency"),
        (|b| b["products"] = json!(["mug", "a#b"]), "products[1]"),
        (|b| b["products"] = json!(["mug", "cup", "mug"]), "products[2]"),
        (|b| b["products"] = json!((0..101).map(|n| n.to_string()).collect::<Vec<_>>()), "products"),
        (|b| b["categories"] = json!([""]), "categories[0]"),
        (|b| b["categories"] = json!(["x", "x".repeat(101)]), "categories[1]"),
        (|b| b["stripes"] = json!(0), "stripes"),
        (|b| b["stripes"] = json!(65), "stripes"),
        (|b| b["colour"] = json!("red"), "colour"),
    ];
    for (change, field) in cases {
        let mut body = spring(10);
        body["starts_at"] = json!("2026-03-01T00:00:00Z");
        change(&mut body);
        let answer = put(&shop, &body).await;
        assert_eq!((answer.status, answer.fields()), (400, vec![field]), "{body}: {answer:?}");
    }
    for code in ["a%20b", "%C3%A9", &"x".repeat(33)] {
        let path = format!("/coupons/{code}");
        let put = Request::put(&path, &spring(1)).send(&shop.catalog, Some(&Who::staff())).await;
        let read = Request::get(&path).send(&shop.catalog, Some(&Who::staff())).await;
        assert_eq!((put.fields(), read.fields()), (vec!["code"], vec!["code"]), "{code}");
    }
    let unknown = Request::get("/coupons/spring").send(&shop.catalog, Some(&Who::staff())).await;
    assert_eq!((unknown.status, unknown.slug()), (404, "not-found"));
    assert!(shop.engine.items().await.is_empty());
}

#[tokio::test]
async fn sec_2_coupons_are_for_their_shops_staff() {
    let shop = Shop::open().await;
    assert_eq!(put(&shop, &spring(1)).await.status, 201);
    let buyer = Who::customer("c-1");
    for request in [Request::get("/coupons/SPRING"), Request::put("/coupons/SPRING", &spring(2))] {
        assert_eq!(request.send(&shop.catalog, Some(&buyer)).await.slug(), "forbidden");
        assert_eq!(request.send(&shop.catalog, None).await.slug(), "unauthorized");
    }
    let elsewhere = Request::get("/coupons/SPRING").send(&shop.catalog, Some(&Who::staff().of("other"))).await;
    assert_eq!(elsewhere.status, 404);
    // Case counts: this is another coupon.
    let lower = Request::put("/coupons/spring", &spring(1)).send(&shop.catalog, Some(&Who::staff())).await;
    assert_eq!(lower.status, 201);
}
