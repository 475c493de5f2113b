//! Laws of an order's tax.

use super::super::tests::{AT, MINUTES, address, claim, method, product, request};
use super::super::{Actor, Discount, PlaceOrder, Purpose, Terms};
use super::*;
use crate::ids::CouponCode;
use crate::money::AMOUNT_MAX;
use crate::product::Product;
use crate::terms::coupon::{self, BasisPoints, Coupon};
use crate::terms::tax::TaxTable;
use crate::text::Country;
use proptest::prelude::*;

const CLASSES: [&str; 3] = ["standard", "reduced", "books"];

fn class(name: &str) -> TaxClass {
    TaxClass::parse(name).unwrap()
}

fn table(rates: &[(&str, &str)]) -> TaxTable {
    let rate = |(name, percent): &(&str, &str)| (class(name), TaxPercent::parse(percent).unwrap());
    TaxTable { country: Country::parse("DE".to_owned()).unwrap(), rates: rates.iter().map(rate).collect() }
}

fn catalogue(products: &[(&str, i64, &str)]) -> HashMap<ProductId, Product> {
    let one = |(id, price, name): &(&str, i64, &str)| {
        let product = Product { tax_class: class(name), ..product(id, *price) };
        (product.id.clone(), product)
    };
    products.iter().map(one).collect()
}

fn classes(products: &HashMap<ProductId, Product>) -> HashMap<ProductId, TaxClass> {
    products.iter().map(|(id, product)| (id.clone(), product.tax_class.clone())).collect()
}

/// Prices and places a request, and takes the claims from one stripe a product.
fn placed(request: &PlaceOrder, terms: &Terms<'_>) -> Result<Order, Refusal> {
    let priced = request.priced(terms)?;
    let claims: Vec<_> =
        priced.demands.iter().map(|demand| claim(demand.product.as_str(), 0, demand.quantity)).collect();
    Ok(request.placed(&priced, &claims, AT, MINUTES))
}

fn terms<'a>(products: &'a HashMap<ProductId, Product>, tax: Option<Taxes<'a>>) -> Terms<'a> {
    // No test converts, so the rates of currencies may be those of any shop.
    static NO_RATES: std::sync::LazyLock<HashMap<Currency, crate::terms::rate::Rate>> =
        std::sync::LazyLock::new(HashMap::new);
    Terms { products, rates: &NO_RATES, coupon: None, tax, at: AT }
}

fn sum(amounts: impl Iterator<Item = Money>) -> i64 {
    amounts.map(Money::amount).sum()
}

#[test]
fn ord_7_a_tax_is_in_the_price_or_beside_it() {
    let products = catalogue(&[("mug", 1_999, "standard"), ("book", 1_070, "books"), ("gift", 0, "standard")]);
    let table = table(&[("standard", "19"), ("books", "7"), ("reduced", "5")]);
    let request = request(&[("mug", 2, None), ("book", 1, None), ("gift", 1, None)]);
    for (mode, total, taxes) in
        [(TaxMode::Inclusive, 5_068, [638, 70, 0]), (TaxMode::Exclusive, 5_068 + 760 + 75, [760, 75, 0])]
    {
        let order = placed(&request, &terms(&products, Some(Taxes { mode, table: &table }))).unwrap();
        assert_eq!(order.total.amount(), total, "{mode:?}");
        assert_eq!(order.lines.iter().map(|line| line.tax.amount()).collect::<Vec<_>>(), taxes);
        assert_eq!(sum(order.lines.iter().map(|line| order.payable(line))), total);
        let tax = order.tax.as_ref().unwrap();
        assert_eq!((tax.mode, tax.amount.amount()), (mode, taxes.iter().sum()));
        // Only the rates that were used, and each line knows which was its own.
        let names: Vec<_> = tax.rates.iter().map(|(class, percent)| format!("{class} {percent}")).collect();
        assert_eq!(names, ["books 7", "standard 19"]);
        let of: Vec<_> = order.lines.iter().map(|line| order.tax_rate_of(line).unwrap().0.as_str()).collect();
        assert_eq!(of, ["standard", "books", "standard"]);
    }
    let untaxed = placed(&request, &terms(&products, None)).unwrap();
    assert_eq!((untaxed.total.amount(), &untaxed.tax), (5_068, &None));
    assert!(untaxed.lines.iter().all(|line| line.tax.is_zero() && untaxed.tax_rate_of(line).is_none()));
}

