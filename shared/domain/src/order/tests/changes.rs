//! Changing, splitting and merging conserve what orders claim and cost, whatever they consist of.

use super::*;
use crate::ids::{CouponCode, Fingerprint, TenantId};
use crate::pool::{AllowanceOf, Guard, Take, merged};
use std::collections::BTreeMap;

/// A line as it is drawn: which product, units by stripe, the price of one, what a coupon takes off in percent, and
/// whether it is priced in another currency.
type Drawn = (u8, Vec<(u16, u32)>, i64, i64, bool);

fn drawn() -> impl Strategy<Value = Vec<Drawn>> {
    let sources = prop::collection::vec((0..4_u16, 1..20_u32), 1..4);
    prop::collection::vec((0..5_u8, sources, 0..500_i64, 0..=100_i64, any::<bool>()), 1..6)
}

fn money(amount: i64) -> Money {
    Money::new(amount, Currency::parse("EUR").unwrap()).unwrap()
}

fn coupon() -> CouponCode {
    CouponCode::parse("TEN").unwrap()
}

fn allowance(of: AllowanceOf, quantity: u32) -> Claim {
    let pool = PoolId::Allowance { customer: CustomerId::parse("c-1").unwrap(), of };
    Claim { stripe: StripeId { pool, number: 0 }, quantity }
}

fn limited(product: &str, quantity: u32) -> Claim {
    let product = ProductId::parse(product).unwrap();
    allowance(AllowanceOf::Product { product, window_seconds: 60, window: 1 }, quantity)
}

/// An order of these lines, the first product of which is limited, with a coupon.
fn order_of(key: &str, drawn: &[Drawn]) -> Order {
    let names: Vec<_> = drawn.iter().map(|line| format!("p{}", line.0)).collect();
    let units = |line: &Drawn| line.1.iter().map(|(_, units)| units).sum::<u32>();
    let lines: Vec<_> =
        names.iter().zip(drawn).map(|(name, line)| (name.as_str(), i64::from(units(line)), None)).collect();
    let prices: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let mut request = request(&lines);
    request.order_id = OrderId::derive(&request.tenant, &request.customer.id, &IdempotencyKey::parse(key).unwrap());
    request.purpose = Purpose::Order { address: address(), method: None };
    let priced = priced(&request, &prices).unwrap();
    let stock = drawn
        .iter()
        .zip(&names)
        .flat_map(|(line, name)| line.1.iter().map(|(number, units)| claim(name, *number, *units)).collect::<Vec<_>>());
    let mut order = request.placed(&priced, &merged(stock), AT, MINUTES);
    for (line, (_, _, price, percent, foreign)) in order.lines.iter_mut().zip(drawn) {
        line.unit_price = money(*price);
        // A converted total is no multiple of the price.
        line.total = money(price * i64::from(line.quantity.units()) + i64::from(*foreign) * 7);
        line.discount = money(line.total.amount() * percent / 100);
    }
    let limited_units =
        drawn.iter().zip(&names).filter(|(_, name)| **name == names[0]).map(|(line, _)| units(line)).sum();
    let use_of_coupon = Claim { stripe: StripeId { pool: PoolId::Coupon { code: coupon() }, number: 3 }, quantity: 1 };
    let by_customer = allowance(AllowanceOf::Coupon { code: coupon() }, 1);
    order.claims = vec![limited(&names[0], limited_units), use_of_coupon, by_customer];
    let off = order.lines.iter().map(|line| line.discount.amount()).sum();
    order.discount = Some(Discount { coupon: coupon(), amount: money(off) });
    order.total = order.payable_for(&order.lines).unwrap();
    order.payment = order.payment_of(order.total);
    order
}

/// What holds of every order that is not paid.
fn is_sound(order: &Order) -> Result<(), TestCaseError> {
    prop_assert!(!order.lines.is_empty());
    let (mut total, mut off) = (0, 0);
    for line in &order.lines {
        prop_assert_eq!(line.from.iter().map(|source| source.quantity).sum::<u32>(), line.quantity.units());
        prop_assert!(line.discount.amount() <= line.total.amount());
        total += line.total.amount() - line.discount.amount();
        off += line.discount.amount();
    }
    prop_assert_eq!(order.total.amount(), total);
    prop_assert_eq!(order.discount.as_ref().map_or(0, |discount| discount.amount.amount()), off);
    let status = if total == 0 { PaymentStatus::None } else { PaymentStatus::Pending };
    prop_assert_eq!(&order.payment.status, &status);
    Ok(())
}

fn claims_of(orders: &[&Order]) -> Vec<Claim> {
    merged(orders.iter().flat_map(|order| order.all_claims()))
}

fn split_as(order: &Order, key: &str) -> SplitAs {
    let id = order.id.derive_split(&order.tenant, &IdempotencyKey::parse(key).unwrap());
    SplitAs { id, fingerprint: Fingerprint::of(b"split") }
}

