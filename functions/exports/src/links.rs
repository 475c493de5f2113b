//! Links under which anybody who has one may fetch a part for a while.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::presigning::PresigningConfig;
use holdfast_domain::export::Export;
use holdfast_runtime::http::Problem;
use http::StatusCode;
use std::time::Duration;

/// How long a link is good.
pub const LINK_VALIDITY: Duration = Duration::from_secs(3_600);

/// Makes links to the objects of a bucket. It asks nobody: a link is computed.
#[derive(Clone)]
pub struct Links {
    client: Client,
    bucket: String,
}

impl Links {
    /// Links to the objects of a bucket.
    pub fn new(client: Client, bucket: String) -> Self {
        Self { client, bucket }
    }

    /// A link to a part.
    pub(crate) async fn to_part(&self, export: &Export, number: u32) -> Result<String, Problem> {
        let key = export.part_key(number);
        let failed = |error: String| {
            tracing::error!(key, error, "link_not_made");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong here")
        };
        let validity = PresigningConfig::expires_in(LINK_VALIDITY).map_err(|error| failed(error.to_string()))?;
        let request = self.client.get_object().bucket(&self.bucket).key(&key);
        match request.presigned(validity).await {
            Ok(link) => Ok(link.uri().to_owned()),
            Err(error) => Err(failed(DisplayErrorContext(&error).to_string())),
        }
    }
}