#[test]
fn ord_7_a_missing_rate_is_named_and_zero_is_a_rate() {
    let products = catalogue(&[("mug", 1_999, "standard"), ("book", 1_000, "books")]);
    let request = request(&[("mug", 1, None), ("book", 1, None)]);
    let place = |rates: &[(&str, &str)]| {
        let (mode, table) = (TaxMode::Exclusive, table(rates));
        placed(&request, &terms(&products, Some(Taxes { mode, table: &table })))
    };
    match place(&[("standard", "19")]).unwrap_err() {
        Refusal::TaxRateMissing { line, product, country, class } => {
            assert_eq!((line, product.as_str(), country.as_str(), class.as_str()), (1, "book", "DE", "books"));
        }
        other => panic!("{other:?}"),
    }
    let order = place(&[("standard", "0"), ("books", "0")]).unwrap();
    assert_eq!((order.total.amount(), order.tax.unwrap().rates.len()), (2_999, 2));
    // Lines of one class need not name it.
    let order = place(&[("standard", "0"), ("books", "7")]).unwrap();
    assert_eq!(order.lines[1].tax_class, Some(class("books")));
    let one = super::super::tests::request(&[("mug", 1, None)]);
    let (mode, table) = (TaxMode::Exclusive, table(&[("standard", "19")]));
    let order = placed(&one, &terms(&products, Some(Taxes { mode, table: &table }))).unwrap();
    assert_eq!(order.lines[0].tax_class, None);
    assert_eq!(order.tax_rate_of(&order.lines[0]).unwrap().1.to_string(), "19");
}

#[test]
fn ord_7_a_total_that_only_the_tax_makes_too_high_is_refused() {
    let products = catalogue(&[("yacht", AMOUNT_MAX, "standard")]);
    let request = request(&[("yacht", 1, None)]);
    for (mode, refused) in [(TaxMode::Inclusive, false), (TaxMode::Exclusive, true)] {
        let table = table(&[("standard", "0.0001")]);
        let order = placed(&request, &terms(&products, Some(Taxes { mode, table: &table })));
        assert_eq!(matches!(order, Err(Refusal::TotalTooHigh)), refused, "{mode:?}: {order:?}");
    }
}

#[test]
fn ord_7_a_reservation_is_taxed_when_it_is_confirmed_by_the_classes_of_then() {
    let products = catalogue(&[("mug", 1_000, "standard"), ("book", 1_000, "books")]);
    let mut request = request(&[("mug", 1, None), ("book", 2, None)]);
    request.purpose = Purpose::Reservation { country: None };
    let held = placed(&request, &terms(&products, None)).unwrap();
    let table = table(&[("standard", "20"), ("reduced", "10")]);
    let taxes = Taxes { mode: TaxMode::Exclusive, table: &table };
    assert!(matches!(held.taxed(&taxes, &classes(&products)), Err(Refusal::TaxRateMissing { line: 1, .. })));
    let unknown = held.taxed(&taxes, &HashMap::new());
    assert!(matches!(unknown, Err(Refusal::UnknownProduct { line: 0, .. })), "{unknown:?}");
    let later = catalogue(&[("mug", 9_999, "standard"), ("book", 9_999, "reduced")]);
    let taxed = held.taxed(&taxes, &classes(&later)).unwrap();
    let by = Actor::Customer(held.customer.clone());
    let order = taxed.confirm(&by, address(), None, method(), AT, MINUTES).unwrap().order;
    assert_eq!((order.total.amount(), order.tax.as_ref().unwrap().amount.amount()), (3_400, 400));
    assert_eq!(order.lines.iter().map(|line| line.unit_price.amount()).collect::<Vec<_>>(), [1_000, 1_000]);
    // Counting again counts anew.
    assert_eq!(order.taxed(&taxes, &classes(&later)).unwrap(), order);
}

