//! Laws of orders, on random sequences of deeds.

mod changes;
mod paying;

use super::*;
use crate::address::Address;
use crate::ids::{IdempotencyKey, ProductId, TaxClass, WarehouseId};
use crate::money::Currency;
use crate::payment::{
    CapturePolicy, DeclineCode, PaymentMethod, PaymentOutcome, PaymentReference, PaymentStatus, PaymentStep, next_step,
};
use crate::pool::{Claim, PoolId, StripeId};
use crate::product::Product;
use jiff::SignedDuration;
use proptest::prelude::*;
use std::collections::HashMap;

mod commands;
mod life;
mod model;
mod obeying;
mod page;
mod refusals;

pub(super) const AT: Timestamp = Timestamp::UNIX_EPOCH;

pub(super) fn product(id: &str, price: i64) -> Product {
    Product {
        id: ProductId::parse(id).unwrap(),
        name: id.to_owned(),
        description: String::new(),
        category: "all".to_owned(),
        price: Money::new(price, Currency::parse("EUR").unwrap()).unwrap(),
        windows: Vec::new(),
        limit: None,
        tax_class: TaxClass::default(),
        price_version: 1,
        version: 1,
    }
}

pub(super) fn request(lines: &[(&str, i64, Option<i64>)]) -> PlaceOrder {
    let tenant = TenantId::parse("acme").unwrap();
    let customer = CustomerId::parse("c-1").unwrap();
    let line = |(product, quantity, shown_price): &(&str, i64, Option<i64>)| RequestedLine {
        product: ProductId::parse(*product).unwrap(),
        quantity: Quantity::new(*quantity).unwrap(),
        shown_price: *shown_price,
    };
    PlaceOrder {
        order_id: OrderId::derive(&tenant, &customer, &IdempotencyKey::parse("k").unwrap()),
        tenant,
        customer: Customer { id: customer, guest: false },
        fingerprint: Fingerprint::of(b""),
        currency: Some(Currency::parse("EUR").unwrap()),
        lines: lines.iter().map(line).collect(),
        coupon: None,
        purpose: Purpose::Order { address: address(), method: Some(method()) },
        capture: CapturePolicy::default(),
        contact: None,
    }
}

pub(super) fn address() -> Address {
    serde_json::from_str(r#"{"name":"A","line1":"B","city":"C","country":"DE"}"#).unwrap()
}

fn buyer() -> Actor {
    Actor::Customer(CustomerId::parse("c-1").unwrap())
}

pub(super) fn method() -> PaymentMethod {
    PaymentMethod::parse("pm_card_visa".to_owned()).unwrap()
}

fn catalogue(products: &[(&str, i64)]) -> HashMap<ProductId, Product> {
    let product = |(id, price): &(&str, i64)| (ProductId::parse(*id).unwrap(), product(id, *price));
    products.iter().map(product).collect()
}

pub(super) fn claim(product: &str, number: u16, quantity: u32) -> Claim {
    let pool =
        PoolId::Stock { product: ProductId::parse(product).unwrap(), warehouse: WarehouseId::parse("main").unwrap() };
    Claim { stripe: StripeId { pool, number }, quantity }
}

fn priced(request: &PlaceOrder, products: &[(&str, i64)]) -> Result<Priced, Refusal> {
    let products = catalogue(products);
    request.priced(&Terms { products: &products, rates: &HashMap::new(), coupon: None, tax: None, at: AT })
}

/// How an order's story begins.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Beginning {
    Placed,
    Reserved,
    InParts,
}

fn begun(price: i64, beginning: Beginning) -> Order {
    let mut request = request(&[("mug", 3, None)]);
    if beginning == Beginning::Reserved {
        request.purpose = Purpose::Reservation { country: None };
    }
    let priced = priced(&request, &[("mug", price)]).unwrap();
    match beginning {
        Beginning::InParts => request.opening(&priced, PART_PRODUCTS_MAX, AT, MINUTES).0,
        _ => request.placed(&priced, &[claim("mug", 0, 3)], AT, MINUTES),
    }
}

pub(super) const MINUTES: SignedDuration = SignedDuration::from_mins(15);

