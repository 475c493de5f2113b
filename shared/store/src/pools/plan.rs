//! What to move between stripes: decided from what was read, without any call.

use holdfast_domain::pool::StripeNumber;

/// How many units make a stripe of its own worth its write when stock comes in.
const RECEIPT_SHARE_MIN: u64 = 8;
/// The most stripes that one transfer gives to.
const TRANSFER_TARGETS_MAX: usize = 24;
/// The most transfers of one levelling.
const TRANSFERS_MAX: usize = 32;

/// A stripe as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stripe {
    pub number: StripeNumber,
    pub available: u64,
    /// Changes with every write of the stripe.
    pub version: u64,
}

/// Units for a stripe, or from one.
pub(crate) type Units = (StripeNumber, u64);

/// New stripes, and where their units come from.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Split {
    pub taken: Vec<Units>,
    /// Consecutive numbers from the first that does not exist.
    pub made: Vec<Units>,
}

/// The last stripes, and where their units go.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Merge {
    /// Each with the version it was read at.
    pub deleted: Vec<(StripeNumber, u64)>,
    pub given: Vec<Units>,
    /// The stripes afterwards.
    pub left: StripeNumber,
}

/// Units of one stripe for others.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub from: StripeNumber,
    pub given: Vec<Units>,
}

/// How many units each stripe has when all are spread evenly: the first ones have those that are left over.
fn even_share(total: u64, stripes: StripeNumber) -> impl Fn(StripeNumber) -> u64 {
    let stripes = u64::from(stripes.max(1));
    move |number| total / stripes + u64::from(u64::from(number) < total % stripes)
}

fn total(stripes: &[Stripe]) -> u64 {
    stripes.iter().map(|stripe| stripe.available).sum()
}

/// One transaction on the way from `from` to `to` stripes: as many new ones as fit into `width` actions (at least 2)
/// together with the fullest stripes, which they get their even share from.
pub(crate) fn split(stripes: &[Stripe], from: StripeNumber, to: StripeNumber, width: usize) -> Split {
    let share = even_share(total(stripes), to);
    let surplus = |stripe: &Stripe| (stripe.number, stripe.available.saturating_sub(share(stripe.number)));
    let mut sources: Vec<_> = stripes.iter().map(surplus).filter(|(_, surplus)| *surplus > 0).collect();
    sources.sort_by_key(|(number, surplus)| (std::cmp::Reverse(*surplus), *number));

    let (mut made, mut wanted, mut used, mut reached) = (Vec::new(), 0, 0, 0);
    for number in from..to {
        let more = wanted + share(number);
        let (mut used_then, mut reached_then) = (used, reached);
        while reached_then < more && used_then < sources.len() {
            reached_then += sources[used_then].1;
            used_then += 1;
        }
        if made.len() + 1 + used_then > width {
            // One stripe alone may want more sources than fit: it gets what these have.
            if made.is_empty() {
                used = (width - 1).min(sources.len());
                reached = sources[..used].iter().map(|(_, surplus)| surplus).sum();
                made.push((number, share(number)));
            }
            break;
        }
        (wanted, used, reached) = (more, used_then, reached_then);
        made.push((number, share(number)));
    }

    let mut left: u64 = made.iter().map(|(_, share)| share).sum::<u64>().min(reached);
    let mut unmade = left;
    let mut taken = Vec::with_capacity(used);
    for (number, surplus) in &sources[..used] {
        let quantity = left.min(*surplus);
        left -= quantity;
        taken.push((*number, quantity));
    }
    for (_, share) in &mut made {
        *share = unmade.min(*share);
        unmade -= *share;
    }
    taken.retain(|(_, quantity)| *quantity > 0);
    Split { taken, made }
}

