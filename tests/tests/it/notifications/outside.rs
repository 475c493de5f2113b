//! Endpoints that do harm: they lead inside, hang, redirect, or never end.

use super::{endpoint, open, path, place};
use holdfast_domain::contact::Email;
use holdfast_domain::webhook::Loopback;
use holdfast_runtime::outside::{BreakerSettings, Settings};
use holdfast_tests::clock::TestClock;
use holdfast_tests::engine::Engine;
use holdfast_tests::mailroom::Mailroom;
use holdfast_tests::receiver::{Habit, Receiver};
use holdfast_tests::requests::Request;
use holdfast_tests::shop::Shop;
use jiff::SignedDuration;
use notifier::{Notifier, NotifyError, Sender, Ses};
use serde_json::json;
use std::time::{Duration, Instant};

/// A shop whose notifier gives up on a call after so long.
async fn impatient(timeout: Duration) -> (Shop, Mailroom) {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    let room = Mailroom::with(&shop, Loopback::Allowed, timeout).await;
    shop.sell("mug", 100).await;
    (shop, room)
}

/// What the last attempt of an endpoint's newest delivery says.
async fn last_error(room: &Mailroom, id: &str) -> String {
    let delivery = room.deliveries(id).await.remove(0);
    let attempt = delivery["attempts"].as_array().unwrap().last().cloned().unwrap();
    attempt["error"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn note_1_a_name_that_leads_inside_later_is_not_called() {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    let room = Mailroom::with(&shop, Loopback::Refused, Duration::from_secs(15)).await;
    shop.sell("mug", 100).await;
    let receiver = Receiver::open(Habit::Answer(200)).await;
    let port = receiver.url.rsplit(':').next().unwrap().to_owned();
    room.names.set("shop.example", &["93.184.216.34"]);
    let (id, _) = room.endpoint("k", &format!("https://shop.example:{port}"), &[]).await;
    for (number, inside) in
        ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1"].into_iter().enumerate()
    {
        // One public address among them does not make it better.
        room.names.set("shop.example", &["93.184.216.34", inside]);
        place(&shop, &format!("o-{number}")).await;
        room.drain().await;
        let error = last_error(&room, &id).await;
        assert!(error.contains("not public"), "{inside}: {error}");
        shop.clock.advance(SignedDuration::from_millis(10));
    }
    assert!(receiver.received().is_empty());
}

#[tokio::test]
async fn note_1_an_endpoint_on_this_machine_is_not_called_once_that_is_refused() {
    let (shop, room) = open().await;
    let receiver = Receiver::open(Habit::Answer(200)).await;
    let (id, _) = room.endpoint("k", &receiver.url, &[]).await;
    let strict = Mailroom::with(&shop, Loopback::Refused, Duration::from_secs(15)).await;
    place(&shop, "o-1").await;
    strict.drain().await;
    assert!(receiver.received().is_empty());
    assert!(last_error(&strict, &id).await.contains("url: must be https"), "{}", last_error(&strict, &id).await);
}

#[tokio::test]
async fn note_1_redirects_are_not_followed() {
    let (shop, room) = open().await;
    let inside = Receiver::open(Habit::Answer(200)).await;
    let receiver = Receiver::open(Habit::Redirect(inside.url.clone())).await;
    let (id, _) = room.endpoint("k", &receiver.url, &[]).await;
    place(&shop, "o-1").await;
    room.drain().await;
    assert_eq!((receiver.received().len(), inside.received().len()), (1, 0));
    let [delivery] = &room.deliveries(&id).await[..] else { panic!("one delivery") };
    assert_eq!((&delivery["state"], &delivery["attempts"][0]["status"]), (&json!("pending"), &json!(302)));
}

#[tokio::test]
async fn note_1_bodies_without_end_are_not_read_to_it() {
    for habit in [Habit::Endless, Habit::Dripping] {
        let (shop, room) = open().await;
        let receiver = Receiver::open(habit.clone()).await;
        let (id, _) = room.endpoint("k", &receiver.url, &[]).await;
        place(&shop, "o-1").await;
        let begun = Instant::now();
        room.drain().await;
        assert!(begun.elapsed() < Duration::from_secs(14), "{habit:?} took {:?}", begun.elapsed());
        assert_eq!(room.deliveries(&id).await[0]["state"], "delivered", "{habit:?}");
    }
}

#[tokio::test]
async fn note_1_nobody_there_is_a_failed_attempt_without_a_status() {
    let (shop, room) = open().await;
    // A port that nothing listens on any more.
    let (listener, address) = holdfast_local::engines::ports::listen().await.unwrap();
    drop(listener);
    let (id, _) = room.endpoint("k", &format!("http://{address}/hooks?key=confidential"), &[]).await;
    place(&shop, "o-1").await;
    room.drain().await;
    let [delivery] = &room.deliveries(&id).await[..] else { panic!("one delivery") };
    let attempt = &delivery["attempts"][0];
    assert!(attempt.get("status").is_none() && attempt["duration_ms"].is_u64(), "{attempt}");
    assert!(!attempt["error"].as_str().unwrap().contains("confidential"), "{attempt}");
    assert_eq!(delivery["state"], "pending");
}

#[tokio::test]
async fn note_1_a_hanging_endpoint_takes_the_time_of_one_call_and_the_others_are_told() {
    let timeout = Duration::from_secs(2);
    let (shop, room) = impatient(timeout).await;
    let (slow, quick) = (Receiver::open(Habit::Hang).await, Receiver::open(Habit::Answer(200)).await);
    let (slow_id, _) = room.endpoint("k-1", &slow.url, &[]).await;
    let (quick_id, _) = room.endpoint("k-2", &quick.url, &[]).await;
    for number in 0..10 {
        place(&shop, &format!("o-{number}")).await;
    }
    while room.relay().await {}
    let begun = Instant::now();
    assert_eq!(room.notify().await, Some(10));
    // Four messages at once met the slow endpoint; the other six left it alone, and were told in the same batch.
    assert!(begun.elapsed() < 3 * timeout, "{:?}", begun.elapsed());
    assert_eq!((slow.received().len(), quick.received().len()), (4, 10));
    let states = room.deliveries(&quick_id).await;
    assert!(states.iter().all(|delivery| delivery["state"] == "delivered"), "{states:?}");
    let deliveries = room.deliveries(&slow_id).await;
    let tried = deliveries.iter().filter(|delivery| !delivery["attempts"].as_array().unwrap().is_empty());
    assert_eq!((deliveries.len(), tried.count()), (10, 4), "putting off is no attempt");
    assert_eq!(room.queue.waiting().len(), 10, "each has its timer");
    // It recovers, and nothing is lost.
    slow.turn(Habit::Answer(200));
    shop.clock.advance(SignedDuration::from_secs(60));
    room.drain().await;
    let deliveries = room.deliveries(&slow_id).await;
    assert!(deliveries.iter().all(|delivery| delivery["state"] == "delivered"), "{deliveries:?}");
    assert_eq!(endpoint(&room, &slow_id).await["failures"], 0);
    assert_eq!(
        room.ask(Request::get(&format!("{}/deliveries?state=pending", path(&slow_id)))).await.body["deliveries"],
        json!([])
    );
}

/// The breaker of one endpoint: the others are told, and what is put off is no attempt.
#[tokio::test]
async fn pay_4_an_endpoint_that_fails_is_left_alone_and_no_attempt_of_the_schedule_is_lost() {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    let breaker = BreakerSettings { open_for: Duration::from_millis(500), ..BreakerSettings::default() };
    let settings = Settings { breaker, ..Sender::settings() };
    let room = Mailroom::with_settings(&shop, Loopback::Allowed, settings).await;
    shop.sell("mug", 100).await;
    let (failing, quick) = (Receiver::open(Habit::Answer(500)).await, Receiver::open(Habit::Answer(200)).await);
    let (failing_id, _) = room.endpoint("k-1", &failing.url, &[]).await;
    room.endpoint("k-2", &quick.url, &[]).await;
    for number in 0..20 {
        place(&shop, &format!("o-{number}")).await;
    }
    while room.relay().await {}
    while room.notify().await.is_some() {}
    assert_eq!(quick.received().len(), 20);
    let called = failing.received().len();
    // Five in a row, and what was under way with them.
    assert!((5..=9).contains(&called), "{called} calls");
    let deliveries = room.deliveries(&failing_id).await;
    let tried = deliveries.iter().filter(|delivery| !delivery["attempts"].as_array().unwrap().is_empty());
    assert_eq!((deliveries.len(), tried.count()), (20, called), "putting off is no attempt");
    // It recovers; after its time one call is a probe, and then all are made.
    failing.turn(Habit::Answer(200));
    tokio::time::sleep(Duration::from_millis(600)).await;
    for _ in 0..5 {
        shop.clock.advance(SignedDuration::from_secs(61));
        room.drain().await;
    }
    let deliveries = room.deliveries(&failing_id).await;
    assert!(deliveries.iter().all(|delivery| delivery["state"] == "delivered"), "{deliveries:?}");
}

/// A mail service that fails is left alone as well: the message is delivered again.
#[tokio::test]
async fn pay_4_a_mail_service_that_fails_is_left_alone() {
    let shop = Shop::over(Engine::embedded().await, TestClock::present());
    let nobody = "http://127.0.0.1:9".to_owned();
    let aws = shop.engine.aws(Some(nobody.clone()));
    let ses = Ses::new(aws_sdk_sesv2::config::Builder::from(aws.config()).endpoint_url(&nobody));
    let mail = holdfast_domain::mail::Mail {
        to: Email::parse("ada@example.com".to_owned()).unwrap(),
        sender: Email::parse("orders@shop.example".to_owned()).unwrap(),
        sender_name: "The Mug Shop".to_owned(),
        subject: "Your order".to_owned(),
        text: "It is on its way.".to_owned(),
    };
    let mut words = Vec::new();
    for _ in 0..6 {
        let Err(NotifyError::Unavailable(why)) = ses.notify(&mail).await else { panic!("nobody is there") };
        words.push(why);
    }
    assert!(words[5].contains("left alone"), "{words:?}");
    assert!(words[..5].iter().all(|why| !why.contains("left alone")), "{words:?}");
}
