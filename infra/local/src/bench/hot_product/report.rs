//! The results as tables.

use comfy_table::presets;

use super::buyer::Choice;
use super::figures::Summary;
use super::runs::{RATE, Results, Run};
use super::simulation::Dispatch;
use crate::bench::table;

/// Everything found, for a person to read.
pub fn text(results: &Results) -> String {
    let mut runs = table(&[
        "choice",
        "dispatch",
        "stripes",
        "orders/s",
        "attempts",
        "WCU",
        "RCU",
        "p50 ms",
        "p99 ms",
        "busy %",
        "last 5 %:",
        "p99 ms",
        "busy %",
        "after: RCU",
        "oversold",
        "unsold",
    ]);
    // Many rows read better without lines between them.
    runs.load_style(presets::UTF8_BORDERS_ONLY);
    for run in &results.runs {
        runs.add_row(row(run));
    }
    let mut knees = table(&["stripes", "sticky: orders/s", "random: orders/s", "one counter, no transaction"]);
    for stripes in super::runs::STRIPES {
        let rate = |choice| {
            let knee = results.knees.iter().find(|knee| knee.choice == choice && knee.stripes == stripes);
            knee.map_or_else(String::new, |knee| format!("{:.0}", knee.rate))
        };
        let rates = [Choice::Sticky, Choice::Random, Choice::Plain].map(rate);
        knees.add_row(std::iter::once(stripes.to_string()).chain(rates));
    }
    let mut goals = table(&["goal", "limit", "measured", ""]);
    for goal in &results.goals {
        let verdict = if goal.met { "met" } else { "MISSED" };
        goals.add_row([&goal.what, &goal.limit, &format!("{:.3}", goal.measured), verdict]);
    }
    format!(
        "One product, {RATE:.0} orders a second offered, until 95 % is sold; then the last 5 % (attempts an order first), \
         then sold out.\nFigures are per order that came, times those of placed ones; \"(1-5)\": of one to five units.\n\
         {runs}\n\nThe most orders a second with p99 below 300 ms and less than 0.1 % told to come again.\n{knees}\n\n{goals}\n"
    )
}

fn row(run: &Run) -> Vec<String> {
    let scenario = &run.scenario;
    let choice = match scenario.choice {
        Choice::Sticky if scenario.quantity_max > 1 => "sticky (1-5)",
        Choice::Sticky => "sticky",
        Choice::Random => "random",
        Choice::Plain => "one counter",
    };
    let dispatch = match (scenario.dispatch, scenario.environments) {
        (Dispatch::MostRecent, _) => "most recent".to_owned(),
        (Dispatch::Uniform, 1) => "uniform".to_owned(),
        (Dispatch::Uniform, times) => format!("uniform × {times}"),
    };
    let Run { main, last, after, .. } = run;
    // A part of a run that no order came in has no figures.
    let figure = |part: &Summary, value: f64, digits: usize| match part.orders {
        0 => "–".to_owned(),
        _ => format!("{value:.digits$}"),
    };
    vec![
        choice.to_owned(),
        dispatch,
        scenario.stripes.to_string(),
        figure(main, main.placed_a_second, 0),
        figure(main, main.attempts, 2),
        figure(main, main.wcu, 1),
        figure(main, main.rcu, 1),
        figure(main, main.p50_ms, 0),
        figure(main, main.p99_ms, 0),
        figure(main, main.busy * 100.0, 2),
        figure(last, last.attempts, 2),
        figure(last, last.p99_ms, 0),
        figure(last, last.busy * 100.0, 2),
        figure(after, after.rcu, 1),
        run.oversold.to_string(),
        run.unsold.to_string(),
    ]
}
