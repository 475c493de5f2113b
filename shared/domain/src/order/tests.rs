//! Laws of orders, on random sequences of deeds.

use super::*;
use crate::ids::{IdempotencyKey, ProductId, WarehouseId};
use crate::money::Currency;
use crate::payment::{
    DeclineCode, PaymentMethod, PaymentOutcome, PaymentReference, PaymentStatus, PaymentStep, next_step,
};
use crate::pool::{Claim, PoolId, StripeId};
use crate::product::Product;
use jiff::SignedDuration;
use proptest::prelude::*;
use std::collections::HashMap;

const AT: Timestamp = Timestamp::UNIX_EPOCH;

fn product(id: &str, price: i64) -> Product {
    Product {
        id: ProductId::parse(id).unwrap(),
        name: id.to_owned(),
        description: String::new(),
        category: "all".to_owned(),
        price: Money::new(price, Currency::parse("EUR").unwrap()).unwrap(),
        price_version: 1,
        version: 1,
    }
}

fn request(lines: &[(&str, i64, Option<i64>)]) -> PlaceOrder {
    let tenant = TenantId::parse("acme").unwrap();
    let customer = CustomerId::parse("c-1").unwrap();
    let line = |(product, quantity, shown_price): &(&str, i64, Option<i64>)| RequestedLine {
        product: ProductId::parse(*product).unwrap(),
        quantity: Quantity::new(*quantity).unwrap(),
        shown_price: *shown_price,
    };
    let address = r#"{"name":"A","line1":"B","city":"C","country":"DE"}"#;
    PlaceOrder {
        order_id: OrderId::derive(&tenant, &customer, &IdempotencyKey::parse("k").unwrap()),
        tenant,
        customer: Customer { id: customer, guest: false },
        fingerprint: Fingerprint::of(b""),
        currency: Currency::parse("EUR").unwrap(),
        lines: lines.iter().map(line).collect(),
        address: serde_json::from_str(address).unwrap(),
        payment_method: PaymentMethod::parse("pm_card_visa".to_owned()).unwrap(),
    }
}

fn catalogue(products: &[(&str, i64)]) -> HashMap<ProductId, Product> {
    let product = |(id, price): &(&str, i64)| (ProductId::parse(*id).unwrap(), product(id, *price));
    products.iter().map(product).collect()
}

fn claim(product: &str, number: u16, quantity: u32) -> Claim {
    let pool =
        PoolId::Stock { product: ProductId::parse(product).unwrap(), warehouse: WarehouseId::parse("main").unwrap() };
    Claim { stripe: StripeId { pool, number }, quantity }
}

fn placed(price: i64) -> Order {
    let request = request(&[("mug", 3, None)]);
    let priced = request.priced(&catalogue(&[("mug", price)])).unwrap();
    request.placed(&priced, &[claim("mug", 0, 3)], AT, SignedDuration::from_mins(15))
}

