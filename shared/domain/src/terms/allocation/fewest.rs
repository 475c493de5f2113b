//! The fewest warehouses that suffice for an order: a set cover, with quantities.

use super::Want;

/// Up to so many warehouses the fewest are found exactly: 4,096 sets at most, of which the small ones are tried first.
pub(super) const EXACT_MAX: usize = 12;

/// The places of the fewest warehouses that have all that is wanted, in order; among as many, those that come first.
/// All places together suffice.
pub(super) fn cover(wants: &[Want<'_>], places: usize) -> Vec<usize> {
    match places <= EXACT_MAX {
        true => exact(wants, places),
        false => {
            let (greedy, first) = (greedy(wants, places), by_order(wants, places));
            if greedy.len() <= first.len() { greedy } else { first }
        }
    }
}

/// Tries sets of one, of two and so on, each size in lexicographic order.
fn exact(wants: &[Want<'_>], places: usize) -> Vec<usize> {
    // The want that failed last is asked first: most sets fail for the sake of a few.
    let mut asked: Vec<_> = wants.iter().collect();
    for size in 0..places {
        let mut set: Vec<usize> = (0..size).collect();
        loop {
            match asked.iter().position(|want| !want.suffices(&set)) {
                None => return set,
                Some(failed) => asked[..=failed].rotate_right(1),
            }
            // The last position that can move on, and all after it in a row.
            let Some(moving) = (0..size).rev().find(|position| set[*position] < places - size + position) else {
                break;
            };
            set[moving] += 1;
            for position in moving + 1..size {
                set[position] = set[position - 1] + 1;
            }
        }
    }
    (0..places).collect()
}

/// Adds the warehouse that has the most of what is still missing until nothing is (Chvátal, "A greedy heuristic for the
/// set-covering problem", 1979), and then leaves out those that turned out not to be needed.
fn greedy(wants: &[Want<'_>], places: usize) -> Vec<usize> {
    let mut missing: Vec<u64> = wants.iter().map(|want| u64::from(want.quantity)).collect();
    let mut chosen: Vec<usize> = Vec::new();
    while missing.iter().any(|units| *units > 0) {
        let gain = |place: usize| {
            wants.iter().zip(&missing).map(|(want, units)| want.available[place].min(*units)).sum::<u64>()
        };
        let left = (0..places).filter(|place| !chosen.contains(place));
        let Some((_, std::cmp::Reverse(place))) = left.map(|place| (gain(place), std::cmp::Reverse(place))).max()
        else {
            break;
        };
        for (want, units) in wants.iter().zip(&mut missing) {
            *units = units.saturating_sub(want.available[place]);
        }
        chosen.push(place);
    }
    chosen.sort_unstable();
    for place in (0..places).rev() {
        let without: Vec<_> = chosen.iter().copied().filter(|each| *each != place).collect();
        if wants.iter().all(|want| want.suffices(&without)) {
            chosen = without;
        }
    }
    chosen
}

/// The warehouses that are used when each product is taken in order.
fn by_order(wants: &[Want<'_>], places: usize) -> Vec<usize> {
    let all: Vec<usize> = (0..places).collect();
    let mut used: Vec<_> = wants.iter().flat_map(|want| want.taken_from(&all)).map(|(place, _)| place).collect();
    used.sort_unstable();
    used.dedup();
    used
}
