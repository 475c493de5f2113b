//! One suite of behaviour, for the process alone, the shared cache alone, both, and both with the shared one down.

mod processes;
mod scene;

use crate::kind::{counters_of, name_of};
use proptest::prelude::*;
use scene::{Levels, Place, Scene, place};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Whether values outlive what asks for them.
fn keeps(levels: Levels) -> bool {
    levels != Levels::Shared
}

#[tokio::test]
async fn cache_1_a_value_is_loaded_once_until_its_time_is_over() {
    for levels in Levels::ALL {
        let scene = Scene::of(levels);
        let cache = scene.process();
        scene.origin.set("mug", 1);
        assert_eq!(
            [scene.read(&cache, "mug").await, scene.read(&cache, "mug").await],
            ["mug 1", "mug 1"],
            "{levels:?}"
        );
        assert_eq!(scene.origin.loads(), 1, "{levels:?}");
        scene.origin.set("mug", 2);
        scene.pass(59);
        assert_eq!(scene.read(&cache, "mug").await, "mug 1", "{levels:?}");
        // The process's own time is over: the shared cache has it for ten minutes.
        scene.pass(2);
        let second = if matches!(levels, Levels::Shared | Levels::Both) { "mug 1" } else { "mug 2" };
        assert_eq!(scene.read(&cache, "mug").await, second, "{levels:?}");
        scene.pass(601);
        assert_eq!(scene.read(&cache, "mug").await, "mug 2", "{levels:?}");
    }
}

#[tokio::test]
async fn cache_1_that_there_is_nothing_is_remembered_for_its_own_time() {
    for levels in Levels::ALL {
        let scene = Scene::of(levels);
        let cache = scene.process();
        assert_eq!(scene.read(&cache, "mug").await, "nothing");
        scene.origin.set("mug", 1);
        scene.pass(29);
        assert_eq!(scene.read(&cache, "mug").await, "nothing", "{levels:?}");
        assert_eq!(scene.origin.loads(), 1, "{levels:?}");
        scene.pass(2);
        assert_eq!(scene.read(&cache, "mug").await, "mug 1", "{levels:?}");
    }
}

#[tokio::test]
async fn cache_3_an_old_value_is_served_for_a_bounded_time_while_the_origin_is_down() {
    for levels in Levels::ALL {
        let scene = Scene::of(levels);
        let cache = scene.process();
        scene.origin.is_down.store(true, Ordering::SeqCst);
        assert_eq!(scene.read(&cache, "mug").await, "down", "there is nothing to serve");
        scene.origin.is_down.store(false, Ordering::SeqCst);
        scene.origin.set("mug", 1);
        assert_eq!(scene.read(&cache, "mug").await, "mug 1");
        scene.origin.is_down.store(true, Ordering::SeqCst);
        scene.pass(601);
        assert_eq!(scene.read(&cache, "mug").await, "mug 1", "{levels:?}");
        assert_eq!(cache.figures().stale, 1, "{levels:?}");
        let loads = scene.origin.loads();
        if keeps(levels) {
            assert_eq!(scene.read(&cache, "mug").await, "mug 1");
            assert_eq!(scene.origin.loads(), loads, "{levels:?}: for a second nobody tries again");
        }
        scene.pass(120);
        assert_eq!(scene.read(&cache, "mug").await, "down", "{levels:?}: its time is over for good");
        scene.origin.is_down.store(false, Ordering::SeqCst);
        assert_eq!(scene.read(&cache, "mug").await, "mug 1", "{levels:?}: a failure is not remembered");
    }
}

#[tokio::test]
async fn cache_1_values_are_written_through_and_removed_by_key_tag_and_kind() {
    for levels in Levels::ALL {
        let scene = Scene::of(levels);
        let cache = scene.process();
        let has_memory = levels != Levels::SharedIsDown || keeps(levels);
        let missed = cache.put(&place("mug"), Some(scene.origin.set("mug", 1)), 1).await;
        assert_eq!(missed, levels == Levels::SharedIsDown);
        assert_eq!((scene.read(&cache, "mug").await.as_str(), scene.origin.loads()), ("mug 1", u64::from(!has_memory)));
        for (version, way) in [(2, "key"), (3, "tag"), (4, "kind")] {
            scene.origin.set("mug", version);
            let missed = match way {
                "key" => cache.remove(&place("mug")).await,
                "tag" => cache.remove_tagged("acme", "shelf:top").await,
                _ => cache.remove_all("acme").await,
            };
            assert_eq!(missed, levels == Levels::SharedIsDown, "{levels:?} {way}");
            assert_eq!(scene.read(&cache, "mug").await, format!("mug {version}"), "{levels:?} {way}");
            // What somebody else has, or has under another tag, stays.
            let loads = scene.origin.loads();
            cache.remove_all("other").await;
            cache.remove_tagged("acme", "shelf:bottom").await;
            assert_eq!(scene.read(&cache, "mug").await, format!("mug {version}"), "{levels:?} {way}");
            assert_eq!(scene.origin.loads(), loads, "{levels:?} {way}");
        }
        let missed = cache.figures().invalidations_missed;
        assert_eq!(missed > 0, levels == Levels::SharedIsDown, "{levels:?}: {missed}");
    }
}

