//! Why an order that is not paid is not changed, split or merged.

use super::illegal;
use holdfast_domain::invalid::Invalid;
use holdfast_domain::order::{NotChanged, NotMerged, NotSplit};
use holdfast_runtime::http::Problem;
use http::StatusCode;

/// Why an order is not changed.
pub fn not_changed(refused: &NotChanged) -> Problem {
    let conflict = |slug, title| Problem::new(StatusCode::CONFLICT, slug, title).detail(refused.to_string());
    match refused {
        NotChanged::Illegal(transition) => illegal(transition),
        NotChanged::PaymentStarted => conflict("payment-started", "The payment has begun"),
        NotChanged::TimeOver { until } => {
            conflict("hold-ended", "The time to pay is over").with("ended", "expired").with("until", until.to_string())
        }
        NotChanged::TooLarge => conflict("order-too-large", "The order is too large to be changed"),
    }
}

/// Why an order is not split.
pub fn not_split(refused: &NotSplit) -> Problem {
    let words = refused.to_string();
    let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not-splittable", "The order cannot be split so");
    let problem = problem.detail(words.clone());
    match refused {
        NotSplit::NotChanged(why) => not_changed(why),
        NotSplit::UnknownLine { line } => problem.error(Invalid::new("lines", format!("line {line} does not exist"))),
        NotSplit::TooMany { line, has, .. } => {
            problem.error(Invalid::new("lines", format!("line {line} has {has} units")))
        }
        NotSplit::Discounted => problem.with("reason", "coupon"),
        NotSplit::NothingLeft => problem.error(Invalid::new("lines", words)),
    }
}

/// Why two orders are not merged.
pub fn not_merged(refused: &NotMerged) -> Problem {
    match refused {
        NotMerged::NotChanged { id, why } => {
            not_changed(why).detail(refused.to_string()).with("order_id", id.to_string())
        }
        NotMerged::Unlike(unlike) => {
            Problem::new(StatusCode::CONFLICT, "not-mergeable", "The orders do not fit together")
                .detail(refused.to_string())
                .with("reason", unlike.reason())
        }
    }
}
