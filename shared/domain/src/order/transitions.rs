//! Every way from one state of an order to another: what happens, and who may do it. Whatever is not in this table is
//! refused (ORD-8).

use super::OrderState::{self, *};
use crate::event::EventKind;
use std::fmt::Write;

/// Who may do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The person who ordered.
    Customer,
    /// A person of the shop.
    Staff,
    /// A background worker.
    Worker,
}

/// One way from a state to another, or to itself.
#[derive(Debug, Clone, Copy)]
pub struct Transition {
    /// Where the order stands.
    pub from: OrderState,
    /// What happens.
    pub kind: EventKind,
    /// Where it stands afterwards.
    pub to: OrderState,
    /// Who may do it.
    pub by: &'static [Role],
}

const BUYER: &[Role] = &[Role::Customer, Role::Staff];
const SHOP: &[Role] = &[Role::Staff];
const WORKER: &[Role] = &[Role::Worker];
const ANYONE: &[Role] = &[Role::Customer, Role::Staff, Role::Worker];

const fn way(from: OrderState, kind: EventKind, to: OrderState, by: &'static [Role]) -> Transition {
    Transition { from, kind, to, by }
}

/// The state machine of orders. What is noted of a payment without moving the order is not part of it.
pub const TRANSITIONS: &[Transition] = &[
    way(Reserved, EventKind::Placed, Placed, BUYER),
    way(Reserved, EventKind::Released, Released, BUYER),
    way(Reserved, EventKind::Expired, Expired, WORKER),
    way(Placing, EventKind::Placed, Placed, BUYER),
    way(Placing, EventKind::Aborted, Aborted, ANYONE),
    way(Aborted, EventKind::Placing, Placing, BUYER),
    way(Placed, EventKind::Changed, Placed, BUYER),
    way(Placed, EventKind::Split, Placed, BUYER),
    way(Placed, EventKind::Absorbed, Placed, BUYER),
    way(Placed, EventKind::Merged, Merged, BUYER),
    way(Placed, EventKind::Paid, Paid, WORKER),
    way(Placed, EventKind::PaymentFailed, PaymentFailed, WORKER),
    way(Placed, EventKind::Cancelled, Cancelled, BUYER),
    way(Placed, EventKind::Expired, Expired, WORKER),
    way(Paid, EventKind::Cancelled, Cancelled, BUYER),
    way(Paid, EventKind::PaymentFailed, PaymentFailed, WORKER),
    way(Paid, EventKind::Shipping, Shipping, SHOP),
    way(Shipping, EventKind::Shipping, Shipping, SHOP),
    way(Shipping, EventKind::Shipped, Shipping, WORKER),
    way(Shipping, EventKind::Shipped, PartiallyShipped, WORKER),
    way(Shipping, EventKind::Shipped, Shipped, WORKER),
    way(Shipping, EventKind::ShipmentRefused, Shipping, WORKER),
    way(Shipping, EventKind::ShipmentRefused, Paid, WORKER),
    way(Shipping, EventKind::ShipmentRefused, PartiallyShipped, WORKER),
    way(Shipping, EventKind::Delivered, Shipping, SHOP),
    way(Shipping, EventKind::Returned, Shipping, SHOP),
    way(PartiallyShipped, EventKind::Shipping, Shipping, SHOP),
    way(PartiallyShipped, EventKind::Delivered, PartiallyShipped, SHOP),
    way(PartiallyShipped, EventKind::Returned, PartiallyShipped, SHOP),
    way(Shipped, EventKind::Delivered, Shipped, SHOP),
    way(Shipped, EventKind::Delivered, Delivered, SHOP),
    way(Shipped, EventKind::Returned, Shipped, SHOP),
    way(Delivered, EventKind::Returned, Delivered, SHOP),
    way(Delivered, EventKind::Returned, Returned, SHOP),
];

/// Whether something that happens leads from one state to another, if this one does it.
pub fn is_legal(from: OrderState, kind: EventKind, to: OrderState, by: Role) -> bool {
    let fits = |way: &Transition| way.from == from && way.kind == kind && way.to == to && way.by.contains(&by);
    TRANSITIONS.iter().any(fits)
}

/// The state machine as a Mermaid diagram (<https://mermaid.js.org/syntax/stateDiagram.html>).
pub fn diagram() -> String {
    let mut lines = "stateDiagram-v2\n    [*] --> reserved\n    [*] --> placing\n    [*] --> placed\n".to_owned();
    for way in TRANSITIONS {
        let by: Vec<_> = way.by.iter().map(|role| format!("{role:?}").to_lowercase()).collect();
        let (from, kind, to) = (way.from, way.kind.name(), way.to);
        writeln!(lines, "    {from} --> {to}: {kind} ({})", by.join(", ")).expect("text takes text");
    }
    for end in OrderState::ALL.into_iter().filter(|state| state.next().is_empty()) {
        writeln!(lines, "    {end} --> [*]").expect("text takes text");
    }
    lines
}
