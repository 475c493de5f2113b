//! What came of the demo, for people and for programs.

use super::chaos::Chaos;
use super::evidence::{Evidence, Sums};
use super::laws::{self, Facts, Law};
use super::load::Ledger;
use super::spending::Costs;
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// A line above and one below; nothing between the rows.
const STYLE: TableStyle = TableStyle::new()
    .top_border(LineStyle::none().fill('─').junction('─'))
    .bottom_border(LineStyle::none().fill('─').junction('─'));

/// The numbers and the laws of one run. Numbers of orders, units and events come from the table's items.
#[derive(Debug, Serialize)]
pub struct Report {
    source: String,
    functions: &'static str,
    orders_planned: usize,
    orders_placed: usize,
    paid: usize,
    delivered: usize,
    returned: usize,
    declined: usize,
    expired: usize,
    replayed: u64,
    sold_out: usize,
    skipped: BTreeMap<&'static str, u64>,
    units_received: i64,
    units_available: i64,
    units_held: i64,
    units_sold: i64,
    units_restocked: i64,
    amount_captured: i64,
    amount_refunded: i64,
    oversold_units: i64,
    stock_conserved: bool,
    events: i64,
    events_lost: usize,
    sending_seconds: f64,
    placements_per_second: f64,
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    wcu_per_order: Option<f64>,
    calls_per_order: Option<f64>,
    wcu_per_one_line_order: Option<f64>,
    calls_per_one_line_order: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chaos: Option<ChaosFigures>,
    laws: Vec<Law>,
}

/// What a day of failures came to.
#[derive(Debug, Serialize)]
struct ChaosFigures {
    #[serde(flatten)]
    done: Chaos,
    /// Deliveries of events beyond the first of each.
    duplicates: u64,
    /// All deliveries of events.
    deliveries: u64,
}

impl Report {
    /// Sums up a run in which `pace.0` orders were placed in `pace.1`, while all was well.
    pub fn new(facts: &Facts<'_>, ledger: &Ledger, costs: &Costs, pace: (u64, Duration), build: &'static str) -> Self {
        let plan = facts.plan;
        let Evidence { stock, orders, .. } = facts.evidence;
        let in_state = |state: &str| orders.iter().filter(|order| order.state == state).count();
        let told = facts.told.values();
        let laws = laws::judge(facts);
        let entries: Vec<_> = orders.iter().flat_map(|order| order.ledger.iter().cloned()).collect();
        let money = Sums::of(&entries);
        let percentile = |quantile: f64| ledger.latency.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            source: plan.title.clone(),
            functions: build,
            orders_planned: plan.orders.len(),
            orders_placed: orders.len(),
            paid: orders.iter().filter(|order| order.is_sold()).count(),
            delivered: in_state("delivered") + in_state("returned"),
            returned: orders.iter().filter(|order| order.history.iter().any(|entry| entry == "returned")).count(),
            declined: in_state("payment_failed"),
            expired: in_state("expired"),
            replayed: told.clone().map(|told| told.replayed).sum(),
            sold_out: told.filter(|told| told.sold_out > 0 && told.orders.is_empty()).count(),
            skipped: plan.skipped.clone(),
            units_received: stock.values().map(|stock| stock.receipts).sum(),
            units_available: stock.values().map(|stock| stock.available).sum(),
            units_held: stock.values().map(|stock| stock.held).sum(),
            units_sold: stock.values().map(|stock| stock.sold).sum(),
            units_restocked: stock.values().map(|stock| stock.restocked).sum(),
            amount_captured: money.captured,
            amount_refunded: money.refunded,
            oversold_units: laws::oversold_units(facts.evidence),
            stock_conserved: laws.iter().any(|law| law.name == "stock_conserved" && law.holds),
            events: laws::events(facts.evidence),
            events_lost: laws::events_lost(facts).len(),
            sending_seconds: pace.1.as_secs_f64(),
            placements_per_second: pace.0 as f64 / pace.1.as_secs_f64().max(f64::MIN_POSITIVE),
            p50_ms: percentile(0.5),
            p95_ms: percentile(0.95),
            p99_ms: percentile(0.99),
            wcu_per_order: costs.all.wcu_per_order(),
            calls_per_order: costs.all.calls_per_order(),
            wcu_per_one_line_order: costs.one_line.wcu_per_order(),
            calls_per_one_line_order: costs.one_line.calls_per_order(),
            chaos: None,
            laws,
        }
    }

    /// Adds what was done to the stack, and the deliveries of events: those beyond the first of each, and all.
    pub fn add_chaos(&mut self, done: Chaos, (duplicates, deliveries): (u64, u64)) {
        self.chaos = Some(ChaosFigures { done, duplicates, deliveries });
    }

    /// The first law that does not hold.
    pub fn broken(&self) -> Option<&Law> {
        self.laws.iter().find(|law| !law.holds)
    }

    fn figures(&self) -> Vec<(String, String)> {
        let whole = |number: i64| number.to_string();
        let count = |number: usize| number.to_string();
        let decimal = |number: Option<f64>| number.map_or("not known".to_owned(), |number| format!("{number:.2}"));
        let milliseconds = |number: f64| format!("{number:.1}");
        let mut rows = vec![
            ("orders planned", count(self.orders_planned)),
            ("orders placed", count(self.orders_placed)),
            ("  of them paid", count(self.paid)),
            ("    of these delivered", count(self.delivered)),
            ("    of these returned, in part or whole", count(self.returned)),
            ("  of them declined", count(self.declined)),
            ("  of them expired", count(self.expired)),
            ("refused, sold out", count(self.sold_out)),
            ("requests replayed", self.replayed.to_string()),
            ("units received", whole(self.units_received)),
            ("  available", whole(self.units_available)),
            ("  held", whole(self.units_held)),
            ("  sold", whole(self.units_sold)),
            ("  sold, but came back and free again", whole(self.units_restocked)),
            ("captured, minor units", whole(self.amount_captured)),
            ("given back, minor units", whole(self.amount_refunded)),
            ("units oversold", whole(self.oversold_units)),
            ("events", whole(self.events)),
            ("events lost", count(self.events_lost)),
            ("placements a second", format!("{:.0}", self.placements_per_second)),
            ("placement p50, ms", milliseconds(self.p50_ms)),
            ("placement p95, ms", milliseconds(self.p95_ms)),
            ("placement p99, ms", milliseconds(self.p99_ms)),
            ("write units to place an order", decimal(self.wcu_per_order)),
            ("database calls to place an order", decimal(self.calls_per_order)),
            ("write units to place a one-line order", decimal(self.wcu_per_one_line_order)),
            ("database calls to place a one-line order", decimal(self.calls_per_one_line_order)),
        ]
        .into_iter()
        .map(|(name, number)| (name.to_owned(), number))
        .collect::<Vec<_>>();
        if let Some(ChaosFigures { done, duplicates, deliveries }) = &self.chaos {
            let killed: u64 = done.killed.values().sum();
            let share = 100.0 * *duplicates as f64 / (*deliveries).max(1) as f64;
            let figures = [
                ("processes killed", killed.to_string()),
                ("times the outside was down", done.outages.to_string()),
                ("poisonous messages sent", done.poisoned.to_string()),
                ("dead letters found", done.dead.to_string()),
                ("  replayed", done.replayed.to_string()),
                ("  discarded", done.discarded.to_string()),
                ("deliveries of events", deliveries.to_string()),
                ("  of them again", format!("{duplicates} ({share:.1} %)")),
            ];
            rows.extend(figures.map(|(name, number)| (name.to_owned(), number)));
        }
        rows.extend(self.skipped.iter().map(|(reason, number)| (format!("skipped: {reason}"), number.to_string())));
        rows
    }
}