#[tokio::test]
async fn cache_4_whoever_knows_of_a_version_gets_no_older_one() {
    for levels in Levels::ALL {
        let scene = Scene::of(levels);
        let cache = scene.process();
        scene.origin.set("mug", 1);
        scene.read(&cache, "mug").await;
        scene.origin.set("mug", 2);
        let key = place("mug");
        let known = cache.get_at_least(&key, 2, || scene.origin.load(&key)).await.unwrap();
        assert_eq!((known.version, scene.origin.loads()), (2, 2), "{levels:?}");
        assert_eq!(scene.read(&cache, "mug").await, "mug 2", "{levels:?}: and so does everybody from then on");
        // What does not come to be is not waited for.
        let never = cache.get_at_least(&key, 9, || scene.origin.load(&key)).await.unwrap();
        assert_eq!(never.version, 2, "{levels:?}");
    }
}

#[tokio::test]
async fn cache_3_a_thousand_who_ask_for_one_expired_key_make_one_load() {
    for levels in Levels::ALL {
        let scene = Arc::new(Scene::of(levels));
        let cache = scene.process();
        scene.origin.set("mug", 1);
        for (round, pause) in [0, 661, 1_000].into_iter().enumerate() {
            scene.pass(pause);
            scene.origin.takes_ms.store(20, Ordering::SeqCst);
            let before = scene.origin.loads();
            let asking = (0..1_000).map(|_| {
                let (scene, cache) = (Arc::clone(&scene), Arc::clone(&cache));
                tokio::spawn(async move { scene.read(&cache, "mug").await })
            });
            for asked in asking.collect::<Vec<_>>() {
                assert_eq!(asked.await.unwrap(), "mug 1");
            }
            assert_eq!(scene.origin.loads() - before, 1, "{levels:?}, round {round}: new, a little old, too old");
        }
    }
}

/// Whoever loads may be stopped half-way, or break: the next one loads.
#[tokio::test]
async fn cache_3_a_load_that_is_stopped_or_breaks_is_taken_over() {
    for levels in Levels::ALL {
        let scene = Arc::new(Scene::of(levels));
        let cache = scene.process();
        scene.origin.set("mug", 1);
        for breaks in [false, true] {
            let loading = {
                let cache = Arc::clone(&cache);
                tokio::spawn(async move {
                    let load = async || {
                        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
                        assert!(!breaks, "it breaks");
                        std::future::pending::<Result<Option<scene::Thing>, String>>().await
                    };
                    cache.get(&place("mug"), || Box::pin(load())).await.map(|_| ())
                })
            };
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            let waiting = {
                let (scene, cache) = (Arc::clone(&scene), Arc::clone(&cache));
                tokio::spawn(async move { scene.read(&cache, "mug").await })
            };
            tokio::time::sleep(std::time::Duration::from_millis(40)).await;
            loading.abort();
            assert_eq!(waiting.await.unwrap(), "mug 1", "{levels:?}, breaks: {breaks}");
            cache.remove(&place("mug")).await;
            // A lease that nobody gave back ends by itself.
            scene.pass(3);
        }
    }
}

#[tokio::test]
async fn cache_1_a_batch_is_one_call_of_each_level() {
    for levels in Levels::ALL {
        let scene = Scene::of(levels);
        let cache = scene.process();
        for name in ["a", "b", "c"] {
            scene.origin.set(name, 1);
        }
        scene.read(&cache, "a").await;
        let keys = ["a", "b", "nothing", "c"].map(place);
        let mut asked = Vec::new();
        for expected in [3, 0] {
            let before = scene.memory.calls.load(Ordering::SeqCst);
            asked.clear();
            let load = |missing: Vec<Place>| {
                let all =
                    missing.iter().map(|key| scene.origin.things.lock().unwrap().get(&key.name).cloned()).collect();
                asked.extend(missing.into_iter().map(|key| key.name));
                async { Ok::<_, String>(all) }
            };
            let found = cache.get_many(&keys, load).await.unwrap();
            let names: Vec<_> =
                found.iter().map(|cached| cached.value.as_ref().map(|thing| thing.what.clone())).collect();
            assert_eq!(
                names,
                [Some("a 1".to_owned()), Some("b 1".to_owned()), None, Some("c 1".to_owned())],
                "{levels:?}"
            );
            // Where one has no memory of its own, it is the other's that counts.
            assert_eq!(asked.len(), expected, "{levels:?}: {asked:?}");
            let calls = scene.memory.calls.load(Ordering::SeqCst) - before;
            assert!(
                levels == Levels::Local && calls == 0 || calls <= 4,
                "{levels:?}: one read, and a write for each value"
            );
        }
        assert!(cache.get_many(&[place("x")], async |_| Err::<Vec<_>, _>("down")).await.is_err());
    }
}

proptest! {
    /// Keys, and what removes them, never meet across tenants, whatever letters they have.
    #[test]
    fn sec_1_names_of_two_tenants_never_meet(
        tenants in proptest::array::uniform2("[a-z/:.0-9]{1,6}"),
        shelves in proptest::array::uniform2("[a-z/:.0-9]{0,4}"),
        names in proptest::array::uniform2("[a-z/:.0-9]{0,4}"),
    ) {
        prop_assume!(tenants[0] != tenants[1]);
        let key = |at: usize| Place { tenant: tenants[at].clone(), shelf: shelves[at].clone(), name: names[at].clone() };
        prop_assert_ne!(name_of(&key(0)), name_of(&key(1)));
        let (first, second) = (counters_of(&key(0)), counters_of(&key(1)));
        prop_assert!(first.iter().all(|counter| !second.contains(counter)));
    }
}
