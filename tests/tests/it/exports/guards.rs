//! Runs that were believed dead, messages that come twice, and negative controls: each guard is taken away, and the harm
//! that it prevents is seen.

use super::{history, ids, two_days};
use holdfast_tests::exporting::{Exporting, parts_of};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A run with parts of three orders that halts before it stores its first part, until another with parts of five took over
/// and completed the export. What the export and its lines are afterwards.
async fn zombie(disarm: impl FnOnce(&Exporting)) -> (Value, Vec<String>, Vec<String>) {
    let (exporting, all) = history().await;
    let id = exporting.asked("k", &two_days()).await;
    disarm(&exporting);
    let (late, other) = (exporting.exporter(parts_of(3)), exporting.exporter(parts_of(5)));
    let halt = exporting.wire.halt("PUT");
    // The late run has no time left when it wakes up, so it ends where it is.
    let limp = exporting.deliver(&late, &id, exporting.shop.clock.clock().now() + SignedDuration::from_secs(90));
    let overtaking = async {
        halt.reached().await;
        exporting.shop.clock.advance(SignedDuration::from_mins(4));
        assert!(exporting.deliver(&other, &id, Timestamp::MAX).await);
        assert_eq!(exporting.export(&id).await["state"], "done");
        halt.go();
    };
    let (done, ()) = futures_util::future::join(limp, overtaking).await;
    assert!(done, "a run that was overtaken ends in silence");
    let lines = exporting.lines(&id).await;
    (exporting.export(&id).await, ids(&lines), all[1..9].to_vec())
}

#[tokio::test]
async fn ord_18_a_run_that_was_believed_dead_changes_nothing() {
    let (export, lines, all) = zombie(|_| {}).await;
    assert_eq!((&export["state"], &export["progress"]["parts"]), (&json!("done"), &json!(2)));
    assert_eq!(lines, all);
}

#[tokio::test]
async fn ord_18_without_the_objects_condition_a_late_part_takes_orders_away() {
    let (export, lines, all) = zombie(|exporting| exporting.wire.strip("if-none-match")).await;
    assert_eq!(export["progress"]["orders"], 8);
    assert_eq!(lines, [&all[..3], &all[5..]].concat(), "two orders are in no part");
}

#[tokio::test]
async fn ord_18_without_the_step_condition_a_late_run_undoes_what_others_did() {
    let (export, lines, all) = zombie(without_step).await;
    assert_eq!((&export["state"], &export["progress"]["parts"]), (&json!("running"), &json!(1)), "it was done before");
    assert_eq!(lines, all[..5]);
}

fn without_step(exporting: &Exporting) {
    exporting.wire.rewrite(|operation, request| {
        let Some(request) = request.as_object_mut().filter(|_| operation == "PutItem") else { return };
        if request.get("ConditionExpression") == Some(&json!("step = :before")) {
            request.remove("ConditionExpression");
            request.remove("ExpressionAttributeValues");
        }
    });
}

/// Cancels an export while a run is about to store a part; what the export is when the run has ended.
async fn cancelled(disarm: impl FnOnce(&Exporting)) -> Value {
    let (exporting, _) = history().await;
    let id = exporting.asked("k", &two_days()).await;
    disarm(&exporting);
    let exporter = exporting.exporter(parts_of(100));
    let halt = exporting.wire.halt("PUT");
    let cancelling = async {
        halt.reached().await;
        let request = holdfast_tests::requests::Request::delete(&format!("/exports/{id}"));
        let answer = request.send(&exporting.exports, Some(&holdfast_tests::requests::Who::staff())).await;
        assert_eq!(answer.body["state"], "cancelled");
        halt.go();
    };
    futures_util::future::join(exporting.drain(&exporter), cancelling).await;
    exporting.export(&id).await["state"].clone()
}

#[tokio::test]
async fn ord_18_a_run_does_not_undo_a_cancellation() {
    assert_eq!(cancelled(|_| {}).await, "cancelled");
    assert_eq!(cancelled(without_step).await, "done", "without the condition it does");
}

