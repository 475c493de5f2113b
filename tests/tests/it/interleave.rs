//! Seeded interleavings of concurrent operations, with duplicates, faults and late deliveries; and their negative
//! controls. `cargo dev faults` runs them by seed.

use holdfast_tests::interleave::controls::{CONTROLS, Control, SPARES, UNSHOWN};
use holdfast_tests::interleave::plan::Plan;
use holdfast_tests::interleave::{Harness, Report};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

/// How many seeds every run of the tests goes through.
const SEEDS: u64 = 10_000;
/// How many seeds a negative control may take to show its harm.
const CONTROL_SEEDS: usize = 1_000;
/// How many seeds are run twice.
const REPLAYED: u64 = 40;
/// How many threads share the work.
const THREADS: usize = 2;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is to be a number, not {text}")))
}

/// How to see it again.
fn replay(report: &Report) -> String {
    format!("{report}\nreplay: cargo dev faults --seed {}", report.plan.seed)
}

/// Does `work` on several threads, each with its number; what each gives.
fn shared<T: Send>(work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|number| {
                scope.spawn({
                    let work = &work;
                    move || work(number)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

#[test]
fn seeds_keep_every_law() {
    if let Some(seed) = number("HOLDFAST_SEED") {
        let report = Harness::default().run(seed, &[]);
        std::io::stdout().lock().write_all(report.to_string().as_bytes()).unwrap();
        assert!(report.breaches.is_empty(), "{}", replay(&report));
        return;
    }
    let seeds = number("HOLDFAST_SEEDS").unwrap_or(SEEDS);
    let broken = AtomicBool::new(false);
    let guards = shared(|thread| {
        let (mut harness, mut guards) = (Harness::default(), BTreeSet::new());
        for seed in (thread as u64..seeds).step_by(THREADS) {
            let report = harness.run(seed, &[]);
            if !report.breaches.is_empty() {
                broken.store(true, Ordering::Relaxed);
                panic!("{}", replay(&report));
            }
            if broken.load(Ordering::Relaxed) {
                break;
            }
            guards.extend(report.guards);
        }
        guards
    });
    if seeds < SEEDS {
        return;
    }
    let sent: BTreeSet<_> = guards.into_iter().flatten().collect();
    let controlled = CONTROLS.iter().flat_map(|control| control.without).copied();
    let spare = SPARES.iter().map(|spare| spare.guard);
    let controlled: BTreeSet<_> =
        controlled.chain(spare).chain(UNSHOWN.iter().copied()).map(ToOwned::to_owned).collect();
    let missing: Vec<_> = sent.difference(&controlled).collect();
    let unknown: Vec<_> = controlled.difference(&sent).collect();
    assert!(missing.is_empty(), "these conditions lack a negative control: {missing:#?}");
    assert!(unknown.is_empty(), "no seed sends these conditions: {unknown:#?}");
}

#[test]
fn a_seed_is_a_replay() {
    let (mut one, mut other) = (Harness::default(), Harness::default());
    for seed in 0..REPLAYED {
        let trace = one.run(seed, &[]).trace;
        // What ran before must not matter.
        other.run(REPLAYED - seed, &[]);
        assert_eq!(trace, other.run(seed, &[]).trace, "seed {seed}");
    }
}

#[test]
fn each_guard_is_missed_by_some_seed() {
    let shown = shared(|thread| {
        let mut harness = Harness::default();
        let mut shown = |control: &'static Control| {
            let seeds = (0..).filter(|seed| Plan::of(*seed).theme == control.theme).take(CONTROL_SEEDS);
            let mut reports = seeds.map(|seed| harness.run(seed, control.without));
            (control, reports.any(|report| !report.breaches.is_empty()))
        };
        CONTROLS.iter().skip(thread).step_by(THREADS).map(&mut shown).collect::<Vec<_>>()
    });
    let shown: Vec<_> = shown.into_iter().flatten().collect();
    let unseen: Vec<_> = shown.iter().filter(|(_, shown)| !shown).map(|(control, _)| control).collect();
    assert!(unseen.is_empty(), "no seed out of {CONTROL_SEEDS} shows any harm: {unseen:#?}");
}
