//! A client of the AWS JSON protocols, for what this tool asks of its engines.

use std::fmt;

use serde_json::Value;

/// The region of everything local.
pub const REGION: &str = "us-east-1";
/// The account of everything local.
pub const ACCOUNT: &str = "000000000000";
/// The access key that the functions and this tool sign with. The engines check no signature but those of links.
pub const ACCESS_KEY: &str = "local";

/// One service of one engine.
#[derive(Clone, Debug)]
pub struct JsonService {
    client: reqwest::Client,
    url: String,
    /// What precedes the operation in the header `x-amz-target`.
    target: &'static str,
    /// The name of the service in a signature.
    service: &'static str,
}

impl JsonService {
    /// DynamoDB at `url`.
    pub fn dynamodb(client: reqwest::Client, url: &str) -> Self {
        Self::new(client, url, "DynamoDB_20120810", "dynamodb")
    }

    /// DynamoDB Streams at `url`.
    pub fn streams(client: reqwest::Client, url: &str) -> Self {
        Self::new(client, url, "DynamoDBStreams_20120810", "dynamodb")
    }

    /// SQS at `url`.
    pub fn sqs(client: reqwest::Client, url: &str) -> Self {
        Self::new(client, url, "AmazonSQS", "sqs")
    }

    fn new(client: reqwest::Client, url: &str, target: &'static str, service: &'static str) -> Self {
        Self { client, url: url.to_owned(), target, service }
    }

    /// Calls `operation`.
    ///
    /// # Errors
    /// When the engine refuses the call ([`ServiceError::is`] tells why) or does not answer.
    pub async fn call(&self, operation: &str, request: &Value) -> Result<Value, ServiceError> {
        let unreachable = |error: reqwest::Error| ServiceError {
            operation: operation.to_owned(),
            kind: "Unreachable".to_owned(),
            message: error.without_url().to_string(),
        };
        // The engines read the account, the region and the service from the credential's scope.
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20260101/{REGION}/{}/aws4_request, SignedHeaders=host, Signature=0",
            self.service
        );
        let answer = self
            .client
            .post(&self.url)
            .header("x-amz-target", format!("{}.{operation}", self.target))
            .header("x-amz-date", "20260101T000000Z")
            .header("content-type", "application/x-amz-json-1.0")
            .header("authorization", authorization)
            .body(request.to_string())
            .send()
            .await
            .map_err(unreachable)?;
        let refused = !answer.status().is_success();
        let body = answer.bytes().await.map_err(unreachable)?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if refused {
            let kind = body["__type"].as_str().unwrap_or("UnknownError");
            let message = body["message"].as_str().or_else(|| body["Message"].as_str());
            return Err(ServiceError {
                operation: operation.to_owned(),
                kind: kind.rsplit('#').next().unwrap_or(kind).to_owned(),
                message: message.unwrap_or_default().to_owned(),
            });
        }
        Ok(body)
    }
}

/// Why an engine did not do what it was asked.
#[derive(Debug)]
pub struct ServiceError {
    operation: String,
    kind: String,
    message: String,
}

impl ServiceError {
    /// Whether this is the error that the service calls `kind`.
    pub fn is(&self, kind: &str) -> bool {
        self.kind == kind
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}: {}", self.operation, self.kind, self.message)
    }
}

impl std::error::Error for ServiceError {}
