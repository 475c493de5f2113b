//! Negative controls: each law is broken in turn, and must be the one that is reported.

use super::*;
use serde_json::{Value, json};

const ORDER: &str = "ef06e91a-33ea-8eb7-aa63-dcde60bd5e5f";

struct World {
    items: Vec<Value>,
    told: BTreeMap<String, Told>,
    acknowledged: u64,
    dead_letters: BTreeMap<String, u64>,
}

/// Ten mugs received, three of them sold by one order, whose three changes were delivered.
fn world() -> World {
    let entry = |kind: &str| json!({"M": {"type": {"S": kind}, "at": {"N": "1"}, "by": {"S": "x"}}});
    let from = json!({"L": [{"M": {"warehouse": {"S": "main"}, "stripe": {"N": "0"}, "quantity": {"N": "3"}}}]});
    let line = json!({"M": {"product": {"S": "mug"}, "quantity": {"N": "3"}, "price": {"N": "1999"}, "from": from}});
    let order = json!({
        "pk": {"S": format!("acme#order#{ORDER}")}, "sk": {"S": "order"}, "state": {"S": "paid"}, "version": {"N": "3"},
        "total": {"N": "5997"}, "lines": {"L": [line]}, "payment": {"M": {"status": {"S": "authorised"}}},
        "history": {"L": [entry("placed"), entry("payment_started"), entry("paid")]},
    });
    let (header, receipt) = (json!({"S": "warehouse#main"}), json!({"S": "receipt#r1"}));
    let items = vec![
        order,
        json!({"pk": {"S": "acme#stock#mug"}, "sk": header, "stripes": {"N": "2"}, "received": {"N": "10"}}),
        json!({"pk": {"S": "acme#stock#mug"}, "sk": receipt, "warehouse": {"S": "main"}, "quantity": {"N": "10"}}),
        json!({"pk": {"S": "acme#pool#stock#mug@main#0"}, "sk": {"S": "stripe"}, "available": {"N": "2"}}),
        json!({"pk": {"S": "acme#pool#stock#mug@main#1"}, "sk": {"S": "stripe"}, "available": {"N": "5"}}),
        json!({"pk": {"S": "acme#product#mug"}, "sk": {"S": "product"}, "price": {"N": "1999"}}),
    ];
    let told = Told { orders: BTreeSet::from([ORDER.to_owned()]), created: 1, ..Told::default() };
    let dead_letters = BTreeMap::from([("OrderEventsDeadLetters".to_owned(), 0)]);
    World { items, told: BTreeMap::from([("k-1".to_owned(), told)]), acknowledged: 3, dead_letters }
}

/// The laws that are broken in this world, with what is said about them.
fn broken(world: &World) -> Vec<(&'static str, String)> {
    let evidence = Evidence::of(&world.items);
    let acknowledged = |id: &str| {
        let version: u64 = id.strip_prefix(ORDER).unwrap().trim_start_matches('/').parse().unwrap();
        u64::from(version <= world.acknowledged)
    };
    let facts = Facts {
        evidence: &evidence,
        told: &world.told,
        acknowledged: &acknowledged,
        dead_letters: &world.dead_letters,
    };
    judge(&facts).into_iter().filter(|law| !law.holds).map(|law| (law.name, law.detail)).collect()
}

fn names(world: &World) -> Vec<&'static str> {
    broken(world).into_iter().map(|(name, _)| name).collect()
}

#[track_caller]
fn breaks(law: &str, change: impl FnOnce(&mut World)) {
    let mut world = world();
    change(&mut world);
    let names = names(&world);
    assert!(names.contains(&law), "{law} is not among {names:?}");
}

#[test]
fn every_law_holds_in_the_untouched_world() {
    assert_eq!(broken(&world()), []);
}

#[test]
fn a_unit_that_appears_or_vanishes_is_reported_with_its_product() {
    let mut leaked = world();
    leaked.items[3]["available"]["N"] = json!("1");
    let [(name, detail)] = <[_; 1]>::try_from(broken(&leaked)).unwrap();
    assert_eq!(name, "stock_conserved");
    assert!(detail.starts_with("product mug of acme: receipts 10, received 10, but available 6"), "{detail}");
    breaks("stock_conserved", |world| world.items[1]["received"]["N"] = json!("11"));
    breaks("stock_conserved", |world| world.items[2]["quantity"]["N"] = json!("9"));
    breaks("stock_conserved", |world| drop(world.items.remove(4)));
    breaks("stock_conserved", |world| world.items[0]["state"]["S"] = json!("expired"));
    breaks("stock_conserved", |world| drop(world.items[3].as_object_mut().unwrap().remove("available")));
}

