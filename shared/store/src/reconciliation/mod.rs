//! Proof that no pool leaks: what was received is available, or kept by an order that holds or bought it.
//!
//! There is no snapshot of a pool and its orders. A pool is opened (its stripes are read and their versions noted), then
//! the orders are counted, then it is read again and judged only if no stripe changed in between: then no claim and no
//! release came between either, since each changes a stripe in its own transaction.
//!
//! Days that ended some time ago are closed: what their orders keep is added up once, into a balance per pool. From then
//! on, whatever gives units of such an order back takes them from the balance in the same transaction.
//!
//! A pass is one item that every transaction of it moves on from the step its sender knows. So a sum is added exactly
//! once, whichever call fails, and a run that was believed dead changes nothing any more.

mod carried;
mod closing;
mod keeping;
mod pass;
mod pools;
mod tally;

pub use crate::order_parts::HeldPart;
pub use carried::Carried;
pub(crate) use closing::ReleaseEntry;
pub use closing::{CLOSING_AGE_DAYS, Span};
pub use keeping::{Keep, ORDERS_AT_ONCE, Seen};
pub use pass::{Figures, Place, ReconcilePass, Stage, Within};
pub use pools::{ListedPool, Outcome, PoolList, Verdict};
pub use tally::{Book, Tally};
