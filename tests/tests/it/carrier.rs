//! Booking shipments with the carrier's sandbox, over HTTP.

use axum::Json;
use axum::http::StatusCode;
use axum::routing::post;
use futures_util::future::join_all;
use holdfast_domain::address::Address;
use holdfast_domain::ids::{CustomerId, IdempotencyKey, OrderId, ProductId, TenantId, WarehouseId};
use holdfast_domain::order::Booking;
use holdfast_local::engines::carrier::{API_KEY, CarrierSandbox};
use holdfast_local::engines::server::Server;
use holdfast_runtime::outside::{BreakerSettings, BreakerState, Settings};
use order_worker::{BookShipment, Carrier, CarrierError, HttpCarrier};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

fn shipment(number: u16, country: &str) -> BookShipment {
    let tenant = TenantId::parse("acme").unwrap();
    let key = IdempotencyKey::parse("k-1").unwrap();
    let address = json!({"name": "Ada Lovelace", "line1": "1 Street", "city": "Town", "country": country});
    BookShipment {
        order: OrderId::derive(&tenant, &CustomerId::parse("c-1").unwrap(), &key),
        tenant,
        shipment: number,
        warehouse: WarehouseId::parse("berlin").unwrap(),
        address: serde_json::from_value::<Address>(address).unwrap(),
        lines: vec![(ProductId::parse("mug").unwrap(), 2)],
    }
}

/// Settings with pauses that a test can wait for.
fn settings() -> Settings {
    Settings { pause_min: Duration::from_millis(5), ..HttpCarrier::settings() }
}

fn carrier(sandbox: &CarrierSandbox, settings: Settings) -> HttpCarrier {
    HttpCarrier::with_settings(sandbox.url(), API_KEY, settings).unwrap()
}

async fn order(sandbox: &CarrierSandbox, control: &str, body: &Value) {
    let ordered = reqwest::Client::new().post(format!("{}{control}", sandbox.url())).json(body).send().await;
    assert!(ordered.unwrap().status().is_success(), "{control} {body}");
}

async fn lift(sandbox: &CarrierSandbox, control: &str) {
    let lifted = reqwest::Client::new().delete(format!("{}{control}", sandbox.url())).send().await;
    assert!(lifted.unwrap().status().is_success(), "{control}");
}

/// The requests that reached the sandbox, and what it has booked.
async fn books(sandbox: &CarrierSandbox) -> (u64, Vec<Value>) {
    let books: Value = reqwest::get(format!("{}/_shipments", sandbox.url())).await.unwrap().json().await.unwrap();
    (books["requests"].as_u64().unwrap(), books["shipments"].as_array().unwrap().clone())
}

/// Asks for the same as often as it takes.
async fn insist(carrier: &HttpCarrier, shipment: &BookShipment) -> Booking {
    loop {
        match carrier.book(shipment).await {
            Ok(booking) => return booking,
            Err(error) => {
                assert!(error.is_open(), "{error}");
                tokio::time::sleep(Duration::from_secs(error.retry_after_seconds().unwrap_or_default().into())).await;
            }
        }
    }
}

#[tokio::test]
async fn ship_1_a_storm_of_429_ends_with_one_booking() {
    let sandbox = CarrierSandbox::start().await.unwrap();
    order(&sandbox, "/_limits", &json!({"burst": 0, "per_second": 1.0})).await;
    let (carrier, shipment) = (carrier(&sandbox, settings()), shipment(1, "DE"));
    let storm = join_all((0..20).map(|_| insist(&carrier, &shipment)));
    let limit = async {
        // Everybody is sent away once before anybody is let in.
        while books(&sandbox).await.0 < 20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        order(&sandbox, "/_limits", &json!({"burst": 10, "per_second": 10.0})).await;
    };
    let (bookings, ()) = tokio::join!(storm, limit);
    assert!(bookings.iter().all(|booking| *booking == bookings[0]), "{bookings:?}");
    let (requests, booked) = books(&sandbox).await;
    assert!(requests > 20, "nobody was sent away: {requests}");
    assert_eq!(booked.len(), 1, "{booked:?}");
    assert_eq!(booked[0]["idempotency_key"], format!("{}-shipment-1", shipment.order));
    assert_eq!(booked[0]["booked"]["lines"], json!([{"product": "mug", "units": 2}]));
    assert_eq!(carrier.dependency().state(), BreakerState::Closed, "a rate limit is no outage");
}

