//! Laws of allocation.

use super::*;
use proptest::prelude::{
    Just, ProptestConfig, Strategy as Drawn, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use std::collections::BTreeSet;

fn warehouse(name: &str) -> WarehouseId {
    WarehouseId::parse(name).unwrap()
}

fn product(id: &str) -> ProductId {
    ProductId::parse(id).unwrap()
}

fn country(code: &str) -> Country {
    Country::parse(code.to_owned()).unwrap()
}

fn policy(strategy: Strategy, rules: &[(&str, &str, &[&str])]) -> AllocationPolicy {
    let rule = |(name, at, serves): &(&str, &str, &[&str])| WarehouseRule {
        warehouse: warehouse(name),
        country: (!at.is_empty()).then(|| country(at)),
        serves: serves.iter().map(|code| country(code)).collect(),
    };
    AllocationPolicy { strategy, warehouses: rules.iter().map(rule).collect() }.checked().unwrap()
}

fn stock(levels: &[(&str, &str, u64)]) -> Vec<WarehouseStock> {
    let level = |(id, name, available): &(&str, &str, u64)| WarehouseStock {
        product: product(id),
        warehouse: warehouse(name),
        available: *available,
    };
    levels.iter().map(level).collect()
}

/// Allocations as text: `a@north:3`.
fn told(
    policy: &AllocationPolicy,
    to: &str,
    demands: &[(&str, u32)],
    levels: &[(&str, &str, u64)],
) -> Result<Vec<String>, Shortage> {
    let demands: Vec<_> = demands.iter().map(|(id, quantity)| (product(id), *quantity)).collect();
    let to = (!to.is_empty()).then(|| country(to));
    let allocations = allocate(policy, to.as_ref(), &demands, &stock(levels))?;
    Ok(allocations.iter().map(|each| format!("{}@{}:{}", each.product, each.warehouse, each.quantity)).collect())
}

#[test]
fn priority_prefers_one_warehouse_and_then_the_order() {
    let north_first = policy(Strategy::Priority, &[("north", "", &[]), ("main", "", &[])]);
    let levels = [("a", "main", 5), ("a", "north", 3), ("a", "east", 9)];
    let told = |quantity| told(&north_first, "", &[("a", quantity)], &levels);
    assert_eq!(told(3).unwrap(), ["a@north:3"]);
    assert_eq!(told(5).unwrap(), ["a@main:5"]);
    assert_eq!(told(6).unwrap(), ["a@east:6"]);
    assert_eq!(told(10).unwrap(), ["a@north:3", "a@main:5", "a@east:2"]);
    assert_eq!(told(18), Err(Shortage { product: product("a"), requested: 18, available: 17 }));
}

#[test]
fn without_a_policy_warehouses_come_by_name_and_unknown_stock_is_hoped_for() {
    let default = AllocationPolicy::default();
    let levels = [("a", "north", u64::MAX), ("a", "main", u64::MAX), ("b", "north", u64::MAX)];
    assert_eq!(
        told(&default, "DE", &[("a", 7), ("b", u32::MAX)], &levels).unwrap(),
        ["a@main:7", "b@north:4294967295"]
    );
    assert_eq!(told(&default, "", &[("a", 2), ("b", 0), ("a", 3)], &levels).unwrap(), ["a@main:5"]);
    assert_eq!(told(&default, "", &[("c", 1)], &levels).unwrap_err().available, 0);
    assert_eq!(told(&default, "", &[], &levels).unwrap(), [""; 0]);
}

#[test]
fn nearest_takes_from_the_country_then_from_who_serves_it() {
    let rules: [(&str, &str, &[&str]); 4] =
        [("fr", "FR", &["BE"]), ("nl", "NL", &["BE", "DE"]), ("de-1", "DE", &[]), ("de-2", "DE", &["BE"])];
    let nearest = policy(Strategy::Nearest, &rules);
    let levels = [("a", "fr", 100), ("a", "nl", 100), ("a", "de-1", 3), ("a", "de-2", 4), ("a", "aa", 1000)];
    let told = |to, quantity| told(&nearest, to, &[("a", quantity)], &levels).unwrap();
    assert_eq!(told("DE", 4), ["a@de-2:4"]);
    // Split within the country rather than whole from abroad.
    assert_eq!(told("DE", 7), ["a@de-1:3", "a@de-2:4"]);
    assert_eq!(told("DE", 8), ["a@nl:8"]);
    assert_eq!(told("DE", 107), ["a@de-1:3", "a@de-2:4", "a@nl:100"]);
    assert_eq!(told("DE", 108), ["a@aa:108"]);
    assert_eq!(told("BE", 8), ["a@fr:8"]);
    assert_eq!(told("US", 8), ["a@fr:8"]);
    assert_eq!(told("", 8), ["a@fr:8"]);
}

#[test]
fn fewest_parcels_looks_at_the_whole_order() {
    let fewest = policy(Strategy::FewestParcels, &[]);
    let levels = [("a", "a1", 9), ("a", "z", 2), ("b", "b1", 9), ("b", "z", 2), ("c", "c1", 9), ("c", "z", 2)];
    let told = |quantity| told(&fewest, "", &[("a", quantity), ("b", 2), ("c", 2)], &levels).unwrap();
    assert_eq!(told(2), ["a@z:2", "b@z:2", "c@z:2"]);
    assert_eq!(told(3), ["a@a1:3", "b@z:2", "c@z:2"]);
    assert_eq!(told(11), ["a@a1:9", "a@z:2", "b@z:2", "c@z:2"]);
}

#[test]
fn strategies_go_by_their_names() {
    for strategy in Strategy::ALL {
        assert_eq!(Strategy::parse(strategy.name()), Ok(strategy));
        assert_eq!(serde_json::to_string(&strategy).unwrap(), format!("{:?}", strategy.name()));
    }
    for bad in ["", "Priority", "fewest_parcels", "cheapest"] {
        let invalid = Strategy::parse(bad).unwrap_err();
        assert_eq!(invalid.to_string(), "strategy: must be one of priority, nearest, fewest-parcels");
    }
}

#[test]
fn bad_policies_are_named() {
    let rule = |name: &str, serves: Vec<Country>| WarehouseRule { warehouse: warehouse(name), country: None, serves };
    let fields = |warehouses| -> Vec<String> {
        let policy = AllocationPolicy { strategy: Strategy::Nearest, warehouses };
        policy.checked().unwrap_err().into_iter().map(|invalid| invalid.field).collect()
    };
    let twice = vec![country("DE"), country("FR"), country("DE")];
    assert_eq!(
        fields(vec![rule("a", Vec::new()), rule("b", twice), rule("a", vec![country("DE"); 51])]),
        ["warehouses[1].serves[2]", "warehouses[2].warehouse", "warehouses[2].serves"]
    );
    assert_eq!(fields((0..51).map(|n| rule(&n.to_string(), Vec::new())).collect()), ["warehouses"]);
}

const COUNTRIES: [&str; 3] = ["DE", "FR", "US"];

/// An order and its circumstances; sixteen warehouses are more than are searched exactly.
#[derive(Debug, Clone)]
struct Case {
    strategy: Strategy,
    destination: Country,
    policy: AllocationPolicy,
    demands: Vec<(ProductId, u32)>,
    stock: Vec<WarehouseStock>,
}

fn cases() -> impl Drawn<Value = Case> {
    let rule = (0..20usize, prop::option::of(0..3usize), prop::collection::vec(0..3usize, 0..3));
    let level = (0..4usize, 0..16usize, prop_oneof![9 => 0..12u64, 1 => Just(u64::MAX)]);
    let parts = (
        prop::sample::select(&Strategy::ALL[..]),
        0..3usize,
        prop::collection::vec(rule, 0..8),
        prop::collection::vec((0..4usize, 0..30u32), 0..6),
        prop::collection::vec(level, 0..48),
    );
    parts.prop_map(|(strategy, destination, rules, demands, stock)| {
        let mut seen = BTreeSet::new();
        let code = |n: usize| country(COUNTRIES[n]);
        let warehouses = rules.into_iter().filter(|(n, ..)| seen.insert(*n)).map(|(n, at, serves)| WarehouseRule {
            warehouse: warehouse(&format!("w{n:02}")),
            country: at.map(code),
            serves: serves.into_iter().map(code).collect::<Vec<_>>(),
        });
        let warehouses = warehouses.collect();
        Case {
            strategy,
            destination: code(destination),
            policy: AllocationPolicy { strategy, warehouses },
            demands: demands.into_iter().map(|(n, quantity)| (product(&format!("p{n}")), quantity)).collect(),
            stock: stock
                .into_iter()
                .map(|(id, place, available)| WarehouseStock {
                    product: product(&format!("p{id}")),
                    warehouse: warehouse(&format!("w{place:02}")),
                    available,
                })
                .collect(),
        }
    })
}

impl Case {
    fn allocate_by(&self, strategy: Strategy) -> Result<Vec<Allocation>, Shortage> {
        let policy = AllocationPolicy { strategy, ..self.policy.clone() };
        allocate(&policy, Some(&self.destination), &self.demands, &self.stock)
    }

    /// Units of a product in the warehouses that `counts` names.
    fn available(&self, product: &ProductId, counts: impl Fn(&WarehouseId) -> bool) -> u64 {
        let counted = self.stock.iter().filter(|each| each.product == *product && counts(&each.warehouse));
        counted.fold(0, |sum, each| sum.saturating_add(each.available))
    }

    fn demanded(&self, product: &ProductId) -> u64 {
        self.demands.iter().filter(|(each, _)| each == product).map(|(_, quantity)| u64::from(*quantity)).sum()
    }
}

fn parcels(allocations: &[Allocation]) -> usize {
    allocations.iter().map(|each| &each.warehouse).collect::<BTreeSet<_>>().len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn sums_are_exact_and_nothing_is_taken_that_is_not_there(case in cases()) {
        match case.allocate_by(case.strategy) {
            Ok(allocations) => {
                for (product, _) in &case.demands {
                    let of_product = allocations.iter().filter(|each| each.product == *product);
                    prop_assert_eq!(of_product.map(|each| u64::from(each.quantity)).sum::<u64>(), case.demanded(product));
                }
                let mut seen = BTreeSet::new();
                for each in &allocations {
                    let available = case.available(&each.product, |warehouse| *warehouse == each.warehouse);
                    prop_assert!(each.quantity > 0 && u64::from(each.quantity) <= available);
                    prop_assert!(seen.insert((&each.product, &each.warehouse)), "claimed twice: {:?}", each);
                }
            }
            // It fails only for want of units.
            Err(shortage) => {
                prop_assert_eq!(shortage.available, case.available(&shortage.product, |_| true));
                prop_assert_eq!(u64::from(shortage.requested), case.demanded(&shortage.product));
                prop_assert!(shortage.available < u64::from(shortage.requested));
            }
        }
    }

    #[test]
    fn fewest_parcels_is_never_more_than_another_strategy(case in cases()) {
        let fewest = case.allocate_by(Strategy::FewestParcels);
        for other in [Strategy::Priority, Strategy::Nearest] {
            // Beyond the exact search, only `priority` is promised to be no better.
            let warehouses = case.stock.iter().filter(|each| each.available > 0).map(|each| &each.warehouse);
            let is_exact = warehouses.collect::<BTreeSet<_>>().len() <= fewest::EXACT_MAX;
            if let (Ok(fewest), Ok(other), true) = (&fewest, case.allocate_by(other), is_exact || other == Strategy::Priority) {
                prop_assert!(parcels(fewest) <= parcels(&other));
            }
        }
    }

    /// No smaller set of eight warehouses suffices, and none of as many that comes first by name.
    #[test]
    fn fewest_parcels_are_the_fewest_and_the_first_of_them(case in cases()) {
        let mut case = case;
        case.policy.warehouses.clear();
        let name = |n: usize| warehouse(&format!("w{n:02}"));
        case.stock.retain(|each| each.warehouse < name(8));
        let Ok(allocations) = case.allocate_by(Strategy::FewestParcels) else { return Ok(()) };
        let chosen: BTreeSet<_> = allocations.iter().map(|each| &each.warehouse).collect();
        for set in 0..256u32 {
            let of_set = |place: &WarehouseId| (0..8).any(|n| set & 1 << n != 0 && name(n) == *place);
            if case.demands.iter().all(|(each, _)| case.available(each, of_set) >= case.demanded(each)) {
                let set: Vec<_> = (0..8).filter(|n| set & 1 << n != 0).map(name).collect();
                prop_assert!((chosen.len(), chosen.iter().copied().collect()) <= (set.len(), set.iter().collect::<Vec<_>>()));
            }
        }
    }

    #[test]
    fn nearest_takes_from_the_country_alone_what_it_has(case in cases()) {
        let Ok(allocations) = case.allocate_by(Strategy::Nearest) else { return Ok(()) };
        let is_at_home = |warehouse: &WarehouseId| {
            let rule = case.policy.warehouses.iter().find(|rule| rule.warehouse == *warehouse);
            rule.is_some_and(|rule| rule.country.as_ref() == Some(&case.destination))
        };
        for each in &allocations {
            if case.available(&each.product, is_at_home) >= case.demanded(&each.product) {
                prop_assert!(is_at_home(&each.warehouse), "{:?}", each);
            }
        }
    }

    #[test]
    fn the_order_of_the_stock_does_not_matter(case in cases(), seed in any::<u64>()) {
        let mut shuffled = case.clone();
        // Any order will do: by a hash of the position.
        let mut keyed: Vec<_> = shuffled.stock.into_iter().zip(1u64..).collect();
        keyed.sort_by_key(|(_, n)| (n ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        shuffled.stock = keyed.into_iter().map(|(each, _)| each).collect();
        prop_assert_eq!(case.allocate_by(case.strategy), shuffled.allocate_by(case.strategy));
    }
}
