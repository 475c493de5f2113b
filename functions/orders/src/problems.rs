//! Refusals in the words of HTTP.

use crate::placing::NotPlaced;
use holdfast_domain::invalid::Invalid;
use holdfast_domain::order::{IllegalTransition, LINES_MAX, Refusal};
use holdfast_runtime::http::Problem;
use http::StatusCode;
use serde_json::json;

impl From<NotPlaced> for Problem {
    fn from(not_placed: NotPlaced) -> Self {
        match not_placed {
            NotPlaced::Refused(refusal) => refused(refusal),
            NotPlaced::KeyReused => {
                Problem::key_reused("An order with this key and another body exists. Use a new key for a new order.")
            }
            NotPlaced::Busy => Problem::busy(),
            NotPlaced::Failed(error) => Problem::shared(error),
        }
    }
}

fn refused(refusal: Refusal) -> Problem {
    let words = refusal.to_string();
    let field = |line: usize, name: &str| format!("lines[{line}].{name}");
    match refusal {
        Refusal::UnknownProduct { line, product } => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown-product", "A product does not exist")
                .detail(words)
                .error(Invalid::new(field(line, "product_id"), format!("{product} is not a product of this shop")))
        }
        Refusal::CurrencyDiffers { line, product, price } => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "currency-differs", "A price is in another currency")
                .detail(words)
                .error(Invalid::new(
                    field(line, "product_id"),
                    format!("{product} is priced in {}", price.currency().code()),
                ))
                .error(Invalid::new("currency", "must be that of the prices"))
        }
        Refusal::PriceChanged(changes) => {
            let mut problem =
                Problem::new(StatusCode::CONFLICT, "price-changed", "A price changed").detail(words).with(
                    "prices",
                    changes
                        .iter()
                        .map(|change| json!({"product_id": change.product, "price": change.price}))
                        .collect::<Vec<_>>(),
                );
            for change in changes {
                let problem_words = format!("is {} now, not {}", change.price.amount(), change.shown);
                problem = problem.error(Invalid::new(field(change.line, "unit_price"), problem_words));
            }
            problem
        }
        Refusal::TotalTooHigh => Problem::invalid(vec![Invalid::new("lines", words)]),
        Refusal::OutOfStock { product, requested, available } => {
            Problem::new(StatusCode::CONFLICT, "out-of-stock", "Out of stock")
                .detail(words)
                .with("product_id", product.as_str())
                .with("requested", requested)
                .with("available", available)
        }
        Refusal::TooManyClaims => too_many_lines(),
    }
}

/// The order is longer than one transaction takes.
pub fn too_many_lines() -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "too-many-lines", "The order is too long")
        .detail(format!("An order takes at most {LINES_MAX} lines."))
        .error(Invalid::new("lines", format!("must be at most {LINES_MAX}")))
}

/// The order does not go there from where it stands.
pub fn illegal(transition: &IllegalTransition) -> Problem {
    let allowed: Vec<_> = transition.from.next().iter().map(|state| state.name()).collect();
    Problem::new(StatusCode::CONFLICT, "illegal-transition", "The order has moved on")
        .detail(transition.to_string())
        .with("from", transition.from.name())
        .with("to", transition.to.name())
        .with("allowed", allowed)
}
