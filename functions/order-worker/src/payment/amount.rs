//! Amounts as Stripe takes them (https://docs.stripe.com/currencies).

use holdfast_domain::money::Money;

/// Currencies that Stripe takes in whole units.
const ZERO_DECIMAL: [&str; 15] =
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"];
/// Currencies that Stripe takes in thousandths, of which the last digit must be zero.
const THREE_DECIMAL: [&str; 5] = ["BHD", "JOD", "KWD", "OMR", "TND"];

/// An amount in the unit that Stripe counts its currency in, which is not always that of ISO 4217: an Icelandic króna has
/// no minor unit and is sent in hundredths, a Malagasy ariary has one and is sent whole. None for an amount that Stripe
/// cannot take.
pub fn amount(money: Money) -> Option<i64> {
    let code = money.currency().code();
    let (digits, step) = match code {
        code if ZERO_DECIMAL.contains(&code) => (0, 1),
        code if THREE_DECIMAL.contains(&code) => (3, 10),
        // Sent in hundredths for the sake of old integrations, but only whole units are taken.
        "ISK" | "UGX" => (2, 100),
        _ => (2, 1),
    };
    let ours = money.currency().exponent();
    let amount = match digits >= ours {
        true => money.amount().checked_mul(10_i64.pow(digits - ours))?,
        false => {
            let parts = 10_i64.pow(ours - digits);
            (money.amount() % parts == 0).then(|| money.amount() / parts)?
        }
    };
    (amount % step == 0).then_some(amount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_domain::money::Currency;

    #[test]
    fn amounts_are_counted_as_stripe_counts_them() {
        for (code, ours, theirs) in [
            ("EUR", 1999, Some(1999)),
            ("JPY", 500, Some(500)),
            ("ISK", 5, Some(500)),
            ("UGX", 7, Some(700)),
            ("MGA", 300, Some(3)),
            ("MGA", 301, None),
            ("KWD", 1230, Some(1230)),
            ("KWD", 1234, None),
            ("CLF", 10_000, Some(100)),
        ] {
            let money = Money::new(ours, Currency::parse(code).unwrap()).unwrap();
            assert_eq!(amount(money), theirs, "{code} {ours}");
        }
    }
}
