//! Orders of a real shop, from a gzipped file of invoices, one JSON object a line:
//! `{"invoice","at","customer"|null,"country","cancellation","lines":[{"product","quantity","unit_price"}]}`.
//! A file `products.ndjson.gz` beside it gives names, prices and stock.

use super::plan::{Order, PAYS, Plan, Product, Sending};
use anyhow::{Context, bail};
use flate2::read::MultiGzDecoder;
use holdfast_domain::order::{LINES_MAX, QUANTITY_MAX};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

#[derive(Deserialize)]
struct Invoice {
    invoice: String,
    customer: Option<String>,
    cancellation: bool,
    lines: Vec<InvoiceLine>,
}

#[derive(Deserialize)]
struct InvoiceLine {
    product: String,
    quantity: i64,
    unit_price: String,
}

#[derive(Deserialize)]
struct Offer {
    product: String,
    name: Option<String>,
    unit_price: String,
    sold: i64,
}

/// Seconds an order may stay unpaid: the default of the template.
const EXPIRY_SECONDS: u32 = 900;

/// A sample of `orders` orders of the file in their order of time, or all of them when that is 0.
///
/// # Errors
/// When a file cannot be read, or a line of it is not of the format: the message names file and line.
pub fn plan(path: &Path, orders: usize, seed: u64) -> anyhow::Result<Plan> {
    let mut skipped = BTreeMap::new();
    let mut skip = |reason: &'static str| *skipped.entry(reason).or_default() += 1;
    let mut prices = HashMap::new();
    let mut usable = Vec::new();
    for_each_line(path, |invoice: Invoice| usable.extend(order(invoice, &mut prices, &mut skip)))?;
    if usable.is_empty() {
        bail!("{} holds no order that can be placed", path.display());
    }
    let found = usable.len();
    let sampled = if orders == 0 || orders >= found { usable } else { sample(usable, orders, seed) };
    let products = products(path, &sampled, &prices)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let title = format!("{} of {found} orders of {name}", sampled.len());
    Ok(Plan { title, currency: "GBP", products, orders: sampled, skipped, expiry_seconds: EXPIRY_SECONDS })
}

