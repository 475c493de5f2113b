//! What can go wrong at the table, as answers to what a caller should do next.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// A call that gave no answer, or one that should not occur.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The table or one of its partitions took too many requests.
    #[error("the table is throttled")]
    Throttled,
    /// Another transaction was at the same items; nothing was applied.
    #[error("another transaction was at the same items")]
    Conflict,
    /// No answer, or an error of the service: the call may or may not have been applied.
    #[error("the table gave no answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The service refused a request of ours as malformed: a bug here.
    #[error("the table refused a request as malformed")]
    Rejected(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// An item does not read as what its key says.
    #[error("item {key} is not readable: {problem}")]
    Corrupt {
        /// Its partition key.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A stripe that stock was to be given back to does not exist.
    #[error("a stripe of the order's stock does not exist any more")]
    StripeMissing,
}

impl StoreError {
    /// Sorts an SDK error that no caller expected.
    pub(crate) fn of<E>(error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
        match code {
            "ProvisionedThroughputExceededException" | "ThrottlingException" | "RequestLimitExceeded" => {
                Self::Throttled
            }
            "TransactionConflictException" => Self::Conflict,
            "ValidationException" | "ResourceNotFoundException" | "AccessDeniedException" => {
                Self::Rejected(Box::new(error))
            }
            _ => Self::Unavailable(Box::new(error)),
        }
    }
}
