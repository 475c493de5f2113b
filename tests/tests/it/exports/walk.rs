//! The walk over the orders of a span: shards of very different length, merged by time.

use holdfast_domain::ids::{OrderId, TenantId};
use holdfast_store::keys::{self, DayList};
use holdfast_store::{OrderWalk, PLACES_MAX};
use holdfast_tests::engine::Engine;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

/// Orders of a shard: less than a page, just one, a little more, and several.
const SHARDS: [(u8, usize); 6] = [(0, 1), (3, 620), (7, 251), (9, 250), (30, 249), (31, 40)];

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

/// Puts orders into the index, over two days of which an empty one lies between; their positions, oldest first.
async fn filled(engine: &Engine) -> Vec<String> {
    let mut items = Vec::new();
    let mut positions = Vec::new();
    let mut random = fastrand::Rng::with_seed(18);
    for (shard, count) in SHARDS {
        for number in 0..count {
            let id = format!("822b0000-0000-8000-8000-{:010x}{shard:02x}", random.u32(..));
            let id = OrderId::parse(&id).unwrap();
            assert_eq!(keys::day_shard(id), shard);
            // Few instants, so that many orders share one.
            let day = if number % 2 == 0 { "2026-03-29T00:00:00Z" } else { "2026-03-31T00:00:00Z" };
            let placed_at = at(day) + SignedDuration::from_millis(random.i64(0..500) * 172_800);
            let (key, position) = (keys::order(&tenant(), id), keys::order_position(placed_at, id));
            let partition = keys::day_orders(&tenant(), DayList::Orders, keys::day_of(placed_at), shard);
            items.push(json!({"PutRequest": {"Item": {
                "pk": {"S": key.pk}, "sk": {"S": key.sk}, "gsi2pk": {"S": partition}, "gsisk": {"S": position},
            }}}));
            positions.push(position);
        }
    }
    for batch in items.chunks(25) {
        let request = json!({"RequestItems": {&engine.table: batch}});
        engine.dynamodb().call("BatchWriteItem", &request).await.unwrap();
    }
    positions.sort_unstable();
    positions
}

/// Everything of a walk, and where each of its steps ended.
async fn walked(mut walk: OrderWalk) -> (Vec<String>, Vec<String>) {
    let (mut positions, mut ends) = (Vec::new(), Vec::new());
    while let Some(places) = walk.next().await.unwrap() {
        assert!(places.orders.len() <= PLACES_MAX);
        assert!(ends.last().is_none_or(|before| *before < places.through), "{ends:?}: {}", places.through);
        positions.extend(places.orders.into_iter().map(|(position, _)| position));
        assert!(positions.last().is_none_or(|last| *last <= places.through));
        ends.push(places.through);
    }
    (positions, ends)
}

#[tokio::test]
async fn ord_18_shards_of_any_length_are_merged_by_time_and_a_walk_goes_on_anywhere() {
    let engine = Engine::embedded().await;
    let all = filled(&engine).await;
    let store = engine.store();
    let (from, to) = (at("2026-03-28T12:00:00Z"), at("2026-04-02T00:00:00Z"));
    let walk = |after: Option<&str>| store.order_walk(&tenant(), from, to, after);
    let (positions, ends) = walked(walk(None)).await;
    assert_eq!(positions, all);
    assert_eq!(ends.last(), Some(&keys::instant(to)), "a walk ends at the end of its span");
    for end in ends.iter().step_by(7).chain(ends.last()) {
        let rest = all.iter().filter(|position| *position > end);
        assert_eq!(walked(walk(Some(end))).await.0, rest.cloned().collect::<Vec<_>>(), "behind {end}");
    }
    // It may go on behind any order, too, although another is of the same millisecond.
    for position in all.iter().step_by(211) {
        let rest = all.iter().filter(|other| *other > position);
        assert_eq!(walked(walk(Some(position))).await.0, rest.cloned().collect::<Vec<_>>(), "behind {position}");
    }
}

#[tokio::test]
async fn ord_18_a_walk_stays_within_its_span() {
    let engine = Engine::embedded().await;
    let all = filled(&engine).await;
    let store = engine.store();
    for (from, to) in [
        ("2026-03-29T05:00:00Z", "2026-03-31T19:00:00Z"),
        ("2026-03-29T00:00:00Z", "2026-03-29T00:00:00.001Z"),
        ("2026-03-30T00:00:00Z", "2026-03-31T00:00:00Z"),
        ("2026-03-29T02:52:48Z", "2026-03-29T02:52:48.001Z"),
    ] {
        let (from, to) = (at(from), at(to));
        let (lower, upper) = (keys::instant(from), keys::instant(to));
        let within = all.iter().filter(|position| (&lower..&upper).contains(position));
        let walk = store.order_walk(&tenant(), from, to, None);
        assert_eq!(walked(walk).await.0, within.cloned().collect::<Vec<_>>(), "{from} to {to}");
    }
}