#[tokio::test]
async fn ord_18_messages_that_come_twice_make_no_second_export() {
    let (exporting, all) = history().await;
    let id = exporting.asked("k", &two_days()).await;
    let exporter = exporting.exporter(parts_of(3));
    // Both look at the export before either begins.
    exporting.wire.meet("GetItem", 2);
    let deliver = || exporting.deliver(&exporter, &id, Timestamp::MAX);
    assert_eq!(futures_util::future::join(deliver(), deliver()).await, (true, true));
    exporting.wire.meet("GetItem", 1);
    assert_eq!(ids(&exporting.lines(&id).await), all[1..9]);
    let (before, objects) = (exporting.export(&id).await, exporting.objects().await);
    assert!(deliver().await);
    assert_eq!(
        (exporting.export(&id).await["progress"].clone(), exporting.objects().await),
        (before["progress"].clone(), objects)
    );
}

#[tokio::test]
async fn ord_18_a_second_message_leaves_a_run_that_is_under_way_alone() {
    let (exporting, all) = history().await;
    let id = exporting.asked("k", &two_days()).await;
    let exporter = exporting.exporter(parts_of(100));
    let halt = exporting.wire.halt("PUT");
    let second = async {
        halt.reached().await;
        exporting.wire.count(None);
        assert!(exporting.deliver(&exporter, &id, Timestamp::MAX).await);
        assert_eq!(exporting.wire.counted().calls.len(), 1, "it only looks");
        halt.go();
    };
    futures_util::future::join(exporting.drain(&exporter), second).await;
    assert_eq!(ids(&exporting.lines(&id).await), all[1..9]);
}

#[tokio::test]
async fn ord_18_a_lost_message_is_sent_again_by_maintenance() {
    let (exporting, all) = history().await;
    let id = exporting.asked("k", &two_days()).await;
    let exporter = exporting.exporter(parts_of(3));
    exporting.lose_messages().await;
    assert_eq!(exporting.maintain().await.published, 0, "it is not silent for long enough");
    exporting.shop.clock.advance(SignedDuration::from_mins(5));
    let report = exporting.maintain().await;
    assert_eq!((report.seen, report.published), (1, 1));
    exporting.drain(&exporter).await;
    assert_eq!(ids(&exporting.lines(&id).await), all[1..9]);
    exporting.shop.clock.advance(SignedDuration::from_mins(5));
    assert_eq!(exporting.maintain().await.seen, 0, "what is over is not looked at");
}

/// Reads that are not consistent find an order less than there are.
async fn blind(also_consistent: bool) -> (Vec<String>, Vec<String>) {
    let (exporting, all) = history().await;
    let id = exporting.asked("k", &two_days()).await;
    exporting.wire.rewrite(move |operation, request| {
        for table in
            request["RequestItems"].as_object_mut().into_iter().flatten().filter(|_| operation == "BatchGetItem")
        {
            let consistent = table.1["ConsistentRead"] == true;
            if let Some(keys) = table.1["Keys"].as_array_mut().filter(|_| also_consistent || !consistent) {
                let instead = json!({"pk": {"S": "nowhere"}, "sk": {"S": "order"}});
                keys[0] = instead;
            }
        }
    });
    assert!(exporting.deliver(&exporting.exporter(parts_of(100)), &id, Timestamp::MAX).await);
    (ids(&exporting.lines(&id).await), all[1..9].to_vec())
}

#[tokio::test]
async fn ord_18_an_order_that_a_read_does_not_find_yet_is_read_again() {
    let (lines, all) = blind(false).await;
    assert_eq!(lines, all);
    let (lines, all) = blind(true).await;
    assert!(lines.len() < all.len(), "without the consistent read it is left out");
}

#[tokio::test]
async fn ord_18_an_order_that_cannot_be_read_is_counted_and_holds_up_no_other() {
    let (exporting, all) = history().await;
    let broken = json!({
        "TableName": exporting.shop.engine.table,
        "Key": {"pk": {"S": format!("acme#order#{}", all[3])}, "sk": {"S": "order"}},
        "UpdateExpression": "SET #state = :state",
        "ExpressionAttributeNames": {"#state": "state"},
        "ExpressionAttributeValues": {":state": {"S": "nonsense"}},
    });
    exporting.shop.engine.dynamodb().call("UpdateItem", &broken).await.unwrap();
    let id = exporting.asked("k", &two_days()).await;
    exporting.drain(&exporting.exporter(parts_of(3))).await;
    let export = exporting.export(&id).await;
    let progress = &export["progress"];
    assert_eq!(
        (&export["state"], &progress["orders"], &progress["unreadable"]),
        (&json!("done"), &json!(7), &json!(1))
    );
    assert_eq!(ids(&exporting.lines(&id).await), [&all[1..3], &all[4..9]].concat());
}
