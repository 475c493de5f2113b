//! What a tenant wants of its warehouses.

use super::WarehouseStock;
use crate::ids::{ProductId, WarehouseId};
use crate::invalid::{Invalid, Problems};
use crate::text::Country;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashSet};

/// How warehouses are chosen: see [`super::allocate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Strategy {
    /// In the policy's order.
    #[default]
    Priority,
    /// Those of the destination's country first.
    Nearest,
    /// As few as possible.
    FewestParcels,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Priority, Self::Nearest, Self::FewestParcels];

    /// Reads a name.
    ///
    /// # Errors
    /// Says which names are known.
    pub fn parse(name: &str) -> Result<Self, Invalid> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let strategy = Self::ALL.into_iter().find(|strategy| strategy.name() == name);
        strategy.ok_or_else(|| Invalid::new("strategy", format!("must be one of {}", known())))
    }

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Priority => "priority",
            Self::Nearest => "nearest",
            Self::FewestParcels => "fewest-parcels",
        }
    }
}

impl TryFrom<String> for Strategy {
    type Error = Invalid;
    fn try_from(name: String) -> Result<Self, Invalid> {
        Self::parse(&name)
    }
}

impl From<Strategy> for &'static str {
    fn from(strategy: Strategy) -> &'static str {
        strategy.name()
    }
}

/// A warehouse in a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarehouseRule {
    /// Which one.
    pub warehouse: WarehouseId,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// Other countries that it is near to.
    #[serde(default)]
    pub serves: Vec<Country>,
}

/// A tenant's strategy, and its warehouses in the order in which they are preferred. Warehouses that it does not name
/// come after those, by name; so the default policy takes them all by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AllocationPolicy {
    /// How warehouses are chosen.
    pub strategy: Strategy,
    /// The preferred first.
    pub warehouses: Vec<WarehouseRule>,
}

/// The most warehouses of a policy, and the most countries that one serves.
pub const WAREHOUSES_MAX: usize = 50;

impl AllocationPolicy {
    /// The policy, if its parts fit together.
    ///
    /// # Errors
    /// Names `warehouses` or `warehouses[1].serves` when there are too many, and `warehouses[1].warehouse` or
    /// `warehouses[1].serves[2]` when it stands there twice.
    pub fn checked(self) -> Result<Self, Vec<Invalid>> {
        let mut problems = Problems::new();
        if self.warehouses.len() > WAREHOUSES_MAX {
            problems.push(Invalid::new("warehouses", format!("must be at most {WAREHOUSES_MAX}")));
        }
        let mut named = HashSet::new();
        for (index, rule) in self.warehouses.iter().enumerate() {
            let path = format!("warehouses[{index}]");
            if !named.insert(&rule.warehouse) {
                problems.push(Invalid::new("warehouse", "is given twice").within(&path));
            }
            if rule.serves.len() > WAREHOUSES_MAX {
                let problem = format!("must be at most {WAREHOUSES_MAX}");
                problems.push(Invalid::new("serves", problem).within(&path));
                continue;
            }
            for (position, country) in rule.serves.iter().enumerate() {
                if rule.serves[..position].contains(country) {
                    problems.push(Invalid::new(format!("serves[{position}]"), "is given twice").within(&path));
                }
            }
        }
        problems.finish(Some(self))
    }

    /// The warehouses that have any of what is demanded, in order of preference.
    pub(super) fn order(&self, demands: &[(&ProductId, u32)], stock: &[WarehouseStock]) -> Vec<WarehouseId> {
        let demanded: HashSet<_> = demands.iter().map(|(product, _)| *product).collect();
        let useful = stock.iter().filter(|each| each.available > 0 && demanded.contains(&each.product));
        let mut useful: BTreeSet<_> = useful.map(|each| &each.warehouse).collect();
        let mut order: Vec<_> = self.warehouses.iter().filter_map(|rule| useful.take(&rule.warehouse)).collect();
        order.extend(useful);
        order.into_iter().cloned().collect()
    }

    /// The places of an order that are nearest to a destination, with the next nearest, and all. Within each, the
    /// nearer come first, and otherwise the order stays.
    pub(super) fn tiers(&self, destination: Option<&Country>, order: &[WarehouseId]) -> Vec<Vec<usize>> {
        let distance = |place: &usize| {
            let rule = self.warehouses.iter().find(|rule| rule.warehouse == order[*place]);
            match (rule, destination) {
                (Some(rule), Some(country)) if rule.country.as_ref() == Some(country) => 0,
                (Some(rule), Some(country)) if rule.serves.contains(country) => 1,
                _ => 2,
            }
        };
        let mut nearest: Vec<usize> = (0..order.len()).collect();
        nearest.sort_by_key(distance);
        let within = |limit| nearest.iter().copied().filter(|place| distance(place) <= limit).collect();
        vec![within(0), within(1), within(2)]
    }
}
