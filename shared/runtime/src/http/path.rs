//! Paths as API Gateway sends them: decoded.
//!
//! A URI made of a decoded path ends at the first `#` or `?` in it, and decodes a `%` once more: `/products/mug%23blue`
//! would be the product `mug`. So the path is encoded again before it is routed.

use axum::extract::Request;
use http::Uri;
use lambda_http::RequestExt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but what a path may hold as it is (RFC 3986 §3.3): unreserved characters and the separators between segments.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The request with its path encoded. A request that did not come through API Gateway stays as it is.
pub(super) fn encoded(mut request: Request) -> Request {
    let raw = request.extensions().raw_http_path().to_owned();
    if raw.is_empty() {
        return request;
    }
    let path = utf8_percent_encode(&raw, ENCODED).to_string();
    // With such a character in the path, what follows it was taken for the query.
    let query = request.uri().query().filter(|_| !raw.contains(['#', '?']));
    let path_and_query = match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    if let Ok(uri) = path_and_query.parse::<Uri>() {
        *request.uri_mut() = uri;
    }
    request
}
