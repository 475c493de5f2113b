//! Random orders, and random commands on them.

use super::model::{Refusal, Step};
use super::{AT, address, begun, buyer, method};
use crate::ids::{CustomerId, ProductId, WarehouseId};
use crate::money::{Currency, Money};
use crate::order::*;
use crate::payment::{CapturePolicy, DeclineCode, PaymentOutcome, PaymentReference, PaymentStatus};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

/// Where units of a line lie: warehouse, stripe and how many; what they cost and what a coupon takes off.
#[derive(Debug, Clone)]
pub struct Line {
    pub from: Vec<(u8, u16, u32)>,
    pub total: i64,
    pub discount: i64,
}

impl Line {
    pub fn units(&self) -> u32 {
        self.from.iter().map(|(_, _, units)| units).sum()
    }

    pub fn units_in(&self, warehouse: u8) -> u32 {
        self.from.iter().filter(|(of, _, _)| *of == warehouse).map(|(_, _, units)| units).sum()
    }

    pub fn payable(&self) -> i64 {
        self.total - self.discount
    }
}

/// What is to be shipped; of one warehouse, if one is named.
#[derive(Debug, Clone)]
pub enum Wanted {
    Rest,
    RestOf(u8),
    Units(Vec<(usize, u32)>, Option<u8>),
}

