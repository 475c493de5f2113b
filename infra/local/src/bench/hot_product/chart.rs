//! The results as a picture.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

use SeriesLabelPosition::{LowerLeft, UpperLeft};

use super::buyer::Choice;
use super::runs::{Results, Run};
use super::simulation::Dispatch;

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// A line of a panel: what it shows, its colour, its points.
type Line = (&'static str, RGBColor, Vec<(f64, f64)>);

const STICKY: RGBColor = RGBColor(0, 114, 178);
const RANDOM: RGBColor = RGBColor(213, 94, 0);
const STICKY_SPREAD: RGBColor = RGBColor(0, 158, 115);
const RANDOM_SPREAD: RGBColor = RGBColor(204, 121, 167);
const PLAIN: RGBColor = RGBColor(90, 90, 90);

/// Draws three panels side by side into a PNG file.
///
/// # Errors
/// When the file cannot be written.
pub fn draw(results: &Results, path: &Path) -> anyhow::Result<()> {
    // The font comes with the program: a machine may have none.
    let registered = register_font("sans-serif", FontStyle::Normal, dejavu::sans::regular());
    registered.map_err(|_| anyhow::anyhow!("the font of the chart is not readable"))?;
    let root = BitMapBackend::new(path, (2_100, 720)).into_drawing_area();
    root.fill(&WHITE)?;
    let panels = root.split_evenly((1, 3));
    let knees = knees(results);
    panel(&panels[0], "most orders/s (p99 < 300 ms, busy < 0.1 %)", (10.0, 100_000.0), UpperLeft, &knees)?;
    let attempts = lines(results, |run| run.main.attempts);
    panel(&panels[1], "attempts an order at 10,000 orders/s", (0.9, 10.0), LowerLeft, &attempts)?;
    let times = lines(results, |run| run.main.p99_ms);
    panel(&panels[2], "p99 at 10,000 orders/s, ms", (20.0, 2_000.0), LowerLeft, &times)?;
    root.present()?;
    Ok(())
}

fn knees(results: &Results) -> Vec<Line> {
    let of = |choice| {
        let knees = results.knees.iter().filter(|knee| knee.choice == choice);
        knees.map(|knee| (f64::from(knee.stripes), knee.rate)).collect()
    };
    vec![
        ("sticky", STICKY, of(Choice::Sticky)),
        ("random", RANDOM, of(Choice::Random)),
        ("one counter, no transaction", PLAIN, of(Choice::Plain)),
    ]
}

fn lines(results: &Results, value: impl Fn(&Run) -> f64) -> Vec<Line> {
    let of = |choice, dispatch, environments| {
        let runs = results.runs.iter().filter(|run| {
            let scenario = &run.scenario;
            (scenario.choice, scenario.dispatch, scenario.environments) == (choice, dispatch, environments)
                && scenario.quantity_max == 1
        });
        runs.map(|run| (f64::from(run.scenario.stripes), value(run))).collect()
    };
    vec![
        ("sticky, most recent", STICKY, of(Choice::Sticky, Dispatch::MostRecent, 1)),
        ("random, most recent", RANDOM, of(Choice::Random, Dispatch::MostRecent, 1)),
        ("sticky, uniform × 4", STICKY_SPREAD, of(Choice::Sticky, Dispatch::Uniform, 4)),
        ("random, uniform × 4", RANDOM_SPREAD, of(Choice::Random, Dispatch::Uniform, 4)),
        ("one counter, no transaction", PLAIN, of(Choice::Plain, Dispatch::MostRecent, 1)),
    ]
}

fn panel(
    area: &Area<'_>,
    title: &str,
    (low, high): (f64, f64),
    legend: SeriesLabelPosition,
    lines: &[Line],
) -> anyhow::Result<()> {
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 24))
        .margin(20)
        .x_label_area_size(60)
        .y_label_area_size(80)
        .build_cartesian_2d((0.8f64..1_300.0).log_scale(), (low..high).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("stripes")
        .label_style(("sans-serif", 18))
        .axis_desc_style(("sans-serif", 20))
        .light_line_style(WHITE)
        .x_label_formatter(&|value| format!("{value:.0}"))
        .y_label_formatter(&|value| if *value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") })
        .draw()?;
    for (name, colour, points) in lines {
        let colour = *colour;
        let key = move |(x, y): (i32, i32)| PathElement::new([(x, y), (x + 24, y)], colour.stroke_width(3));
        chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(3)))?.label(*name).legend(key);
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 5, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(legend)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 18))
        .draw()?;
    Ok(())
}
