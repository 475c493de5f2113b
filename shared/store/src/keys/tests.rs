//! That keys are apart, and sort as they should.

use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn sec_1_keys_of_two_tenants_never_meet(
        a in "[A-Za-z0-9_-]{1,8}", b in "[A-Za-z0-9_-]{1,8}", x in "[A-Za-z0-9_. -]{1,8}", y in "[A-Za-z0-9_. -]{1,8}",
    ) {
        prop_assume!(a != b && x.trim() == x && y.trim() == y);
        let (a, b) = (TenantId::parse(a).unwrap(), TenantId::parse(b).unwrap());
        let (x, y) = (ProductId::parse(x).unwrap(), ProductId::parse(y).unwrap());
        prop_assert_ne!(product(&a, &x).pk, product(&b, &y).pk);
        prop_assert_ne!(stock(&a, &x), stock(&b, &y));
        for other in [&a, &b] {
            prop_assert_ne!(product(other, &x).pk, stock(other, &y));
        }
    }
}

#[test]
fn ord_12_a_day_ends_at_midnight_utc() {
    let day = |text: &str| day_of(text.parse().unwrap()).to_string();
    assert_eq!(day("2026-03-29T23:59:59.999Z"), "2026-03-29");
    assert_eq!(day("2026-03-30T00:00:00Z"), "2026-03-30");
    assert_eq!(day("2026-03-30T01:30:00+02:00"), "2026-03-29");
}

#[test]
fn a_pool_is_found_by_its_name() {
    let stock =
        PoolId::Stock { product: ProductId::parse("mug").unwrap(), warehouse: WarehouseId::parse("w").unwrap() };
    let coupon = PoolId::Coupon { code: CouponCode::parse("TEN").unwrap() };
    for pool in [stock, coupon] {
        assert_eq!(parse_pool_name(&pool_name(&pool).unwrap()), Some(pool));
    }
    assert_eq!(parse_pool_name("seat#1"), None);
}

#[test]
fn positions_sort_by_time() {
    let id = OrderId::parse("6ba7b810-9dad-81d1-80b4-00c04fd430c8").unwrap();
    let at = |ms| order_position(Timestamp::from_millisecond(ms).unwrap(), id);
    assert!(at(999_999_999_999) < at(1_000_000_000_000));
    assert!(instant(Timestamp::from_millisecond(5).unwrap()) < at(5));
    assert_eq!(parse_order_pk(&order(&TenantId::parse("t").unwrap(), id).pk).unwrap().1, id);
}
