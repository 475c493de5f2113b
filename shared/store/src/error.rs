//! What can go wrong at the table, as answers to what a caller should do next.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// A call that gave no answer, or one that should not occur.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The table or one of its partitions took too many requests; nothing was applied.
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

/// What is known of a call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was applied: it may be repeated at once, elsewhere or later.
    NotApplied,
    /// It may have been applied: only a repetition that is idempotent is safe.
    Unknown,
}

impl StoreError {
    /// Whether the call was applied, as far as is known.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Throttled | Self::Conflict | Self::Rejected(_) | Self::StripeMissing => Outcome::NotApplied,
            Self::Unavailable(_) | Self::Corrupt { .. } => Outcome::Unknown,
        }
    }

    /// Whether the same call may succeed a little later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Throttled | Self::Conflict | Self::Unavailable(_))
    }

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
            "TransactionConflictException" | "TransactionInProgressException" => Self::Conflict,
            "ValidationException" | "ResourceNotFoundException" | "AccessDeniedException" => {
                Self::Rejected(Box::new(error))
            }
            _ => Self::Unavailable(Box::new(error)),
        }
    }
}