proptest! {
    /// Over all lines, what is owed is the total, and no line's tax is off by more than half a minor unit; the same
    /// whether an order was placed or made of a reservation.
    #[test]
    fn ord_7_what_is_owed_for_the_lines_is_the_total(
        lines in prop::collection::vec((0i64..1_000_000, 1i64..100, 0usize..3), 1..12),
        millionths in prop::array::uniform3(0..=TaxPercent::WHOLE),
        percent_off in prop::option::of(1u16..=10_000),
        exclusive in any::<bool>(),
    ) {
        let mode = if exclusive { TaxMode::Exclusive } else { TaxMode::Inclusive };
        let ids: Vec<_> = (0..lines.len()).map(|n| format!("p{n}")).collect();
        let known: Vec<_> =
            ids.iter().zip(&lines).map(|(id, (price, _, of))| (id.as_str(), *price, CLASSES[*of])).collect();
        let products = catalogue(&known);
        let rates = CLASSES.iter().zip(millionths).map(|(name, share)| (class(name), TaxPercent::new(share).unwrap()));
        let table = TaxTable { country: Country::parse("DE".to_owned()).unwrap(), rates: rates.collect() };
        let taxes = Taxes { mode, table: &table };
        let wanted: Vec<_> = ids.iter().zip(&lines).map(|(id, (_, units, _))| (id.as_str(), *units, None)).collect();
        let mut request = request(&wanted);
        let code = CouponCode::parse("SPRING").unwrap();
        let discount = percent_off.map(|points| coupon::Discount::Percent(BasisPoints::new(points).unwrap()));
        let is_free = lines.iter().all(|(price, ..)| *price == 0);
        let coupon = discount.filter(|_| !is_free).map(|discount| Coupon {
            code: code.clone(), discount, starts_at: None, ends_at: None, total_uses: 1, uses_per_customer: None,
            minimum_total: None, products: Vec::new(), categories: Vec::new(), version: 1,
        });
        request.coupon = coupon.is_some().then_some(code);
        let with_coupon = Terms { coupon: coupon.as_ref(), ..terms(&products, Some(taxes)) };
        let order = placed(&request, &with_coupon).unwrap();

        prop_assert_eq!(sum(order.lines.iter().map(|line| order.payable(line))), order.total.amount());
        let tax = order.tax.as_ref().unwrap();
        prop_assert_eq!(sum(order.lines.iter().map(|line| line.tax)), tax.amount.amount());
        let net = sum(order.lines.iter().map(|line| line.total.minus(line.discount)));
        let discounts = order.discount.as_ref().map_or(0, |Discount { amount, .. }| amount.amount());
        prop_assert_eq!(net, sum(order.lines.iter().map(|line| line.total)) - discounts);
        prop_assert_eq!(order.total.amount(), if exclusive { net + tax.amount.amount() } else { net });
        for (line, (_, _, of)) in order.lines.iter().zip(&lines) {
            let (class, percent) = order.tax_rate_of(line).unwrap();
            prop_assert_eq!(class.as_str(), CLASSES[*of]);
            let (share, amount) = (i128::from(percent.millionths()), i128::from(line.total.minus(line.discount).amount()));
            let whole = if exclusive { 1_000_000 } else { 1_000_000 + share };
            prop_assert!(2 * (amount * share - i128::from(line.tax.amount()) * whole).abs() <= whole);
            prop_assert!(amount != 0 || line.tax.is_zero());
        }

        // Placed without tax and taxed afterwards, it is the same order.
        let before = placed(&request, &Terms { tax: None, ..with_coupon }).unwrap();
        prop_assert_eq!(before.taxed(&taxes, &classes(&products)).unwrap(), order);
    }
}