/// One transaction on the way from `from` down to `to` stripes: as many of the last ones as fit into `width` actions
/// (at least 2) together with the emptiest that stay. None when units would have nowhere to go.
pub(crate) fn merge(stripes: &[Stripe], from: StripeNumber, to: StripeNumber, width: usize) -> Option<Merge> {
    let share = even_share(total(stripes), to);
    let targets_max = usize::from(to).min(width / 2);
    let deleted_max = StripeNumber::try_from(width - targets_max).unwrap_or(StripeNumber::MAX);
    let left = to.max(from.saturating_sub(deleted_max));
    let ended: Vec<_> = stripes.iter().filter(|stripe| stripe.number >= left).collect();
    let mut units: u64 = ended.iter().map(|stripe| stripe.available).sum();

    let staying = stripes.iter().filter(|stripe| stripe.number < to);
    let mut targets: Vec<_> =
        staying.map(|stripe| (stripe.number, share(stripe.number).saturating_sub(stripe.available))).collect();
    targets.sort_by_key(|(number, room)| (std::cmp::Reverse(*room), *number));
    targets.truncate(targets_max);
    for (_, room) in &mut targets {
        *room = units.min(*room);
        units -= *room;
    }
    match targets.first_mut() {
        // What is too much for these few, levelling spreads later.
        Some((_, room)) => *room += units,
        None if units > 0 => return None,
        None => {}
    }
    targets.retain(|(_, quantity)| *quantity > 0);
    let deleted = ended.iter().map(|stripe| (stripe.number, stripe.version)).collect();
    Some(Merge { deleted, given: targets, left })
}

/// Transfers that level stripes, few of them and only where it is worth it: a stripe gets up to the mean when it has
/// under a quarter of that.
pub(crate) fn level(stripes: &[Stripe]) -> Vec<Transfer> {
    let mean = total(stripes) / (stripes.len().max(1) as u64);
    let mut poor: Vec<_> = stripes.iter().filter(|stripe| stripe.available * 4 < mean).collect();
    poor.sort_by_key(|stripe| (stripe.available, stripe.number));
    let mut rich: Vec<_> = stripes.iter().filter(|stripe| stripe.available > mean).collect();
    rich.sort_by_key(|stripe| (std::cmp::Reverse(stripe.available), stripe.number));

    let mut poor: Vec<Units> = poor.into_iter().map(|stripe| (stripe.number, mean - stripe.available)).collect();
    poor.reverse();
    let mut transfers = Vec::new();
    for stripe in rich {
        let mut surplus = stripe.available - mean;
        while surplus > 0 && !poor.is_empty() && transfers.len() < TRANSFERS_MAX {
            let mut given = Vec::new();
            while surplus > 0
                && given.len() < TRANSFER_TARGETS_MAX
                && let Some((number, missing)) = poor.pop()
            {
                let quantity = surplus.min(missing);
                surplus -= quantity;
                given.push((number, quantity));
                if quantity < missing {
                    poor.push((number, missing - quantity));
                }
            }
            transfers.push(Transfer { from: stripe.number, given });
        }
    }
    transfers
}

