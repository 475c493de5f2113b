//! Clients of AWS services, without the configuration chain: region and credentials come from the environment that
//! Lambda sets, so that a cold start reads no file and asks no endpoint.

use crate::config::{self, ConfigError};
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::SdkConfig;
use std::time::Duration;

/// How long one attempt at a service may take: far above its p99, far below the API's 30 s.
const ATTEMPT: Duration = Duration::from_millis(1_500);
/// How long a call may take with its retries: two in a row stay within the deadline of a request.
const CALL: Duration = Duration::from_secs(4);
/// How often a call is tried, the first time included.
const ATTEMPTS_MAX: u32 = 3;

/// How long one attempt to store or read an object may take: some megabytes at a megabyte a second.
const OBJECT_ATTEMPT: Duration = Duration::from_secs(8);
/// How long a call about an object may take with its retries.
const OBJECT_CALL: Duration = Duration::from_secs(25);

/// Where calls go and as whom.
pub struct Aws {
    config: SdkConfig,
    endpoints: Endpoints,
}

/// Endpoints other than AWS's own, as `AWS_ENDPOINT_URL_<SERVICE>` names them.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    /// Of DynamoDB.
    pub dynamodb: Option<String>,
    /// Of SQS.
    pub sqs: Option<String>,
    /// Of S3.
    pub s3: Option<String>,
}

impl Aws {
    /// From the environment of a Lambda function, with one HTTP client for all services.
    ///
    /// # Errors
    /// When the region or the credentials are not set.
    pub fn from_environment() -> Result<Self, ConfigError> {
        let credentials = Credentials::new(
            config::text("AWS_ACCESS_KEY_ID")?,
            config::text("AWS_SECRET_ACCESS_KEY")?,
            config::text("AWS_SESSION_TOKEN").ok(),
            None,
            "environment",
        );
        let http =
            aws_smithy_http_client::Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc)).build_https();
        let endpoints = Endpoints {
            dynamodb: config::text("AWS_ENDPOINT_URL_DYNAMODB").ok(),
            sqs: config::text("AWS_ENDPOINT_URL_SQS").ok(),
            s3: config::text("AWS_ENDPOINT_URL_S3").ok(),
        };
        Ok(Self::new(config::text("AWS_REGION")?, credentials, http, endpoints))
    }

    /// For a region, with these credentials and this HTTP client.
    pub fn new(region: String, credentials: Credentials, http: SharedHttpClient, endpoints: Endpoints) -> Self {
        let retries = RetryConfig::standard()
            .with_max_attempts(ATTEMPTS_MAX)
            .with_initial_backoff(Duration::from_millis(25))
            .with_max_backoff(Duration::from_millis(400));
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(1))
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(CALL);
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(http)
            .retry_config(retries)
            .timeout_config(timeouts.build());
        Self { config: config.build(), endpoints }
    }

    /// What a client of a service that one function alone calls is made of: the crates of all services together would be
    /// built for every function.
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// A client of DynamoDB.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let mut config = aws_sdk_dynamodb::config::Builder::from(&self.config);
        config.set_endpoint_url(self.endpoints.dynamodb.clone());
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    /// A client of SQS.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        let mut config = aws_sdk_sqs::config::Builder::from(&self.config);
        config.set_endpoint_url(self.endpoints.sqs.clone());
        aws_sdk_sqs::Client::from_conf(config.build())
    }

    /// A client of S3. TLS protects bodies on their way: no checksum is computed besides.
    pub fn s3(&self) -> aws_sdk_s3::Client {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(1))
            .operation_attempt_timeout(OBJECT_ATTEMPT)
            .operation_timeout(OBJECT_CALL);
        let mut config = aws_sdk_s3::config::Builder::from(&self.config)
            .timeout_config(timeouts.build())
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            // An engine that stands in for S3 has one host name for all buckets.
            .force_path_style(self.endpoints.s3.is_some());
        config.set_endpoint_url(self.endpoints.s3.clone());
        aws_sdk_s3::Client::from_conf(config.build())
    }
}
