//! Calls that fail in turn, and negative controls: each guard is taken away, and the harm that it prevents is seen.

use super::books::Books;
use crate::faults::each_call_fails;
use holdfast_tests::faults::Way;
use maintenance::{Job, Task};
use serde_json::{Value, json};
use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

/// A shop with a day to close and an open one.
async fn history() -> Books {
    let books = Books::open().await;
    books.shop.sell("mug", 50).await;
    books.sell("k-1", "mug", 2).await;
    books.days_pass(4);
    books.sell("k-2", "mug", 4).await;
    books
}

/// A run that fails at a read leaves the table as its last write left it: of reads in a row, the first fails.
#[tokio::test]
async fn whatever_call_of_a_pass_fails_its_sums_are_right() {
    let books = history().await;
    let operations = Arc::<Mutex<Vec<String>>>::default();
    let seen = Arc::clone(&operations);
    books.shop.engine.wire.rewrite(move |operation, _| seen.lock().unwrap().push(operation.to_owned()));
    books.pass().await;
    let operations = operations.lock().unwrap().clone();
    let reads = |at: usize| matches!(operations[at].as_str(), "Query" | "GetItem" | "BatchGetItem");
    let positions: Vec<_> = (0..operations.len()).filter(|at| *at == 0 || !reads(*at) || !reads(at - 1)).collect();
    assert!(positions.len() > 10, "{operations:?}");
    let first_note = operations.iter().position(|operation| operation == "TransactWriteItems");
    for position in positions {
        // A read whose answer is lost is like one that failed.
        let ways = match operations[position].as_str() {
            "TransactWriteItems" if Some(position) == first_note => &Way::ALL[..],
            _ if reads(position) => &[Way::Before],
            _ => &[Way::Before, Way::After, Way::Killed],
        };
        for &way in ways {
            let books = history().await;
            books.shop.engine.wire.count(Some((position, way)));
            let run = Box::pin(books.maintenance.run(Task::from(Job::Reconcile)));
            let begun = books.shop.engine.wire.lives(run).await;
            assert!(books.shop.engine.wire.counted().met, "call {position} was not made");
            if !matches!(begun, Some(Ok(_))) {
                // Whoever meets others at the same items tries again.
                assert!(!matches!(way, Way::Conflict | Way::Throttled), "{position} {way:?}: {begun:?}");
                // As the schedules do, whether or not the failure came before the pass was noted.
                books.run(Job::Reconcile).await;
            }
            assert_eq!(books.balance("stock#mug#main").await, 2, "{position} {way:?}");
            books.everything_balances(&format!("{position} {way:?}")).await;
        }
    }
}

#[tokio::test]
async fn whatever_call_of_a_late_cancellation_fails_its_units_leave_the_balance_once() {
    each_call_fails(async |fault| {
        let books = Books::open().await;
        books.shop.sell("mug", 50).await;
        let order = books.sell("k-1", "mug", 2).await;
        books.sell("k-2", "mug", 3).await;
        books.days_pass(6);
        books.pass().await;
        books.shop.engine.wire.count(fault);
        books.cancel(order).await;
        let counted = books.shop.engine.wire.counted();
        assert_eq!(books.balance("stock#mug#main").await, 3, "{fault:?}");
        books.everything_balances(&format!("{fault:?}")).await;
        counted
    })
    .await;
}

