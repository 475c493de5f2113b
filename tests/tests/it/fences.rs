//! Fences: of those who come to have one effect for one event, one at a time acts, and who comes back late changes nothing.

use holdfast_domain::ids::TenantId;
use holdfast_store::{Fence, FenceEnd, Fenced, Store};
use holdfast_tests::shop::Shop;
use jiff::{SignedDuration, Timestamp};

const LEASE: SignedDuration = SignedDuration::from_secs(60);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

async fn take(store: &Store, second: i64) -> Fenced {
    let tenant = TenantId::parse("acme").unwrap();
    store.fence_take(&tenant, ("mail", "o/1"), LEASE, at(second)).await.unwrap()
}

fn yours(fenced: Fenced) -> Fence {
    match fenced {
        Fenced::Yours(fence) => fence,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn out_5_one_at_a_time_has_a_fence_until_it_is_settled() {
    let shop = Shop::open().await;
    let store = shop.engine.store();
    let first = yours(take(&store, 0).await);
    assert!(matches!(take(&store, 59).await, Fenced::UnderWay(until) if until == at(60)));
    assert!(store.fence_settle(&first, FenceEnd::Open, at(59)).await.unwrap());
    let second = yours(take(&store, 59).await);
    assert!(store.fence_settle(&second, FenceEnd::Done, at(60)).await.unwrap());
    assert!(matches!(take(&store, 1_000).await, Fenced::Over));
}

/// Of many who come when a lease is over, one gets it.
#[tokio::test]
async fn out_5_a_fence_whose_lease_is_over_goes_to_one() {
    let shop = Shop::open().await;
    let store = shop.engine.store();
    drop(take(&store, 0).await);
    // All of them see the old lease before any takes it.
    shop.engine.wire.meet("PutItem", 8);
    let taken = futures_util::future::join_all((0..8).map(|_| take(&store, 61))).await;
    let yours = taken.iter().filter(|fenced| matches!(fenced, Fenced::Yours(_))).count();
    assert_eq!(yours, 1, "{taken:?}");
}

/// A zombie that comes back after its lease overwrites nothing; without the token's condition it does.
#[tokio::test]
async fn out_5_a_zombie_cannot_overwrite_a_newer_result() {
    for guarded in [true, false] {
        let shop = Shop::open().await;
        let store = shop.engine.store();
        let zombie = yours(take(&store, 0).await);
        let heir = yours(take(&store, 61).await);
        assert!(store.fence_settle(&heir, FenceEnd::Done, at(62)).await.unwrap());
        if !guarded {
            shop.engine.wire.rewrite(|operation, request| {
                if operation == "PutItem" {
                    for name in ["ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues"] {
                        request.as_object_mut().unwrap().remove(name);
                    }
                }
            });
        }
        let overwritten = store.fence_settle(&zombie, FenceEnd::Open, at(63)).await.unwrap();
        shop.engine.wire.rewrite(|_, _| {});
        assert_eq!(overwritten, !guarded);
        // With the harm, the effect would take place a second time.
        assert_eq!(matches!(take(&store, 64).await, Fenced::Over), guarded);
    }
}