impl Wanted {
    pub fn includes(&self, warehouse: u8) -> bool {
        match self {
            Self::Rest | Self::Units(_, None) => true,
            Self::RestOf(only) | Self::Units(_, Some(only)) => *only == warehouse,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub enum By {
    Customer,
    Staff,
    Worker,
}

impl By {
    pub fn is_staff(self) -> bool {
        matches!(self, Self::Staff)
    }

    pub fn is_worker(self) -> bool {
        matches!(self, Self::Worker)
    }

    pub fn actor(self) -> Actor {
        match self {
            Self::Customer => buyer(),
            Self::Staff => Actor::Staff(CustomerId::parse("s-1").unwrap()),
            Self::Worker => Actor::Worker("test"),
        }
    }
}

/// What may be done to an order from the moment it is placed, legal or not.
#[derive(Debug, Clone)]
pub enum Command {
    /// The worker takes the next step of the payment, and the provider says yes or no.
    Step {
        yes: bool,
    },
    Begin,
    Confirm,
    Answer {
        attempt: u32,
        yes: bool,
    },
    /// A capture is noted a second time.
    CaptureAgain,
    /// More is captured than is left.
    CaptureTooMuch,
    /// A capture turns out to have met a cancel.
    CaptureLate,
    RefundAnswer {
        number: u16,
        yes: bool,
    },
    Goodwill(i64),
    Cancel(By),
    Expire,
    Abandon,
    Ship {
        wanted: Wanted,
        by: By,
    },
    Booked(u16),
    Refused(u16),
    Arrived {
        number: u16,
        by: By,
    },
    TakeBack {
        units: Vec<(usize, u32, bool)>,
        late: bool,
        by: By,
    },
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let total = prop_oneof![1 => Just(0), 4 => 1..=1_000_i64];
    let off = prop_oneof![3 => Just(0), 1 => 1..=99_i64, 1 => Just(100)];
    let from = prop::collection::vec((0..3_u8, 1..=3_u32), 1..=3);
    let line = (from, total, off).prop_map(|(from, total, off)| Line {
        from: (0..).zip(from).map(|(stripe, (warehouse, units))| (warehouse, stripe, units)).collect(),
        total,
        discount: total * off / 100,
    });
    prop::collection::vec(line, 1..=3)
}

fn by() -> impl Strategy<Value = By> {
    prop_oneof![12 => Just(By::Staff), 1 => Just(By::Customer), 1 => Just(By::Worker)]
}

fn command() -> impl Strategy<Value = Command> {
    let unit = (prop_oneof![12 => Just(0_usize), 6 => Just(1), 3 => Just(2), 1 => Just(3)], 1..=3_u32);
    let wanted = prop_oneof![
        2 => Just(Wanted::Rest),
        3 => (0..4_u8).prop_map(Wanted::RestOf),
        4 => (prop::collection::vec(unit.clone(), 0..3), prop::option::weighted(0.3, 0..3_u8))
            .prop_map(|(units, warehouse)| Wanted::Units(units, warehouse)),
    ];
    let back = (unit, any::<bool>()).prop_map(|((line, units), restock)| (line, units, restock));
    let back = prop::collection::vec(back, 1..3);
    let number = || prop_oneof![3 => 1..=2_u16, 3 => 3..=6_u16, 1 => Just(0)];
    prop_oneof![
        24 => prop::bool::weighted(0.9).prop_map(|yes| Command::Step { yes }),
        1 => Just(Command::Begin),
        1 => Just(Command::Confirm),
        1 => (1..=2_u32, any::<bool>()).prop_map(|(attempt, yes)| Command::Answer { attempt, yes }),
        1 => Just(Command::CaptureAgain),
        1 => Just(Command::CaptureTooMuch),
        1 => Just(Command::CaptureLate),
        2 => (number(), any::<bool>()).prop_map(|(number, yes)| Command::RefundAnswer { number, yes }),
        2 => (1..=1_200_i64).prop_map(Command::Goodwill),
        1 => by().prop_map(Command::Cancel),
        1 => Just(Command::Expire),
        1 => Just(Command::Abandon),
        10 => (wanted, by()).prop_map(|(wanted, by)| Command::Ship { wanted, by }),
        14 => number().prop_map(Command::Booked),
        2 => number().prop_map(Command::Refused),
        14 => (number(), by()).prop_map(|(number, by)| Command::Arrived { number, by }),
        12 => (back, prop::bool::weighted(0.1), by()).prop_map(|(units, late, by)| Command::TakeBack { units, late, by }),
    ]
}

/// An order's lines, whether it is captured at once, and what is done to it.
pub fn story() -> impl Strategy<Value = (Vec<Line>, bool, Vec<Command>)> {
    let commands = (0..=BEGINNING.len(), prop::collection::vec(command(), 0..40));
    let commands = commands.prop_map(|(begun, random)| BEGINNING[..begun].iter().cloned().chain(random).collect());
    (lines(), any::<bool>(), commands)
}

/// How far a story comes without chance, at most: what happens late in an order's life would be rare otherwise.
const BEGINNING: [Command; 7] = [
    Command::Step { yes: true },
    Command::Step { yes: true },
    Command::Ship { wanted: Wanted::Rest, by: By::Staff },
    Command::Booked(1),
    Command::Arrived { number: 1, by: By::Staff },
    Command::Booked(2),
    Command::Arrived { number: 2, by: By::Staff },
];

pub fn eur(amount: i64) -> Money {
    Money::new(amount, Currency::parse("EUR").unwrap()).unwrap()
}

fn warehouse(number: u8) -> WarehouseId {
    WarehouseId::parse(format!("w{number}")).unwrap()
}

/// The order as it is placed.
pub fn placed(lines: &[Line], at_once: bool) -> Order {
    let mut order = begun(1, super::Beginning::Placed);
    let line = |(position, line): (usize, &Line)| crate::order::Line {
        product: ProductId::parse(format!("p{position}")).unwrap(),
        quantity: Quantity::new(i64::from(line.units())).unwrap(),
        unit_price: eur(1),
        total: eur(line.total),
        discount: eur(line.discount),
        tax: eur(0),
        tax_class: None,
        from: line.from.iter().map(|(of, stripe, units)| Source::new(warehouse(*of), *stripe, *units)).collect(),
    };
    order.lines = lines.iter().enumerate().map(line).collect();
    order.total = eur(lines.iter().map(Line::payable).sum());
    order.payment.status = if order.total.is_zero() { PaymentStatus::None } else { PaymentStatus::Pending };
    order.payment.capture = if at_once { CapturePolicy::AtOnce } else { CapturePolicy::WhenShipped };
    (order.address, order.payment.method) = (Some(address()), Some(method()));
    order
}

fn reference() -> PaymentReference {
    PaymentReference("pi_1".to_owned())
}

fn no() -> DeclineCode {
    DeclineCode("no".to_owned())
}

fn outcome(yes: bool) -> PaymentOutcome {
    if yes { PaymentOutcome::Authorised(reference()) } else { PaymentOutcome::Declined(no()) }
}

/// Does to the order what the command says; `step` is the payment's next one.
pub fn done(order: &Order, command: &Command, step: Step) -> Result<Change, Refusal> {
    match command {
        Command::Step { yes } => stepped(order, step, *yes),
        Command::Begin => order.start_payment(AT).map_err(|_| "illegal"),
        Command::Confirm => order.confirm_unpriced(AT).map_err(|_| "illegal"),
        Command::Answer { attempt, yes } => order.settle(*attempt, outcome(*yes), AT).ok_or("known"),
        Command::CaptureAgain => {
            let first = order.ledger.iter().find(|entry| entry.kind == EntryKind::Captured).ok_or("nothing")?;
            order.captured(first.cause, first.amount, AT).map_err(|_| "beyond")
        }
        Command::CaptureTooMuch => {
            let sums = order.sums();
            let left = sums.authorised.amount() - sums.captured.amount() - sums.voided.amount();
            order.captured(Cause::Shipment(99), eur(left + 1), AT).map_err(|_| "beyond")
        }
        Command::CaptureLate => match step {
            Step::Void if order.payment.capture == CapturePolicy::AtOnce => {
                order.captured(Cause::Order, order.total, AT).map_err(|_| "beyond")
            }
            _ => Err("nothing"),
        },
        Command::RefundAnswer { number, yes } => refund_answered(order, *number, *yes),
        Command::Goodwill(amount) => order.refund(eur(*amount), 0, &By::Staff.actor(), AT, None).map_err(|_| "over"),
        Command::Cancel(by) => order.cancel(&by.actor(), AT, None).map_err(|_| "illegal"),
        Command::Expire => order.expire(AT).map_err(|_| "illegal"),
        Command::Abandon => order.abandon(AT).ok_or("known"),
        Command::Ship { wanted, by } => order.ship(&wish(wanted), 1, &by.actor(), AT).map_err(why),
        Command::Booked(number) => {
            let booking = Booking { reference: "b".to_owned(), tracking: "t".to_owned() };
            order.shipped(*number, booking, AT).ok_or("known")
        }
        Command::Refused(number) => order.shipment_refused(*number, "full".to_owned(), AT).ok_or("known"),
        Command::Arrived { number, by } => order.delivered(*number, &by.actor(), AT).map_err(why)?.ok_or("known"),
        Command::TakeBack { units, late, by } => {
            let line = |(line, quantity, restock): &(usize, u32, bool)| ReturnedLine {
                line: *line,
                quantity: *quantity,
                restock: *restock,
            };
            let lines: Vec<_> = units.iter().map(line).collect();
            let at = if *late { AT + SignedDuration::from_secs(1) } else { AT };
            order.take_back(&lines, 1, Timestamp::UNIX_EPOCH, &by.actor(), at, None).map_err(why)
        }
    }
}

fn stepped(order: &Order, step: Step, yes: bool) -> Result<Change, Refusal> {
    match step {
        Step::Done => Err("nothing"),
        Step::Confirm => order.confirm_unpriced(AT).map_err(|_| "illegal"),
        Step::Start => order.start_payment(AT).map_err(|_| "illegal"),
        Step::Authorise => order.settle(1, outcome(yes), AT).ok_or("known"),
        Step::Void => Ok(order.voided(1, reference(), AT)),
        Step::Capture { cause, amount, .. } if yes => order.captured(cause, eur(amount), AT).map_err(|_| "beyond"),
        Step::Capture { .. } => Ok(order.capture_refused(no(), AT)),
        Step::Refund { number, .. } => refund_answered(order, u16::try_from(number).unwrap(), yes),
    }
}

fn refund_answered(order: &Order, number: u16, yes: bool) -> Result<Change, Refusal> {
    match yes {
        true => order.refunded(number, "re_1".to_owned(), AT).map_err(|_| "beyond")?.ok_or("known"),
        false => order.refund_refused(number, no(), AT).ok_or("known"),
    }
}

fn wish(wanted: &Wanted) -> Wish {
    let line = |(line, quantity): &(usize, u32)| ShippedLine { line: *line, quantity: *quantity };
    match wanted {
        Wanted::Rest => Wish::Rest,
        Wanted::RestOf(of) => Wish::RestOf(warehouse(*of)),
        Wanted::Units(units, of) => Wish::Lines(units.iter().map(line).collect(), of.map(warehouse)),
    }
}

fn why(refused: NotFulfilled) -> Refusal {
    match refused {
        NotFulfilled::Illegal(_) => "illegal",
        NotFulfilled::NotShipped(_) => "not shipped",
        NotFulfilled::Shipping(ShippingRefusal::UnknownLine { .. }) => "unknown line",
        NotFulfilled::Shipping(ShippingRefusal::TooMany { .. }) => "too many",
        NotFulfilled::Shipping(ShippingRefusal::NothingLeft) => "nothing",
        NotFulfilled::Return(ReturnRefusal::UnknownLine { .. }) => "unknown line",
        NotFulfilled::Return(ReturnRefusal::TooMany { .. }) => "too many",
        NotFulfilled::Return(ReturnRefusal::TooLate { .. }) => "late",
        NotFulfilled::Shipping(ShippingRefusal::TooManyShipments) => "too many shipments",
        NotFulfilled::Return(ReturnRefusal::TooMuchAtOnce | ReturnRefusal::TooManyReturns) => "too many returns",
    }
}
