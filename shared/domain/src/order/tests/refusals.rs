//! What a refusal says is allowed: the table's ways, for the caller's role.

use super::commands::{By, Line, eur, placed};
use super::{AT, MINUTES, address, method};
use crate::order::*;
use std::collections::BTreeSet;

/// Where an order that stands here may be led by this role, read off the table.
fn table(from: OrderState, role: Role) -> BTreeSet<&'static str> {
    let ways = TRANSITIONS.iter().filter(|way| way.from == from && way.by.contains(&role) && way.to != from);
    ways.map(|way| way.to.name()).collect()
}

fn illegal(refused: Result<Change, NotFulfilled>) -> Option<IllegalTransition> {
    match refused {
        Err(NotFulfilled::Illegal(refused)) => Some(refused),
        _ => None,
    }
}

#[test]
fn ord_8_a_refusal_says_where_the_caller_may_lead_the_order() {
    let mut refusals = 0;
    for state in OrderState::ALL {
        for by in [By::Customer, By::Staff, By::Worker] {
            let mut order = placed(&[Line { from: vec![(0, 0, 1)], total: 10, discount: 0 }], false);
            order.state = state;
            let actor = by.actor();
            let back = [ReturnedLine { line: 0, quantity: 1, restock: true }];
            let refused = [
                order.cancel(&actor, AT, None).err(),
                order.release(&actor, AT).err(),
                order.abort(&actor, AT, None).err(),
                order.complete(&actor, AT, MINUTES).err(),
                order.confirm(&actor, address(), None, method(), AT, MINUTES).err(),
                illegal(order.ship(&Wish::Rest, 1, &actor, AT)),
                illegal(order.take_back(&back, 1, AT, &actor, AT, None)),
            ];
            for refused in refused.into_iter().flatten() {
                refusals += 1;
                let allowed: BTreeSet<_> = refused.allowed().into_iter().map(OrderState::name).collect();
                assert_eq!((refused.from, refused.by), (state, actor.role()));
                assert_eq!(allowed, table(state, actor.role()), "{refused}, by {by:?}");
            }
        }
    }
    assert!(refusals > 200, "only {refusals} deeds were refused");
}

#[test]
fn ord_9_a_customer_is_not_told_to_ship() {
    use OrderState as S;
    assert_eq!(S::Paid.next_by(Role::Customer), [S::Cancelled]);
    assert_eq!(S::Paid.next_by(Role::Staff), [S::Cancelled, S::Shipping]);
    assert!(S::Shipping.next_by(Role::Customer).is_empty() && S::Cancelled.next_by(Role::Staff).is_empty());
}

/// Nothing is noted of amounts that the ledger has no room for, however large or in whichever currency.
#[test]
fn pay_3_an_amount_that_the_ledger_cannot_hold_is_refused() {
    let order = placed(&[Line { from: vec![(0, 0, 1)], total: 10, discount: 0 }], true);
    let yen = Money::new(1, crate::money::Currency::parse("JPY").unwrap()).unwrap();
    for amount in [eur(1), eur(crate::money::AMOUNT_MAX), yen] {
        assert!(order.captured(Cause::Order, amount, AT).is_err(), "{amount:?}");
    }
}

#[test]
fn pay_3_what_costs_something_is_not_paid_without_a_provider() {
    let order = placed(&[Line { from: vec![(0, 0, 1)], total: 10, discount: 0 }], true);
    assert_eq!(order.confirm_unpriced(AT).unwrap_err().to, OrderState::Paid);
}
