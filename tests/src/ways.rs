//! The ways in which a call may fail.

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The service fails before it applies the call.
    Before,
    /// The service applies the call, and its answer is lost.
    After,
    /// The service refuses the call because there are too many.
    Throttled,
    /// Another transaction is at the same items. Calls that are not transactions are throttled.
    Conflict,
    /// The service applies the call, and takes too long to answer.
    TimedOut,
    /// The service applies the call, and the process of its caller dies: see [`Wire::lives`].
    Killed,
    /// The service never answers, for as long as the caller waits.
    Hang,
}

impl Way {
    /// Every way in which a transaction may fail without taking its time.
    pub const ALL: [Self; 6] =
        [Self::Before, Self::After, Self::Throttled, Self::Conflict, Self::TimedOut, Self::Killed];

    /// The ways that differ for an operation. Where a read fails, everything is as the last write left it, whether or not it
    /// was applied; whoever is killed at it is killed after that write. What is no transaction meets no other one. Calls
    /// past AWS's wire tell no reason.
    pub fn of(operation: &str) -> &'static [Self] {
        match operation {
            "GetItem" | "BatchGetItem" | "TransactGetItems" | "Query" | "Scan" | "HEAD" | "GET" => {
                &[Self::Before, Self::Throttled]
            }
            "TransactWriteItems" => &Self::ALL,
            OUTSIDE => &[Self::Before, Self::After, Self::Killed],
            _ => &[Self::Before, Self::After, Self::Throttled, Self::TimedOut, Self::Killed],
        }
    }
}

/// The operation of a call that is not made over AWS's wire.
pub(crate) const OUTSIDE: &str = "outside";

/// What was counted.
#[derive(Debug, Default)]
pub struct Counted {
    /// The operations called, in their order.
    pub calls: Vec<String>,
    /// Whether the call that was to fail was made.
    pub met: bool,
}
