//! The life of a delivery, and the end of an endpoint.

use super::*;
use crate::ids::MessageId;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

fn first(now: Timestamp) -> Delivery {
    let (tenant, endpoint) = (TenantId::parse("acme").unwrap(), EndpointId::parse("ep_1").unwrap());
    let message = MessageId::parse("msg_1").unwrap();
    Delivery::first((&tenant, &endpoint), message, "order.placed".to_owned(), "{}".to_owned(), now, now)
}

fn answered(status: u16, now: Timestamp) -> Attempt {
    Attempt::new(now, Some(status), 3, (!(200..300).contains(&status)).then(|| format!("answered {status}")))
}

#[test]
fn note_1_a_failing_delivery_is_tried_by_the_schedule_and_then_failed() {
    let (mut delivery, mut now, mut waits) = (first(at(0)), at(0), Vec::new());
    loop {
        delivery = delivery.after(answered(500, now), now);
        let Due::At(next) = delivery.due(now) else { break };
        assert!(matches!(delivery.due(next - SignedDuration::from_millis(1)), Due::At(_)));
        waits.push(next.duration_since(now));
        now = next;
        let Due::Now(begun) = delivery.due(now) else { panic!("it is due") };
        // While that attempt is under way nobody begins another.
        assert!(matches!(begun.due(now), Due::At(until) if until == now + ATTEMPT_LEASE));
        delivery = *begun;
    }
    assert_eq!(waits, SCHEDULE[1..]);
    assert_eq!((delivery.state, delivery.attempts.len(), delivery.tried), (DeliveryState::Failed, 8, 8));
    assert_eq!(delivery.due(at(10_000_000)), Due::Never);
}

#[test]
fn note_1_a_delivery_ends_with_the_first_success() {
    let delivery = first(at(0)).after(answered(500, at(0)), at(0)).after(answered(204, at(5)), at(5));
    assert_eq!((delivery.state, delivery.next_attempt_at), (DeliveryState::Delivered, None));
    assert_eq!(delivery.due(at(9)), Due::Never);
    let replayed = delivery.replayed(at(9));
    assert!(matches!(replayed.due(at(9)), Due::Now(_)));
    assert_eq!((replayed.tried, replayed.attempts.len()), (0, 2));
}

#[test]
fn note_1_redirects_and_gone_are_no_success_and_gone_is_the_end() {
    for status in [301, 302, 308, 400, 404, 429, 502] {
        assert_eq!(first(at(0)).after(answered(status, at(0)), at(0)).state, DeliveryState::Pending, "{status}");
    }
    let gone = first(at(0)).after(answered(410, at(0)), at(0));
    assert_eq!((gone.state, gone.due(at(9))), (DeliveryState::Failed, Due::Never));
}

#[test]
fn note_1_an_endpoint_is_hopeless_after_five_days_and_several_messages() {
    let health = |failures, since| Health { failures, failing_since: since };
    let now = at(5 * 86_400);
    assert!(health(FAILURES_MIN, Some(at(0))).is_hopeless(now));
    assert!(!health(FAILURES_MIN, Some(at(1))).is_hopeless(now));
    assert!(!health(SCHEDULE.len() as u32, Some(at(0))).is_hopeless(now), "one message is not enough");
    assert!(!health(FAILURES_MIN, None).is_hopeless(now));
}

#[test]
fn note_1_the_log_of_attempts_is_bounded() {
    let mut delivery = first(at(0));
    for round in 0..100 {
        delivery = delivery.replayed(at(round)).after(answered(500, at(round)), at(round));
    }
    assert_eq!(delivery.attempts.len(), 24);
    let long = Attempt::new(at(0), None, 1, Some("é".repeat(10_000)));
    assert_eq!(long.error.unwrap().chars().count(), 200);
}