#[tokio::test]
async fn ship_1_a_wait_beyond_the_message_is_left_to_the_queue() {
    let sandbox = CarrierSandbox::start().await.unwrap();
    order(&sandbox, "/_limits", &json!({"burst": 0, "per_second": 0.01})).await;
    let carrier = carrier(&sandbox, settings());
    let error = carrier.book(&shipment(1, "DE")).await.unwrap_err();
    assert_eq!((error.is_open(), error.retry_after_seconds()), (true, Some(100)), "{error}");
    assert_eq!(books(&sandbox).await, (1, vec![]));
}

#[tokio::test]
async fn ship_1_a_lost_answer_is_the_same_booking_when_repeated() {
    let sandbox = CarrierSandbox::start().await.unwrap();
    let (carrier, shipment) = (carrier(&sandbox, settings()), shipment(1, "DE"));
    // All attempts of a call.
    order(&sandbox, "/_faults", &json!({"path_prefix": "/v1/", "mode": "drop_after", "times": 3})).await;
    let error = carrier.book(&shipment).await.unwrap_err();
    assert!(error.is_open(), "{error}");
    let (requests, booked) = books(&sandbox).await;
    assert_eq!((requests, booked.len()), (3, 1));
    let booking = carrier.book(&shipment).await.unwrap();
    assert_eq!(booked[0]["id"], booking.reference);
    assert_eq!(booked[0]["tracking"], booking.tracking);
    assert_eq!(books(&sandbox).await, (4, booked));
}

#[tokio::test]
async fn ship_1_a_failing_carrier_is_tried_again_within_the_call() {
    let sandbox = CarrierSandbox::start().await.unwrap();
    let carrier = carrier(&sandbox, settings());
    for (number, mode) in [(1, "refuse"), (2, "unavailable")] {
        order(&sandbox, "/_faults", &json!({"path_prefix": "/v1/", "mode": mode, "times": 2})).await;
        carrier.book(&shipment(number, "DE")).await.unwrap();
    }
    assert_eq!(books(&sandbox).await.0, 6);
}

#[tokio::test]
async fn a_refusal_is_definite_and_no_failure() {
    let sandbox = CarrierSandbox::start().await.unwrap();
    let carrier = carrier(&sandbox, settings());
    let refused = CarrierError::Refused { reason: "address-not-served".to_owned() };
    for _ in 0..20 {
        assert_eq!(carrier.book(&shipment(1, "AQ")).await, Err(refused.clone()));
    }
    assert_eq!(books(&sandbox).await, (20, vec![]));
    assert_eq!(carrier.dependency().state(), BreakerState::Closed);
}

#[tokio::test]
async fn our_own_mistakes_are_rejected_and_book_nothing() {
    let sandbox = CarrierSandbox::start().await.unwrap();
    let (carrier, first) = (carrier(&sandbox, settings()), shipment(1, "DE"));
    let booking = carrier.book(&first).await.unwrap();
    let more = BookShipment { lines: vec![(first.lines[0].0.clone(), 3)], ..first.clone() };
    let elsewhere = shipment(1, "FR");
    let empty = BookShipment { lines: vec![], ..shipment(2, "DE") };
    for (wrong, code) in [(more, "key-reused"), (elsewhere, "key-reused"), (empty, "invalid-request")] {
        let error = carrier.book(&wrong).await.unwrap_err();
        assert!(matches!(&error, CarrierError::Rejected(why) if why.contains(code)), "{error}");
    }
    let stranger = HttpCarrier::with_settings(sandbox.url(), "wrong", settings()).unwrap();
    let error = stranger.book(&shipment(3, "DE")).await.unwrap_err();
    assert!(matches!(&error, CarrierError::Rejected(why) if why.contains("401")), "{error}");
    assert_eq!(carrier.book(&first).await, Ok(booking));
    assert_eq!(books(&sandbox).await.1.len(), 1);
}

