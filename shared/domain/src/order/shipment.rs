//! Shipments: which units of an order leave which warehouse, and what became of them.

use super::shares::share;
use super::{Order, Source};
use crate::ids::WarehouseId;
use crate::money::Money;
use std::collections::BTreeMap;

/// The most shipments of an order.
pub const SHIPMENTS_MAX: usize = 200;

/// The most lines over all shipments of an order: they are kept in its item, which stays far below 400 KB.
pub const SHIPPED_LINES_MAX: usize = 6_000;

/// Units of an order that leave a warehouse together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    /// Its number within the order, from 1.
    pub number: u16,
    /// Where it leaves from.
    pub warehouse: WarehouseId,
    /// What it consists of.
    pub lines: Vec<ShippedLine>,
    /// What is captured for it: known when it is shipped, zero before. All that is shipped is worth what its units are
    /// worth of their lines, rounded down; each shipment takes what the ones before left of that.
    pub amount: Money,
    /// Which request made it: all shipments of a request have the same.
    pub request: RequestMark,
    /// Where it stands.
    pub status: ShipmentStatus,
}

/// Tells the requests on one order from each other: a hash of the idempotency key, which need not be kept whole.
pub type RequestMark = u64;

/// Some units of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShippedLine {
    /// The position of the line in the order, from 0.
    pub line: usize,
    /// How many, above 0.
    pub quantity: u32,
}

/// Where a shipment stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShipmentStatus {
    /// The carrier is to be asked, or was asked and has not answered.
    Requested,
    /// The carrier does not take it: its units wait to be shipped in another one.
    Refused {
        /// Why, as a stable code.
        reason: String,
    },
    /// The carrier took it.
    Shipped(Booking),
    /// It arrived.
    Delivered(Booking),
}

/// The carrier's names of a shipment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booking {
    /// For the shop.
    pub reference: String,
    /// For the person who waits for it.
    pub tracking: String,
}

/// What is asked to be shipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// All that waits.
    Rest,
    /// All that waits in a warehouse.
    RestOf(WarehouseId),
    /// These units; from this warehouse alone, if one is named.
    Lines(Vec<ShippedLine>, Option<WarehouseId>),
}

/// Why nothing is shipped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShippingRefusal {
    /// There is no such line.
    #[error("the order has no line {line}")]
    UnknownLine {
        /// Its position.
        line: usize,
    },
    /// More units are asked for than wait.
    #[error("{asked} units of line {line} are to be shipped, but {left} wait")]
    TooMany {
        /// The position of the line.
        line: usize,
        /// How many are to be shipped.
        asked: u32,
        /// How many may be.
        left: u32,
    },
    /// Nothing waits to be shipped.
    #[error("nothing waits to be shipped")]
    NothingLeft,
    /// The order has too many shipments, or too many lines in them.
    #[error("the order has too many shipments")]
    TooManyShipments,
}

impl ShipmentStatus {
    /// Whether its units are on their way, or about to be.
    pub fn is_under_way(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }

    /// The carrier's names of it, if it took it.
    pub fn booking(&self) -> Option<&Booking> {
        match self {
            Self::Shipped(booking) | Self::Delivered(booking) => Some(booking),
            Self::Requested | Self::Refused { .. } => None,
        }
    }

    /// The name as stored and sent.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Refused { .. } => "refused",
            Self::Shipped(_) => "shipped",
            Self::Delivered(_) => "delivered",
        }
    }
}

impl Order {
    /// How many units of each line, and of each of its warehouses, are in shipments of which `counts`.
    pub fn shipped_units(&self, counts: impl Fn(&ShipmentStatus) -> bool) -> BTreeMap<(usize, WarehouseId), u32> {
        let mut units = BTreeMap::new();
        for shipment in self.shipments.iter().filter(|shipment| counts(&shipment.status)) {
            for line in &shipment.lines {
                *units.entry((line.line, shipment.warehouse.clone())).or_default() += line.quantity;
            }
        }
        units
    }

    /// Whether every unit is in a shipment of which `counts`. The lines must be there, also those kept in parts.
    pub(super) fn all_units(&self, counts: impl Fn(&ShipmentStatus) -> bool) -> bool {
        let units: u64 = self.shipped_units(counts).values().map(|units| u64::from(*units)).sum();
        units == self.lines.iter().map(|line| u64::from(line.quantity.units())).sum::<u64>()
    }

