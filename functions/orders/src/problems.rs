//! Refusals in the words of HTTP.

mod changing;

pub use changing::{not_changed, not_merged, not_split};

use crate::placing::NotPlaced;
use holdfast_domain::invalid::Invalid;
use holdfast_domain::order::{
    CLAIMS_MAX, IllegalTransition, NotFulfilled, OverRefund, RefundRefusal, Refusal, ReturnRefusal, ShippingRefusal,
};
use holdfast_domain::terms::coupon::CouponRefusal;
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
            NotPlaced::InProgress(seconds) => {
                Problem::new(StatusCode::CONFLICT, "order-in-progress", "The order is being placed")
                    .detail("An earlier request with this key is still at it. Repeat the request with the same key.")
                    .retry_after(seconds)
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
        Refusal::RateUnavailable { line, from, to } => {
            Problem::new(StatusCode::CONFLICT, "rate-unavailable", "A rate is missing or too old")
                .detail(words)
                .error(Invalid::new(field(line, "product_id"), format!("is priced in {}", from.code())))
                .with("from", from.code())
                .with("to", to.code())
        }
        Refusal::TaxRateMissing { line, country, class, .. } => {
            Problem::new(StatusCode::CONFLICT, "tax-rate-missing", "A tax rate is missing")
                .detail(words)
                .error(Invalid::new(field(line, "product_id"), format!("is of the class {class}")))
                .with("country", country.as_str())
                .with("class", class.as_str())
        }
        Refusal::UnknownCoupon(_) => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown-coupon", "The coupon does not exist")
                .detail(words)
                .error(Invalid::new("coupon", "is not a coupon of this shop"))
        }
        Refusal::CouponRefused { why, .. } => coupon(&words, reason(&why)),
        Refusal::CouponUsedUp(_) => coupon(&words, "used-up"),
        Refusal::CouponUsedByCustomer(_) => coupon(&words, "used-by-customer"),
        Refusal::LimitReached { product, limit, left } => {
            let problem = Problem::new(StatusCode::CONFLICT, "limit-reached", "A customer may not have so many")
                .detail(words)
                .with("product_id", product.as_str())
                .with("limit", limit);
            match left {
                Some(left) => problem.with("left", left),
                None => problem,
            }
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
        Refusal::TooManyClaims => too_many_claims(),
    }
}

fn coupon(words: &str, reason: &'static str) -> Problem {
    Problem::new(StatusCode::CONFLICT, "coupon-not-applicable", "The coupon does not apply")
        .detail(words)
        .error(Invalid::new("coupon", words))
        .with("reason", reason)
}

fn reason(why: &CouponRefusal) -> &'static str {
    match why {
        CouponRefusal::NotYetValid { .. } => "not-yet-valid",
        CouponRefusal::Expired { .. } => "expired",
        CouponRefusal::CurrencyDiffers { .. } => "currency-differs",
        CouponRefusal::BelowMinimum { .. } => "below-minimum",
        CouponRefusal::NothingEligible => "nothing-eligible",
    }
}

/// There are more lines than an order, or a reservation, may have.
pub fn too_many_lines(max: usize) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "too-many-lines", "There are too many lines")
        .detail(format!("There may be at most {max} lines."))
        .error(Invalid::new("lines", format!("must be at most {max}")))
}

/// What is asked for lies in more places than one transaction reaches.
fn too_many_claims() -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "too-many-lines", "There is too much to hold at once")
        .detail(format!("A reservation, or one product of an order, takes at most {CLAIMS_MAX} claims."))
        .error(Invalid::new("lines", format!("must take at most {CLAIMS_MAX} claims")))
}

/// Why something is not done to an order on its way.
pub fn not_fulfilled(refused: &NotFulfilled) -> Problem {
    let words = refused.to_string();
    let unprocessable = |slug, title| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, slug, title).detail(words.clone());
    let conflict = |slug, title| Problem::new(StatusCode::CONFLICT, slug, title).detail(words.clone());
    let line = |line: &usize, problem: String| Invalid::new("lines", format!("line {line} {problem}"));
    match refused {
        NotFulfilled::Illegal(transition) => illegal(transition),
        NotFulfilled::NotShipped(state) => {
            conflict("not-shipped", "The carrier does not have the shipment").with("state", *state)
        }
        NotFulfilled::Shipping(refusal) => {
            let problem = unprocessable("not-shippable", "This cannot be shipped");
            match refusal {
                ShippingRefusal::UnknownLine { line: at } => problem.error(line(at, "does not exist".to_owned())),
                ShippingRefusal::TooMany { line: at, left, .. } => problem.error(line(at, format!("has {left} left"))),
                ShippingRefusal::NothingLeft | ShippingRefusal::TooManyShipments => problem,
            }
        }
        NotFulfilled::Return(refusal) => {
            let problem = unprocessable("not-returnable", "This cannot come back");
            match refusal {
                ReturnRefusal::UnknownLine { line: at } => problem.error(line(at, "does not exist".to_owned())),
                ReturnRefusal::TooMany { line: at, left, .. } => problem.error(line(at, format!("has {left} left"))),
                ReturnRefusal::TooManyReturns => problem,
                ReturnRefusal::TooMuchAtOnce => problem.error(Invalid::new("lines", "must be fewer at once")),
                ReturnRefusal::TooLate { until } => {
                    conflict("return-window-over", "The time for returns is over").with("until", until.to_string())
                }
            }
        }
    }
}

/// The provider does not pay out what it had set aside for the order: nothing more of it leaves.
pub fn unpaid() -> Problem {
    Problem::new(StatusCode::CONFLICT, "payment-failed", "The order cannot be paid any more")
        .detail("The provider refuses to pay out what it had authorised.")
}

/// Why the shop cannot give money back.
pub fn not_refunded(refused: &RefundRefusal) -> Problem {
    let problem =
        Problem::new(StatusCode::CONFLICT, "over-refund", "So much cannot go back").detail(refused.to_string());
    match refused {
        RefundRefusal::Over(OverRefund { left, .. }) => problem
            .error(Invalid::new("amount", format!("must be at most {}", left.amount())))
            .with("left", left.amount()),
        RefundRefusal::TooMany(_) => problem,
    }
}

/// The order does not go there from where it stands. What is allowed instead is what this caller may do: others' ways are
/// no use to it.
pub fn illegal(transition: &IllegalTransition) -> Problem {
    let allowed: Vec<_> = transition.allowed().iter().map(|state| state.name()).collect();
    Problem::new(StatusCode::CONFLICT, "illegal-transition", "The order has moved on")
        .detail(transition.to_string())
        .with("from", transition.from.name())
        .with("to", transition.to.name())
        .with("allowed", allowed)
}