#[test]
fn ord_7_the_price_shown_is_paid_or_refused_with_the_new_one() {
    let shown = request(&[("mug", 1, Some(1999)), ("cup", 1, Some(500))]);
    assert_eq!(priced(&shown, &[("mug", 1999), ("cup", 500)]).unwrap().total.amount(), 2499);
    match priced(&shown, &[("mug", 2499), ("cup", 500)]).unwrap_err() {
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
    let priced = priced(&request, &[("mug", 1), ("cup", 1)]).unwrap();
    assert_eq!(priced.demands.iter().map(|demand| demand.quantity).collect::<Vec<_>>(), [1, 5]);
    let claims = [claim("mug", 1, 3), claim("cup", 0, 1), claim("mug", 2, 2)];
    let order = request.placed(&priced, &claims, AT, MINUTES);
    for line in &order.lines {
        assert_eq!(line.from.iter().map(|source| source.quantity).sum::<u32>(), line.quantity.units());
    }
    match order.cancel(&buyer(), AT, None).unwrap().stock {
        StockEffect::GiveBack(back) => assert_eq!(back.iter().map(|claim| claim.quantity).sum::<u32>(), 6),
        other => panic!("a cancelled order kept its stock: {other:?}"),
    }
}

#[test]
fn ord_8_the_states_that_are_shown_are_those_that_may_be_asked_for() {
    for state in OrderState::ALL {
        assert_eq!(state.name().parse::<OrderState>().is_ok(), OrderState::SHOWN.contains(&state), "{state}");
    }
}

/// The ends are what they are called: nothing leads out of them.
#[test]
fn ord_8_nothing_leads_out_of_an_end() {
    use OrderState as S;
    let ends = [S::Released, S::Returned, S::PaymentFailed, S::Cancelled, S::Expired, S::Merged];
    for state in S::ALL {
        assert_eq!(state.next().is_empty(), ends.contains(&state), "{state}");
    }
    assert!(!S::Shipped.next().contains(&S::Placed) && !S::Shipping.next().contains(&S::Cancelled));
}

#[test]
fn ord_4_an_attempt_follows_only_one_that_was_given_up() {
    let first = begun(100, Beginning::InParts);
    let again = begun(100, Beginning::InParts);
    assert!(again.clone().reopening(&first).is_err(), "the first attempt is under way");
    let aborted = first.abort(&buyer(), AT, None).unwrap().order;
    let second = again.reopening(&aborted).unwrap();
    assert_eq!((second.version, second.history.len(), second.parts.unwrap().attempt), (3, 3, 2));
    assert_eq!(second.state, OrderState::Placing);
}

proptest! {
    #[test]
    fn ord_4_every_line_is_in_one_part_and_parts_fit_a_transaction(products in prop::collection::vec(0u16..200, 1..3_000)) {
        let names: Vec<_> = products.iter().map(|product| format!("p{product}")).collect();
        let lines: Vec<_> = names.iter().map(|name| (name.as_str(), 1, None)).collect();
        let prices: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let request = request(&lines);
        let priced = priced(&request, &prices).unwrap();
        let (order, parts) = request.opening(&priced, PART_PRODUCTS_MAX, AT, MINUTES);
        prop_assert_eq!(usize::from(order.parts.unwrap().count), parts.len());
        let mut dealt: Vec<_> = parts.iter().flatten().copied().collect();
        dealt.sort_unstable();
        prop_assert_eq!(dealt, (0..lines.len()).collect::<Vec<_>>());
        for part in &parts {
            // Each product may come with an allowance, and some are gathered from several stripes.
            prop_assert!(2 * priced.demands_of(part).len() <= CLAIMS_MAX - 9);
        }
        let all: u32 = parts.iter().flat_map(|part| priced.demands_of(part)).map(|demand| demand.quantity).sum();
        prop_assert_eq!(all as usize, lines.len());
    }
}

/// What may be done to an order.
#[derive(Debug, Clone)]
enum Deed {
    Cancel,
    Expire,
    Start,
    ConfirmUnpriced,
    Confirm,
    Release,
    Complete,
    Abort,
    Authorise,
    Decline,
    Void,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        Just(Deed::Cancel),
        Just(Deed::Expire),
        Just(Deed::Start),
        Just(Deed::ConfirmUnpriced),
        Just(Deed::Confirm),
        Just(Deed::Release),
        Just(Deed::Complete),
        Just(Deed::Abort),
        Just(Deed::Authorise),
        Just(Deed::Decline),
        Just(Deed::Void),
    ];
    prop::collection::vec(deed, 0..12)
}

fn done(order: &Order, deed: &Deed) -> Option<Change> {
    match deed {
        Deed::Cancel => order.cancel(&buyer(), AT, None).ok(),
        Deed::Expire => order.expire(AT).ok(),
        Deed::Start => order.start_payment(AT).ok(),
        Deed::ConfirmUnpriced => order.confirm_unpriced(AT).ok().filter(|_| order.total.is_zero()),
        Deed::Confirm => order.confirm(&buyer(), address(), None, method(), AT, MINUTES).ok(),
        Deed::Release => order.release(&buyer(), AT).ok(),
        Deed::Complete => order.complete(&buyer(), AT, MINUTES).ok(),
        Deed::Abort => order.abort(&buyer(), AT, None).ok(),
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
    fn ord_8_laws_hold_after_any_deeds(
        deeds in deeds(),
        free in any::<bool>(),
        beginning in prop::sample::select(&[Beginning::Placed, Beginning::Reserved, Beginning::InParts][..]),
    ) {
        let mut order = begun(if free { 0 } else { 100 }, beginning);
        let mut given_back = 0;
        for deed in deeds {
            let Some(change) = done(&order, &deed) else { continue };
            prop_assert_eq!(change.order.version, order.version + 1);
            prop_assert!(order.state == change.order.state || order.state.next().contains(&change.order.state));
            match &change.stock {
                StockEffect::Keep => {}
                StockEffect::GiveBack(claims) => {
                    given_back += 1;
                    prop_assert_eq!(claims.iter().map(|claim| claim.quantity).sum::<u32>(), 3);
                }
                StockEffect::GiveBackParts(parts) => {
                    given_back += 1;
                    prop_assert_eq!(Some(*parts), order.parts);
                }
                StockEffect::Restock(_) => prop_assert!(false, "nothing was returned"),
            }
            // What is in the lists has an address and a means of payment.
            if change.order.was_placed() {
                prop_assert!(change.order.address.is_some() && change.order.payment.method.is_some());
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
                step @ (PaymentStep::Capture(_) | PaymentStep::Refund { .. }) => panic!("nothing was shipped: {step:?}"),
            };
            order = change.order;
        }
        prop_assert_eq!(next_step(&order), PaymentStep::Done);
        let authorised = matches!(order.payment.status, PaymentStatus::Authorised { .. });
        prop_assert_eq!(authorised, order.state == OrderState::Paid && !order.total.is_zero());
    }
}