/// Two runs of one pass, which both read it before either moves it on; what they find, and how many failed.
async fn two_runs(fenced: bool) -> (u64, usize) {
    let books = Books::open().await;
    books.shop.sell("mug", 50).await;
    books.sell("k-1", "mug", 2).await;
    books.pass().await;
    books.stride_ms.store(36_000, Ordering::SeqCst);
    books.run(Job::Reconcile).await;
    books.stride_ms.store(0, Ordering::SeqCst);
    if !fenced {
        books.shop.engine.wire.rewrite(|_, request| {
            for item in request["TransactItems"].as_array_mut().into_iter().flatten() {
                let Some(put) = item["Put"].as_object_mut() else { continue };
                if put.get("ConditionExpression") == Some(&json!("step = :step")) {
                    put.remove("ConditionExpression");
                    put.remove("ExpressionAttributeValues");
                }
            }
        });
    }
    // Both count the order, and note it at the same time.
    books.shop.engine.wire.meet("TransactWriteItems", 2);
    let run = || Box::pin(books.maintenance.run(Task::from(Job::ReconcileResume)));
    let alone = async {
        // The one that is left goes on without the other.
        let runs = futures_util::future::join(run(), run());
        tokio::time::timeout(std::time::Duration::from_secs(20), runs).await
    };
    let failed = match alone.await {
        Ok((one, other)) => usize::from(one.is_err()) + usize::from(other.is_err()),
        Err(_) => 1,
    };
    books.shop.engine.wire.meet("TransactWriteItems", 1);
    let kept = books.shop.engine.items().await;
    let check = kept.iter().find(|item| item["sk"]["S"] == "check").unwrap();
    (check["kept"]["N"].as_str().unwrap().parse().unwrap(), failed)
}

#[tokio::test]
async fn a_second_run_of_a_pass_adds_nothing() {
    assert_eq!(two_runs(true).await, (2, 1));
}

#[tokio::test]
async fn without_the_step_condition_a_second_run_adds_again() {
    assert_eq!(two_runs(false).await.0, 4);
}

/// How often a leak is suspected, over passes during which something is sold and something is cancelled: at another moment
/// of each.
async fn suspects(rewrite: impl Fn(&str, &mut Value) + Clone + Send + Sync + 'static) -> u64 {
    let (mut suspected, mut steps, mut moment) = (0, usize::MAX, 0);
    while moment < steps {
        let books = Books::open().await;
        books.shop.sell("mug", 50).await;
        let order = books.sell("k-1", "mug", 2).await;
        books.days_pass(6);
        books.pass().await;
        books.shop.engine.wire.rewrite(rewrite.clone());
        let seen = Cell::new(0);
        let found = books
            .pass_in_steps(async |step| {
                seen.set(step + 1);
                if step == moment {
                    books.sell("k-2", "mug", 3).await;
                    books.cancel(order).await;
                }
            })
            .await;
        suspected += found.figures.suspected + books.pass().await.figures.suspected;
        steps = seen.get();
        moment += 1;
    }
    suspected
}

#[tokio::test]
async fn with_all_guards_nothing_is_suspected() {
    assert_eq!(suspects(|_, _| {}).await, 0);
}

#[tokio::test]
async fn without_versions_of_stripes_a_sale_during_a_pass_is_taken_for_a_leak() {
    let without = |_: &str, request: &mut Value| {
        for item in request["TransactItems"].as_array_mut().into_iter().flatten() {
            let Some(update) = item["Update"].as_object_mut() else { continue };
            let expression = update["UpdateExpression"].as_str().unwrap_or_default().to_owned();
            if expression.starts_with("SET available") {
                let without = expression.replace(", version = version + :one", "");
                update.insert("UpdateExpression".to_owned(), json!(without));
                update["ExpressionAttributeValues"].as_object_mut().unwrap().remove(":one");
            }
        }
    };
    assert!(suspects(without).await > 0);
}

#[tokio::test]
async fn without_the_entry_in_the_balance_a_late_cancellation_is_taken_for_a_leak() {
    let without = |_: &str, request: &mut Value| {
        let Some(items) = request["TransactItems"].as_array_mut() else { return };
        let cancels = items.iter().any(|item| item["Update"]["ExpressionAttributeValues"].get(":late").is_some());
        if cancels {
            items.retain(|item| item["Update"]["Key"]["sk"]["S"] != "balance");
        }
    };
    assert!(suspects(without).await > 0);
}