#[test]
fn ord_7_the_price_shown_is_paid_or_refused_with_the_new_one() {
    let shown = request(&[("mug", 1, Some(1999)), ("cup", 1, Some(500))]);
    assert_eq!(shown.priced(&catalogue(&[("mug", 1999), ("cup", 500)])).unwrap().total.amount(), 2499);
    match shown.priced(&catalogue(&[("mug", 2499), ("cup", 500)])).unwrap_err() {
        Refusal::PriceChanged(changes) => {
            let [change] = &changes[..] else { panic!("{changes:?}") };
            assert_eq!((change.line, change.shown, change.price.amount()), (0, 1999, 2499));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn claims_are_dealt_out_to_lines_of_the_same_product() {
    let request = request(&[("mug", 2, None), ("cup", 1, None), ("mug", 3, None)]);
    let priced = request.priced(&catalogue(&[("mug", 1), ("cup", 1)])).unwrap();
    assert_eq!(priced.demands.iter().map(|demand| demand.quantity).collect::<Vec<_>>(), [1, 5]);
    let claims = [claim("mug", 1, 3), claim("cup", 0, 1), claim("mug", 2, 2)];
    let order = request.placed(&priced, &claims, AT, SignedDuration::from_mins(15));
    for line in &order.lines {
        assert_eq!(line.from.iter().map(|source| source.quantity).sum::<u32>(), line.quantity.units());
    }
    match order.cancel(&Actor::Worker("test"), AT, None).unwrap().stock {
        StockEffect::GiveBack(back) => assert_eq!(back.iter().map(|claim| claim.quantity).sum::<u32>(), 6),
        StockEffect::Keep => panic!("a cancelled order kept its stock"),
    }
}

#[test]
fn ord_8_only_named_transitions_are_legal() {
    for from in OrderState::ALL {
        for to in OrderState::ALL {
            let legal = matches!(
                (from, to),
                (OrderState::Placed, to) if to != OrderState::Placed
            ) || (from, to) == (OrderState::Paid, OrderState::Cancelled);
            assert_eq!(from.next().contains(&to), legal, "{from} -> {to}");
        }
        assert_eq!(from.name().parse::<OrderState>().unwrap(), from);
    }
}

/// What may be done to an order.
#[derive(Debug, Clone)]
enum Deed {
    Cancel,
    Expire,
    Start,
    Confirm,
    Authorise,
    Decline,
    Void,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        Just(Deed::Cancel),
        Just(Deed::Expire),
        Just(Deed::Start),
        Just(Deed::Confirm),
        Just(Deed::Authorise),
        Just(Deed::Decline),
        Just(Deed::Void),
    ];
    prop::collection::vec(deed, 0..12)
}

fn done(order: &Order, deed: &Deed) -> Option<Change> {
    match deed {
        Deed::Cancel => order.cancel(&Actor::Worker("test"), AT, None).ok(),
        Deed::Expire => order.expire(AT).ok(),
        Deed::Start => order.start_payment(AT).ok(),
        Deed::Confirm => order.confirm_unpriced(AT).ok().filter(|_| order.total.is_zero()),
        Deed::Authorise => order.settle(1, PaymentOutcome::Authorised(PaymentReference("pi_1".to_owned())), AT),
        Deed::Decline => order.settle(1, PaymentOutcome::Declined(DeclineCode("no".to_owned())), AT),
        Deed::Void => match next_step(order) {
            PaymentStep::Void(attempt, reference) => Some(order.voided(attempt, reference, AT)),
            _ => None,
        },
    }
}

proptest! {
    #[test]
    fn ord_8_laws_hold_after_any_deeds(deeds in deeds(), free in any::<bool>()) {
        let mut order = placed(if free { 0 } else { 100 });
        let mut given_back = 0;
        for deed in deeds {
            let Some(change) = done(&order, &deed) else { continue };
            prop_assert_eq!(change.order.version, order.version + 1);
            prop_assert!(order.state == change.order.state || order.state.next().contains(&change.order.state));
            if let StockEffect::GiveBack(claims) = &change.stock {
                given_back += 1;
                prop_assert_eq!(claims.iter().map(|claim| claim.quantity).sum::<u32>(), 3);
            }
            order = change.order;
            prop_assert_eq!(order.history.len() as u64, order.version);
            // A hold ends once, and stock is back exactly when the order keeps it no more.
            prop_assert_eq!(given_back, u32::from(!order.state.keeps_stock()));
            // Paid means authorised, or that there was nothing to pay.
            let authorised = matches!(order.payment.status, PaymentStatus::Authorised { .. });
            if order.state == OrderState::Paid {
                prop_assert!(authorised || order.payment.status == PaymentStatus::None);
            }
        }
        // Whatever happened, following the steps from here ends: with money only where the order keeps its stock.
        for _ in 0..4 {
            let change = match next_step(&order) {
                PaymentStep::Done => break,
                PaymentStep::Confirm => order.confirm_unpriced(AT).unwrap(),
                PaymentStep::Start => order.start_payment(AT).unwrap(),
                PaymentStep::Authorise(n) => order
                    .settle(n, PaymentOutcome::Authorised(PaymentReference("pi_1".to_owned())), AT)
                    .unwrap(),
                PaymentStep::Void(n, reference) => order.voided(n, reference, AT),
            };
            order = change.order;
        }
        prop_assert_eq!(next_step(&order), PaymentStep::Done);
        let authorised = matches!(order.payment.status, PaymentStatus::Authorised { .. });
        prop_assert_eq!(authorised, order.state == OrderState::Paid && !order.total.is_zero());
    }
}
