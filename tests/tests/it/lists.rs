//! Lists of orders: newest first, filtered, paged (ORD-12, ORD-17).

use holdfast_tests::clock::TestClock;
use holdfast_tests::engine::Engine;
use holdfast_tests::requests::{Answer, Request, Who};
use holdfast_tests::shop::Shop;
use jiff::SignedDuration;

/// Orders of two customers and a guest, one a minute across midnight UTC.
async fn shop() -> Shop {
    let shop = Shop::over(Engine::embedded().await, TestClock::at("2026-03-29T23:55:00Z"));
    shop.sell("mug", 200).await;
    for n in 0..10 {
        let who = if n % 3 == 2 { Who::customer("c-2") } else { Who::customer("c-1") };
        assert_eq!(shop.order(&who, &format!("k-{n}"), "mug", n + 1).await.status, 201);
        shop.clock.advance(SignedDuration::from_mins(1));
    }
    let guest = Who { guest: true, ..Who::customer("session-1") };
    assert_eq!(shop.order(&guest, "k", "mug", 20).await.status, 201);
    shop
}

async fn list(shop: &Shop, who: &Who, query: &str) -> Answer {
    Request::get(&format!("/orders{query}")).send(&shop.orders, Some(who)).await
}

fn quantities(answer: &Answer) -> Vec<u64> {
    let orders = answer.body["orders"].as_array().unwrap_or_else(|| panic!("{answer:?}"));
    orders.iter().map(|order| order["lines"][0]["quantity"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn ord_17_a_customer_sees_their_own_newest_first() {
    let shop = shop().await;
    assert_eq!(quantities(&list(&shop, &Who::customer("c-1"), "").await), [10, 8, 7, 5, 4, 2, 1]);
    assert_eq!(quantities(&list(&shop, &Who::customer("c-2"), "").await), [9, 6, 3]);
    assert!(quantities(&list(&shop, &Who::customer("c-3"), "").await).is_empty());
    // Guests stay out of the index of customers.
    let guest = Who { guest: true, ..Who::customer("session-1") };
    assert!(quantities(&list(&shop, &guest, "").await).is_empty());
    assert!(quantities(&list(&shop, &Who::customer("c-1").of("other"), "").await).is_empty());
}

#[tokio::test]
async fn ord_17_pages_meet_without_gap_or_overlap() {
    let shop = shop().await;
    for (who, all) in [(Who::customer("c-1"), 7), (Who::staff(), 11)] {
        for limit in [1, 2, 3, 100] {
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            for _ in 0..30 {
                let query = format!("?from=2026-03-29&to=2026-03-31&limit={limit}{cursor}");
                let page = list(&shop, &who, &query).await;
                assert!(page.body["orders"].as_array().unwrap().len() <= limit);
                seen.extend(quantities(&page));
                match page.body["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(seen.len(), all, "limit {limit}: {seen:?}");
            assert!(seen.is_sorted_by(|newer, older| newer > older), "{seen:?}");
        }
    }
}

#[tokio::test]
async fn ord_12_dates_begin_at_midnight_utc_and_instants_carry_their_offset() {
    let shop = shop().await;
    for who in [Who::customer("c-1"), Who::staff()] {
        let ask = async |query: &str| quantities(&list(&shop, &who, &format!("{query}&customer=c-1")).await);
        let ask = async |query: &str| match who.sub.as_str() {
            "c-1" => quantities(&list(&shop, &who, query).await),
            _ => ask(query).await,
        };
        assert_eq!(ask("?from=2026-03-30").await, [10, 8, 7]);
        assert_eq!(ask("?from=2026-03-29&to=2026-03-30").await, [5, 4, 2, 1]);
        // 01:59 in Berlin is one minute before midnight UTC: that order is placed at 23:59.
        assert_eq!(ask("?from=2026-03-30T01:59:00%2B02:00&to=2026-03-30T02:00:00%2B02:00").await, [5]);
        // The end is excluded, to the millisecond.
        assert_eq!(ask("?from=2026-03-29T23:59:00Z&to=2026-03-29T23:59:00.001Z").await, [5]);
        assert!(ask("?from=2026-03-29T23:59:00.001Z&to=2026-03-30T00:01:00Z").await.is_empty());
    }
}

#[tokio::test]
async fn staff_see_the_tenant_by_day_or_one_customer() {
    let shop = shop().await;
    let staff = Who::staff();
    assert_eq!(quantities(&list(&shop, &staff, "").await), [20, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(quantities(&list(&shop, &staff, "?from=2026-03-30").await), [20, 10, 9, 8, 7, 6]);
    assert_eq!(quantities(&list(&shop, &staff, "?customer=c-2").await), [9, 6, 3]);
    assert!(quantities(&list(&shop, &staff.clone().of("other"), "").await).is_empty());
    let denied = list(&shop, &Who::customer("c-1"), "?customer=c-2").await;
    assert_eq!((denied.status, denied.fields()), (400, vec!["customer"]));
    // A month without orders in between is passed in several pages, none of which ends the list.
    shop.clock.advance(SignedDuration::from_hours(24 * 30));
    assert_eq!(shop.order(&Who::customer("c-1"), "late", "mug", 30).await.status, 201);
    let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = list(&shop, &staff, &format!("?from=2026-03-01{cursor}")).await;
        seen.extend(quantities(&page));
        pages += 1;
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, [30, 20, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    assert!(pages > 2, "{pages}");
}

#[tokio::test]
async fn ord_17_states_and_fields_are_filtered() {
    let shop = shop().await;
    let who = Who::customer("c-2");
    let orders = list(&shop, &who, "?fields=order_id,state").await;
    let second = orders.body["orders"][1].clone();
    assert_eq!(second.as_object().unwrap().keys().collect::<Vec<_>>(), ["order_id", "state"]);
    let path = format!("/orders/{}/cancel", second["order_id"].as_str().unwrap());
    assert_eq!(Request::post(&path, &serde_json::json!({})).send(&shop.orders, Some(&who)).await.status, 200);
    assert_eq!(quantities(&list(&shop, &who, "?state=cancelled").await), [6]);
    assert_eq!(quantities(&list(&shop, &who, "?state=placed").await), [9, 3]);
    assert_eq!(quantities(&list(&shop, &Who::staff(), "?state=cancelled&limit=1").await), [6]);
    assert!(quantities(&list(&shop, &who, "?state=paid").await).is_empty());
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_list_only() {
    let shop = shop().await;
    let who = Who::customer("c-1");
    let page = list(&shop, &who, "?limit=1").await;
    let cursor = page.body["next_cursor"].as_str().unwrap();
    assert_eq!(list(&shop, &who, &format!("?cursor={cursor}")).await.status, 200);
    for (who, query) in [
        (Who::customer("c-2"), format!("?cursor={cursor}")),
        (who.clone().of("other"), format!("?cursor={cursor}")),
        (who.clone(), format!("?state=paid&cursor={cursor}")),
        (who.clone(), format!("?cursor={}", &cursor[1..])),
        (who.clone(), "?cursor=AAAA".to_owned()),
    ] {
        let refused = list(&shop, &who, &query).await;
        assert_eq!((refused.status, refused.fields()), (400, vec!["cursor"]), "{query}");
    }
}

#[tokio::test]
async fn a_range_that_begins_in_the_future_is_empty() {
    let shop = shop().await;
    for who in [Who::customer("c-1"), Who::staff()] {
        assert!(quantities(&list(&shop, &who, "?from=2030-01-01").await).is_empty());
    }
}

/// A state that is rare among many orders is found page by page, and no call looks at all of them.
#[tokio::test]
async fn a_rare_state_does_not_hold_up_a_call() {
    let shop = shop().await;
    for (who, found) in [(Who::customer("c-1"), 7), (Who::staff(), 11)] {
        shop.engine.wire.count(None);
        let page = list(&shop, &who, "?state=paid&limit=1&from=2026-03-29").await;
        let calls = shop.engine.wire.counted().calls.len();
        assert!(quantities(&page).is_empty());
        // With a limit of 1 each round looks at one order: there are fewer rounds than orders.
        assert!(page.body["next_cursor"].is_string() || found < 8, "{page:?}");
        assert!(calls <= 8 * 33, "{calls} calls");
    }
}
