//! Several processes over one shared cache.

use super::scene::{Levels, Scene, Thing, place};
use crate::{Cache, Limits, Sources};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Twenty processes ask for a key at the same time; how many loads they make.
async fn loads_of_twenty(scene: &Arc<Scene>) -> u64 {
    let before = scene.origin.loads();
    let asking = (0..20).map(|_| {
        let (scene, cache) = (Arc::clone(scene), scene.process());
        tokio::spawn(async move { scene.read(&cache, "mug").await })
    });
    for asked in asking.collect::<Vec<_>>() {
        assert_eq!(asked.await.unwrap(), "mug 1");
    }
    scene.origin.loads() - before
}

#[tokio::test]
async fn cache_3_processes_that_miss_at_the_same_time_make_one_load() {
    for leased in [true, false] {
        let scene = Arc::new(Scene::of(Levels::Both));
        scene.memory.leases_to_all.store(!leased, Ordering::SeqCst);
        scene.origin.set("mug", 1);
        scene.origin.takes_ms.store(60, Ordering::SeqCst);
        // Nothing is there, then something that is a little old.
        for pause in [0, 661] {
            scene.pass(pause);
            assert_eq!(loads_of_twenty(&scene).await, if leased { 1 } else { 20 }, "without the lease, each loads");
        }
    }
}

#[tokio::test]
async fn cache_4_a_change_is_seen_by_others_when_their_own_time_is_over_at_the_latest() {
    let scene = Scene::of(Levels::Both);
    let (writer, reader) = (scene.process(), scene.process());
    scene.origin.set("mug", 1);
    scene.read(&reader, "mug").await;
    writer.put(&place("mug"), Some(scene.origin.set("mug", 2)), 2).await;
    scene.pass(59);
    assert_eq!(scene.read(&reader, "mug").await, "mug 1", "the bound");
    scene.pass(2);
    assert_eq!((scene.read(&reader, "mug").await.as_str(), scene.origin.loads()), ("mug 2", 1));
    // A raised counter is heard of with the next answer, whatever key it is about.
    scene.origin.set("mug", 3);
    writer.remove_tagged("acme", "shelf:top").await;
    assert_eq!(scene.read(&reader, "mug").await, "mug 2");
    scene.read(&reader, "something else").await;
    assert_eq!(scene.read(&reader, "mug").await, "mug 3");
}

/// The shared cache lost a value, and somebody else is loading it: what this process has is old, and is not served.
#[tokio::test]
async fn cache_4_what_only_an_old_process_remembers_is_not_served_while_another_loads() {
    let scene = Arc::new(Scene::of(Levels::Both));
    let (writer, reader) = (scene.process(), scene.process());
    scene.origin.set("mug", 1);
    scene.read(&reader, "mug").await;
    scene.origin.set("mug", 2);
    writer.remove(&place("mug")).await;
    scene.pass(120);
    scene.origin.takes_ms.store(60, Ordering::SeqCst);
    let loading = {
        let (scene, writer) = (Arc::clone(&scene), Arc::clone(&writer));
        tokio::spawn(async move { scene.read(&writer, "mug").await })
    };
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    assert_eq!(scene.read(&reader, "mug").await, "mug 2");
    assert_eq!((loading.await.unwrap().as_str(), scene.origin.loads(), reader.figures().waits), ("mug 2", 2, 1));
}

/// A process that loaded before a change, and writes after it.
#[tokio::test]
async fn cache_4_a_late_writer_puts_nothing_older_back() {
    let scene = Scene::of(Levels::Both);
    let (late, writer, reader) = (scene.process(), scene.process(), scene.process());
    let old = scene.origin.set("mug", 1);
    writer.put(&place("mug"), Some(scene.origin.set("mug", 2)), 2).await;
    late.put(&place("mug"), Some(old), 1).await;
    assert_eq!(scene.read(&reader, "mug").await, "mug 2");
    // Nor does a load that took its time: it answers with what is newer by then.
    let slow = scene.process();
    let key = place("pen");
    let load = async || {
        writer.put(&key, Some(Thing { version: 5, what: "pen 5".to_owned() }), 5).await;
        Ok::<_, String>(Some(Thing { version: 4, what: "pen 4".to_owned() }))
    };
    let loaded = slow.get(&key, || Box::pin(load())).await.unwrap();
    assert_eq!(loaded.version, 5);
    assert_eq!(scene.read(&reader, "pen").await, "pen 5");
    // What was removed while a load ran is not kept by it.
    let raised = scene.process();
    let key = place("cup");
    let load = async || {
        writer.remove_tagged("acme", "shelf:top").await;
        Ok::<_, String>(Some(Thing { version: 1, what: "cup 1".to_owned() }))
    };
    raised.get(&key, || Box::pin(load())).await.unwrap();
    scene.origin.set("cup", 2);
    assert_eq!(scene.read(&reader, "cup").await, "cup 2");
}

#[tokio::test]
async fn cache_5_a_shared_cache_that_comes_back_is_used_again() {
    let scene = Scene::of(Levels::Both);
    let (first, second) = (scene.process(), scene.process());
    scene.origin.set("mug", 1);
    scene.memory.is_down.store(true, Ordering::SeqCst);
    assert_eq!([scene.read(&first, "mug").await, scene.read(&second, "mug").await], ["mug 1", "mug 1"]);
    assert_eq!(scene.origin.loads(), 2, "each for itself");
    assert!(first.figures().shared_failed > 0);
    scene.memory.is_down.store(false, Ordering::SeqCst);
    scene.pass(61);
    scene.read(&first, "mug").await;
    scene.read(&second, "mug").await;
    assert_eq!((scene.origin.loads(), second.figures().hits_shared), (3, 1));
}

/// The control of the comparison: without it, what was loaded before a change is there again after it.
#[tokio::test]
async fn cache_4_without_the_comparison_a_late_writer_puts_an_older_version_back() {
    let scene = Scene::of(Levels::Both);
    let (late, writer, reader) = (scene.process(), scene.process(), scene.process());
    let old = scene.origin.set("mug", 1);
    writer.put(&place("mug"), Some(scene.origin.set("mug", 2)), 2).await;
    scene.memory.keeps_all.store(true, Ordering::SeqCst);
    late.put(&place("mug"), Some(old), 1).await;
    assert_eq!(scene.read(&reader, "mug").await, "mug 1");
}

/// XFetch: the nearer the end and the slower the load, the likelier is an early load; one who loads keeps the others from it.
#[tokio::test]
async fn cache_3_values_are_loaded_early_by_chance() {
    let scene = Scene::of(Levels::Local);
    let process = |random: f64| {
        let now = Arc::clone(&scene.now);
        let sources = Sources { now: Arc::new(move || now.load(Ordering::SeqCst)), random: Arc::new(move || random) };
        Cache::new(super::scene::limits(), None, sources) as Cache<super::Place>
    };
    for (random, load_ms, expected) in
        [(0.5, 100, false), (0.999_999, 100, true), (0.999_999, 0, false), (0.0, 100, false)]
    {
        let cache = process(random);
        // A second before the end; a chance of one in a million is 14 times the load's time ahead.
        assert_eq!(cache.is_due(59_000, 60_000, load_ms), expected, "{random} {load_ms}");
        assert!(cache.is_due(60_000, 60_000, load_ms), "its time is over");
    }
    let limits = Limits { local_max: 1, ..super::scene::limits() };
    assert!(format!("{:?}", Cache::<super::Place>::new(limits, None, Sources::system())).contains("thing"));
}
