//! What is sold, at what price, and how many of it to whom.

use crate::ids::{ProductId, TaxClass};
use crate::invalid::{Invalid, Problems};
use crate::money::Money;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The number of times that what a product is sold for was set. A claim of stock carries the one it was priced at.
pub type PriceVersion = u64;

/// The number of a window of a purchase limit, counted from the epoch.
pub type WindowNumber = u64;

/// A product of a tenant's catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Its id.
    pub id: ProductId,
    /// What people call it.
    pub name: String,
    /// What it is, at length; may be empty.
    pub description: String,
    /// Where it stands in the shop.
    pub category: String,
    /// The price of one, outside of all windows.
    pub price: Money,
    /// When one costs something else, as [`PriceWindow::checked_all`] leaves them.
    pub windows: Vec<PriceWindow>,
    /// How many one customer may buy.
    pub limit: Option<PurchaseLimit>,
    /// How it is taxed, in shops that have a tax policy.
    pub tax_class: TaxClass,
    /// Raised with every change of the price, the windows, the limit, the tax class, or the category, which coupons go by;
    /// never lowered.
    pub price_version: PriceVersion,
    /// Raised with every write.
    pub version: u64,
}

/// The greatest lengths of a product's texts, in characters.
pub const NAME_MAX: usize = 200;
/// See [`NAME_MAX`].
pub const DESCRIPTION_MAX: usize = 10_000;
/// See [`NAME_MAX`].
pub const CATEGORY_MAX: usize = 100;

impl Product {
    /// The price of one at an instant.
    pub fn price_at(&self, at: Timestamp) -> Money {
        self.windows.iter().find(|window| window.holds(at)).map_or(self.price, |window| window.price)
    }
}

/// A time with a price of its own, such as a flash sale: from its start until just before its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceWindow {
    /// The first instant at this price.
    pub starts_at: Timestamp,
    /// The first instant after it.
    pub ends_at: Timestamp,
    /// The price of one.
    pub price: Money,
}

/// The most price windows of a product.
pub const WINDOWS_MAX: usize = 20;

impl PriceWindow {
    /// Whether an instant is in the window.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.starts_at <= at && at < self.ends_at
    }

    /// The windows of a product that costs `price` otherwise, by time.
    ///
    /// # Errors
    /// Names `windows` when there are too many, and fields such as `windows[1].ends_at` by the position given: a window
    /// that ends before it starts, starts before an earlier one ends, or is priced in another currency.
    pub fn checked_all(windows: Vec<Self>, price: Money) -> Result<Vec<Self>, Vec<Invalid>> {
        let mut problems = Problems::new();
        if windows.len() > WINDOWS_MAX {
            problems.push(Invalid::new("windows", format!("must be at most {WINDOWS_MAX}")));
        }
        for (index, window) in windows.iter().enumerate() {
            let mut refuse = |field: &str, problem: &str| {
                problems.push(Invalid::new(format!("windows[{index}].{field}"), problem));
            };
            if window.ends_at <= window.starts_at {
                refuse("ends_at", "must be after starts_at");
            }
            if window.price.currency() != price.currency() {
                refuse("price.currency", "must be the currency of the product's price");
            }
        }
        let mut by_time: Vec<_> = windows.into_iter().enumerate().collect();
        by_time.sort_by_key(|(index, window)| (window.starts_at, *index));
        let mut latest_end = Timestamp::MIN;
        for (index, window) in &by_time {
            if window.starts_at < latest_end {
                let problem = "must not be before the end of another window that starts earlier";
                problems.push(Invalid::new(format!("windows[{index}].starts_at"), problem));
            }
            latest_end = latest_end.max(window.ends_at);
        }
        problems.finish(Some(by_time.into_iter().map(|(_, window)| window).collect()))
    }
}

/// How many units of a product one customer may buy over all orders, in each window of time or for ever.
///
/// Windows are tumbling: they follow each other from the epoch on, the same for all customers, so that a customer's
/// allowance in a window is one counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurchaseLimit {
    quantity: u32,
    window_seconds: Option<u32>,
}

