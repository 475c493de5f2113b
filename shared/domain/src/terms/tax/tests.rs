//! What a percentage reads as, and what it comes to.

use super::*;
use crate::money::Currency;
use proptest::prelude::*;

fn eur(amount: i64) -> Money {
    Money::new(amount, Currency::parse("EUR").unwrap()).unwrap()
}

#[test]
fn a_tax_rate_is_a_plain_decimal_up_to_a_hundred() {
    for (text, shown, millionths) in [
        ("19", "19", 190_000),
        ("19.0", "19", 190_000),
        ("7.70", "7.7", 77_000),
        ("8.875", "8.875", 88_750),
        ("0", "0", 0),
        ("0.0001", "0.0001", 1),
        ("10.0500", "10.05", 100_500),
        ("100", "100", 1_000_000),
        ("100.0000", "100", 1_000_000),
    ] {
        let percent = TaxPercent::parse(text).unwrap();
        assert_eq!((percent.to_string().as_str(), percent.millionths()), (shown, millionths), "{text}");
        assert_eq!(TaxPercent::parse(shown).unwrap(), percent);
    }
    let bad = [
        "",
        ".",
        "5.",
        ".5",
        "019",
        "-1",
        "+1",
        "1e1",
        "1,5",
        " 1",
        "1.2.3",
        "٣",
        "100.0001",
        "101",
        "999",
        "1000",
        "1.00001",
        "1.0123456789",
    ];
    for bad in bad {
        assert_eq!(TaxPercent::parse(bad).unwrap_err().field, "percent", "{bad:?}");
    }
}

#[test]
fn classes_and_policies_are_read_by_name() {
    assert_eq!(TaxClass::default().as_str(), "standard");
    for mode in ["none", "inclusive", "exclusive"] {
        assert_eq!(TaxPolicy::parse(mode).unwrap().name(), mode);
    }
    assert_eq!(TaxPolicy::parse("Inclusive").unwrap_err().field, "mode");
    assert_eq!(serde_json::to_string(&TaxMode::Exclusive).unwrap(), "\"exclusive\"");
}

#[test]
fn ord_7_halves_of_a_tax_go_up() {
    for (mode, amount, percent, tax) in [
        (TaxMode::Exclusive, 10_000, "19", 1_900),
        (TaxMode::Exclusive, 50, "19", 10),     // 9.5
        (TaxMode::Exclusive, 150, "19", 29),    // 28.5
        (TaxMode::Exclusive, 1_999, "19", 380), // 379.81
        (TaxMode::Exclusive, 2, "25", 1),       // 0.5
        (TaxMode::Exclusive, 1_999, "0", 0),
        (TaxMode::Exclusive, 0, "19", 0),
        (TaxMode::Inclusive, 11_900, "19", 1_900),
        (TaxMode::Inclusive, 1_999, "19", 319), // 319.17
        (TaxMode::Inclusive, 3, "20", 1),       // 0.5
        (TaxMode::Inclusive, 9, "20", 2),       // 1.5
        (TaxMode::Inclusive, 2, "100", 1),
        (TaxMode::Inclusive, 1_999, "0", 0),
        (TaxMode::Inclusive, AMOUNT_MAX, "100", 4_503_599_627_370_496),
        (TaxMode::Exclusive, AMOUNT_MAX, "100", AMOUNT_MAX),
    ] {
        let counted = mode.tax_on(eur(amount), TaxPercent::parse(percent).unwrap()).unwrap();
        assert_eq!(counted.amount(), tax, "{mode:?} {amount} at {percent} %");
    }
}

proptest! {
    /// No tax is off by more than half a minor unit, and what is in an amount is never more than the amount.
    #[test]
    fn ord_7_a_tax_is_the_nearest_to_the_exact_one(amount in 0..=AMOUNT_MAX, millionths in 0..=TaxPercent::WHOLE) {
        let (percent, share) = (TaxPercent::new(millionths).unwrap(), u128::from(millionths));
        let units = u128::try_from(amount).unwrap();
        for (mode, whole) in [(TaxMode::Exclusive, 1_000_000), (TaxMode::Inclusive, 1_000_000 + share)] {
            let tax = mode.tax_on(eur(amount), percent).unwrap().amount();
            prop_assert!(2 * (units * share).abs_diff(u128::try_from(tax).unwrap() * whole) <= whole);
            prop_assert!(tax <= amount);
        }
    }

    #[test]
    fn a_percentage_reads_as_it_is_written(millionths in 0..=TaxPercent::WHOLE) {
        let percent = TaxPercent::new(millionths).unwrap();
        prop_assert_eq!(TaxPercent::parse(&percent.to_string()).unwrap(), percent);
    }
}
