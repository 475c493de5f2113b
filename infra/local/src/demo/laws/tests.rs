//! Negative controls: each law is broken in turn, and must be the one that is reported.

use super::*;
use crate::demo::payments::{Charge, Metadata};
use crate::demo::plan::{IS_DECLINED, Order, PAYS, Product, Sending};
use serde_json::{Value, json};
const ORDER: &str = "ef06e91a-33ea-8eb7-aa63-dcde60bd5e5f";

struct World {
    plan: Plan,
    payments: Vec<Payment>,
    logged: u64,
    items: Vec<Value>,
    told: BTreeMap<String, Told>,
    acknowledged: u64,
    dead_letters: BTreeMap<String, u64>,
}

/// A shop of ten mugs, one of whose customers wants three.
fn plan() -> Plan {
    let mug = Product { id: "mug".to_owned(), name: "Mug".to_owned(), price: 1999, stock: 10 };
    let order = Order {
        key: "k-1".to_owned(),
        customer: "c-1".to_owned(),
        guest: false,
        lines: vec![("mug".to_owned(), 3)],
        payment_method: PAYS,
        sending: Sending::Once,
    };
    Plan {
        title: "mugs".to_owned(),
        currency: "EUR",
        products: vec![mug],
        orders: vec![order],
        skipped: BTreeMap::new(),
        expiry_seconds: 15,
    }
}

/// Ten mugs received, three of them sold by one order, whose three changes were delivered.
fn world() -> World {
    let entry = |kind: &str| json!({"M": {"type": {"S": kind}, "at": {"N": "1"}, "by": {"S": "x"}}});
    let noted = |kind: &str, amount: i64, version: i64| {
        let (amount, version) = (json!({"N": amount.to_string()}), json!({"N": version.to_string()}));
        json!({"M": {"type": {"S": kind}, "amount": amount, "version": version, "at": {"N": "1"}}})
    };
    let from = json!({"L": [{"M": {"warehouse": {"S": "main"}, "stripe": {"N": "0"}, "quantity": {"N": "3"}}}]});
    let line = json!({"M": {"product": {"S": "mug"}, "quantity": {"N": "3"}, "price": {"N": "1999"}, "from": from}});
    let order = json!({
        "pk": {"S": format!("demo#order#{ORDER}")}, "sk": {"S": "order"}, "state": {"S": "paid"}, "version": {"N": "3"},
        "currency": {"S": "EUR"}, "total": {"N": "5997"}, "lines": {"L": [line]}, "payment": {"M": {"status": {"S": "authorised"}}},
        "history": {"L": [entry("placed"), entry("payment_started"), entry("paid")]},
        "ledger": {"L": [noted("authorised", 5997, 3)]},
    });
    let (header, receipt) = (json!({"S": "warehouse#main"}), json!({"S": "receipt#r1"}));
    let items = vec![
        order,
        json!({"pk": {"S": "demo#stock#mug"}, "sk": header, "stripes": {"N": "2"}, "received": {"N": "10"}}),
        json!({"pk": {"S": "demo#stock#mug"}, "sk": receipt, "warehouse": {"S": "main"}, "quantity": {"N": "10"}}),
        json!({"pk": {"S": "demo#pool#stock#mug@main#0"}, "sk": {"S": "stripe"}, "available": {"N": "2"}}),
        json!({"pk": {"S": "demo#pool#stock#mug@main#1"}, "sk": {"S": "stripe"}, "available": {"N": "5"}}),
        json!({"pk": {"S": "demo#product#mug"}, "sk": {"S": "product"}, "price": {"N": "1999"}}),
    ];
    let told = Told { orders: BTreeSet::from([ORDER.to_owned()]), created: 1, ..Told::default() };
    let dead_letters = BTreeMap::from([("OrderEventsDeadLetters".to_owned(), 0)]);
    let payment = Payment {
        id: "pi_1".to_owned(),
        amount: 5997,
        currency: "eur".to_owned(),
        status: "requires_capture".to_owned(),
        amount_received: 0,
        amount_capturable: 5997,
        latest_charge: None,
        metadata: Metadata { order_id: ORDER.to_owned() },
    };
    let told = BTreeMap::from([("k-1".to_owned(), told)]);
    World { plan: plan(), payments: vec![payment], logged: 1, items, told, acknowledged: 3, dead_letters }
}

