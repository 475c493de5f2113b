//! The model itself: it keeps the laws, and it repeats.

use super::buyer::Choice;
use super::figures::Part;
use super::simulation::{Dispatch, Scenario, run};

fn scenario(choice: Choice, quantity_max: u32, seed: u64) -> Scenario {
    Scenario {
        stripes: 64,
        rate: 1_500.0,
        orders: 7_000,
        stock: 6_000,
        quantity_max,
        choice,
        dispatch: Dispatch::MostRecent,
        environments: 1,
        warm_up_ms: 0,
        seed,
    }
}

#[test]
fn ord_2_a_hot_product_sells_to_the_last_unit_and_no_further() {
    for (quantity_max, seed) in [(1, 1), (1, 2), (5, 3)] {
        let figures = run(&scenario(Choice::Sticky, quantity_max, seed));
        assert_eq!((figures.oversold, figures.unsold, figures.lied), (0, 0, 0), "seed {seed}");
        let [main, last, after] = [Part::Main, Part::Last, Part::After].map(|part| figures.summary(part));
        assert!(main.attempts < 1.15 && main.p99_ms < 100.0, "{main:?}");
        assert!(last.attempts < 4.0, "{last:?}");
        // Only those that come before it has got about still ask.
        assert!(after.orders > 100 && after.placed == 0 && after.wcu < 0.5, "{after:?}");
    }
}

#[test]
fn a_run_follows_from_its_seed() {
    let summary = |seed| format!("{:?}", run(&scenario(Choice::Sticky, 3, seed)).summary(Part::Main));
    assert_eq!(summary(7), summary(7));
    assert_ne!(summary(7), summary(8));
}

#[test]
fn where_the_stripe_is_drawn_anew_each_time_orders_meet_more_often() {
    let attempts = |choice| run(&scenario(choice, 1, 1)).summary(Part::Main).attempts;
    assert!(attempts(Choice::Random) > attempts(Choice::Sticky) + 0.1);
}

#[test]
fn one_counter_takes_a_thousand_writes_a_second() {
    let figures =
        run(&Scenario { stripes: 1, rate: 4_000.0, orders: 20_000, stock: 50_000, ..scenario(Choice::Plain, 1, 1) });
    let placed = figures.summary(Part::Main).placed;
    // Five seconds of orders, and the pauses after the last order.
    assert!((4_900..=6_500).contains(&placed), "{placed} placed");
}
