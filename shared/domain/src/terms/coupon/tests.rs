//! Laws of discounts.

use super::*;
use crate::money::AMOUNT_MAX;
use proptest::prelude::*;

fn currency(code: &str) -> Currency {
    Currency::parse(code).unwrap()
}

fn eur(amount: i64) -> Money {
    Money::new(amount, currency("EUR")).unwrap()
}

fn product(id: &str) -> ProductId {
    ProductId::parse(id).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn coupon(discount: Discount) -> Coupon {
    Coupon {
        code: CouponCode::parse("SPRING").unwrap(),
        discount,
        starts_at: None,
        ends_at: None,
        total_uses: 1,
        uses_per_customer: None,
        minimum_total: None,
        products: Vec::new(),
        categories: Vec::new(),
        version: 1,
    }
}

fn percent(text: &str) -> Coupon {
    coupon(Discount::Percent(BasisPoints::parse(text).unwrap()))
}

/// What a coupon takes off lines of (product, category, total), at second 100 in EUR.
fn taken(coupon: &Coupon, lines: &[(&str, &str, i64)]) -> Result<Vec<i64>, CouponRefusal> {
    let products: Vec<_> = lines.iter().map(|(id, _, _)| product(id)).collect();
    let lines: Vec<_> = lines
        .iter()
        .zip(&products)
        .map(|((_, category, total), product)| CouponLine { product, category, total: eur(*total) })
        .collect();
    let parts = coupon.discount_on(&lines, at(100), currency("EUR"))?;
    Ok(parts.into_iter().map(Money::amount).collect())
}

#[test]
fn percentages_have_two_digits_at_most() {
    for (text, points, shown) in [
        ("12.5", 1_250, "12.5"),
        ("100", 10_000, "100"),
        ("100.00", 10_000, "100"),
        ("0.01", 1, "0.01"),
        ("7.05", 705, "7.05"),
        ("0.10", 10, "0.1"),
    ] {
        let share = BasisPoints::parse(text).unwrap();
        assert_eq!((share.points(), share.to_string()), (points, shown.to_owned()), "{text}");
    }
    for bad in ["", "0", "0.00", "100.01", "101", "1.234", ".5", "5.", "05", "-5", "5%", "1e1", "655.36", "٣"] {
        assert_eq!(BasisPoints::parse(bad).unwrap_err().field, "percent", "{bad:?}");
    }
}

#[test]
fn a_discount_is_dealt_to_the_lines_it_is_good_for() {
    assert_eq!(taken(&percent("10"), &[("a", "x", 333), ("b", "x", 333), ("c", "y", 334)]), Ok(vec![33, 33, 34]));
    // 5 of 3 × 10: 1.67 each, so two of them get one more, the earlier first.
    let five = coupon(Discount::Amount(eur(5)));
    assert_eq!(taken(&five, &[("a", "x", 10), ("b", "x", 10), ("c", "x", 10)]), Ok(vec![2, 2, 1]));
    let some = Coupon { products: vec![product("a")], categories: vec!["y".to_owned()], ..percent("50") };
    assert_eq!(taken(&some, &[("a", "x", 10), ("b", "x", 10), ("c", "y", 10)]), Ok(vec![5, 0, 5]));
    // More than there is to take from.
    let much = Coupon { products: vec![product("a")], ..coupon(Discount::Amount(eur(1_000))) };
    assert_eq!(taken(&much, &[("a", "x", 10), ("b", "x", 10), ("a", "x", 3)]), Ok(vec![10, 0, 3]));
    // 12.5 % of 20 is 2.5, which rounds to the even 2; of 28 it is 3.5, which rounds to 4.
    assert_eq!(taken(&percent("12.5"), &[("a", "x", 20)]), Ok(vec![2]));
    assert_eq!(taken(&percent("12.5"), &[("a", "x", 28)]), Ok(vec![4]));
    let greatest = [("a", "x", AMOUNT_MAX), ("b", "x", AMOUNT_MAX)];
    assert_eq!(taken(&percent("100"), &greatest), Ok(vec![AMOUNT_MAX, AMOUNT_MAX]));
}

#[test]
fn refusals_say_why() {
    let line = [("a", "x", 10)];
    let timed = |starts_at, ends_at| Coupon { starts_at, ends_at, ..percent("10") };
    assert_eq!(taken(&timed(Some(at(101)), None), &line), Err(CouponRefusal::NotYetValid { starts_at: at(101) }));
    assert_eq!(taken(&timed(None, Some(at(100))), &line), Err(CouponRefusal::Expired { ended_at: at(100) }));
    assert_eq!(taken(&timed(Some(at(100)), Some(at(101))), &line), Ok(vec![1]));
    let least = |amount| Coupon { minimum_total: Some(eur(amount)), products: vec![product("a")], ..percent("10") };
    assert_eq!(
        taken(&least(31), &[("a", "x", 10), ("b", "x", 20)]),
        Err(CouponRefusal::BelowMinimum { minimum: eur(31) })
    );
    // Lines that it is not good for count towards the minimum.
    assert_eq!(taken(&least(30), &[("a", "x", 10), ("b", "x", 20)]), Ok(vec![1, 0]));
    assert_eq!(taken(&least(0), &[("b", "x", 20)]), Err(CouponRefusal::NothingEligible));
    assert_eq!(taken(&least(0), &[("a", "x", 0)]), Err(CouponRefusal::NothingEligible));
    assert_eq!(taken(&percent("10"), &[]), Err(CouponRefusal::NothingEligible));
    let dollars = Money::new(1, currency("USD")).unwrap();
    let differs = Err(CouponRefusal::CurrencyDiffers { currency: currency("USD") });
    assert_eq!(taken(&coupon(Discount::Amount(dollars)), &line), differs);
    assert_eq!(taken(&Coupon { minimum_total: Some(dollars), ..percent("10") }, &line), differs);
}

#[test]
fn parts_of_a_coupon_that_do_not_fit_are_named() {
    let fields =
        |coupon: Coupon| -> Vec<_> { coupon.checked().unwrap_err().into_iter().map(|invalid| invalid.field).collect() };
    let dollars = Money::new(1, currency("USD")).unwrap();
    let bad = Coupon {
        starts_at: Some(at(5)),
        ends_at: Some(at(5)),
        total_uses: 0,
        uses_per_customer: Some(USES_MAX + 1),
        minimum_total: Some(dollars),
        products: vec![product("a"), product("b"), product("a")],
        categories: vec!["x".to_owned(), String::new()],
        ..coupon(Discount::Amount(eur(0)))
    };
    let expected = [
        "amount.amount",
        "minimum_total.currency",
        "ends_at",
        "total_uses",
        "uses_per_customer",
        "products[2]",
        "categories[1]",
    ];
    assert_eq!(fields(bad), expected);
    let many = Coupon { products: (0..101).map(|n| product(&n.to_string())).collect(), ..percent("1") };
    assert_eq!(fields(many), ["products"]);
    assert!(Coupon { total_uses: USES_MAX, uses_per_customer: Some(1), ..percent("1") }.checked().is_ok());
}

proptest! {
    #[test]
    fn a_discount_adds_up_and_takes_no_more_than_a_line(
        lines in prop::collection::vec((0..4usize, prop_oneof![0..20i64, 0..=AMOUNT_MAX]), 1..12),
        points in 1..=BasisPoints::ALL, amount in prop_oneof![1..50i64, 1..=AMOUNT_MAX], is_percent in any::<bool>(),
        named in prop::collection::vec(0..4usize, 0..3),
    ) {
        const IDS: [&str; 4] = ["a", "b", "c", "d"];
        let discount = match is_percent {
            true => Discount::Percent(BasisPoints::new(points).unwrap()),
            false => Discount::Amount(eur(amount)),
        };
        let coupon = Coupon { products: named.iter().map(|n| product(IDS[*n])).collect(), ..coupon(discount) };
        let eligible = |n: usize| named.is_empty() || named.contains(&n);
        let subtotal: i128 = lines.iter().filter(|(n, _)| eligible(*n)).map(|(_, total)| i128::from(*total)).sum();
        let whole = match is_percent {
            true => half_even((subtotal * i128::from(points)) as u128, 10_000) as i128,
            false => i128::from(amount).min(subtotal),
        };
        let given: Vec<_> = lines.iter().map(|(n, total)| (IDS[*n], "x", *total)).collect();
        match taken(&coupon, &given) {
            Ok(parts) => {
                prop_assert_eq!(parts.iter().map(|part| i128::from(*part)).sum::<i128>(), whole);
                for (part, (n, total)) in parts.iter().zip(&lines) {
                    prop_assert!(part <= total && (eligible(*n) || *part == 0));
                    // Hamilton's rule: each part is its exact share, rounded down or up.
                    let exact = if eligible(*n) { whole * i128::from(*total) } else { 0 };
                    prop_assert!((i128::from(*part) * subtotal - exact).abs() < subtotal);
                }
            }
            Err(refusal) => {
                prop_assert_eq!(refusal, CouponRefusal::NothingEligible);
                prop_assert_eq!(subtotal, 0);
            }
        }
    }
}