proptest! {
    #[test]
    fn ord_10_a_split_conserves_claims_and_totals_and_a_merge_undoes_it(
        lines in drawn(), cuts in prop::collection::vec((0..6_usize, 1..30_u32), 1..5),
    ) {
        let whole = order_of("k", &lines);
        is_sound(&whole)?;
        let units: Vec<_> = cuts.iter().map(|(line, quantity)| ShippedLine { line: *line, quantity: *quantity }).collect();
        let mut asked = BTreeMap::<usize, u32>::new();
        units.iter().for_each(|unit| *asked.entry(unit.line).or_default() += unit.quantity);
        let has = |line: usize| whole.lines.get(line).map_or(0, |line| line.quantity.units());
        let fits = asked.iter().all(|(line, units)| *units <= has(*line));
        let all: u32 = (0..whole.lines.len()).map(has).sum();
        let split = whole.split_off(&units, split_as(&whole, "s"), &buyer(), AT);
        prop_assert_eq!(split.is_ok(), fits && asked.values().sum::<u32>() < all, "{:?}", split);
        let Ok((change, off)) = split else { return Ok(()) };
        let rest = change.order;
        is_sound(&rest)?;
        is_sound(&off)?;
        prop_assert_eq!(rest.total.amount() + off.total.amount(), whole.total.amount());
        prop_assert_eq!(claims_of(&[&rest, &off]), whole.all_claims());
        prop_assert_eq!(change.stock, StockEffect::Keep);
        // The use of the coupon stays, and allowances go with their units.
        let is_allowance = |claim: &Claim| matches!(claim.stripe.pool, PoolId::Allowance { .. });
        prop_assert!(off.claims.iter().all(is_allowance));
        prop_assert!(off.claims.iter().map(|claim| claim.quantity).sum::<u32>() <= asked.values().sum::<u32>());
        prop_assert_eq!((off.expires_at, off.version, off.history.len()), (whole.expires_at, 1, 1));
        prop_assert!(off.was_split_off() && rest.split_off_since(AT) == [off.id]);

        let (target, source) = rest.absorb(&off, &buyer(), AT).unwrap();
        is_sound(&target.order)?;
        prop_assert_eq!(target.order.total, whole.total);
        prop_assert_eq!(target.order.all_claims(), whole.all_claims());
        prop_assert_eq!((source.order.state, source.stock), (OrderState::Merged, StockEffect::Keep));
        prop_assert!(source.order.was_merged_into(rest.id) && !source.order.state.keeps_stock());
    }

    #[test]
    fn ord_10_a_merge_conserves_claims_and_totals(one in drawn(), other in drawn()) {
        let (one, mut other) = (order_of("k-1", &one), order_of("k-2", &other));
        other.expires_at = AT + SignedDuration::from_mins(3);
        let (target, source) = one.absorb(&other, &buyer(), AT).unwrap();
        is_sound(&target.order)?;
        prop_assert_eq!(target.order.total.amount(), one.total.amount() + other.total.amount());
        prop_assert_eq!(target.order.all_claims(), claims_of(&[&one, &other]));
        prop_assert_eq!(target.order.expires_at, other.expires_at);
        prop_assert!(target.order.moved_units_since(AT) && source.order.moved_units_since(AT));
        prop_assert!(!one.moved_units_since(AT));
    }

    #[test]
    fn ord_9_a_change_claims_and_gives_back_the_difference(before in drawn(), after in drawn(), limit in any::<bool>()) {
        let order = order_of("k", &before);
        let target = order_of("k", &after);
        let quantities = |order: &Order| {
            let mut units = BTreeMap::<ProductId, u32>::new();
            order.lines.iter().for_each(|line| *units.entry(line.product.clone()).or_default() += line.quantity.units());
            units
        };
        let lines = target.lines.iter().map(|line| RequestedLine {
            product: line.product.clone(), quantity: line.quantity, shown_price: None,
        });
        let request = PlaceOrder { coupon: None, ..order.request_of(lines.collect()) };
        let catalogue: Vec<_> = (0..5).map(|n| format!("p{n}")).collect();
        let prices: Vec<_> = catalogue.iter().map(|name| (name.as_str(), 100)).collect();
        let mut priced = priced(&request, &prices).unwrap();
        priced.coupon = Some((coupon(), 1));
        if limit {
            let first = target.lines[0].product.as_str();
            let guard = Guard::Limit { units: 1_000, forget_at: None };
            priced.allowances = vec![Take { claim: limited(first, quantities(&target)[&target.lines[0].product]), guard }];
        }
        let exchange = order.exchange(&priced);
        prop_assert_eq!(merged(exchange.kept.iter().chain(&exchange.surplus).cloned()), order.all_claims());
        prop_assert!(!exchange.coupon, "the use that the order has is enough");
        for (product, needed) in quantities(&target) {
            let of = |claims: &[Claim]| -> u32 {
                let own = claims.iter().filter(|claim| claim.stripe.pool.stock_product() == Some(&product));
                own.map(|claim| claim.quantity).sum()
            };
            let missing: u32 = exchange.demands.iter().filter(|demand| demand.product == product).map(|it| it.quantity).sum();
            prop_assert_eq!(of(&exchange.kept) + missing, needed);
            prop_assert!(missing == 0 || of(&exchange.surplus) == 0, "{} both ways", product);
        }
        let taken = exchange.demands.iter().map(|demand| claim(demand.product.as_str(), 9, demand.quantity));
        let taken = taken.chain(exchange.allowances.iter().map(|take| take.claim.clone()));
        let claims: Vec<_> = exchange.kept.iter().cloned().chain(taken).collect();
        let change = order.change(&Revision::default(), &buyer(), AT).unwrap();
        let changed = change.with_lines(&request, &priced, &claims).unwrap().order;
        is_sound(&changed)?;
        prop_assert_eq!(changed.all_claims(), merged(claims));
        prop_assert_eq!(quantities(&changed), quantities(&target));
    }
}