    /// What all units with the carrier are worth, also those that arrived.
    pub(super) fn shipped_worth(&self) -> Money {
        let mut units: BTreeMap<usize, u32> = BTreeMap::new();
        for ((line, _), shipped) in self.shipped_units(|status| status.booking().is_some()) {
            *units.entry(line).or_default() += shipped;
        }
        let worth = units.into_iter().filter_map(|(line, units)| {
            let line = self.lines.get(line)?;
            Some(share(self.payable(line), 0, units, line.quantity.units()))
        });
        let zero = Money::zero(self.total.currency());
        worth.fold(zero, |sum, worth| sum.plus(worth).expect("shares stay below the order's total"))
    }

    /// Cuts what is asked for into one shipment a warehouse, with the numbers that follow.
    ///
    /// # Errors
    /// When it is more than what waits, or nothing.
    pub fn shipments_for(&self, wish: &Wish, request: RequestMark) -> Result<Vec<Shipment>, ShippingRefusal> {
        let under_way = self.shipped_units(ShipmentStatus::is_under_way);
        let left = |line: usize, source: &WarehouseId, has: u32| {
            has - under_way.get(&(line, source.clone())).copied().unwrap_or(0).min(has)
        };
        let mut by_warehouse: BTreeMap<WarehouseId, Vec<ShippedLine>> = BTreeMap::new();
        let (asked, only) = match wish {
            Wish::Rest => (None, None),
            Wish::RestOf(warehouse) => (None, Some(warehouse)),
            Wish::Lines(lines, warehouse) => (Some(summed(lines)), warehouse.as_ref()),
        };
        if let Some((line, _)) = asked.iter().flatten().find(|(line, _)| **line >= self.lines.len()) {
            return Err(ShippingRefusal::UnknownLine { line: *line });
        }
        for (position, line) in self.lines.iter().enumerate() {
            let wanted = match &asked {
                None => u32::MAX,
                Some(asked) => asked.get(&position).copied().unwrap_or(0),
            };
            let mut missing = wanted;
            for (warehouse, has) in by_source(&line.from) {
                let takes = only.is_none_or(|only| only == warehouse);
                let quantity = if takes { left(position, warehouse, has).min(missing) } else { 0 };
                if quantity > 0 {
                    missing -= quantity;
                    by_warehouse.entry(warehouse.clone()).or_default().push(ShippedLine { line: position, quantity });
                }
            }
            if asked.is_some() && missing > 0 {
                return Err(ShippingRefusal::TooMany { line: position, asked: wanted, left: wanted - missing });
            }
        }
        self.numbered_shipments(by_warehouse, request)
    }

    fn numbered_shipments(
        &self,
        by_warehouse: BTreeMap<WarehouseId, Vec<ShippedLine>>,
        request: RequestMark,
    ) -> Result<Vec<Shipment>, ShippingRefusal> {
        let lines = by_warehouse.values().chain(self.shipments.iter().map(|shipment| &shipment.lines));
        let lines: usize = lines.map(Vec::len).sum();
        if by_warehouse.is_empty() {
            return Err(ShippingRefusal::NothingLeft);
        }
        if self.shipments.len() + by_warehouse.len() > SHIPMENTS_MAX || lines > SHIPPED_LINES_MAX {
            return Err(ShippingRefusal::TooManyShipments);
        }
        let mut shipments = Vec::new();
        for (number, (warehouse, lines)) in (self.shipments.len() + 1..).zip(by_warehouse) {
            let amount = Money::zero(self.total.currency());
            let number = u16::try_from(number).expect("an order has few shipments");
            let status = ShipmentStatus::Requested;
            shipments.push(Shipment { number, warehouse, lines, amount, request, status });
        }
        Ok(shipments)
    }
}

/// Units by line.
fn summed(lines: &[ShippedLine]) -> BTreeMap<usize, u32> {
    let mut units: BTreeMap<usize, u32> = BTreeMap::new();
    for line in lines {
        let sum = units.entry(line.line).or_default();
        *sum = sum.saturating_add(line.quantity);
    }
    units
}

/// Units by warehouse.
fn by_source(sources: &[Source]) -> BTreeMap<&WarehouseId, u32> {
    let mut units = BTreeMap::new();
    for source in sources {
        *units.entry(&source.warehouse).or_default() += source.quantity;
    }
    units
}
