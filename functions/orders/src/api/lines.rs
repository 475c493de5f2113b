//! The lines of a request, for orders and reservations alike.

use holdfast_domain::ids::ProductId;
use holdfast_domain::invalid::{Invalid, Problems};
use holdfast_domain::money::AMOUNT_MAX;
use holdfast_domain::order::{Quantity, RequestedLine};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One line as the buyer asks for it.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RequestedLine)]
pub struct LineBody {
    /// What.
    #[schema(max_length = 64, example = "mug")]
    product_id: String,
    /// How many. A product may be on several lines.
    #[schema(minimum = 1, maximum = 10_000)]
    quantity: i64,
    /// The price of one that the buyer saw, in minor units of the product's currency: another one refuses the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit_price: Option<i64>,
}

/// Checks every line, and tells all that is wrong at once.
pub fn checked(lines: Vec<LineBody>, problems: &mut Problems) -> Vec<RequestedLine> {
    if lines.is_empty() {
        problems.push(Invalid::new("lines", "must not be empty"));
    }
    let mut checked = Vec::with_capacity(lines.len());
    for (index, line) in lines.into_iter().enumerate() {
        let parent = format!("lines[{index}]");
        let product = problems.keep(&parent, ProductId::parse(line.product_id));
        let quantity = problems.keep(&parent, Quantity::new(line.quantity));
        let shown = line.unit_price.map(shown_price).transpose();
        let shown_price = problems.keep(&parent, shown).flatten();
        if let (Some(product), Some(quantity)) = (product, quantity) {
            checked.push(RequestedLine { product, quantity, shown_price });
        }
    }
    checked
}

/// How many units of a line that exists.
pub fn units(quantity: i64) -> Result<u32, Invalid> {
    Quantity::new(quantity).map(Quantity::units)
}

fn shown_price(amount: i64) -> Result<i64, Invalid> {
    match (0..=AMOUNT_MAX).contains(&amount) {
        true => Ok(amount),
        false => Err(Invalid::new("unit_price", format!("must be 0 to {AMOUNT_MAX} minor units"))),
    }
}
