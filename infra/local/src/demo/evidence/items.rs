//! Reading raw items, attribute by attribute.

use super::money;
use super::{ClaimFacts, LineFacts, OrderFacts, PartFacts};
use serde_json::Value;

pub fn entries<'a>(item: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    item[name]["L"].as_array().into_iter().flatten().map(|entry| &entry["M"])
}

fn line(line: &Value) -> LineFacts {
    let converted = &line["converted"]["M"];
    LineFacts {
        product: text(line, "product").to_owned(),
        quantity: number(line, "quantity"),
        price: number(line, "price"),
        converted: (!converted.is_null()).then(|| number(converted, "total")),
        discount: optional(line, "discount"),
        tax: optional(line, "tax"),
        claimed: entries(line, "from").map(|from| number(from, "quantity")).sum(),
        restocked: entries(line, "from").map(|from| optional(from, "restocked")).sum(),
    }
}

fn claim(customer: &str, claim: &Value) -> ClaimFacts {
    let product = text(claim, "product");
    let (seconds, window) = (optional(claim, "window_seconds"), optional(claim, "window"));
    let code = text(claim, "code");
    let pool = match text(claim, "kind") {
        "coupon" => format!("coupon#{code}"),
        "coupon_allowance" => format!("allowance#coupon#{code}#{customer}"),
        _ => format!("allowance#product#{product}#{seconds}.{window}#{customer}"),
    };
    ClaimFacts { pool, quantity: number(claim, "quantity") }
}

pub fn part(order: &str, attempt: &str, item: &Value) -> PartFacts {
    PartFacts {
        order: order.to_owned(),
        attempt: attempt.to_owned(),
        state: text(item, "state").to_owned(),
        lines: entries(item, "lines").map(line).collect(),
        claims: entries(item, "claims").map(|it| claim(text(item, "customer"), it)).collect(),
    }
}

pub fn order(tenant: &str, id: &str, item: &Value) -> OrderFacts {
    let customer = text(item, "customer");
    let parts = &item["parts"]["M"];
    OrderFacts {
        tenant: tenant.to_owned(),
        id: id.to_owned(),
        state: text(item, "state").to_owned(),
        version: number(item, "version"),
        currency: text(item, "currency").to_owned(),
        total: number(item, "total"),
        discount: optional(&item["discount"]["M"], "amount"),
        tax: optional(&item["tax"]["M"], "amount"),
        tax_is_beside: text(&item["tax"]["M"], "mode") == "exclusive",
        lines: entries(item, "lines").map(line).collect(),
        claims: entries(item, "claims").map(|it| claim(customer, it)).collect(),
        attempt: (!parts.is_null()).then(|| number(parts, "attempt")),
        whole: true,
        payment: text(&item["payment"]["M"], "status").to_owned(),
        ledger: money::ledger(item),
        refunds: money::refunds(item),
        history: entries(item, "history").map(|entry| text(entry, "type").to_owned()).collect(),
    }
}

pub fn text<'a>(item: &'a Value, name: &str) -> &'a str {
    item[name]["S"].as_str().unwrap_or_default()
}

/// A number that is missing or not whole reads as one that breaks every law it takes part in.
pub fn number(item: &Value, name: &str) -> i64 {
    item[name]["N"].as_str().and_then(|digits| digits.parse().ok()).unwrap_or(i64::from(i32::MIN))
}

/// A number that may be left out when it is zero.
pub fn optional(item: &Value, name: &str) -> i64 {
    if item[name].is_null() { 0 } else { number(item, name) }
}
