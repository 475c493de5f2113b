//! Parts in S3. Each says itself how far it reaches, so that it counts even if whoever stored it could not note it.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use std::collections::HashMap;
use std::fmt::Display;

/// Names of a part's metadata.
const THROUGH: &str = "through";
const ORDERS: &str = "orders";
const UNREADABLE: &str = "unreadable";

/// The bucket of exports.
#[derive(Clone)]
pub struct Objects {
    client: Client,
    bucket: String,
}

/// What a part holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartContent {
    /// The position in the list of orders that it reaches.
    pub through: String,
    /// Orders in it.
    pub orders: u64,
    /// Orders on the way that could not be read.
    pub unreadable: u64,
    /// Its size, in bytes.
    pub bytes: u64,
}

/// What came of storing a part.
#[derive(Debug)]
pub(crate) enum Stored {
    /// It is stored.
    New,
    /// There was one of this number, with this content: nothing was stored.
    Before(PartContent),
}

/// S3 gave no answer, refused a call, or keeps what is no part.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// No answer, or a refusal.
    #[error("S3 failed: {0}")]
    Failed(String),
    /// It is not known what the object is.
    #[error("the object {0} does not say what it holds")]
    Unreadable(String),
}

impl ObjectError {
    fn of<E>(error: SdkError<E>) -> Self
    where
        SdkError<E>: std::error::Error,
    {
        Self::Failed(DisplayErrorContext(&error).to_string())
    }
}

impl Objects {
    /// The objects of a bucket.
    pub fn new(client: Client, bucket: String) -> Self {
        Self { client, bucket }
    }

    /// Stores a part unless there is one under its key: the first one stays, whoever else writes it.
    pub(crate) async fn store(
        &self,
        key: &str,
        media_type: &str,
        object: Vec<u8>,
        content: &PartContent,
    ) -> Result<Stored, ObjectError> {
        let text = |value: &dyn Display| value.to_string();
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type(media_type)
            .metadata(THROUGH, &content.through)
            .metadata(ORDERS, text(&content.orders))
            .metadata(UNREADABLE, text(&content.unreadable))
            .if_none_match("*")
            .body(ByteStream::from(object));
        match request.send().await {
            Ok(_) => Ok(Stored::New),
            Err(error) if error.code() == Some("PreconditionFailed") => Ok(Stored::Before(self.content(key).await?)),
            // Two who store it at the same moment: S3 takes one of them and tells the other so.
            Err(error) if error.code() == Some("ConditionalRequestConflict") => {
                Ok(Stored::Before(self.content(key).await?))
            }
            Err(error) => Err(ObjectError::of(error)),
        }
    }

    /// What a part says that it holds.
    async fn content(&self, key: &str) -> Result<PartContent, ObjectError> {
        let head = self.client.head_object().bucket(&self.bucket).key(key).send().await.map_err(ObjectError::of)?;
        let empty = HashMap::new();
        let metadata = head.metadata().unwrap_or(&empty);
        let number = |name: &str| metadata.get(name)?.parse().ok();
        let content = || {
            Some(PartContent {
                through: metadata.get(THROUGH)?.clone(),
                orders: number(ORDERS)?,
                unreadable: number(UNREADABLE)?,
                bytes: u64::try_from(head.content_length()?).ok()?,
            })
        };
        content().ok_or_else(|| ObjectError::Unreadable(key.to_owned()))
    }
}
