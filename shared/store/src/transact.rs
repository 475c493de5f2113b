//! Sending transactions, and reading why one was not applied.

use crate::{Store, StoreError};
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{CancellationReason, ReturnConsumedCapacity, TransactWriteItem};

impl Store {
    /// Sends a transaction. The SDK makes its ClientRequestToken: a new one for each call of ours, the same for its
    /// own retries of that call.
    pub(crate) async fn transact(&self, items: Vec<TransactWriteItem>) -> Result<(), Refused> {
        let request = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes);
        match self.timed(request.send()).await {
            Ok(output) => {
                self.meter.count_writes(output.consumed_capacity());
                Ok(())
            }
            Err(SdkError::ServiceError(error)) if error.err().is_transaction_canceled_exception() => {
                match error.into_err() {
                    TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                        Err(Refused::Cancelled(cancelled.cancellation_reasons.unwrap_or_default()))
                    }
                    other => Err(Refused::Other(StoreError::Unavailable(Box::new(other)))),
                }
            }
            Err(error) => Err(Refused::Other(StoreError::of(error))),
        }
    }
}

/// Why a transaction was not applied.
pub(crate) enum Refused {
    /// It was cancelled: a reason for each of its items, in order.
    Cancelled(Vec<CancellationReason>),
    /// Anything else.
    Other(StoreError),
}

/// Whether an item's own condition was what failed.
pub(crate) fn is_condition(reason: &CancellationReason) -> bool {
    reason.code() == Some("ConditionalCheckFailed")
}

/// The error of a transaction in which no condition failed.
pub(crate) fn cancelled(reasons: &[CancellationReason]) -> StoreError {
    let mut codes = reasons.iter().filter_map(CancellationReason::code).filter(|code| *code != "None");
    match codes.next() {
        Some("TransactionConflict") => StoreError::Conflict,
        Some("ThrottlingError" | "ProvisionedThroughputExceeded") => StoreError::Throttled,
        code => StoreError::Rejected(format!("the transaction was cancelled: {}", code.unwrap_or("no reason")).into()),
    }
}

/// Whether an item was refused because another transaction was at it, or its partition had too much to do.
pub(crate) fn is_contended(reason: &CancellationReason) -> bool {
    matches!(reason.code(), Some("TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded"))
}