#[test]
fn ord_2_more_sold_than_received_is_reported() {
    breaks("nothing_oversold", |world| {
        world.items[1]["received"]["N"] = json!("2");
        world.items[2]["quantity"]["N"] = json!("2");
    });
    breaks("nothing_oversold", |world| world.items[3]["available"]["N"] = json!("-1"));
    let mut oversold = world();
    oversold.items[2]["quantity"]["N"] = json!("1");
    assert_eq!(oversold_units(&Evidence::of(&oversold.items)), 2);
    assert_eq!(oversold_units(&Evidence::of(&world().items)), 0);
}

#[test]
fn an_order_at_odds_with_itself_is_reported() {
    let line =
        |world: &mut World, name: &str, value: &str| world.items[0]["lines"]["L"][0]["M"][name]["N"] = json!(value);
    breaks("claims_match_lines", |world| line(world, "quantity", "4"));
    breaks("claims_match_lines", |world| world.items[0]["lines"]["L"] = json!([]));
    breaks("totals_exact", |world| line(world, "price", "1998"));
    breaks("totals_exact", |world| world.items[0]["total"]["N"] = json!("5996"));
    breaks("histories_complete", |world| world.items[0]["version"]["N"] = json!("4"));
    breaks("histories_complete", |world| world.items[0]["state"]["S"] = json!("placed"));
    breaks("histories_complete", |world| drop(world.items[0]["history"]["L"].as_array_mut().unwrap().remove(0)));
}

#[test]
fn ord_13_an_order_left_waiting_is_reported() {
    breaks("orders_settled", |world| world.items[0]["state"]["S"] = json!("placed"));
}

#[test]
fn pay_1_an_authorisation_that_outlives_its_order_is_reported() {
    let payment = |world: &mut World, status: &str| world.items[0]["payment"]["M"]["status"]["S"] = json!(status);
    breaks("no_stray_authorisation", |world| world.items[0]["state"]["S"] = json!("expired"));
    breaks("no_stray_authorisation", |world| payment(world, "started"));
    breaks("no_stray_authorisation", |world| payment(world, "none"));
}

#[test]
fn ord_1_a_key_with_two_orders_is_reported() {
    let told = |world: &mut World, change: fn(&mut Told)| change(world.told.get_mut("k-1").unwrap());
    breaks("one_order_per_key", |world| told(world, |told| told.orders.extend(["another".to_owned()])));
    breaks("one_order_per_key", |world| told(world, |told| told.created = 2));
    breaks("one_order_per_key", |world| told(world, |told| told.orders.clear()));
    breaks("one_order_per_key", |world| drop(world.items.remove(0)));
    breaks("one_order_per_key", |world| {
        let told = world.told["k-1"].clone();
        world.told.insert("k-2".to_owned(), told);
    });
}

#[test]
fn a_request_without_a_proper_answer_is_reported() {
    breaks("requests_answered", |world| {
        world.told.get_mut("k-1").unwrap().unexpected = Some("503 unavailable".to_owned());
    });
}

#[test]
fn out_1_a_lost_event_is_reported_by_its_id() {
    let mut lost = world();
    lost.acknowledged = 1;
    let [(name, detail)] = <[_; 1]>::try_from(broken(&lost)).unwrap();
    assert_eq!((name, detail), ("events_delivered", format!("event {ORDER}/2 was never acknowledged (2 such events)")));
}

#[test]
fn a_dead_letter_or_an_entry_left_in_the_outbox_is_reported() {
    breaks("nothing_dead", |world| *world.dead_letters.get_mut("OrderEventsDeadLetters").unwrap() = 1);
    breaks("nothing_dead", |world| {
        world.items.push(json!({"pk": {"S": "outbox#3"}, "sk": {"S": format!("1#{ORDER}/1")}}));
    });
}