fn two() -> Order {
    order_of("k", &[(0, vec![(0, 2)], 100, 0, false), (1, vec![(1, 3)], 50, 0, false)])
}

/// Each way in which an order is not changed, for all three that change it.
#[test]
fn ord_9_only_what_waits_to_be_paid_is_changed() {
    let (order, other) = (two(), order_of("k-2", &[(0, vec![(0, 1)], 100, 0, false)]));
    let started = order.start_payment(AT).unwrap().order;
    let cancelled = order.cancel(&buyer(), AT, None).unwrap().order;
    let in_parts = Order { parts: Some(Parts { attempt: 1, count: 2 }), ..order.clone() };
    let late = AT + MINUTES;
    let illegal = |to| NotChanged::Illegal(IllegalTransition { from: OrderState::Cancelled, to, by: Role::Customer });
    let units = [ShippedLine { line: 0, quantity: 1 }];
    let split = |order: &Order, at| order.split_off(&units, split_as(order, "s"), &buyer(), at).unwrap_err();
    let over = NotChanged::TimeOver { until: late };
    for (order, at, why) in [
        (&started, AT, NotChanged::PaymentStarted),
        (&cancelled, AT, illegal(OrderState::Placed)),
        (&order, late, over),
    ] {
        assert_eq!(order.change(&Revision::default(), &buyer(), at).unwrap_err(), why);
        assert_eq!(split(order, at), NotSplit::NotChanged(why.clone()));
        let refused = order.absorb(&other, &buyer(), at).unwrap_err();
        assert_eq!(refused, NotMerged::NotChanged { id: order.id, why });
    }
    let refused = other.absorb(&cancelled, &buyer(), AT).unwrap_err();
    assert_eq!(refused, NotMerged::NotChanged { id: cancelled.id, why: illegal(OrderState::Merged) });
    assert!(in_parts.change(&Revision::default(), &buyer(), AT).is_ok());
    assert_eq!(split(&in_parts, AT), NotSplit::NotChanged(NotChanged::TooLarge));
    assert_eq!(other.absorb(&in_parts, &buyer(), AT).unwrap_err(), NotMerged::Unlike(Unlike::TooLarge));
}

#[test]
fn ord_10_orders_that_do_not_fit_together_are_not_merged() {
    let order = two();
    let other = || order_of("k-2", &[(0, vec![(0, 1)], 100, 0, false)]);
    let stranger = Order { customer: CustomerId::parse("c-2").unwrap(), ..other() };
    let guest = Order { guest: true, ..other() };
    let tenant = Order { tenant: TenantId::parse("other").unwrap(), ..other() };
    let dollars = Order { total: Money::new(1, Currency::parse("USD").unwrap()).unwrap(), ..other() };
    let discount = Discount { coupon: CouponCode::parse("FIVE").unwrap(), amount: money(0) };
    let coupon = Order { discount: Some(discount), ..other() };
    let mut wide = other();
    let pools = (0..100).map(|n| claim(&format!("w{n}"), 0, 1));
    wide.claims.extend(pools);
    for (other, why) in [
        (stranger, Unlike::Customer),
        (guest, Unlike::Customer),
        (tenant, Unlike::Customer),
        (dollars, Unlike::Currency),
        (coupon, Unlike::Coupon),
        (wide, Unlike::TooLarge),
    ] {
        assert_eq!(order.absorb(&other, &buyer(), AT).unwrap_err(), NotMerged::Unlike(why));
    }
}

#[test]
fn ord_9_an_order_that_was_changed_too_often_is_left_as_it_is() {
    let mut order = two();
    let mut changes = 0;
    while let Ok(change) = order.change(&Revision::default(), &buyer(), AT) {
        order = change.order;
        changes += 1;
        assert!(changes < 1_000, "it can be changed for ever");
    }
    assert!(changes > 100 && order.cancel(&buyer(), AT, None).is_ok());
}
