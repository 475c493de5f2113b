//! Stripes and parts are accounted for.

use super::Facts;
use crate::interleave::guards::entity;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

fn number(value: &Value) -> i64 {
    value["N"].as_str().and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

/// The stripes of a pool are those that its header counts: units in another would never be sold.
pub fn stripes_known(facts: &Facts<'_>) -> Option<String> {
    let mut found: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
    for item in facts.items {
        let pk = item["pk"]["S"].as_str().unwrap_or_default();
        if let Some((_, stripe)) = pk.split_once("#pool#stock#")
            && let Some((pool, number)) = stripe.rsplit_once('#')
        {
            found.entry(pool).or_default().extend(number.parse::<i64>());
        }
    }
    let headers = facts.items.iter().filter(|item| entity(item) == "warehouse");
    let counted: BTreeMap<_, BTreeSet<i64>> = headers
        .map(|header| {
            let product = header["pk"]["S"].as_str().unwrap_or_default().rsplit('#').next().unwrap_or_default();
            let warehouse = header["sk"]["S"].as_str().unwrap_or_default().rsplit('#').next().unwrap_or_default();
            (format!("{product}@{warehouse}"), (0..number(&header["stripes"])).collect())
        })
        .collect();
    let unlike = |(pool, stripes): &(&str, BTreeSet<i64>)| counted.get(*pool) != Some(stripes);
    let unlike = found.into_iter().find(unlike);
    unlike
        .map(|(pool, stripes)| format!("{pool} has stripes {stripes:?}, but its header counts {:?}", counted.get(pool)))
}

/// The balances of closed days hold what the parts keep that were entered into them.
pub fn balances_match_parts(facts: &Facts<'_>) -> Option<String> {
    let mut balances: BTreeMap<String, i64> = BTreeMap::new();
    for item in facts.items {
        let pk = item["pk"]["S"].as_str().unwrap_or_default();
        if let Some((_, product)) = pk.split_once("#check#stock#") {
            let product = product.split('#').next().unwrap_or_default();
            *balances.entry(product.to_owned()).or_default() += number(&item["kept"]);
        }
        if entity(item) == "part" && item["state"]["S"] == "held" && item["summed"]["BOOL"] == true {
            for line in item["lines"]["L"].as_array().into_iter().flatten().map(|line| &line["M"]) {
                let product = line["product"]["S"].as_str().unwrap_or_default();
                let from = line["from"]["L"].as_array().into_iter().flatten();
                let units: i64 = from.map(|from| number(&from["M"]["quantity"])).sum();
                *balances.entry(product.to_owned()).or_default() -= units;
            }
        }
    }
    let unlike = balances.into_iter().find(|(_, difference)| *difference != 0);
    unlike.map(|(product, difference)| format!("the balance of {product} differs by {difference} from its parts"))
}