/// Spreads units that come in over stripes of consecutive numbers from a drawn one: over at most `width`, and over fewer
/// when there are few units.
pub(crate) fn spread(quantity: u32, stripes: StripeNumber, width: usize, random: u64) -> Vec<Units> {
    let (stripes, quantity) = (u64::from(stripes.max(1)), u64::from(quantity));
    let chosen = (quantity / RECEIPT_SHARE_MIN).min(stripes).min(width as u64).max(1);
    let share = |n| quantity / chosen + u64::from(n < quantity % chosen);
    let number = |n| ((random % stripes + n) % stripes) as StripeNumber;
    (0..chosen).map(|n| (number(n), share(n))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stripes(available: &[u64]) -> Vec<Stripe> {
        let stripe = |(n, available): (usize, &u64)| Stripe { number: n as u16, available: *available, version: 1 };
        available.iter().enumerate().map(stripe).collect()
    }

    fn sum(units: &[Units]) -> u64 {
        units.iter().map(|(_, quantity)| quantity).sum()
    }

    /// What stripes have after a split; it must be possible.
    fn after_split(stripes: &mut Vec<Stripe>, split: &Split) {
        for (number, quantity) in &split.taken {
            let stripe = &mut stripes[usize::from(*number)];
            stripe.available = stripe.available.checked_sub(*quantity).unwrap();
        }
        for (number, available) in &split.made {
            assert_eq!(usize::from(*number), stripes.len(), "numbers are consecutive");
            stripes.push(Stripe { number: *number, available: *available, version: 1 });
        }
    }

    #[test]
    fn a_split_is_even() {
        let mut stripes = stripes(&[1_000]);
        let split = split(&stripes, 1, 64, 98);
        assert_eq!((split.taken.len(), split.made.len()), (1, 63));
        after_split(&mut stripes, &split);
        assert!(stripes.iter().all(|stripe| matches!(stripe.available, 15 | 16)), "{stripes:?}");
    }

    #[test]
    fn a_narrow_split_takes_from_one_stripe_for_one() {
        let split = split(&stripes(&[3, 4, 1, 0]), 4, 8, 2);
        assert_eq!(split, Split { taken: vec![(1, 1)], made: vec![(4, 1)] });
    }

    #[test]
    fn levelling_leaves_alone_what_is_near_enough() {
        assert_eq!(level(&stripes(&[10, 4, 5, 3])), []);
        assert_eq!(level(&stripes(&[1, 0, 0])), [], "fewer units than stripes cannot be level");
        assert_eq!(level(&stripes(&[30, 0, 6])), [Transfer { from: 0, given: vec![(1, 12)] }]);
    }

    #[test]
    fn few_units_come_into_few_stripes() {
        assert_eq!(spread(5, 64, 90, 70), [(6, 5)]);
        assert_eq!(spread(17, 2, 90, 1), [(1, 9), (0, 8)]);
        assert_eq!(spread(100_000, 1_024, 90, 0).len(), 90);
    }

    proptest! {
        #[test]
        fn stk_1_a_split_in_steps_keeps_every_unit(
            available in prop::collection::vec(0u64..50, 1..20), more in 1u16..60, width in 2usize..98,
        ) {
            let mut stripes = stripes(&available);
            let to = stripes.len() as u16 + more;
            while stripes.len() < usize::from(to) {
                let split = split(&stripes, stripes.len() as u16, to, width);
                prop_assert_eq!(sum(&split.taken), sum(&split.made));
                prop_assert!(!split.made.is_empty() && split.taken.len() + split.made.len() <= width);
                after_split(&mut stripes, &split);
            }
            prop_assert_eq!(total(&stripes), available.iter().sum::<u64>());
        }

        #[test]
        fn stk_1_a_merge_in_steps_keeps_every_unit(
            available in prop::collection::vec(0u64..50, 2..60), to in 1u16..60, width in 2usize..98,
        ) {
            let mut stripes = stripes(&available);
            let to = to.min(stripes.len() as u16 - 1);
            while stripes.len() > usize::from(to) {
                let merge = merge(&stripes, stripes.len() as u16, to, width).unwrap();
                let ended = stripes.split_off(usize::from(merge.left));
                prop_assert_eq!(sum(&merge.given), total(&ended));
                prop_assert_eq!(merge.deleted.len(), ended.len());
                prop_assert!(merge.deleted.len() + merge.given.len() <= width && !merge.deleted.is_empty());
                for (number, quantity) in merge.given {
                    prop_assert!(number < to);
                    stripes[usize::from(number)].available += quantity;
                }
            }
            prop_assert_eq!(total(&stripes), available.iter().sum::<u64>());
        }

        #[test]
        fn stk_1_levelling_keeps_every_unit_and_is_done_after_one_run(
            available in prop::collection::vec(0u64..500, 1..60),
        ) {
            let mut stripes = stripes(&available);
            for Transfer { from, given } in level(&stripes) {
                let stripe = &mut stripes[usize::from(from)];
                stripe.available = stripe.available.checked_sub(sum(&given)).unwrap();
                given.iter().for_each(|(number, quantity)| stripes[usize::from(*number)].available += quantity);
            }
            prop_assert_eq!(total(&stripes), available.iter().sum::<u64>());
            prop_assert!(level(&stripes).is_empty());
        }

        #[test]
        fn stk_1_what_comes_in_is_spread_whole(
            quantity in 1u32..100_000, stripes in 1u16..=1_024, width in 1usize..=90, random: u64,
        ) {
            let units = spread(quantity, stripes, width, random);
            prop_assert_eq!(sum(&units), u64::from(quantity));
            prop_assert!(units.len() <= width && units.iter().all(|(number, share)| *number < stripes && *share > 0));
            let distinct: std::collections::BTreeSet<_> = units.iter().map(|(number, _)| number).collect();
            prop_assert_eq!(distinct.len(), units.len());
        }
    }
}
