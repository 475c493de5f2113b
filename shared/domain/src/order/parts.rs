//! Orders that one transaction does not take: their lines are kept in parts, each written in a transaction of its own
//! with the claims of its lines.

use super::{Line, PricedLine};
use crate::pool::Claim;
use std::collections::BTreeMap;

/// The most products of a part: each takes a claim of stock and perhaps one of an allowance, and some units are
/// gathered from several stripes, within the 99 claims of a transaction.
pub const PART_PRODUCTS_MAX: usize = 45;

/// The most lines of a part, so that its item stays far below 400 KB (Amazon DynamoDB, item size).
const LINES_MAX: usize = 800;

/// Which parts make up an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// The attempt to place the order that wrote them, from 1.
    pub attempt: u32,
    /// How many there are, numbered from 0.
    pub count: u16,
}

/// Some lines of an order and what they claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its number, from 0.
    pub number: u16,
    /// The lines and their positions in the order, from 0.
    pub lines: Vec<(usize, Line)>,
    /// Claims beside those of the lines.
    pub claims: Vec<Claim>,
}

impl Part {
    /// Everything that the part claims, one claim a stripe.
    pub fn all_claims(&self) -> Vec<Claim> {
        let lines = self.lines.iter().flat_map(|(_, line)| line.claims());
        crate::pool::merged(lines.chain(self.claims.iter().cloned()))
    }
}

/// Deals the positions of lines out to parts of at most so many products. Lines of one product stay together where they fit, so that the parts of
/// an order do not meet at a stripe.
pub fn dealt(lines: &[PricedLine], products_max: usize) -> Vec<Vec<usize>> {
    let mut by_product: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (position, line) in lines.iter().enumerate() {
        by_product.entry(&line.product).or_default().push(position);
    }
    let mut parts: Vec<Vec<usize>> = Vec::new();
    let mut products = products_max;
    for positions in by_product.into_values() {
        for chunk in positions.chunks(LINES_MAX) {
            let full = parts.last().is_none_or(|part| part.len() + chunk.len() > LINES_MAX);
            if full || products >= products_max {
                parts.push(Vec::new());
                products = 0;
            }
            products += 1;
            parts.last_mut().expect("a part was begun").extend_from_slice(chunk);
        }
    }
    parts
}
