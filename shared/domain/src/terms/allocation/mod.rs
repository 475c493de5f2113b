//! From which warehouses an order is delivered.

mod fewest;
mod policy;

pub use policy::{AllocationPolicy, Strategy, WAREHOUSES_MAX, WarehouseRule};

use crate::ids::{ProductId, WarehouseId};
use crate::text::Country;
use std::collections::{BTreeMap, HashMap};

/// What a warehouse has of a product, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarehouseStock {
    /// What.
    pub product: ProductId,
    /// Where.
    pub warehouse: WarehouseId,
    /// Units free to claim; `u64::MAX` when that is not known and is to be hoped for.
    pub available: u64,
}

/// Units of a product to be claimed in a warehouse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    /// Of what.
    pub product: ProductId,
    /// Where.
    pub warehouse: WarehouseId,
    /// How many, at least 1.
    pub quantity: u32,
}

/// All warehouses together have less of a product than was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{available} of {product} are available, {requested} were asked for")]
pub struct Shortage {
    /// Of what.
    pub product: ProductId,
    /// How many were asked for.
    pub requested: u32,
    /// How many there are.
    pub available: u64,
}

/// Decides where the units of an order come from. It succeeds whenever all warehouses together have enough, and the
/// order of `stock` does not matter.
///
/// Warehouses stand in an order that the policy gives: its own, then the others by name. Wherever one warehouse of those
/// to choose from has all units of a product, the first such delivers it; otherwise they are taken in order.
/// - `priority` chooses from all warehouses.
/// - `nearest` chooses from those in the destination's country; if they have too few of a product, then also from those
///   that serve the country; then from all. So stock of the country goes first, though it be split. Without a
///   destination it is `priority`.
/// - `fewest-parcels` chooses from the fewest warehouses that suffice for the whole order, the first in order among as
///   many: exactly for up to 12 warehouses. Beyond, it is the greedy cover, or what `priority` takes if that is fewer.
///
/// A product that `demands` names twice is demanded in sum. Allocations come by product in the order of `demands`, then
/// by warehouse in the order above.
///
/// # Errors
/// [`Shortage`] of the first product in the order of `demands` that there is too little of.
pub fn allocate(
    policy: &AllocationPolicy,
    destination: Option<&Country>,
    demands: &[(ProductId, u32)],
    stock: &[WarehouseStock],
) -> Result<Vec<Allocation>, Shortage> {
    let demands = merged(demands);
    let order = policy.order(&demands, stock);
    let wants = wants(&demands, &order, stock)?;
    // Every want chooses among the places of the first of these tiers that suffices.
    let tiers = match policy.strategy {
        Strategy::Priority => vec![(0..order.len()).collect()],
        Strategy::Nearest => policy.tiers(destination, &order),
        Strategy::FewestParcels => vec![fewest::cover(&wants, order.len())],
    };
    let mut allocations = Vec::with_capacity(wants.len());
    for want in &wants {
        let taken = want.taken_from(want.enough_of(&tiers)).into_iter();
        allocations.extend(taken.map(|(place, quantity)| Allocation {
            product: want.product.clone(),
            warehouse: order[place].clone(),
            quantity,
        }));
    }
    Ok(allocations)
}

/// A demand and what each warehouse has of it, by the warehouse's place in the policy's order.
struct Want<'a> {
    product: &'a ProductId,
    quantity: u32,
    available: Vec<u64>,
}

impl Want<'_> {
    /// What some warehouses have together.
    fn available_in(&self, places: &[usize]) -> u64 {
        places.iter().fold(0, |sum, place| self.available[*place].saturating_add(sum))
    }

    fn suffices(&self, places: &[usize]) -> bool {
        self.available_in(places) >= u64::from(self.quantity)
    }

    /// The units by warehouse, of warehouses that suffice: all from the first that has them all, or else in order.
    fn taken_from(&self, places: &[usize]) -> Vec<(usize, u32)> {
        if let Some(place) = places.iter().find(|place| self.suffices(&[**place])) {
            return vec![(*place, self.quantity)];
        }
        let mut missing = self.quantity;
        let mut taken = Vec::new();
        for place in places {
            let quantity = missing.min(u32::try_from(self.available[*place]).unwrap_or(u32::MAX));
            if quantity > 0 {
                taken.push((*place, quantity));
                missing -= quantity;
            }
        }
        taken
    }

    /// The smallest of the tiers, each a part of the next, that suffices.
    fn enough_of<'t>(&self, tiers: &'t [Vec<usize>]) -> &'t [usize] {
        let enough = tiers.iter().find(|tier| self.suffices(tier));
        enough.or(tiers.last()).map_or(&[], Vec::as_slice)
    }
}

/// Each product once, in the order of its first demand, without those of nothing.
fn merged(demands: &[(ProductId, u32)]) -> Vec<(&ProductId, u32)> {
    let mut places = HashMap::new();
    let mut merged: Vec<(&ProductId, u32)> = Vec::with_capacity(demands.len());
    for (product, quantity) in demands.iter().filter(|(_, quantity)| *quantity > 0) {
        let place = *places.entry(product).or_insert(merged.len());
        match merged.get_mut(place) {
            Some((_, sum)) => *sum = sum.saturating_add(*quantity),
            None => merged.push((product, *quantity)),
        }
    }
    merged
}

fn wants<'a>(
    demands: &[(&'a ProductId, u32)],
    order: &[WarehouseId],
    stock: &[WarehouseStock],
) -> Result<Vec<Want<'a>>, Shortage> {
    let places: HashMap<_, _> = order.iter().zip(0..).collect();
    let mut by_product: BTreeMap<_, Vec<u64>> =
        demands.iter().map(|(product, _)| (*product, vec![0; order.len()])).collect();
    for each in stock {
        if let (Some(available), Some(place)) = (by_product.get_mut(&each.product), places.get(&each.warehouse)) {
            available[*place] = u64::saturating_add(available[*place], each.available);
        }
    }
    let want = |(product, quantity): &(&'a ProductId, u32)| {
        let available = by_product.remove(*product).unwrap_or_default();
        let want = Want { product, quantity: *quantity, available };
        let all = want.available.iter().fold(0, |sum: u64, units| sum.saturating_add(*units));
        match all >= u64::from(*quantity) {
            true => Ok(want),
            false => Err(Shortage { product: (*product).clone(), requested: *quantity, available: all }),
        }
    };
    demands.iter().map(want).collect()
}

#[cfg(test)]
mod tests;