/// The tables that people read.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = |rows: Vec<[String; 2]>, second: CellAlignment| {
            let mut table = Table::new();
            table.load_style(STYLE).add_rows(rows);
            if let Some(column) = table.column_mut(1) {
                column.set_cell_alignment(second);
            }
            table
        };
        let figures = self.figures().into_iter().map(|(name, number)| [name, number]).collect();
        let law = |law: &Law| [format!("{} {}", if law.holds { "✓" } else { "✗" }, law.name), law.detail.clone()];
        writeln!(f, "Demo: {}; the functions are {}s", self.source, self.functions)?;
        writeln!(f, "{}", table(figures, CellAlignment::Right))?;
        writeln!(f, "{}", table(self.laws.iter().map(law).collect(), CellAlignment::Left))?;
        match self.broken() {
            None => writeln!(f, "Every law holds."),
            Some(law) => writeln!(f, "Broken: {}: {}", law.name, law.detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::laws::Told;
    use crate::demo::load::Sender;
    use crate::demo::shop;
    use serde_json::json;

    fn report(acknowledged: u64) -> Report {
        let entry = json!({"M": {"type": {"S": "placed"}}});
        let evidence = Evidence::of(&[json!({
            "pk": {"S": "demo#order#o-1"}, "sk": {"S": "order"}, "state": {"S": "expired"}, "version": {"N": "1"},
            "total": {"N": "0"}, "lines": {"L": []}, "history": {"L": [entry]},
        })]);
        let told = Told { orders: ["o-1".to_owned()].into(), created: 1, replayed: 2, ..Told::default() };
        let told = BTreeMap::from([("k".to_owned(), told), ("l".to_owned(), Told { sold_out: 3, ..Told::default() })]);
        let facts = Facts {
            plan: &shop::plan(2, 1),
            evidence: &evidence,
            told: &told,
            acknowledged: &|_| acknowledged,
            dead_letters: &BTreeMap::new(),
            payments: &[],
            placements_logged: 1,
        };
        let mut ledger = Sender::new("http://127.0.0.1").ledger();
        ledger.latency.saturating_record(12_345);
        Report::new(&facts, &ledger, &Costs::default(), (5, Duration::from_secs(2)), "debug build")
    }

    #[test]
    fn programs_find_every_number_by_its_name() {
        let json = serde_json::to_value(report(0)).unwrap();
        let expected = json!({"orders_placed": 1, "replayed": 2, "sold_out": 1, "declined": 0, "expired": 1});
        for (name, number) in expected.as_object().unwrap() {
            assert_eq!(&json[name], number, "{name}");
        }
        assert_eq!((&json["events_lost"], &json["stock_conserved"]), (&json!(1), &json!(true)));
        assert_eq!(json["placements_per_second"], 2.5);
        assert!((json["p99_ms"].as_f64().unwrap() - 12.345).abs() < 0.01, "{json}");
        for name in ["oversold_units", "p50_ms", "p95_ms", "p99_ms", "wcu_per_order", "calls_per_order", "laws"] {
            assert!(json.get(name).is_some(), "{name}");
        }
    }

    #[test]
    fn people_see_aligned_numbers_and_the_broken_law() {
        let text = report(0).to_string();
        let row = |name: &str| text.lines().find(|line| line.contains(name)).unwrap().trim_end().chars().count();
        assert_eq!(row("orders placed"), row("placement p95, ms"), "{text}");
        assert!(text.starts_with("Demo: a made-up shop, seed 1; the functions are debug builds\n"), "{text}");
        assert!(text.ends_with("\n") && text.contains("✗ events_delivered"), "{text}");
        assert!(text.lines().last().unwrap().starts_with("Broken: "), "{text}");
    }
}
