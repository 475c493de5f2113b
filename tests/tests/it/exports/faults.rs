//! Every call of asking for an export and of its runs fails in turn; afterwards every order is in exactly one line.

use super::{history, ids, two_days};
use crate::faults::each_call_fails;
use holdfast_tests::exporting::{Exporting, parts_of};
use holdfast_tests::faults::Way;
use jiff::{SignedDuration, Timestamp};

/// Lets messages and maintenance do their work until the export is done.
async fn completed(exporting: &Exporting, id: &str, what: &str) {
    let exporter = exporting.exporter(parts_of(3));
    for _ in 0..3 {
        exporting.drain(&exporter).await;
        if exporting.export(id).await["state"] == "done" {
            return;
        }
        exporting.shop.clock.advance(SignedDuration::from_mins(6));
        exporting.maintain().await;
    }
    panic!("{what}: {}", exporting.export(id).await);
}

#[tokio::test]
async fn ord_18_holds_whatever_call_of_asking_fails() {
    each_call_fails(async |fault| {
        let (exporting, all) = history().await;
        exporting.wire.count(fault);
        let first = exporting.ask("k", &two_days()).await;
        let counted = exporting.wire.counted();
        // The gateway answers for a process that died.
        let died = matches!(fault, Some((_, Way::Killed))) && first.status == 500;
        assert!(died || matches!(first.status, 202 | 503), "{fault:?}: {first:?}");
        let id = exporting.asked("k", &two_days()).await;
        completed(&exporting, &id, &format!("{fault:?}")).await;
        assert_eq!(ids(&exporting.lines(&id).await), all[1..9], "{fault:?}");
        counted
    })
    .await;
}

/// Lets calls of an export's runs fail in turn: all of them, or those up to the second message that a run sends on.
async fn runs_fail(deadline: Timestamp) {
    let open = async || {
        let (mut exporting, all) = history().await;
        exporting.deadline = deadline;
        let id = exporting.asked("k", &two_days()).await;
        (exporting, all, id)
    };
    let (exporting, _, id) = open().await;
    exporting.wire.count(None);
    completed(&exporting, &id, "no fault").await;
    let operations = exporting.wire.operations();
    let sent: Vec<_> = (0..operations.len()).filter(|at| operations[*at] == "SendMessage").collect();
    // The last step makes it done; what this test reads afterwards does not count.
    let done = operations.iter().rposition(|operation| operation == "PutItem").unwrap();
    let end = sent.get(1).unwrap_or(&done) + 1;
    let reads = |at: usize| matches!(operations[at].as_str(), "Query" | "GetItem" | "BatchGetItem" | "HEAD");
    // A read that fails leaves everything as the last write left it: of reads in a row, the first fails.
    let positions: Vec<_> = (0..end).filter(|at| *at == 0 || !reads(*at) || !reads(at - 1)).collect();
    assert!(positions.iter().any(|at| operations[*at] == "PUT") && positions.len() > 6, "{operations:?}");
    for position in positions {
        let ways =
            if reads(position) { &[Way::Before][..] } else { &[Way::Before, Way::After, Way::Throttled, Way::Killed] };
        for way in ways {
            let what = format!("{} at {position}, {way:?}", operations[position]);
            let (exporting, all, id) = open().await;
            exporting.wire.count(Some((position, *way)));
            completed(&exporting, &id, &what).await;
            assert!(exporting.wire.counted().met, "{what} was not made");
            assert_eq!(ids(&exporting.lines(&id).await), all[1..9], "{what}");
            let export = exporting.export(&id).await;
            assert_eq!(export["progress"]["orders"], 8, "{what}");
            assert_eq!(export["progress"]["parts"], exporting.objects().await.len(), "{what}");
        }
    }
}

#[tokio::test]
async fn ord_18_holds_whatever_call_of_a_run_fails() {
    runs_fail(Timestamp::MAX).await;
}

#[tokio::test]
async fn ord_18_holds_whatever_call_of_runs_without_time_fails() {
    runs_fail(Timestamp::MIN).await;
}
