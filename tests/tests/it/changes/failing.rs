//! Every call of a change, a split and a merge fails in turn, in every way; the caller repeats it, and it is made once.

use super::{bonn, later, lines, merge, patch, place, read, shop, split};
use crate::faults::each_call_fails;
use holdfast_tests::faults::{Counted, Way};
use holdfast_tests::requests::Answer;
use holdfast_tests::shop::Shop;
use serde_json::json;

/// Sends a request while a call fails, and again until it is answered otherwise than with a failure; and what was counted.
async fn repeated<F: Future<Output = Answer>>(
    shop: &Shop,
    fault: Option<(usize, Way)>,
    request: impl Fn() -> F,
) -> (Answer, Counted) {
    shop.engine.wire.count(fault);
    let mut answer = request().await;
    let counted = shop.engine.wire.counted();
    for _ in 0..3 {
        if answer.status < 500 {
            break;
        }
        answer = request().await;
    }
    (answer, counted)
}

#[tokio::test]
async fn ord_9_holds_whatever_call_of_a_change_fails() {
    for (wanted, mugs, pens) in [(&[("mug", 5)][..], 5, 10), (&[("mug", 1), ("pen", 2)], 9, 8)] {
        each_call_fails(async |fault| {
            let shop = shop().await;
            let placed = place(&shop, "k", &later(&[("mug", 3), ("pen", 1)])).await;
            let body = json!({"lines": lines(wanted)});
            let (answer, counted) = repeated(&shop, fault, || patch(&shop, &placed, &body)).await;
            // A repeat of what was written finds another version.
            assert!(matches!((answer.status, answer.slug()), (200, _) | (412, "precondition-failed")), "{answer:?}");
            let now = read(&shop, &placed).await;
            assert_eq!((&now.body["version"], now.header("etag")), (&json!(2), answer.header("etag")), "{fault:?}");
            assert_eq!((shop.available("mug").await, shop.available("pen").await), (mugs, pens), "{fault:?}");
            shop.laws_hold().await;
            counted
        })
        .await;
    }
}

#[tokio::test]
async fn ord_9_holds_whatever_call_of_a_new_address_fails() {
    each_call_fails(async |fault| {
        let shop = shop().await;
        let placed = place(&shop, "k", &later(&[("mug", 3)])).await;
        let body = json!({"shipping_address": bonn(), "payment_method": "pm_card_visa"});
        let (answer, counted) = repeated(&shop, fault, || patch(&shop, &placed, &body)).await;
        assert!(matches!((answer.status, answer.slug()), (200, _) | (412, "precondition-failed")), "{answer:?}");
        let now = read(&shop, &placed).await.body;
        assert_eq!((&now["version"], &now["shipping_address"]["city"]), (&json!(2), &json!("Bonn")), "{fault:?}");
        shop.laws_hold().await;
        counted
    })
    .await;
}

#[tokio::test]
async fn ord_10_holds_whatever_call_of_a_split_fails() {
    each_call_fails(async |fault| {
        let shop = shop().await;
        let placed = place(&shop, "k", &later(&[("mug", 3), ("pen", 1)])).await;
        let (off, counted) = repeated(&shop, fault, || split(&shop, &placed, "s", &[(0, 1), (1, 1)])).await;
        assert!(matches!(off.status, 200 | 201), "{fault:?}: {off:?}");
        assert_eq!((&off.body["version"], off.body["lines"].as_array().unwrap().len()), (&json!(1), 2));
        assert_eq!(read(&shop, &placed).await.body["total"]["amount"], 2 * 1999, "{fault:?}");
        assert_eq!(shop.engine.evidence().await.orders.len(), 2, "{fault:?}");
        shop.laws_hold().await;
        counted
    })
    .await;
}

#[tokio::test]
async fn ord_10_holds_whatever_call_of_a_merge_fails() {
    each_call_fails(async |fault| {
        let shop = shop().await;
        let one = place(&shop, "k-1", &later(&[("mug", 3)])).await;
        let other = place(&shop, "k-2", &later(&[("pen", 1)])).await;
        let (merged, counted) = repeated(&shop, fault, || merge(&shop, &one, &other)).await;
        assert_eq!((merged.status, &merged.body["total"]["amount"]), (200, &json!(4 * 1999)), "{fault:?}: {merged:?}");
        let (one, other) = (read(&shop, &one).await.body, read(&shop, &other).await.body);
        assert_eq!((&one["version"], &other["version"], &other["state"]), (&json!(2), &json!(2), &json!("merged")));
        shop.laws_hold().await;
        counted
    })
    .await;
}