/// The laws that are broken in this world, with what is said about them.
fn broken(world: &World) -> Vec<(&'static str, String)> {
    let evidence = Evidence::of(&world.items);
    let acknowledged = |id: &str| {
        let version: u64 = id.strip_prefix(ORDER).unwrap().trim_start_matches('/').parse().unwrap();
        u64::from(version <= world.acknowledged)
    };
    let facts = Facts {
        plan: &world.plan,
        payments: &world.payments,
        placements_logged: world.logged,
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
    assert!(detail.starts_with("product mug of demo: receipts 10, received 10, but available 6"), "{detail}");
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
    breaks("totals_exact", |world| line(world, "tax", "1"));
    breaks("totals_exact", |world| {
        line(world, "tax", "1");
        world.items[0]["tax"] = json!({"M": {"mode": {"S": "exclusive"}, "amount": {"N": "1"}}});
    });
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
fn pay_1_the_provider_has_the_last_word_on_what_is_authorised() {
    breaks("no_stray_authorisation", |world| world.payments.clear());
    breaks("no_stray_authorisation", |world| world.payments[0].status = "canceled".to_owned());
    breaks("no_stray_authorisation", |world| world.payments[0].amount = 5996);
    breaks("no_stray_authorisation", |world| world.payments[0].currency = "gbp".to_owned());
    breaks("no_stray_authorisation", |world| world.payments.push(world.payments[0].clone()));
    breaks("no_stray_authorisation", |world| {
        let stray = Payment { metadata: Metadata::default(), ..world.payments[0].clone() };
        world.payments.push(stray);
    });
    breaks("no_stray_authorisation", |world| {
        world.items[0]["state"]["S"] = json!("expired");
        world.items[0]["payment"]["M"]["status"]["S"] = json!("voided");
    });
    breaks("no_stray_authorisation", |world| world.items[0]["total"]["N"] = json!("0"));
}

/// An order of which a shipment was captured and some of it given back.
fn shipped() -> World {
    let mut world = world();
    let order = &mut world.items[0];
    let number = |number: i64| json!({"N": number.to_string()});
    let mut entry = |kind: &str, amount: i64, version: i64, cause: &str| {
        let mut entry = json!({"type": {"S": kind}, "amount": number(amount), "version": number(version)});
        entry[cause] = number(1);
        order["ledger"]["L"].as_array_mut().unwrap().push(json!({ "M": entry }));
    };
    entry("captured", 1999, 6, "shipment");
    entry("refunded", 500, 8, "refund");
    for kind in ["shipping", "shipped", "payment_captured", "refund_requested", "payment_refunded"] {
        let entry = json!({"M": {"type": {"S": kind}, "at": {"N": "1"}, "by": {"S": "x"}}});
        order["history"]["L"].as_array_mut().unwrap().push(entry);
    }
    order["version"] = number(8);
    order["state"] = json!({"S": "partially_shipped"});
    let refund = json!({"M": {"number": number(1), "amount": number(500), "status": {"S": "done"}}});
    order["refunds"] = json!({"L": [refund]});
    world.payments[0].amount_received = 1999;
    world.payments[0].amount_capturable = 3998;
    world.payments[0].latest_charge = Some(Charge { amount_refunded: 500 });
    world.acknowledged = 8;
    world
}

#[track_caller]
fn breaks_shipped(law: &str, change: impl FnOnce(&mut World)) {
    let mut world = shipped();
    change(&mut world);
    let names = names(&world);
    assert!(names.contains(&law), "{law} is not among {names:?}");
}

#[test]
fn pay_5_a_ledger_that_does_not_add_up_is_reported() {
    // The plan knows of no shipments.
    let others: Vec<_> = broken(&shipped()).into_iter().filter(|(name, _)| *name != "as_planned").collect();
    assert_eq!(others, []);
    let amount = |world: &mut World, entry: usize, amount: &str| {
        world.items[0]["ledger"]["L"][entry]["M"]["amount"]["N"] = json!(amount);
    };
    breaks_shipped("ledger_balances", |world| amount(world, 0, "5998"));
    breaks_shipped("ledger_balances", |world| amount(world, 0, "5996"));
    breaks_shipped("ledger_balances", |world| amount(world, 1, "5998"));
    breaks_shipped("ledger_balances", |world| amount(world, 1, "0"));
    breaks_shipped("ledger_balances", |world| amount(world, 2, "2000"));
    breaks_shipped("ledger_balances", |world| amount(world, 2, "499"));
    breaks_shipped("ledger_balances", |world| {
        let ledger = world.items[0]["ledger"]["L"].as_array_mut().unwrap();
        ledger.push(ledger[1].clone());
    });
    breaks_shipped("ledger_balances", |world| world.items[0]["ledger"]["L"].as_array_mut().unwrap().swap(0, 1));
    breaks_shipped("ledger_balances", |world| world.items[0]["ledger"]["L"][1]["M"]["version"]["N"] = json!("5000"));
    breaks_shipped("ledger_balances", |world| world.items[0]["ledger"]["L"][2]["M"]["version"]["N"] = json!("7"));
    breaks_shipped("ledger_balances", |world| world.items[0]["payment"]["M"]["status"]["S"] = json!("voided"));
    breaks_shipped("ledger_balances", |world| world.items[0]["payment"]["M"]["status"]["S"] = json!("declined"));
    breaks_shipped("ledger_balances", |world| world.items[0]["refunds"] = json!({"L": []}));
    breaks_shipped("ledger_balances", |world| world.items[0]["refunds"]["L"][0]["M"]["amount"]["N"] = json!("2000"));
    breaks("ledger_balances", |world| world.items[0]["ledger"] = json!({"L": []}));
}

#[test]
fn pay_5_money_that_the_provider_holds_otherwise_is_reported() {
    breaks_shipped("provider_agrees", |world| world.payments[0].amount_received = 1998);
    breaks_shipped("provider_agrees", |world| world.payments[0].amount_capturable = 3999);
    breaks_shipped("provider_agrees", |world| world.payments[0].latest_charge = None);
    breaks_shipped("provider_agrees", |world| {
        let unknown = Metadata { order_id: "unknown".to_owned() };
        let payment = Payment { metadata: unknown, ..world.payments[0].clone() };
        world.payments.push(payment);
    });
    breaks("provider_agrees", |world| world.payments[0].amount_received = 1);
}

#[test]
fn pay_5_money_that_is_still_to_go_back_is_reported() {
    breaks_shipped("orders_settled", |world| {
        world.items[0]["refunds"]["L"][0]["M"]["status"]["S"] = json!("requested");
    });
    breaks_shipped("orders_settled", |world| world.items[0]["state"]["S"] = json!("cancelled"));
}

#[test]
fn a_system_that_refuses_everything_is_reported() {
    let refused = |world: &mut World| {
        world.told.insert("k-1".to_owned(), Told { sold_out: 1, ..Told::default() });
        world.items.remove(0);
        world.payments.clear();
        world.items[2]["available"]["N"] = json!("5");
    };
    let mut nothing = world();
    refused(&mut nothing);
    nothing.logged = 0;
    let [(name, detail)] = <[_; 1]>::try_from(broken(&nothing)).unwrap();
    assert_eq!((name, &*detail), ("as_planned", "key k-1: there was enough for it, but it was not placed"));
    breaks("as_planned", |world| {
        refused(world);
        // Where there is too little for all, some are refused, but not all.
        world.plan.orders[0].lines[0].1 = 11;
    });
}

#[test]
fn what_is_not_as_planned_is_reported() {
    breaks("as_planned", |world| world.plan.products[0].stock = 11);
    breaks("as_planned", |world| {
        world.plan.products.push(Product { id: "jug".to_owned(), ..world.plan.products[0].clone() });
    });
    breaks("as_planned", |world| world.plan.orders.push(Order { key: "k-2".to_owned(), ..plan().orders.remove(0) }));
    breaks("as_planned", |world| world.plan.orders[0].lines[0].1 = 2);
    breaks("as_planned", |world| world.plan.orders[0].lines.push(("mug".to_owned(), 1)));
    breaks("as_planned", |world| world.plan.products[0].price = 1998);
    breaks("as_planned", |world| world.plan.currency = "GBP");
    breaks("as_planned", |world| world.plan.orders[0].payment_method = IS_DECLINED);
    breaks("as_planned", |world| world.items[0]["state"]["S"] = json!("payment_failed"));
}

#[test]
fn an_order_whose_spending_is_not_known_is_reported() {
    breaks("spending_known", |world| world.logged = 0);
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
    for pk in ["outbox#3", "dead"] {
        breaks("nothing_dead", |world| world.items.push(json!({"pk": {"S": pk}, "sk": {"S": format!("1#{ORDER}/1")}})));
    }
}
