//! The page on the states of orders, `infra/order-states.md`, is that of the code. With `UPDATE_DOCS=1` it is written.

use crate::order::{OrderState, Role, TRANSITIONS, diagram};
use std::fmt::Write as _;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/order-states.md");

/// What a state means, and what is known of the money then.
fn meaning(state: OrderState) -> (&'static str, &'static str) {
    use OrderState as S;
    match state {
        S::Reserved => ("a cart, until it is confirmed, released or expires", "none"),
        S::Released => ("a cart that was given up", "none"),
        S::Placing => ("its parts are being written", "none"),
        S::Aborted => ("its parts could not all be written", "none"),
        S::Placed => ("accepted; it waits to be paid or expires", "none, or an attempt is under way"),
        S::Paid => ("nothing is on its way yet", "authorised; captured at once if the shop says so"),
        S::Shipping => ("a shipment waits for the carrier's answer", "authorised; shares of what left are captured"),
        S::PartiallyShipped => ("some left, the rest waits to be shipped", "shares of what left are captured"),
        S::Shipped => ("all of it left", "all is captured"),
        S::Delivered => ("all of it arrived", "all is captured; returns are refunded"),
        S::Returned => ("all of it came back", "what was paid is refunded"),
        S::Merged => ("its lines live on in another order", "none"),
        S::PaymentFailed => ("the provider declined", "none"),
        S::Cancelled => {
            ("called off before it was shipped", "what was authorised is voided, what was captured refunded")
        }
        S::Expired => ("not paid, or not confirmed, in time", "an authorisation that comes late is voided"),
    }
}

fn stock(state: OrderState) -> &'static str {
    match (state, state.keeps_stock(), state.is_sold()) {
        (OrderState::Delivered | OrderState::Returned, ..) => "sold, less what was restocked",
        (OrderState::Merged, ..) => "with the other order",
        (_, true, true) => "sold",
        (_, true, false) => "held",
        (_, false, _) => "given back",
    }
}

fn states() -> String {
    let mut table = "| state | meaning | stock | money |\n|---|---|---|---|\n".to_owned();
    for state in OrderState::ALL {
        let (meaning, money) = meaning(state);
        writeln!(table, "| `{state}` | {meaning} | {} | {money} |", stock(state)).unwrap();
    }
    table
}

fn ways() -> String {
    let mut table = "| from | what happens | to | customer | staff | worker |\n|---|---|---|---|---|---|\n".to_owned();
    for way in TRANSITIONS {
        let may =
            [Role::Customer, Role::Staff, Role::Worker].map(|role| if way.by.contains(&role) { "yes" } else { "" });
        let (from, kind, to) = (way.from, way.kind.name(), way.to);
        writeln!(table, "| `{from}` | {kind} | `{to}` | {} | {} | {} |", may[0], may[1], may[2]).unwrap();
    }
    table
}

/// The page with what is between `<!-- name -->` and `<!-- /name -->` as the code has it.
fn current(page: &str) -> String {
    let mut page = page.to_owned();
    let blocks = [("diagram", format!("```mermaid\n{}```\n", diagram())), ("ways", ways()), ("states", states())];
    for (name, text) in blocks {
        let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
        let from = page.find(&begin).unwrap_or_else(|| panic!("the page has no {begin}")) + begin.len();
        let to = from + page[from..].find(&end).unwrap_or_else(|| panic!("the page has no {end}"));
        page.replace_range(from..to, &text);
    }
    page
}

#[test]
fn ord_8_the_page_on_states_is_current() {
    let written = std::fs::read_to_string(PATH).unwrap();
    let code = current(&written);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PATH, code).unwrap();
        return;
    }
    let differs = written.lines().zip(code.lines()).find(|(written, code)| written != code);
    assert!(
        written == code,
        "infra/order-states.md is not what the code says: run `UPDATE_DOCS=1 cargo test -p holdfast-domain page_on_states` \
         and commit it. The first difference, in the page and in the code: {differs:#?}"
    );
}

/// What a state diagram of Mermaid cannot hold: other characters in a name, and ends of statements in a label.
#[test]
fn ord_8_the_diagram_is_one_that_mermaid_reads() {
    let diagram = diagram();
    let mut lines = diagram.lines();
    assert_eq!(lines.next(), Some("stateDiagram-v2"));
    let is_name = |name: &str| name == "[*]" || name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    for line in lines {
        let (way, label) = line.split_once(": ").unwrap_or((line, ""));
        let (from, to) = way.trim().split_once(" --> ").unwrap_or_else(|| panic!("not a transition: {line}"));
        assert!(is_name(from) && is_name(to) && !label.contains([':', ';', '#', '%']), "{line}");
    }
    let mut once: Vec<_> = diagram.lines().collect();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), diagram.lines().count(), "no transition is there twice");
}