impl PurchaseLimit {
    /// The greatest quantity of a limit.
    pub const QUANTITY_MAX: u32 = 10_000;
    /// The shortest window, in seconds.
    pub const WINDOW_SECONDS_MIN: u32 = 60;
    /// The longest window, in seconds: 365 days.
    pub const WINDOW_SECONDS_MAX: u32 = 31_536_000;

    /// A limit. Without a length of its window it is for ever.
    ///
    /// # Errors
    /// Names `quantity` and `window_seconds`.
    pub fn new(quantity: i64, window_seconds: Option<i64>) -> Result<Self, Vec<Invalid>> {
        let within = |field: &str, number: i64, least: u32, greatest: u32| {
            let fits = u32::try_from(number).ok().filter(|number| (least..=greatest).contains(number));
            fits.ok_or_else(|| Invalid::new(field, format!("must be {least} to {greatest}")))
        };
        let mut problems = Problems::new();
        let quantity = problems.keep("", within("quantity", quantity, 1, Self::QUANTITY_MAX));
        let window_seconds = window_seconds.and_then(|seconds| {
            let (least, greatest) = (Self::WINDOW_SECONDS_MIN, Self::WINDOW_SECONDS_MAX);
            problems.keep("", within("window_seconds", seconds, least, greatest))
        });
        problems.finish(quantity.map(|quantity| Self { quantity, window_seconds }))
    }

    /// How many units in a window.
    pub fn quantity(self) -> u32 {
        self.quantity
    }

    /// The length of a window in seconds; none when the limit is for ever.
    pub fn window_seconds(self) -> Option<u32> {
        self.window_seconds
    }

    /// The window that an instant is in; 0 when the limit is for ever, or before the epoch.
    pub fn window_at(self, at: Timestamp) -> WindowNumber {
        let seconds = u64::try_from(at.as_second()).unwrap_or_default();
        self.window_seconds.map_or(0, |length| seconds / u64::from(length))
    }