/// The order an invoice stands for; none if nothing of it can be ordered.
fn order(invoice: Invoice, prices: &mut HashMap<String, u32>, skip: &mut impl FnMut(&'static str)) -> Option<Order> {
    if invoice.cancellation {
        skip("cancellations");
        return None;
    }
    let mut wanted: BTreeMap<String, u64> = BTreeMap::new();
    for line in invoice.lines {
        let Some(quantity) = u64::try_from(line.quantity).ok().filter(|quantity| *quantity > 0) else {
            skip("lines that are returns or corrections");
            continue;
        };
        let Some(price) = minor_units(&line.unit_price) else {
            skip("lines with a price below zero or below a minor unit");
            continue;
        };
        prices.entry(line.product.clone()).or_insert(price);
        *wanted.entry(line.product).or_default() += quantity;
    }
    let reason = match wanted.len() {
        0 => Some("orders without a line left"),
        count if count > LINES_MAX => Some("orders too long for one transaction"),
        _ if wanted.values().any(|quantity| *quantity > u64::from(QUANTITY_MAX)) => {
            Some("orders above the quantity limit")
        }
        _ => None,
    };
    if let Some(reason) = reason {
        skip(reason);
        return None;
    }
    let guest = invoice.customer.is_none();
    Some(Order {
        key: format!("invoice-{}", invoice.invoice),
        customer: invoice.customer.unwrap_or_else(|| format!("guest-{}", invoice.invoice)),
        guest,
        lines: wanted.into_iter().map(|(product, quantity)| (product, quantity as u32)).collect(),
        payment_method: PAYS,
        sending: Sending::Once,
    })
}

/// What the orders need, as the file of products has it, or else at the first price paid and with as much as is ordered.
fn products(orders_path: &Path, orders: &[Order], prices: &HashMap<String, u32>) -> anyhow::Result<Vec<Product>> {
    let path = orders_path.with_file_name("products.ndjson.gz");
    let mut offers = HashMap::new();
    if path.exists() {
        for_each_line(&path, |offer: Offer| drop(offers.insert(offer.product.clone(), offer)))?;
    }
    let product = |(id, wanted): (String, u64)| {
        let offer: Option<&Offer> = offers.get(&id);
        let name = offer.and_then(|offer| offer.name.clone()).filter(|name| !name.trim().is_empty());
        let price = offer.and_then(|offer| minor_units(&offer.unit_price)).or_else(|| prices.get(&id).copied());
        Product {
            name: name.unwrap_or_else(|| id.clone()),
            price: price.unwrap_or_default(),
            stock: offer.and_then(|offer| u64::try_from(offer.sold).ok()).filter(|sold| *sold > 0).unwrap_or(wanted),
            id,
        }
    };
    Ok(Plan::demand(orders).into_iter().map(product).collect())
}

fn sample(orders: Vec<Order>, count: usize, seed: u64) -> Vec<Order> {
    let mut chosen = rand::seq::index::sample(&mut StdRng::seed_from_u64(seed), orders.len(), count).into_vec();
    chosen.sort_unstable();
    let mut chosen = chosen.into_iter().peekable();
    let is_chosen = |(index, order)| chosen.next_if_eq(&index).map(|_| order);
    orders.into_iter().enumerate().filter_map(is_chosen).collect()
}

/// A decimal price such as `2.55`, `15.0` or `0.001` in hundredths; none if it is negative or not a whole number of them.
fn minor_units(price: &str) -> Option<u32> {
    let (whole, fraction) = price.split_once('.').unwrap_or((price, ""));
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 2 || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let hundredths: u32 = format!("{fraction:0<2}").parse().ok()?;
    whole.parse::<u32>().ok()?.checked_mul(100)?.checked_add(hundredths)
}

fn for_each_line<T: DeserializeOwned>(path: &Path, mut each: impl FnMut(T)) -> anyhow::Result<()> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let lines = BufReader::new(MultiGzDecoder::new(file)).lines();
    for (number, line) in (1..).zip(lines) {
        let place = || format!("{}, line {number}", path.display());
        let line = line.with_context(place)?;
        if !line.trim().is_empty() {
            each(serde_json::from_str(&line).with_context(place)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn write(folder: &Path, name: &str, lines: &[&str]) -> std::path::PathBuf {
        let path = folder.join(name);
        let mut file = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
        file.write_all(lines.join("\n").as_bytes()).unwrap();
        file.finish().unwrap();
        path
    }

    #[test]
    fn ord_5_prices_are_exact_or_left_out() {
        let cases = [("2.55", Some(255)), ("15.0", Some(1500)), ("0.0", Some(0)), ("7", Some(700)), ("2.1", Some(210))];
        let refused =
            [("0.001", None), ("-11062.06", None), ("x", None), ("1.x", None), ("", None), ("+1.0", Some(100))];
        for (price, expected) in cases.into_iter().chain(refused) {
            assert_eq!(minor_units(price), expected, "{price}");
        }
    }

    #[test]
    fn invoices_become_orders_and_the_rest_is_counted() {
        let folder = std::env::temp_dir().join(format!("holdfast-demo-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let long: Vec<_> =
            (0..=LINES_MAX).map(|n| format!(r#"{{"product":"p{n}","quantity":1,"unit_price":"1.0"}}"#)).collect();
        let long = format!(
            r#"{{"invoice":"3","at":"2011-01-01T00:00:00Z","customer":"c","country":"UK","cancellation":false,"lines":[{}]}}"#,
            long.join(",")
        );
        let path = write(
            &folder,
            "orders.ndjson.gz",
            &[
                r#"{"invoice":"1","at":"2011-01-01T00:00:00Z","customer":"c","country":"UK","cancellation":false,"lines":[{"product":"A","quantity":2,"unit_price":"1.5"},{"product":"A","quantity":1,"unit_price":"1.4"},{"product":"B","quantity":-1,"unit_price":"1.0"},{"product":"C","quantity":1,"unit_price":"0.001"}]}"#,
                r#"{"invoice":"2","at":"2011-01-01T00:00:00Z","customer":null,"country":"UK","cancellation":false,"lines":[{"product":"a","quantity":10001,"unit_price":"1.0"}]}"#,
                &long,
                r#"{"invoice":"C4","at":"2011-01-01T00:00:00Z","customer":"c","country":"UK","cancellation":true,"lines":[]}"#,
                r#"{"invoice":"5","at":"2011-01-01T00:00:00Z","customer":null,"country":"UK","cancellation":false,"lines":[{"product":"a","quantity":4,"unit_price":"0.0"}]}"#,
            ],
        );
        write(&folder, "products.ndjson.gz", &[r#"{"product":"A","name":" MUG ","unit_price":"1.25","sold":40}"#]);
        let plan = plan(&path, 0, 1).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let orders: Vec<_> =
            plan.orders.iter().map(|order| (&*order.customer, order.guest, order.lines.clone())).collect();
        let expected = [("c", false, vec![("A".to_owned(), 3)]), ("guest-5", true, vec![("a".to_owned(), 4)])];
        assert_eq!(orders, expected);
        let products: Vec<_> = plan.products.iter().map(|p| (&*p.id, &*p.name, p.price, p.stock)).collect();
        assert_eq!(products, [("A", " MUG ", 125, 40), ("a", "a", 100, 4)]);
        assert_eq!(plan.skipped.values().sum::<u64>(), 5, "{:?}", plan.skipped);
        assert_eq!(plan.skipped.len(), 5);
    }
}
