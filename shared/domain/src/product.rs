//! What is sold, and at what price.

use crate::ids::ProductId;
use crate::money::Money;

/// The number of times a product's price was set. A claim of stock carries the one it was priced at.
pub type PriceVersion = u64;

/// A product of a tenant's catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Its id.
    pub id: ProductId,
    /// What people call it.
    pub name: String,
    /// What it is, at length; may be empty.
    pub description: String,
    /// Where it stands in the shop.
    pub category: String,
    /// The price of one.
    pub price: Money,
    /// Raised with every change of the price, never lowered.
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