#[tokio::test]
async fn ship_1_an_open_breaker_stops_calls_until_a_probe_is_answered() {
    let sandbox = CarrierSandbox::start().await.unwrap();
    let breaker = BreakerSettings { failures_in_a_row: 3, ..BreakerSettings::default() };
    let settings =
        |open_for| Settings { retries_max: 0, breaker: BreakerSettings { open_for, ..breaker.clone() }, ..settings() };
    for open_for in [Duration::from_secs(3_600), Duration::from_millis(200)] {
        let before = books(&sandbox).await.0;
        let carrier = carrier(&sandbox, settings(open_for));
        order(&sandbox, "/_faults", &json!({"path_prefix": "/v1/", "mode": "refuse", "times": 3})).await;
        for _ in 0..3 {
            assert!(carrier.book(&shipment(1, "DE")).await.unwrap_err().is_open());
        }
        // The carrier would answer again, but is left alone.
        if open_for > Duration::from_secs(60) {
            for _ in 0..10 {
                let error = carrier.book(&shipment(1, "DE")).await.unwrap_err();
                assert!(error.retry_after_seconds() > Some(60), "{error}");
            }
            assert_eq!(books(&sandbox).await, (before + 3, vec![]));
            assert_eq!(carrier.dependency().state(), BreakerState::Open);
        } else {
            tokio::time::sleep(open_for).await;
            carrier.book(&shipment(1, "DE")).await.unwrap();
            assert_eq!(carrier.dependency().state(), BreakerState::Closed);
        }
    }
    lift(&sandbox, "/_faults").await;
}

#[tokio::test]
async fn a_shipment_is_called_off_unless_it_was_collected() {
    let sandbox = CarrierSandbox::start().await.unwrap();
    let carrier = carrier(&sandbox, settings());
    let one = carrier.book(&shipment(1, "DE")).await.unwrap();
    let other = carrier.book(&shipment(2, "DE")).await.unwrap();
    assert_ne!(one, other);
    order(&sandbox, "/_faults", &json!({"path_prefix": "/v1/", "mode": "drop_after"})).await;
    for _ in 0..2 {
        carrier.cancel(&one.reference).await.unwrap();
    }
    order(&sandbox, &format!("/_shipments/{}/collect", other.reference), &json!(null)).await;
    let late = CarrierError::Refused { reason: "already-collected".to_owned() };
    assert_eq!(carrier.cancel(&other.reference).await, Err(late));
    for unknown in ["shp_99", "../shp_1", "shp_1/../shp_2"] {
        let error = carrier.cancel(unknown).await.unwrap_err();
        assert!(matches!(&error, CarrierError::Rejected(why) if why.contains("not-found")), "{error}");
    }
    let booked = books(&sandbox).await.1;
    assert_eq!([&booked[0]["status"], &booked[1]["status"]], ["cancelled", "collected"]);
}

/// What the sandbox never answers: an earlier request under way, a redirect, and nonsense.
#[tokio::test]
async fn answers_that_settle_nothing_are_no_outcome() {
    let number = AtomicU32::new(0);
    let answer = async move || match number.fetch_add(1, Ordering::SeqCst) {
        0 => (StatusCode::CONFLICT, Json(json!({"error": {"code": "in-progress"}}))),
        1 => (StatusCode::CREATED, Json(json!({"id": "shp_1", "tracking": "HF1", "more": 1}))),
        2 => (StatusCode::CREATED, Json(json!({"id": 7}))),
        _ => (StatusCode::FOUND, Json(json!(null))),
    };
    let answer = std::sync::Arc::new(answer);
    let routes = axum::Router::new().route("/v1/shipments", post(async move || answer().await));
    let server = Server::start(|_| Ok(routes)).await.unwrap();
    let carrier = HttpCarrier::with_settings(server.url(), API_KEY, settings()).unwrap();
    assert_eq!(carrier.book(&shipment(1, "DE")).await.unwrap().reference, "shp_1");
    assert!(carrier.book(&shipment(1, "DE")).await.unwrap_err().is_open());
    assert!(matches!(carrier.book(&shipment(1, "DE")).await, Err(CarrierError::Rejected(_))));
}