    /// The first instant after the window that `at` is in; none when the limit is for ever.
    pub fn window_ends_at(self, at: Timestamp) -> Option<Timestamp> {
        let length = self.window_seconds?;
        let ends = (self.window_at(at) + 1).saturating_mul(u64::from(length));
        let ends = SignedDuration::from_secs(i64::try_from(ends).unwrap_or(i64::MAX));
        Some(Timestamp::UNIX_EPOCH.checked_add(ends).unwrap_or(Timestamp::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn money(amount: i64, code: &str) -> Money {
        Money::new(amount, Currency::parse(code).unwrap()).unwrap()
    }

    fn window(starts: i64, ends: i64, amount: i64) -> PriceWindow {
        PriceWindow { starts_at: at(starts), ends_at: at(ends), price: money(amount, "EUR") }
    }

    fn product(windows: Vec<PriceWindow>) -> Product {
        Product {
            id: ProductId::parse("mug").unwrap(),
            name: "Mug".to_owned(),
            description: String::new(),
            category: "all".to_owned(),
            price: money(0, "EUR"),
            windows,
            limit: None,
            tax_class: TaxClass::default(),
            price_version: 1,
            version: 1,
        }
    }

    fn fields(windows: Vec<PriceWindow>) -> Vec<String> {
        let problems = PriceWindow::checked_all(windows, money(0, "EUR")).unwrap_err();
        problems.into_iter().map(|invalid| invalid.field).collect()
    }

    #[test]
    fn a_window_has_its_start_and_not_its_end() {
        let windows = PriceWindow::checked_all(vec![window(20, 30, 2), window(10, 20, 1)], money(0, "EUR")).unwrap();
        let product = product(windows);
        let prices = [9, 10, 19, 20, 29, 30].map(|second| product.price_at(at(second)).amount());
        assert_eq!(prices, [0, 1, 1, 2, 2, 0]);
    }

    #[test]
    fn bad_windows_are_named() {
        assert_eq!(fields(vec![window(10, 20, 1), window(30, 30, 1)]), ["windows[1].ends_at"]);
        assert_eq!(fields(vec![window(10, 20, 1), window(5, 11, 1)]), ["windows[0].starts_at"]);
        // One within another that is not its neighbour by start.
        assert_eq!(
            fields(vec![window(0, 100, 1), window(10, 20, 1), window(30, 40, 1)]),
            ["windows[1].starts_at", "windows[2].starts_at"]
        );
        let dollars = PriceWindow { price: money(1, "USD"), ..window(0, 1, 1) };
        assert_eq!(fields(vec![dollars]), ["windows[0].price.currency"]);
        assert_eq!(fields((0..21).map(|n| window(n, n + 1, 1)).collect()), ["windows"]);
        let twenty = (0..20).map(|n| window(n, n + 1, 1)).collect();
        assert_eq!(PriceWindow::checked_all(twenty, money(0, "EUR")).unwrap().len(), 20);
    }

    #[test]
    fn limits_out_of_range_are_named() {
        for (quantity, seconds, expected) in [
            (0, None, vec!["quantity"]),
            (-1, Some(59), vec!["quantity", "window_seconds"]),
            (10_001, Some(60), vec!["quantity"]),
            (1, Some(31_536_001), vec!["window_seconds"]),
            (1, Some(i64::MIN), vec!["window_seconds"]),
        ] {
            let problems = PurchaseLimit::new(quantity, seconds).unwrap_err();
            assert_eq!(problems.iter().map(|invalid| &invalid.field).collect::<Vec<_>>(), expected);
        }
        let for_ever = PurchaseLimit::new(10_000, None).unwrap();
        assert_eq!((for_ever.window_at(Timestamp::MAX), for_ever.window_ends_at(Timestamp::MAX)), (0, None));
        let daily = PurchaseLimit::new(1, Some(86_400)).unwrap();
        assert_eq!((daily.window_at(at(86_399)), daily.window_at(at(86_400))), (0, 1));
        assert_eq!(daily.window_ends_at(at(86_400)), Some(at(172_800)));
        assert_eq!(daily.window_ends_at(Timestamp::MAX), Some(Timestamp::MAX));
        assert_eq!(daily.window_at(at(-1)), 0);
    }

    proptest! {
        /// What is accepted has one price at every instant, that of the only window which holds it.
        #[test]
        fn accepted_windows_never_overlap(spans in prop::collection::vec((0i64..60, 0i64..12), 0..8)) {
            let given: Vec<_> =
                spans.iter().zip(1..).map(|((start, length), amount)| window(*start, start + length, amount)).collect();
            let holding = |second| given.iter().filter(move |window| window.holds(at(second)));
            let overlap = (0..72).any(|second| holding(second).count() > 1);
            let empty = spans.iter().any(|(_, length)| *length == 0);
            match PriceWindow::checked_all(given.clone(), money(0, "EUR")) {
                Ok(checked) => {
                    prop_assert!(!overlap && !empty);
                    prop_assert!(checked.is_sorted_by_key(|window| window.starts_at));
                    let product = product(checked);
                    for second in 0..72 {
                        let expected = holding(second).next().map_or(0, |window| window.price.amount());
                        prop_assert_eq!(product.price_at(at(second)).amount(), expected);
                    }
                }
                Err(_) => prop_assert!(overlap || empty),
            }
        }

        #[test]
        fn windows_of_a_limit_follow_each_other(second in 0i64..10_000_000_000, length in 60i64..=31_536_000) {
            let limit = PurchaseLimit::new(1, Some(length)).unwrap();
            let ends_at = limit.window_ends_at(at(second)).unwrap();
            prop_assert!(at(second) < ends_at && ends_at.as_second() - second <= length);
            prop_assert_eq!(limit.window_at(ends_at), limit.window_at(at(second)) + 1);
            let last = ends_at - SignedDuration::from_millis(1);
            prop_assert_eq!(limit.window_at(last), limit.window_at(at(second)));
        }
    }
}
