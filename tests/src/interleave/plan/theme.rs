//! What runs are mostly about.

use fastrand::Rng;

/// What a run is mostly about, so that rare meetings are not rare everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// Everything but large orders.
    Mixed,
    /// Many buyers of few units.
    Rush,
    /// Orders that end in several ways at once.
    Ends,
    /// Prices that change beside orders and first receipts.
    Prices,
    /// Stock that comes in, for the first time and twice.
    Receipts,
    /// Products that are not there yet, or lie nowhere yet, while their prices are set.
    Listings,
    /// Reservations that are confirmed, given up and run out.
    Holds,
    /// Coupons that change while they are redeemed.
    Coupons,
    /// Purchase limits.
    Limits,
    /// Stripes that are made, merged and levelled while they are sold from.
    Shapes,
    /// Large orders, which are written in parts.
    Parts,
}

/// A kind of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Draw {
    Order,
    Confirm,
    Release,
    Cancel,
    Expire,
    Pay,
    Settle,
    Sum,
    Receive,
    Price,
    Coupon,
    Reshape,
    Level,
    Read,
}

impl Theme {
    pub(super) const ALL: [Self; 11] = [
        Self::Mixed,
        Self::Rush,
        Self::Ends,
        Self::Prices,
        Self::Receipts,
        Self::Listings,
        Self::Holds,
        Self::Coupons,
        Self::Limits,
        Self::Shapes,
        Self::Parts,
    ];

    /// How likely each operation is.
    const fn weights(self) -> &'static [(Draw, u32)] {
        use Draw::{
            Cancel, Confirm, Coupon, Expire, Level, Order, Pay, Price, Read, Receive, Release, Reshape, Settle, Sum,
        };
        match self {
            Self::Mixed => &[
                (Order, 9),
                (Confirm, 2),
                (Release, 1),
                (Cancel, 3),
                (Expire, 2),
                (Pay, 3),
                (Receive, 3),
                (Price, 2),
                (Coupon, 1),
                (Reshape, 1),
                (Read, 1),
            ],
            Self::Rush => &[(Order, 12), (Cancel, 3), (Pay, 1), (Receive, 1), (Read, 1)],
            Self::Ends => &[(Order, 2), (Cancel, 5), (Expire, 4), (Pay, 5)],
            Self::Prices => &[(Order, 5), (Receive, 1), (Price, 7)],
            Self::Listings => &[(Order, 1), (Receive, 3), (Price, 5)],
            Self::Receipts => &[(Order, 3), (Receive, 6), (Price, 2), (Read, 1)],
            Self::Holds => &[(Order, 3), (Confirm, 5), (Release, 4), (Expire, 3), (Pay, 2), (Cancel, 1)],
            Self::Coupons => &[(Order, 6), (Cancel, 1), (Coupon, 5)],
            Self::Limits => &[(Order, 9), (Cancel, 3), (Expire, 1), (Confirm, 1), (Release, 1), (Price, 1)],
            Self::Shapes => &[(Order, 5), (Cancel, 2), (Reshape, 8), (Level, 1), (Receive, 2), (Price, 1)],
            Self::Parts => &[(Order, 6), (Expire, 4), (Settle, 3), (Sum, 2), (Cancel, 3)],
        }
    }

    pub(super) fn draw(self, rng: &mut Rng) -> Draw {
        let weights = self.weights();
        let mut left = rng.u32(..weights.iter().map(|(_, weight)| weight).sum::<u32>());
        for (draw, weight) in weights {
            match left.checked_sub(*weight) {
                Some(rest) => left = rest,
                None => return *draw,
            }
        }
        unreachable!("what is drawn is below the sum of the weights")
    }
}
