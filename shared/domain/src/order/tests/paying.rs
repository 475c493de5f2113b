//! What is captured, found and let go.

use super::*;

/// An order of four mugs at 10 that is authorised.
fn authorised(capture: CapturePolicy, outcome: fn(PaymentReference) -> PaymentOutcome) -> Order {
    let request = PlaceOrder { capture, ..request(&[("mug", 4, None)]) };
    let priced = priced(&request, &[("mug", 10)]).unwrap();
    let order = request.placed(&priced, &[claim("mug", 0, 4)], AT, MINUTES);
    let started = order.start_payment(AT).unwrap().order;
    started.settle(1, outcome(PaymentReference("pi_1".to_owned())), AT).unwrap().order
}

/// Ships units and takes the captures that follow: of how much each, and whether it is the last.
fn captures(mut order: Order, quantities: &[u32]) -> (Order, Vec<(i64, bool)>) {
    let mut captures = Vec::new();
    for quantity in quantities {
        let wish = Wish::Lines(vec![ShippedLine { line: 0, quantity: *quantity }], None);
        let staff = Actor::Staff(CustomerId::parse("s-1").unwrap());
        order = order.ship(&wish, order.version, &staff, AT).unwrap().order;
        let booking = Booking { reference: "b".to_owned(), tracking: "t".to_owned() };
        order = order.shipped(order.next_booking().unwrap(), booking, AT).unwrap().order;
        while let PaymentStep::Capture(capture) = next_step(&order) {
            assert_eq!(capture.captured, order.sums().captured);
            captures.push((capture.amount.amount(), capture.is_final));
            order = order.captured(capture.cause, capture.amount, AT).unwrap().order;
        }
    }
    (order, captures)
}

#[test]
fn pay_1_what_is_captured_follows_the_shops_choice_and_the_providers_means() {
    use CapturePolicy as C;
    let often = authorised(C::WhenShipped, PaymentOutcome::Authorised);
    assert_eq!(captures(often, &[1, 2, 1]).1, [(10, false), (20, false), (10, true)]);
    let once = authorised(C::WhenShipped, PaymentOutcome::AuthorisedOnce);
    assert_eq!(once.payment.capture, C::WithFirstShipment);
    assert_eq!(captures(once, &[1, 3]).1, [(40, true)]);
    let first = authorised(C::WithFirstShipment, PaymentOutcome::Authorised);
    assert_eq!(captures(first, &[3, 1]).1, [(40, true)]);
    let at_once = authorised(C::AtOnce, PaymentOutcome::AuthorisedOnce);
    let PaymentStep::Capture(capture) = next_step(&at_once) else { panic!("{at_once:?}") };
    assert_eq!((capture.cause, capture.amount.amount(), capture.is_final), (Cause::Order, 40, true));
}

#[test]
fn pay_1_money_that_was_captured_unheard_goes_back_and_what_lapsed_is_let_go() {
    let at_once = authorised(CapturePolicy::AtOnce, PaymentOutcome::Authorised);
    let cancelled = at_once.cancel(&buyer(), AT, None).unwrap().order;
    assert!(matches!(next_step(&cancelled), PaymentStep::Void(..)));
    let found = cancelled.captured_after_end(AT).unwrap().order;
    assert!(matches!(next_step(&found), PaymentStep::Refund { amount, .. } if amount == found.total));
    let (shipped, _) = captures(authorised(CapturePolicy::WhenShipped, PaymentOutcome::Authorised), &[1]);
    let lapsed = shipped.lapsed(DeclineCode("gone".to_owned()), AT).order;
    assert_eq!((lapsed.sums().captured.amount(), lapsed.sums().voided.amount()), (10, 30));
    assert_eq!((lapsed.state, next_step(&lapsed)), (OrderState::PartiallyShipped, PaymentStep::Done));
    let unshipped = authorised(CapturePolicy::WhenShipped, PaymentOutcome::Authorised);
    let lapsed = unshipped.lapsed(DeclineCode("gone".to_owned()), AT);
    assert_eq!(lapsed.order.state, OrderState::PaymentFailed);
    assert!(matches!(lapsed.stock, StockEffect::GiveBack(_)));
}
